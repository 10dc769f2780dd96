//! The payloads that the session reads, [`Hi`] and [`Fault`], and the codes and reasons that travel as text.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use crate::{Text, Value, excerpt};

/// The payload of a greeting. Identity and meta are values that are encoded in the format of the connection.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hi {
    /// The identity that the client claims.
    pub identity: Bytes,
    /// More about the client; empty when absent.
    pub meta: Bytes,
    /// What the client wants of resume; `None` when absent or null. The session reads and writes it: see
    /// [`ResumeRequest`](crate::ResumeRequest).
    pub resume: Option<Box<Value>>,
}

impl Hi {
    /// A greeting that says nothing about resume.
    pub fn new(identity: impl Into<Bytes>, meta: impl Into<Bytes>) -> Self {
        Self { identity: identity.into(), meta: meta.into(), resume: None }
    }
}

/// Does not show the identity, which may be a secret, nor the token of a session.
impl fmt::Debug for Hi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hi")
            .field("identity", &format_args!("{} bytes", self.identity.len()))
            .field("meta", &self.meta)
            .field("resume", &self.resume.is_some())
            .finish()
    }
}

macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        ///
        /// `Display` shows an [`excerpt`]; [`as_str`](Self::as_str) returns the text as it is.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* #[doc = concat!("\n\nOn the wire: `", $text, "`.")] $variant,)*
            /// Any other text.
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
                match self {
                    Self::Other(text) => excerpt(text).fmt(f),
                    known => f.pad(known.as_str()),
                }
            }
        }
    };
}

texts! {
    /// Why something failed: a code for programs, which travels to the peer.
    ErrorCode {
        /// The procedure failed.
        Failed = "wse.server.rp.failed",
        /// There is no such procedure.
        NotRegistered = "wse.server.rp.not-registered",
        /// The payload is not of the type that the procedure takes.
        InvalidPayload = "wse.server.rp.invalid-payload",
        /// The call was not answered in time.
        Timeout = "wse.client.rp.timeout",
        /// The connection ended before the answer arrived.
        Disconnect = "wse.client.rp.disconnect",
        /// The connection is not ready to send.
        NotReady = "wse.client.not-ready",
        /// The connection or its upgrade failed.
        WsError = "wse.client.ws-error",
        /// A message could not be decoded.
        MessageProcessing = "wse.server.msg-processing-error",
        /// A message was decoded, but it is not allowed or not an envelope.
        ProtocolViolation = "wse.server.protocol-violation",
        /// The WebSocket frames are invalid, or a message is over a limit.
        ConnectionError = "wse.server.connection-error",
        /// The peer sent an error report about a message of this side.
        ErrorReport = "wse.peer-complaint",
        /// The user has no connection.
        ConnectionMissing = "wse.server.client.connection-missing",
    }
}

texts! {
    /// Why a connection was closed: the reason in a close frame (RFC 6455 §7.1.6).
    CloseReason {
        /// No reason.
        None = "",
        /// The identity or the answer to the challenge was refused.
        NotAuthorized = "wse.not-authorized",
        /// The peer violated the protocol.
        ProtocolError = "wse.protocol-error",
        /// The user has too many connections, and this was the oldest.
        ClientsConcurrency = "wse.clients-concurrency",
        /// The application of the client closed it.
        ByClient = "wse.by-client",
        /// The application of the server closed it.
        ByServer = "wse.by-server",
        /// The client moves to another server.
        Jump = "jump",
        /// The session was resumed over another socket.
        SessionTaken = "wse.session-taken",
        /// The credentials have expired.
        CredentialsExpired = "wse.credentials-expired",
        /// The server asked its clients to come back to another one.
        Drain = "wse.drain",
        /// The peer was silent for too long. It is never sent, because the peer would not receive it.
        HeartbeatTimeout = "wse.heartbeat-timeout",
    }
}

texts! {
    /// Why a session was not resumed.
    NotResumed {
        /// The server does not know the session, or has no resume.
        Unknown = "unknown",
        /// The session ended with its window.
        Expired = "expired",
        /// The server ended the session to make room for others.
        Evicted = "evicted",
        /// The token is not the right one.
        Token = "token",
        /// The session belongs to another user.
        User = "user",
        /// The session speaks another subprotocol.
        Protocol = "protocol",
    }
}

/// The failure of a call, as its caller gets it.
///
/// It is an [`Error`], so a handler can return it with `?`. It reaches the peer as it was built. Other errors that a
/// handler returns do not reach the peer.
///
/// ```
/// use wse_proto::{ErrorCode, Fault};
///
/// let fault = Fault::new("my-app.empty").message("nothing to parse");
/// assert_eq!(fault.to_string(), "my-app.empty: nothing to parse");
/// assert_eq!(Fault::failed("no").code, ErrorCode::Failed);
/// ```
///
/// `Display` shows code and message as [`excerpt`] does, since a peer may have written them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, for people.
    pub message: Option<String>,
    /// More about it: a value encoded in the format of the connection, empty when absent.
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

    /// Sets the details: a value that is already encoded in the format of the connection.
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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        match &self.message {
            Some(message) => write!(f, ": {}", excerpt(message)),
            None => Ok(()),
        }
    }
}

impl Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_peer_are_shown_as_excerpts() {
        let long = "A".repeat(900_000);
        let fault = Fault::new(format!("no\n{long}")).message(format!("\u{1b}[2J{long}"));
        let shown = fault.to_string();
        assert!(shown.starts_with(r"no\nAAA") && shown.contains(r": \u{1b}[2JAAA"), "{shown}");
        assert!(shown.len() < 2100, "{}", shown.len());
        assert_eq!(CloseReason::from("bye\r\n\u{1b}[31m").to_string(), r"bye\r\n\u{1b}[31m");
        assert_eq!(CloseReason::from("bye\r\n").as_str(), "bye\r\n");
        assert_eq!(format!("[{:>8}]", CloseReason::from("bye")), "[     bye]");
    }

    #[test]
    fn unknown_codes_and_reasons_are_kept() {
        assert_eq!(ErrorCode::from("wse.server.rp.failed"), ErrorCode::Failed);
        assert_eq!(ErrorCode::from("mine").as_str(), "mine");
        assert_eq!(CloseReason::from(""), CloseReason::None);
        assert_eq!(CloseReason::from("tired").as_str(), "tired");
    }
}
