//! Pending calls: their stamps and deadlines.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use crate::{ErrorCode, Fault, Stamp, UsageError};

use super::close::Close;
use super::deadlines::{Deadlines, NEVER, Nanos};

/// A call of one session.
///
/// Its stamp is a serial number. It need not be unguessable, because a peer can only answer calls of its own
/// connection. Every session counts from 1, so an id is only valid for the session that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

impl CallId {
    /// Before the first call of a session.
    pub(super) const NONE: Self = Self(0);

    /// The stamp of the call.
    pub fn stamp(self) -> Stamp {
        Stamp::from(self.0)
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallFailure {
    /// The procedure failed, or there is no procedure of this name.
    Fault(Fault),
    /// No answer arrived in time.
    Timeout,
    /// The connection ended first.
    Disconnected(Close),
    /// An answer arrived, but it cannot be read. The text says why.
    Unreadable(String),
}

impl CallFailure {
    /// The code of the failure, as the JavaScript package names it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Fault(fault) => fault.code.clone(),
            Self::Timeout => ErrorCode::Timeout,
            Self::Disconnected(_) => ErrorCode::Disconnect,
            Self::Unreadable(_) => ErrorCode::MessageProcessing,
        }
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "the peer answered with a fault: {fault}"),
            Self::Timeout => f.write_str("no answer arrived in time"),
            Self::Disconnected(close) => write!(f, "the connection ended first: {close}"),
            Self::Unreadable(why) => write!(f, "the answer cannot be read: {why}"),
        }
    }
}

impl Error for CallFailure {}

/// The pending calls and their deadlines.
#[derive(Debug)]
pub(super) struct Calls {
    last: u64,
    limit: usize,
    pending: HashMap<u64, Nanos, BuildHasherDefault<SerialHasher>>,
    deadlines: Deadlines<u64>,
}

impl Calls {
    pub(super) fn new(limit: usize) -> Self {
        Self { last: 0, limit, pending: HashMap::default(), deadlines: Deadlines::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Counts from here, so that answers to calls that are forgotten are not taken for others.
    pub(super) fn begin_at(&mut self, last: u64) {
        // Half of the range is left to count.
        self.last = last >> 1;
    }

    /// Whether the call is pending.
    pub(super) fn is_pending(&self, CallId(call): CallId) -> bool {
        self.pending.contains_key(&call)
    }

    /// Whether a call with this stamp is pending.
    pub(super) fn has_stamp(&self, stamp: &Stamp) -> bool {
        stamp.serial().is_some_and(|call| self.pending.contains_key(&call))
    }

    /// A serial number that is unique in this session.
    pub(super) fn next_serial(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn begin(&mut self, deadline: Nanos) -> Result<CallId, UsageError> {
        if self.pending.len() >= self.limit {
            return Err(UsageError::TooManyCalls);
        }
        let call = self.next_serial();
        self.pending.insert(call, deadline);
        self.deadlines.add(deadline, call);
        Ok(CallId(call))
    }

    /// Removes the call that an answer with this stamp belongs to.
    pub(super) fn answered(&mut self, stamp: &Stamp) -> Option<CallId> {
        let call = CallId(stamp.serial()?);
        self.take(call).then_some(call)
    }

    /// Removes a call. Returns whether it was pending.
    #[inline(always)]
    pub(super) fn take(&mut self, CallId(call): CallId) -> bool {
        let Some(deadline) = self.pending.remove(&call) else { return false };
        let pending = &self.pending;
        self.deadlines.cancelled(deadline, |call, at| pending.get(call) == Some(&at));
        true
    }

    /// Removes one call whose deadline has passed.
    pub(super) fn expire(&mut self, now: Nanos) -> Option<CallId> {
        let pending = &self.pending;
        let call = self.deadlines.expire(now, |call, at| pending.get(call) == Some(&at))?;
        self.take(CallId(call)).then_some(CallId(call))
    }

    pub(super) fn soonest(&self) -> Nanos {
        self.deadlines.soonest()
    }

    /// Removes the calls up to this one, oldest first.
    #[cold]
    pub(super) fn drain_to(&mut self, CallId(last): CallId) -> Vec<CallId> {
        let all = self.pending.keys().copied().filter(|call| *call <= last);
        let mut all: Vec<_> = all.map(CallId).collect();
        all.sort_unstable();
        for call in &all {
            self.take(*call);
        }
        all
    }

    /// Removes all calls, oldest first.
    pub(super) fn drain(&mut self) -> Vec<CallId> {
        self.drain_to(CallId(u64::MAX))
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let timed = self.pending.values().filter(|deadline| **deadline != NEVER).count();
        debug_assert_eq!(
            self.deadlines.len(),
            timed,
            "each pending call with a deadline has one entry"
        );
    }
}

/// A hasher for serial numbers. This side chooses them, so a peer cannot provoke collisions.
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
        // The hash table uses the highest and the lowest bits.
        let spread = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ spread >> 32;
    }
}
