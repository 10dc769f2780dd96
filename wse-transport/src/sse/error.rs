//! What can go wrong, and who is at fault.

use std::{fmt, io, sync::Arc};

use crate::chain::causes;
use crate::handshake::Rejection;

/// An [`Event`](super::Event) that cannot be encoded. The caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// A line break in this part, which must be one line. Data may have several lines.
    LineBreak(&'static str),
    /// U+0000 in an id, which clients ignore.
    Nul,
    /// An id that a client cannot send back in `Last-Event-ID`: with control characters other than a tab, with a space or a
    /// tab at either end, or longer than 4,096 bytes.
    Id,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineBreak(what) => {
                write!(f, "caller gave an event {what} with a line break: leave out CR and LF")
            }
            Self::Id => f.write_str(
                "caller gave an event id that cannot come back in a header field: leave out control characters, \
                 spaces at its ends, and more than 4096 bytes",
            ),
            Self::Nul => f.write_str("caller gave an event id with U+0000, which clients ignore"),
        }
    }
}

impl std::error::Error for EventError {}

/// Why a stream has ended: the result of [`EventStream::closed`](super::EventStream::closed), and of sending after the
/// end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum End {
    /// The caller closed it, and everything sent before is written.
    Closed,
    /// The peer closed or reset the connection, or the HTTP server dropped the body. The usual end.
    Left,
    /// The peer did not read fast enough: see [`Config::write_timeout`](super::Config::write_timeout).
    Slow,
    /// The peer sent more than 16 KiB after its request.
    Chatter,
    /// The transport failed.
    Failed(Arc<io::Error>),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "caller closed the event stream",
            Self::Left => "peer left the event stream",
            Self::Slow => "peer read the event stream too slowly",
            Self::Chatter => "peer kept sending on an event stream",
            Self::Failed(_) => "transport of the event stream failed",
        })
    }
}

impl std::error::Error for End {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(&**error),
            Self::Closed | Self::Left | Self::Slow | Self::Chatter => None,
        }
    }
}

impl From<io::Error> for End {
    // How a peer leaves makes no difference to the caller.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Self::Left,
            _ => Self::Failed(Arc::new(error)),
        }
    }
}

/// Why [`EventStream::try_send`](super::EventStream::try_send) did not queue an event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TrySendError {
    /// [`Config::buffer`](super::Config::buffer) bytes are queued: the peer or its network is slow.
    Full,
    /// The stream has ended.
    Ended(End),
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "buffer of the event stream is full: wait, skip, or close it",
            Self::Ended(_) => "event stream is over",
        })
    }
}

impl std::error::Error for TrySendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Full => None,
            Self::Ended(end) => Some(end),
        }
    }
}

/// Why a connection did not become an event stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The request was answered with this rejection: it is invalid, or the caller has refused it.
    Rejected(Rejection),
    /// Reading the request, or writing the response, exceeded the deadline.
    Timeout,
    /// The transport failed, or ended within the request.
    Io(io::Error),
}

impl OpenError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected(_) => "request for an event stream was refused",
            Self::Timeout => "opening the event stream took too long",
            Self::Io(_) => "transport failed while the event stream was opened",
        })
    }
}

impl fmt::Display for OpenError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Timeout => None,
            Self::Io(error) => Some(error),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
