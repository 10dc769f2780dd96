//! What can go wrong with proxies, and who is at fault. No error contains a password.

use std::{fmt, io};

use bytes::Bytes;
use http::{HeaderName, Response, header};

use crate::chain::causes;
use crate::excerpt::excerpt;
use crate::head::HeadError;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// A proxy with invalid settings. The caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyConfigError {
    /// The text is not a URL.
    Url(url::ParseError),
    /// The scheme is not `http`, `https`, `socks5` or `socks5h`.
    Scheme(String),
    /// The proxy is an `https` one, and the feature `tls` is off.
    NoTls,
    /// The URL has no host.
    NoHost,
    /// The URL has a path, query or fragment.
    Path,
    /// The user name or password for SOCKS is empty or longer than 255 bytes (RFC 1929 §2).
    Login,
    /// A header field was given to a proxy that does not speak HTTP.
    NotHttp,
    /// The header field belongs to the request itself.
    ReservedHeader(HeaderName),
    /// The header field has characters that are not allowed, such as a line break.
    MalformedHeader(String),
    /// The environment variable of this name is invalid.
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
            Self::Login => {
                "caller gave a socks user name or password that does not have 1 to 255 bytes"
            }
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

/// The proxy has opened no tunnel: which proxy, and why.
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

    /// The reason.
    #[must_use]
    pub const fn failure(&self) -> &ProxyFailure {
        &self.failure
    }
}

impl ProxyError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {} {}", self.proxy, self.failure)
    }
}

impl fmt::Display for ProxyError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The failure is the second half of this sentence already.
        self.failure.source()
    }
}

/// Why a proxy has opened no tunnel. `Display` continues a sentence that begins with the name of the proxy.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyFailure {
    /// There is no connection to the proxy.
    Unreachable(io::Error),
    /// The server's name has no address; with the scheme `socks5`, the client resolves it.
    Unresolved(io::Error),
    /// The caller's mistake: the server's host name cannot be sent in a request.
    Host,
    /// The TLS handshake with the proxy failed. Feature `tls`.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// The proxy rejected CONNECT: its response, with up to 4 KiB of the body. The status 407 asks for a login.
    Refused(Box<Response<Bytes>>),
    /// The proxy's response to CONNECT is not HTTP, or exceeds the limits.
    Head(HeadError),
    /// A SOCKS proxy rejected the request, or sent an invalid answer.
    Socks(SocksError),
    /// The proxy did not answer in time.
    Timeout,
    /// The connection to the proxy failed or ended before the answer.
    Io(io::Error),
}

impl ProxyFailure {
    /// Whether another attempt may succeed without a change of settings: the network or the proxy failed, or
    /// the proxy refused with a 5xx status or 429.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unresolved(_) | Self::Timeout | Self::Io(_) => true,
            Self::Refused(response) => {
                response.status().is_server_error() || response.status().as_u16() == 429
            }
            // RFC 1928 §6: failures of the network and of the proxy, not of the request.
            Self::Socks(error) => matches!(error, SocksError::Refused(1 | 3..=6)),
            #[cfg(feature = "tls")]
            Self::Tls(_) => false,
            Self::Head(_) | Self::Host => false,
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
                let asked = excerpt(&String::from_utf8_lossy(asked.as_bytes()));
                return write!(f, ", proxy-authenticate {asked:?}");
            }
            Self::Unreachable(_) => "cannot be reached",
            Self::Unresolved(_) => "was not asked: the server's name has no address",
            Self::Host => "was not asked: the server's host name is malformed",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "failed the tls handshake",
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
            Self::Refused(_) | Self::Timeout | Self::Host => None,
        }
    }
}

/// Why a SOCKS 5 proxy has opened no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocksError {
    /// The answer has another version; 4 and 0 may be SOCKS 4, and 72 is the H of HTTP.
    Version(u8),
    /// The proxy asks for a login, and none is set.
    LoginRequired,
    /// The proxy asks for an authentication method that is not supported.
    NoMethod,
    /// The proxy selected an authentication method that was not offered.
    MethodNotOffered(u8),
    /// The proxy rejected the user name and password.
    Login,
    /// The proxy did not connect; the number is the reason in RFC 1928 §6.
    Refused(u8),
    /// The answer has an address of an unknown type.
    AddressType(u8),
    /// The caller's mistake: the host name is longer than 255 bytes.
    HostTooLong,
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version(found) => {
                return write!(f, "its answer begins with {found}: it does not speak socks 5");
            }
            Self::LoginRequired => {
                "it asks for a login, and none was given: \
                 set a user name and password in its url, as in socks5://user:password@host"
            }
            Self::NoMethod => "it asks for an authentication method that is not available",
            Self::MethodNotOffered(method) => {
                return write!(
                    f,
                    "it selected authentication method {method}, which was not offered"
                );
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
                return write!(f, "its answer has an address of unknown type {kind}");
            }
            Self::HostTooLong => "caller gave a host name that is too long for socks",
        })
    }
}

impl std::error::Error for SocksError {}
