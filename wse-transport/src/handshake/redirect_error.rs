//! [`RedirectError`] (RFC 6455 §4.1).

use std::fmt;

use super::error::RequestError;
use crate::excerpt::excerpt;

/// Why a redirect is not followed. The server's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// The server redirected more often than this number of times, the limit.
    TooMany(u8),
    /// `Location` is missing, repeated, or not text.
    NoLocation,
    /// `Location` is not a URL.
    Location(url::ParseError),
    /// `Location` has this scheme, which is not ws, wss, http or https.
    Scheme(String),
    /// The redirect leads from TLS to an unencrypted connection.
    Downgrade,
    /// No request can be made for `Location`.
    Request(RequestError),
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(most) => write!(f, "server redirected more often than {most} times"),
            Self::NoLocation => f.write_str("server redirected without one location"),
            Self::Location(_) => f.write_str("server redirected to a malformed url"),
            Self::Scheme(scheme) => {
                write!(f, "server redirected to a url with scheme {:?}", excerpt(scheme))
            }
            Self::Downgrade => f.write_str("server redirected from wss to ws"),
            Self::Request(_) => f.write_str("server redirected to an unusable url"),
        }
    }
}

impl std::error::Error for RedirectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Location(error) => Some(error),
            Self::Request(error) => Some(error),
            _ => None,
        }
    }
}
