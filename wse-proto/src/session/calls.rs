//! Calls that wait for their answers: stamps, deadlines, what an end does to them.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use crate::{ErrorCode, Fault, Stamp, UsageError};

use super::Close;
use super::deadlines::{Deadlines, NEVER, Nanos};

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
    waiting: HashMap<u64, Nanos, BuildHasherDefault<SerialHasher>>,
    deadlines: Deadlines<u64>,
}

impl Calls {
    pub(super) fn new(limit: usize) -> Self {
        Self { last: 0, limit, waiting: HashMap::default(), deadlines: Deadlines::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A serial number that nothing else of this session has.
    pub(super) fn next_serial(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn begin(&mut self, deadline: Nanos) -> Result<CallId, UsageError> {
        if self.waiting.len() >= self.limit {
            return Err(UsageError::TooManyCalls);
        }
        let call = self.next_serial();
        self.waiting.insert(call, deadline);
        self.deadlines.add(deadline, call);
        Ok(CallId(call))
    }

    /// The call that this stamp answers, which no longer waits.
    pub(super) fn answered(&mut self, stamp: &Stamp) -> Option<CallId> {
        let call = CallId(stamp.serial()?);
        self.take(call).then_some(call)
    }

    /// Forgets a call; whether it was waiting.
    pub(super) fn take(&mut self, CallId(call): CallId) -> bool {
        let Some(deadline) = self.waiting.remove(&call) else { return false };
        let waiting = &self.waiting;
        self.deadlines.cancelled(deadline, |call, at| waiting.get(call) == Some(&at));
        true
    }

    /// Takes one call whose deadline has come.
    pub(super) fn expire(&mut self, now: Nanos) -> Option<CallId> {
        let waiting = &self.waiting;
        let call = self.deadlines.expire(now, |call, at| waiting.get(call) == Some(&at))?;
        self.take(CallId(call)).then_some(CallId(call))
    }

    pub(super) fn soonest(&self) -> Nanos {
        self.deadlines.soonest()
    }

    /// Takes all, oldest first.
    pub(super) fn drain(&mut self) -> Vec<CallId> {
        self.deadlines = Deadlines::default();
        let mut all: Vec<_> = self.waiting.drain().map(|(call, _)| CallId(call)).collect();
        all.sort_unstable();
        all
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let timed = self.waiting.values().filter(|deadline| **deadline != NEVER).count();
        debug_assert_eq!(self.deadlines.len(), timed, "deadlines are those of the calls");
    }
}

/// For serial numbers, which are ours: nobody can choose them to collide.
#[derive(Debug, Default)]
pub(super) struct SerialHasher(u64);

impl Hasher for SerialHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }
    fn write_u64(&mut self, serial: u64) {
        // Tables look at the highest bits and at the lowest.
        let spread = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ spread >> 32;
    }
}
