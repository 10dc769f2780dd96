//! What can go wrong with proxies, by who is at fault. No error quotes a password.

use std::{fmt, io};

use bytes::Bytes;
use http::{HeaderName, Response, header};

use crate::handshake::HeadError;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// A proxy that cannot be used as it is given. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyConfigError {
    /// Not a URL.
    Url(url::ParseError),
    /// A scheme other than `http`, `https`, `socks5` and `socks5h`.
    Scheme(String),
    /// An `https` proxy, and TLS is not compiled in: that is the feature `tls`.
    NoTls,
    /// A URL without a host.
    NoHost,
    /// A URL with a path, query or fragment, which mean nothing here.
    Path,
    /// A user name or password for SOCKS that is empty or longer than 255 bytes (RFC 1929 §2).
    Login,
    /// A header field for a proxy that does not speak HTTP.
    NotHttp,
    /// A header field that belongs to the request itself.
    ReservedHeader(HeaderName),
    /// A header field with a character that is not allowed, such as a line break.
    MalformedHeader(String),
    /// What an environment variable of this name says.
    Variable(String, Box<Self>),
}

impl fmt::Display for ProxyConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme(scheme) => {
                return write!(
                    f,
                    "caller gave a proxy with scheme {scheme:?}, not http, https, socks5 or socks5h"
                );
            }
            Self::ReservedHeader(name) => return write!(f, "caller set reserved header {name}"),
            Self::MalformedHeader(name) => {
                return write!(f, "caller set malformed header {name:?}");
            }
            Self::Variable(name, _) => return write!(f, "environment variable {name} is no proxy"),
            Self::Url(_) => "caller gave a malformed url of a proxy",
            Self::NoTls => {
                "caller gave an https proxy without tls: turn on the feature `tls` of wse-transport"
            }
            Self::NoHost => "caller gave a url of a proxy without a host",
            Self::Path => {
                "caller gave a url of a proxy with more than scheme, login, host and port"
            }
            Self::Login => "caller gave a socks user name or password not of 1 to 255 bytes",
            Self::NotHttp => "caller gave a header to a proxy that does not speak http",
        })
    }
}

impl std::error::Error for ProxyConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Variable(_, error) => Some(error),
            _ => None,
        }
    }
}

/// There is no tunnel: which proxy, and why.
#[derive(Debug)]
pub struct ProxyError {
    proxy: String,
    failure: ProxyFailure,
}

impl ProxyError {
    pub(crate) const fn new(proxy: String, failure: ProxyFailure) -> Self {
        Self { proxy, failure }
    }

    /// The proxy, such as `http://proxy.example:3128`, without the login.
    #[must_use]
    pub fn proxy(&self) -> &str {
        &self.proxy
    }

    /// What happened.
    #[must_use]
    pub const fn failure(&self) -> &ProxyFailure {
        &self.failure
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {} {}", self.proxy, self.failure)
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The failure itself is the second half of this sentence.
        self.failure.source()
    }
}

/// Why there is no tunnel. `Display` continues the sentence that the proxy's name begins.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyFailure {
    /// No connection to the proxy.
    Unreachable(io::Error),
    /// The server's name has no address, and the proxy's scheme (`socks5`) has us look for it.
    Unresolved(io::Error),
    /// No TLS with the proxy.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// The proxy said no to CONNECT: its response, with up to 4 KiB of the body. 407 asks for a login.
    Refused(Box<Response<Bytes>>),
    /// The proxy's fault: its response to CONNECT is not HTTP, or beyond the limits.
    Head(HeadError),
    /// A SOCKS proxy said no, or what makes no sense.
    Socks(SocksError),
    /// The proxy was silent for too long.
    Timeout,
    /// The connection to the proxy failed, or ended before its answer.
    Io(io::Error),
}

impl ProxyFailure {
    /// Whether another attempt may succeed without anybody changing anything.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unresolved(_) | Self::Timeout | Self::Io(_) => true,
            Self::Refused(response) => {
                response.status().is_server_error() || response.status().as_u16() == 429
            }
            // RFC 1928 §6: failures of the network and of the proxy, not of what was asked.
            Self::Socks(error) => matches!(error, SocksError::Refused(1 | 3..=6)),
            #[cfg(feature = "tls")]
            Self::Tls(_) => false,
            Self::Head(_) => false,
        }
    }
}

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(response) => {
                write!(f, "refused the tunnel with {}", response.status().as_u16())?;
                let Some(asked) = response.headers().get(header::PROXY_AUTHENTICATE) else {
                    return Ok(());
                };
                let start: String =
                    String::from_utf8_lossy(asked.as_bytes()).chars().take(200).collect();
                return write!(f, ", proxy-authenticate {start:?}");
            }
            Self::Unreachable(_) => "cannot be reached",
            Self::Unresolved(_) => "was not asked: the server's name has no address",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "does not come to speak tls with us",
            Self::Head(_) => "sent a malformed response",
            Self::Socks(_) => "opened no tunnel",
            Self::Timeout => "did not answer in time",
            Self::Io(_) => "was lost before it opened the tunnel",
        })
    }
}

impl std::error::Error for ProxyFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(error) | Self::Unresolved(error) | Self::Io(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::Head(error) => Some(error),
            Self::Socks(error) => Some(error),
            Self::Refused(_) | Self::Timeout => None,
        }
    }
}

/// What a SOCKS 5 proxy says instead of opening a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocksError {
    /// The proxy's fault: an answer of another version; 4 and 0 may be SOCKS 4, 72 is the H of HTTP.
    Version(u8),
    /// The proxy wants a login, and there is none; or none of the kinds that we know.
    NoMethod,
    /// The proxy's fault: it chose a kind of login that was not offered.
    MethodNotOffered(u8),
    /// The caller's fault: the proxy does not accept the user name and password.
    Login,
    /// The proxy did not connect, for the reason with this number in RFC 1928 §6.
    Refused(u8),
    /// The proxy's fault: an address of a kind that does not exist.
    AddressType(u8),
    /// The caller's fault: a host name longer than 255 bytes.
    HostTooLong,
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version(found) => {
                return write!(f, "its answer begins with {found}: it does not speak socks 5");
            }
            Self::NoMethod => "it asks for a login of another kind than we have",
            Self::MethodNotOffered(method) => {
                return write!(f, "it chose the kind of login {method}, which was not offered");
            }
            Self::Login => "it does not accept the user name and password",
            Self::Refused(1) => "it has failed",
            Self::Refused(2) => "its rules do not allow the connection",
            Self::Refused(3) => "it cannot reach the server's network",
            Self::Refused(4) => "it cannot reach the server's host",
            Self::Refused(5) => "the server refused its connection",
            Self::Refused(6) => "the server is too far away from it",
            Self::Refused(7) => "it does not support the command to connect",
            Self::Refused(8) => "it does not support this kind of address",
            Self::Refused(other) => return write!(f, "it refused for the unknown reason {other}"),
            Self::AddressType(kind) => {
                return write!(f, "its answer has an address of the unknown kind {kind}");
            }
            Self::HostTooLong => "caller gave a host name that is too long for socks",
        })
    }
}

impl std::error::Error for SocksError {}
