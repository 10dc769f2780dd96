//! [`HandshakeError`].

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use http::Response;

use super::error::{RequestError, ResponseError};
use super::redirect_error::RedirectError;
use super::rejection::Rejection;
use super::retry_after::retry_after;
use crate::chain::causes;
use crate::excerpt::excerpt;
use crate::proxy::{ProxyError, ProxyFailure};
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// Why a connection did not become a WebSocket.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client's fault: its request was, or is to be, answered with this rejection.
    Rejected(Rejection),
    /// The caller's mistake: the request cannot be sent.
    Request(RequestError),
    /// The response is invalid: the server's fault if it was received, the caller's if it was to be built.
    Response(ResponseError),
    /// The server refused: its response, with up to 4 KiB of the body.
    Refused(Box<Response<Bytes>>),
    /// The server redirected, and the redirect is not followed.
    Redirect(RedirectError),
    /// The proxy has opened no tunnel.
    Proxy(ProxyError),
    /// The handshake exceeded its deadline.
    Timeout,
    /// The TLS handshake failed. Feature `tls`.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// The transport failed, or ended within a head.
    Io(io::Error),
}

impl HandshakeError {
    /// How long the server, or the proxy, asked to wait before the next attempt: `Retry-After` (RFC 9110 §10.2.3) of a
    /// refusal with 429 or 503. A date counts only if the response has a `Date`, with which it is compared.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(response) => retry_after(response),
            Self::Proxy(error) => match error.failure() {
                ProxyFailure::Refused(response) => retry_after(response),
                _ => None,
            },
            _ => None,
        }
    }
}

impl HandshakeError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(_) => f.write_str("client sent an invalid websocket request"),
            Self::Request(_) => f.write_str("websocket request cannot be sent"),
            Self::Response(_) => f.write_str("websocket response is invalid"),
            Self::Refused(response) => {
                write!(f, "server refused the websocket with {}", response.status().as_u16())?;
                let body = String::from_utf8_lossy(response.body());
                // In one line.
                let body = body.lines().map(str::trim).collect::<Vec<_>>().join(" ");
                let body = body.trim();
                if body.is_empty() { Ok(()) } else { write!(f, ": {}", excerpt(body)) }
            }
            Self::Redirect(_) => f.write_str("redirect of the websocket is not followed"),
            Self::Proxy(_) => f.write_str("proxy opened no tunnel for the websocket"),
            Self::Timeout => f.write_str("websocket handshake took too long"),
            #[cfg(feature = "tls")]
            Self::Tls(_) => f.write_str("tls failed for the websocket"),
            Self::Io(_) => f.write_str("transport failed during the websocket handshake"),
        }
    }
}

impl fmt::Display for HandshakeError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
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
    /// An I/O error below TLS becomes [`HandshakeError::Io`].
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Io(error) => Self::Io(error),
            error => Self::Tls(error),
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
