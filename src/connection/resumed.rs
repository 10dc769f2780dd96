//! [`Resumed`]: how a connection was resumed.

use wse_proto::Outcome;

/// How a connection was resumed.
///
/// ```
/// use wse::Resumed;
///
/// fn lost(resumed: &Resumed) -> u64 {
///     match resumed {
///         Resumed::Partial { first, last } => last - first + 1,
///         _ => 0,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resumed {
    /// No message is lost, in either direction.
    Full,
    /// The messages from `first` to `last` that the server has sent are lost: there was no space to keep them
    /// ([`ResumeLimits`](crate::ResumeLimits)). Messages, calls, answers and cancellations of the server are counted from 1,
    /// over the whole session.
    Partial {
        /// The first lost message.
        first: u64,
        /// The last one.
        last: u64,
    },
}

impl Resumed {
    /// Of an outcome with which the session goes on.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match *outcome {
            Outcome::Partial { first, last } => Self::Partial { first, last },
            _ => Self::Full,
        }
    }
}
