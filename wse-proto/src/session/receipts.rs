//! Receipts that are waited for: what was sent has arrived, and how it is known when it has not.
//!
//! A receipt is given by the other side's session when the message arrives, before it is handled. It says
//! nothing about what the handler makes of it; of a call, that is what the answer says.
//!
//! # Outcomes
//!
//! Each receipt that is asked for ends in exactly one of these, and each call besides in its result or
//! failure. The codes are those of the JavaScript package wsprocessor ([`status_code`](CallFailure::status_code),
//! [`ReceiptFailure::status_code`]).
//!
//! | what happened to a message, reply or fault | outcome | code |
//! | --- | --- | --- |
//! | the receipt came | `Ok(())` | 0 |
//! | the connection ended first | [`ReceiptFailure::Closed`] | 1 |
//! | the receipt did not come in time (default 5 s) | [`ReceiptFailure::TimedOut`] | 2 |
//! | the connection had ended before it was sent | [`UsageError::NotReady`] | 3 |
//! | the peer answered the message as if it were a call | [`ReceiptFailure::Unsupported`] | |
//! | the protocol has no receipts | [`UsageError::NoReceipts`] | |
//!
//! | what happened to a call | receipt | failure of the call | code |
//! | --- | --- | --- | --- |
//! | answered behind its receipt | `Ok(())` | | |
//! | answered without a receipt | [`ReceiptFailure::Unsupported`] | | |
//! | the connection ended, no receipt asked for | | [`CallFailure::Disconnected`] | 1 |
//! | the connection ended after the receipt | `Ok(())` | [`CallFailure::Disconnected`] | 1.1 |
//! | the connection ended before the receipt | [`ReceiptFailure::Closed`] | [`CallFailure::Disconnected`] | 1.2 |
//! | the connection ended, the receipt was late already | [`ReceiptFailure::TimedOut`] | [`CallFailure::Disconnected`] | 1.3 |
//! | no answer in time, no receipt asked for | | [`CallFailure::Timeout`] | 2 |
//! | no answer in time after the receipt | `Ok(())` | [`CallFailure::Timeout`] | 2.1 |
//! | no answer in time, nor a receipt | [`ReceiptFailure::Outstanding`] | [`CallFailure::Timeout`] | 2.2 |
//! | no answer in time, the receipt was late already | [`ReceiptFailure::TimedOut`] | [`CallFailure::Timeout`] | 2.3 |
//! | the procedure failed | as for any answer | [`CallFailure::Fault`] | the fault's |
//!
//! A receipt that is late never ends its call. One that comes when nobody waits for it any more is dropped:
//! [`Dropped::Receipt`](super::Dropped::Receipt).

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{ReceiptOf, Stamp, UsageError};

use super::deadlines::{Deadlines, Nanos};
use super::{CallFailure, Close, Session, deadline};

/// Why there is no receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptFailure {
    /// It did not come in time. Whether the message arrived is not known.
    TimedOut,
    /// The connection ended first. Whether the message arrived is not known.
    Closed(Close),
    /// The call that it was to be for got no answer in time either.
    Outstanding,
    /// The peer gives no receipts: it answered instead. So the message did arrive.
    Unsupported,
}

impl ReceiptFailure {
    /// The number that the JavaScript package wsprocessor reports in this case, if it has one: see the table of
    /// [outcomes](self#outcomes).
    pub fn status_code(&self) -> Option<&'static str> {
        match self {
            Self::Closed(_) => Some("1"),
            Self::TimedOut => Some("2"),
            Self::Outstanding | Self::Unsupported => None,
        }
    }
}

impl fmt::Display for ReceiptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no receipt came in time"),
            Self::Closed(close) => write!(f, "the connection ended before the receipt: {close}"),
            Self::Outstanding => f.write_str("the call got neither receipt nor answer in time"),
            Self::Unsupported => f.write_str("the peer gives no receipts"),
        }
    }
}

impl Error for ReceiptFailure {}

impl CallFailure {
    /// The number that the JavaScript package wsprocessor reports for a call that failed like this: see the table
    /// of [outcomes](self#outcomes). `receipt` is how its receipt ended, `None` when none was asked for. `None` for
    /// a fault, whose code is the peer's.
    pub fn status_code(
        &self,
        receipt: Option<&Result<(), ReceiptFailure>>,
    ) -> Option<&'static str> {
        let [plain, received, outstanding, late] = match self {
            Self::Disconnected(_) => ["1", "1.1", "1.2", "1.3"],
            Self::Timeout => ["2", "2.1", "2.2", "2.3"],
            Self::Fault(_) => return None,
        };
        Some(match receipt {
            None => plain,
            Some(Ok(())) => received,
            Some(Err(ReceiptFailure::TimedOut)) => late,
            Some(Err(_)) => outstanding,
        })
    }
}

impl Session {
    /// A stamp for a message that wants a receipt, which no other message or call of this session has. Other
    /// sessions have the same: where a protocol takes every such message for one that may come again, draw one
    /// that nobody else has.
    pub fn next_stamp(&mut self) -> Stamp {
        Stamp::from(self.calls.next_serial())
    }

    /// Waits for the receipt of what is sent under this stamp, and whose head asks for it: a message, a call of
    /// ours, or the answer to one of the peer's. It ends with an
    /// [`Event::ReceiptEnded`](super::Event::ReceiptEnded), or with
    /// [`forget_receipt`](Self::forget_receipt) without one; see the table of [outcomes](self#outcomes).
    /// `timeout` counts from `now`; `None` waits until the connection, or the call, ends.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`], [`UsageError::NoReceipts`], [`UsageError::TooManyReceipts`],
    /// [`UsageError::StampInUse`].
    pub fn expect_receipt(
        &mut self,
        now: Duration,
        of: ReceiptOf,
        stamp: Stamp,
        timeout: Option<Duration>,
    ) -> Result<(), UsageError> {
        self.check_ready()?;
        if !self.abilities.receipts {
            return Err(UsageError::NoReceipts);
        }
        let receipts = self.receipts.get_or_insert_default();
        if receipts.len() >= self.max_receipts {
            return Err(UsageError::TooManyReceipts);
        }
        let new = receipts.expect((of, stamp), deadline(now, timeout));
        new.then_some(()).ok_or(UsageError::StampInUse)
    }

    /// Does not wait for a receipt any more. Does nothing when it has come or will not.
    pub fn forget_receipt(&mut self, of: ReceiptOf, stamp: Stamp) {
        if let Some(receipts) = &mut self.receipts {
            receipts.take(&(of, stamp));
            self.tidy();
        }
    }

    /// Receipts that are waited for.
    pub fn receipts_waiting(&self) -> usize {
        self.receipts.as_ref().map_or(0, |receipts| receipts.len())
    }
}

/// What a receipt is for: stamps of messages and calls are ours, those of answers the peer's.
pub(super) type Key = (ReceiptOf, Stamp);

#[derive(Debug, Default)]
pub(super) struct Receipts {
    waiting: HashMap<Key, Nanos>,
    deadlines: Deadlines<Key>,
}

impl Receipts {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Waits for one; whether none is waited for under this stamp yet.
    pub(super) fn expect(&mut self, key: Key, deadline: Nanos) -> bool {
        if self.waiting.contains_key(&key) {
            return false;
        }
        self.deadlines.add(deadline, key.clone());
        self.waiting.insert(key, deadline);
        true
    }

    /// Forgets one; whether it was waited for.
    pub(super) fn take(&mut self, key: &Key) -> bool {
        let Some(deadline) = self.waiting.remove(key) else { return false };
        let waiting = &self.waiting;
        self.deadlines.cancelled(deadline, |key, at| waiting.get(key) == Some(&at));
        true
    }

    /// Takes one whose deadline has come.
    pub(super) fn expire(&mut self, now: Nanos) -> Option<Key> {
        let waiting = &self.waiting;
        let key = self.deadlines.expire(now, |key, at| waiting.get(key) == Some(&at))?;
        self.take(&key).then_some(key)
    }

    pub(super) fn soonest(&self) -> Nanos {
        self.deadlines.soonest()
    }

    /// All of them, in the order in which they would have timed out.
    pub(super) fn into_keys(self) -> Vec<Key> {
        let mut all: Vec<_> = self.waiting.into_iter().collect();
        all.sort_by_key(|(_, deadline)| *deadline);
        all.into_iter().map(|(key, _)| key).collect()
    }
}
