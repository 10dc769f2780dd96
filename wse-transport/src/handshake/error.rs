//! Invalid requests and responses.

use std::fmt;

use http::HeaderName;

use crate::excerpt::excerpt;
use crate::extension::AnswerError;
use crate::head::HeadError;

/// A [`ClientRequest`](super::ClientRequest) that cannot be sent. The caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The text is not a URL.
    Url(url::ParseError),
    /// The scheme is not `ws` or `wss`.
    Scheme(String),
    /// The URL is `wss`, and the feature `tls` is off.
    NoTls,
    /// The URL has no host.
    NoHost,
    /// The URL has a fragment, which RFC 6455 §3 forbids.
    Fragment,
    /// The path and query are too long for an HTTP request.
    Target,
    /// The subprotocol is not a token, or is repeated.
    Subprotocol(String),
    /// The name or a parameter of the extension is not a token, or the extension is repeated.
    Extension(String),
    /// More than 64 subprotocols, or more than 64 extensions.
    TooManyOffers,
    /// The header field belongs to the handshake itself.
    ReservedHeader(HeaderName),
    /// The header field has characters that are not allowed, such as a line break.
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
            Self::TooManyOffers => {
                f.write_str("caller offered more than 64 subprotocols or extensions")
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

/// A response that does not open a WebSocket: the server's fault if it was received, the caller's if it was to be
/// built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// The response is not HTTP, or exceeds the limits.
    Head(HeadError),
    /// The status is 101 in an HTTP version other than 1.1.
    Version,
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not contain `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not match the key.
    AcceptMismatch,
    /// The selected subprotocol was not offered.
    SubprotocolNotOffered(String),
    /// Subprotocols were offered, and none was selected.
    SubprotocolMissing,
    /// `Sec-WebSocket-Protocol` is malformed or repeated.
    SubprotocolMalformed,
    /// An extension was not offered, or grants more than was offered.
    ExtensionNotOffered,
    /// `Sec-WebSocket-Extensions` is malformed, or has invalid parameters.
    ExtensionMalformed,
    /// The header field belongs to the handshake itself.
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
                write!(f, "subprotocol {:?} was selected but not offered", excerpt(name))
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

impl From<AnswerError> for ResponseError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::NotOffered => Self::ExtensionNotOffered,
            AnswerError::Malformed => Self::ExtensionMalformed,
        }
    }
}
