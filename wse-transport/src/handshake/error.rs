//! What can go wrong before a connection is a WebSocket, by who is at fault.

use std::{fmt, io};

use bytes::Bytes;
use http::{HeaderName, Response};

use super::{head::HeadError, redirect::RedirectError, rejection::Rejection};
use crate::proxy::ProxyError;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// A [`ClientRequest`](super::ClientRequest) that cannot be sent. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// Not a URL.
    Url(url::ParseError),
    /// A scheme other than `ws` and `wss`.
    Scheme(String),
    /// A `wss` URL, and TLS is not compiled in: that is the feature `tls`.
    NoTls,
    /// A URL without a host.
    NoHost,
    /// A URL with a fragment, which RFC 6455 §3 forbids.
    Fragment,
    /// A URL whose path and query cannot stand in an HTTP request, being too long.
    Target,
    /// A subprotocol that is not a token, or is there twice.
    Subprotocol(String),
    /// An extension whose name or parameters are not tokens, or that is there twice.
    Extension(String),
    /// A header field that belongs to the handshake itself.
    ReservedHeader(HeaderName),
    /// A header field with a character that is not allowed, such as a line break.
    MalformedHeader(String),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("caller gave a malformed url"),
            Self::Scheme(scheme) => {
                write!(f, "caller gave a url with scheme {scheme:?}, not ws or wss")
            }
            Self::NoTls => f.write_str(
                "caller gave a wss url without tls: turn on the feature `tls` of wse-transport",
            ),
            Self::NoHost => f.write_str("caller gave a url without a host"),
            Self::Fragment => f.write_str("caller gave a url with a fragment"),
            Self::Target => f.write_str("caller gave a url with too long a path"),
            Self::Subprotocol(name) => {
                write!(f, "caller gave a malformed or repeated subprotocol {name:?}")
            }
            Self::Extension(name) => {
                write!(f, "caller gave a malformed or repeated extension {name:?}")
            }
            Self::ReservedHeader(name) => write!(f, "caller set reserved header {name}"),
            Self::MalformedHeader(name) => write!(f, "caller set malformed header {name:?}"),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            _ => None,
        }
    }
}

/// A response that makes no WebSocket: the server's fault when it was received, the caller's when
/// it was to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// Not an HTTP response, or one beyond the limits.
    Head(HeadError),
    /// 101 in an HTTP version other than 1.1.
    Version,
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not say `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not answer our key.
    AcceptMismatch,
    /// A subprotocol that was not offered.
    SubprotocolNotOffered(String),
    /// Subprotocols were offered, and none was selected.
    SubprotocolMissing,
    /// `Sec-WebSocket-Protocol` is malformed, or there twice.
    SubprotocolMalformed,
    /// An extension that was not offered, or one beyond what was.
    ExtensionNotOffered,
    /// `Sec-WebSocket-Extensions` is malformed, or has a parameter that makes no sense.
    ExtensionMalformed,
    /// A header field that belongs to the handshake itself.
    ReservedHeader(HeaderName),
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(_) => f.write_str("server sent a malformed response"),
            Self::Version => f.write_str("server switched protocols in a version not http/1.1"),
            Self::Upgrade => f.write_str("server did not upgrade to websocket"),
            Self::Connection => f.write_str("server did not upgrade the connection"),
            Self::AcceptMismatch => f.write_str("server did not answer the websocket key"),
            Self::SubprotocolNotOffered(name) => {
                write!(f, "subprotocol {name:?} was selected but not offered")
            }
            Self::SubprotocolMissing => f.write_str("server selected no subprotocol"),
            Self::SubprotocolMalformed => f.write_str("server sent a malformed subprotocol"),
            Self::ExtensionNotOffered => f.write_str("server selected an extension not offered"),
            Self::ExtensionMalformed => f.write_str("server sent a malformed extension"),
            Self::ReservedHeader(name) => write!(f, "caller set reserved header {name}"),
        }
    }
}

impl std::error::Error for ResponseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Head(error) => Some(error),
            _ => None,
        }
    }
}

/// Any failure of the opening handshake.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client's fault: its request was answered, or is to be answered, with this.
    Rejected(Rejection),
    /// The caller's fault.
    Request(RequestError),
    /// The server's fault, or that of the caller who builds its response.
    Response(ResponseError),
    /// The server said no: its response, with up to 4 KiB of the body.
    Refused(Box<Response<Bytes>>),
    /// The server redirects to where we do not follow.
    Redirect(RedirectError),
    /// The proxy opened no tunnel.
    Proxy(ProxyError),
    /// It took too long.
    Timeout,
    /// The transport did not come to be TLS.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// The transport failed, or ended within a head.
    Io(io::Error),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(_) => f.write_str("client sent no valid websocket request"),
            Self::Request(_) => f.write_str("websocket request cannot be sent"),
            Self::Response(_) => f.write_str("websocket response is invalid"),
            Self::Refused(response) => {
                write!(f, "server refused the websocket with {}", response.status().as_u16())?;
                let body = String::from_utf8_lossy(response.body());
                let start: String = body.trim().chars().take(200).collect();
                let printable = !start.is_empty() && !start.contains(char::is_control);
                if printable { write!(f, ": {start}") } else { Ok(()) }
            }
            Self::Redirect(_) => f.write_str("redirect of the websocket is not followed"),
            Self::Proxy(_) => f.write_str("no tunnel for the websocket"),
            Self::Timeout => f.write_str("websocket handshake took too long"),
            #[cfg(feature = "tls")]
            Self::Tls(_) => f.write_str("no tls connection for the websocket"),
            Self::Io(_) => f.write_str("transport failed during the websocket handshake"),
        }
    }
}

impl std::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(error) => Some(error),
            Self::Request(error) => Some(error),
            Self::Response(error) => Some(error),
            Self::Redirect(error) => Some(error),
            Self::Proxy(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Refused(_) | Self::Timeout => None,
        }
    }
}

impl From<Rejection> for HandshakeError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<RequestError> for HandshakeError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<ResponseError> for HandshakeError {
    fn from(error: ResponseError) -> Self {
        Self::Response(error)
    }
}

impl From<RedirectError> for HandshakeError {
    fn from(error: RedirectError) -> Self {
        Self::Redirect(error)
    }
}

impl From<ProxyError> for HandshakeError {
    fn from(error: ProxyError) -> Self {
        Self::Proxy(error)
    }
}

#[cfg(feature = "tls")]
impl From<TlsError> for HandshakeError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
