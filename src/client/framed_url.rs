//! [`FramedUrl`]: where a framed client connects.

#[cfg(unix)]
use std::path::PathBuf;

use url::Url;
use wse_transport::handshake::public_url;

use super::error::ConnectError;

/// Where a framed client connects.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FramedUrl {
    /// `tcp://host:port`; an IPv6 address without its brackets.
    Tcp(String, u16),
    /// `unix:/path`.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl FramedUrl {
    pub(super) fn parse(text: &str) -> Result<Self, ConnectError> {
        #[cfg(unix)]
        if let Some(path) = text.strip_prefix("unix:") {
            // The host of a file URL is empty.
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.is_empty() {
                return Ok(Self::Unix(path.into()));
            }
        }
        let tcp = || {
            let url = Url::parse(text).ok().filter(|url| url.scheme() == "tcp")?;
            let host = url.host_str().filter(|host| !host.is_empty())?;
            let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
            Some(Self::Tcp(host.to_owned(), url.port()?))
        };
        tcp().ok_or_else(|| ConnectError::FramedUrl(public_url(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<FramedUrl> {
        FramedUrl::parse(url).ok()
    }

    #[test]
    fn tcp_needs_a_host_and_a_port() {
        let tcp = |host: &str, port| Some(FramedUrl::Tcp(host.to_owned(), port));
        assert_eq!(parsed("tcp://example.com:4201"), tcp("example.com", 4201));
        assert_eq!(parsed("tcp://127.0.0.1:1/"), tcp("127.0.0.1", 1));
        assert_eq!(parsed("tcp://[::1]:1"), tcp("::1", 1));
        for url in ["", "tcp://example.com", "tcp://:80", "ws://example.com:80", "example.com:80"] {
            assert_eq!(parsed(url), None, "{url}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn unix_needs_a_path() {
        let unix = |path: &str| Some(FramedUrl::Unix(path.into()));
        assert_eq!(parsed("unix:/run/app.sock"), unix("/run/app.sock"));
        assert_eq!(parsed("unix:///run/app.sock"), unix("/run/app.sock"));
        assert_eq!(parsed("unix:app.sock"), unix("app.sock"));
        assert_eq!(parsed("unix:"), None);
    }
}
