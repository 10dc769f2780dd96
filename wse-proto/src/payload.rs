//! The session's own payloads, [`Hi`] and [`Fault`], and the codes and reasons that travel as text.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use crate::Text;

/// The payload of a greeting: values that are already encoded in the connection's format.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hi {
    /// Who the client says it is.
    pub identity: Bytes,
    /// What else it tells about itself; empty when absent.
    pub meta: Bytes,
}

/// Without the identity, which may be a secret.
impl fmt::Debug for Hi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hi")
            .field("identity", &format_args!("{} bytes", self.identity.len()))
            .field("meta", &self.meta)
            .finish()
    }
}

macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* #[doc = concat!("\n\nOn the wire: `", $text, "`.")] $variant,)*
            /// Any other, as it came or as the application chose it.
            Other(Text),
        }

        impl $name {
            /// The text on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<Text> for $name {
            fn from(text: Text) -> Self {
                match text.as_str() {
                    $($text => Self::$variant,)*
                    _ => Self::Other(text),
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::from(Text::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::from(Text::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

texts! {
    /// Why something failed, as a code that travels to the peer and that programs can match.
    ErrorCode {
        /// The procedure failed.
        Failed = "wse.server.rp.failed",
        /// There is no such procedure.
        NotRegistered = "wse.server.rp.not-registered",
        /// The payload is not what the procedure takes.
        InvalidPayload = "wse.server.rp.invalid-payload",
        /// The call was not answered in time.
        Timeout = "wse.client.rp.timeout",
        /// The connection ended before the answer came.
        Disconnect = "wse.client.rp.disconnect",
        /// The connection is not ready to send.
        NotReady = "wse.client.not-ready",
        /// The connection or its upgrade failed.
        WsError = "wse.client.ws-error",
        /// A message could not be decoded.
        MessageProcessing = "wse.server.msg-processing-error",
        /// A message was decoded but makes no sense.
        ProtocolViolation = "wse.server.protocol-violation",
        /// Broken WebSocket frames, or a message over the limit.
        ConnectionError = "wse.server.connection-error",
        /// The peer could not process a message of ours.
        Complaint = "wse.peer-complaint",
        /// The user has no connection.
        ConnectionMissing = "wse.server.client.connection-missing",
    }
}

texts! {
    /// Why a connection was closed: the reason of a close frame (RFC 6455 §7.1.6).
    CloseReason {
        /// None given.
        None = "",
        /// The identity or the answer to the challenge was refused.
        NotAuthorized = "wse.not-authorized",
        /// The peer sent what the protocol does not allow.
        ProtocolError = "wse.protocol-error",
        /// The user opened one connection too many, and this was the oldest.
        ClientsConcurrency = "wse.clients-concurrency",
        /// The client's application closed.
        ByClient = "wse.by-client",
        /// The server's application closed.
        ByServer = "wse.by-server",
        /// The client moves to another server.
        Jump = "jump",
        /// Nothing was heard of the peer any more. Never sent: nobody would hear it.
        HeartbeatTimeout = "wse.heartbeat-timeout",
    }
}

/// The failure of a call, as its caller gets it.
///
/// Any [`Error`] turns into one with `?`: code [`ErrorCode::Failed`] and the error's text as the
/// message. Sources, stack traces and paths stay here. What is no `Error` itself, such as a
/// `Box<dyn Error>`, does with [`Fault::failed`].
///
/// ```
/// use wse_proto::{ErrorCode, Fault};
/// fn parse(text: &str) -> Result<i64, Fault> {
///     if text.is_empty() {
///         return Err(Fault::new("my-app.empty").message("nothing to parse"));
///     }
///     Ok(text.parse::<i64>()?)
/// }
/// assert_eq!(parse("x").unwrap_err().code, ErrorCode::Failed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, for people.
    pub message: Option<String>,
    /// More about it: a value encoded in the connection's format, empty when absent.
    pub details: Bytes,
}

impl Fault {
    /// A fault with this code.
    pub fn new(code: impl Into<ErrorCode>) -> Self {
        Self { code: code.into(), message: None, details: Bytes::new() }
    }

    /// A failed procedure: [`ErrorCode::Failed`] with this message.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Failed).message(message)
    }

    /// Sets the message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets the details: a value already encoded in the connection's format.
    #[must_use]
    pub fn details(mut self, details: Bytes) -> Self {
        self.details = details;
        self
    }
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

// `Fault` is no `Error` itself, so that this covers every error a handler's `?` meets.
impl<E: Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::failed(error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_and_reasons_are_kept() {
        assert_eq!(ErrorCode::from("wse.server.rp.failed"), ErrorCode::Failed);
        assert_eq!(ErrorCode::from("mine").as_str(), "mine");
        assert_eq!(CloseReason::from(""), CloseReason::None);
        assert_eq!(CloseReason::from("tired").as_str(), "tired");
    }
}
