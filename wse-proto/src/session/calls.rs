//! Calls that wait for their answers: stamps, deadlines, what an end does to them.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{ErrorCode, Fault, Stamp, UsageError};

use super::Close;

/// A call of one session. Its stamp is a serial number: a peer can only answer calls of its own
/// connection, so that there is nothing to guess. Other sessions count alike: after a reconnect the
/// id of an old call means another one, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

impl CallId {
    /// The stamp to send the call under.
    pub fn stamp(self) -> Stamp {
        Stamp::from(self.0)
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallFailure {
    /// The procedure failed, or there is none of this name.
    Fault(Fault),
    /// No answer came in time.
    Timeout,
    /// The connection ended first.
    Disconnected(Close),
}

impl CallFailure {
    /// The code of the failure, as the JavaScript package names it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Fault(fault) => fault.code.clone(),
            Self::Timeout => ErrorCode::Timeout,
            Self::Disconnected(_) => ErrorCode::Disconnect,
        }
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "the peer answered with a fault: {fault}"),
            Self::Timeout => f.write_str("no answer came in time"),
            Self::Disconnected(close) => write!(f, "the connection ended first: {close}"),
        }
    }
}

impl Error for CallFailure {}

#[derive(Debug)]
pub(super) struct Calls {
    last: u64,
    limit: usize,
    waiting: HashMap<CallId, Option<Duration>>,
    deadlines: BTreeSet<(Duration, CallId)>,
}

impl Calls {
    pub(super) fn new(limit: usize) -> Self {
        Self { last: 0, limit, waiting: HashMap::new(), deadlines: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn begin(&mut self, deadline: Option<Duration>) -> Result<CallId, UsageError> {
        if self.waiting.len() >= self.limit {
            return Err(UsageError::TooManyCalls);
        }
        self.last += 1;
        let call = CallId(self.last);
        self.waiting.insert(call, deadline);
        self.deadlines.extend(deadline.map(|deadline| (deadline, call)));
        Ok(call)
    }

    /// The call that this stamp answers, which no longer waits.
    pub(super) fn answered(&mut self, stamp: &Stamp) -> Option<CallId> {
        let call = CallId(stamp.serial()?);
        self.take(call).then_some(call)
    }

    /// Forgets a call; whether it was waiting.
    pub(super) fn take(&mut self, call: CallId) -> bool {
        let Some(deadline) = self.waiting.remove(&call) else { return false };
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, call));
        }
        true
    }

    /// Takes one call whose deadline has come.
    pub(super) fn expire(&mut self, now: Duration) -> Option<CallId> {
        let &(deadline, call) = self.deadlines.first()?;
        (deadline <= now && self.take(call)).then_some(call)
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes all, oldest first.
    pub(super) fn drain(&mut self) -> Vec<CallId> {
        self.deadlines.clear();
        let mut all: Vec<_> = self.waiting.drain().map(|(call, _)| call).collect();
        all.sort_unstable();
        all
    }
}
