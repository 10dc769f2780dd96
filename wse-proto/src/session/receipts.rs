//! Expected receipts, and what each outcome means.
//!
//! The session of the peer sends a receipt when the message arrives, before the message is handled. A receipt says
//! nothing about the handler. The answer to a call does.
//!
//! # Outcomes
//!
//! Each receipt that is asked for ends in exactly one of these outcomes. Each call also ends in a result or a failure.
//! The codes are those of the JavaScript package wsprocessor ([`CallFailure::status_code`],
//! [`ReceiptFailure::status_code`]).
//!
//! | what happened to a message, reply or fault | outcome | code |
//! | --- | --- | --- |
//! | the receipt arrived | `Ok(())` | 0 |
//! | the connection ended first | [`ReceiptFailure::Closed`] | 1 |
//! | the receipt did not arrive in time (default 5 s) | [`ReceiptFailure::TimedOut`] | 2 |
//! | the connection had ended before it was sent | [`UsageError::NotReady`] | 3 |
//! | the peer answered the message as if it were a call | [`ReceiptFailure::Unsupported`] | |
//! | the protocol has no receipts | [`UsageError::NoReceipts`] | |
//!
//! | what happened to a call | receipt | failure of the call | code |
//! | --- | --- | --- | --- |
//! | answered after its receipt | `Ok(())` | | |
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
//! A missing receipt never ends its call. A receipt that arrives too late is dropped:
//! [`Dropped::Receipt`](super::Dropped::Receipt).
//!
//! [`UsageError::NotReady`]: crate::UsageError::NotReady
//! [`UsageError::NoReceipts`]: crate::UsageError::NoReceipts

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use crate::{ReceiptOf, Stamp};

use super::calls::CallFailure;
use super::close::Close;
use super::deadlines::{Deadlines, Nanos};

/// Why there is no receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptFailure {
    /// It did not arrive in time. It is unknown whether the message arrived.
    TimedOut,
    /// The connection ended first. It is unknown whether the message arrived.
    Closed(Close),
    /// The call itself timed out while its receipt was pending.
    Outstanding,
    /// The peer does not send receipts: it answered instead. So the message did arrive.
    Unsupported,
}

impl ReceiptFailure {
    /// The number that the JavaScript package wsprocessor reports in this case: see the table of
    /// [outcomes](self#outcomes). `None` when it has no number for it.
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
            Self::TimedOut => f.write_str("no receipt arrived in time"),
            Self::Closed(close) => write!(f, "the connection ended before the receipt: {close}"),
            Self::Outstanding => f.write_str("the call got neither receipt nor answer in time"),
            Self::Unsupported => f.write_str("the peer does not send receipts"),
        }
    }
}

impl Error for ReceiptFailure {}

impl CallFailure {
    /// The number that the JavaScript package wsprocessor reports for a call that failed like this: see the table
    /// of [outcomes](self#outcomes). `receipt` is the outcome of its receipt, `None` when none was asked for. Returns
    /// `None` for a fault, whose code the peer chose, and for an answer that cannot be read.
    pub fn status_code(
        &self,
        receipt: Option<&Result<(), ReceiptFailure>>,
    ) -> Option<&'static str> {
        let [plain, received, outstanding, late] = match self {
            Self::Disconnected(_) => ["1", "1.1", "1.2", "1.3"],
            Self::Timeout => ["2", "2.1", "2.2", "2.3"],
            Self::Fault(_) | Self::Unreadable(_) => return None,
        };
        Some(match receipt {
            None => plain,
            Some(Ok(())) => received,
            Some(Err(ReceiptFailure::TimedOut)) => late,
            Some(Err(_)) => outstanding,
        })
    }
}

/// What a receipt is for. This side chooses the stamps of messages and calls, the peer those of answers.
pub(super) type Key = (ReceiptOf, Stamp);

/// The pending receipts and their deadlines.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    pending: HashMap<Key, Nanos>,
    deadlines: Deadlines<Key>,
}

impl Receipts {
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Adds a receipt. Returns `false` when one is pending under this stamp.
    pub(super) fn expect(&mut self, key: Key, deadline: Nanos) -> bool {
        if self.pending.contains_key(&key) {
            return false;
        }
        self.deadlines.add(deadline, key.clone());
        self.pending.insert(key, deadline);
        true
    }

    /// Whether a receipt is pending.
    pub(super) fn is_pending(&self, key: &Key) -> bool {
        self.pending.contains_key(key)
    }

    /// Removes a receipt. Returns whether it was pending.
    pub(super) fn take(&mut self, key: &Key) -> bool {
        let Some(deadline) = self.pending.remove(key) else { return false };
        let pending = &self.pending;
        self.deadlines.cancelled(deadline, |key, at| pending.get(key) == Some(&at));
        true
    }

    /// Removes one receipt whose deadline has passed.
    pub(super) fn expire(&mut self, now: Nanos) -> Option<Key> {
        let pending = &self.pending;
        let key = self.deadlines.expire(now, |key, at| pending.get(key) == Some(&at))?;
        self.take(&key).then_some(key)
    }

    pub(super) fn soonest(&self) -> Nanos {
        self.deadlines.soonest()
    }

    /// Removes the receipts for which `keep` returns false. Returns them in the order of their deadlines.
    pub(super) fn end_others(&mut self, keep: impl Fn(&Key) -> bool) -> Vec<Key> {
        let others = self.pending.iter().filter(|(key, _)| !keep(key));
        let mut others: Vec<_> = others.map(|(key, deadline)| (*deadline, key.clone())).collect();
        others.sort_by_key(|(deadline, _)| *deadline);
        let others: Vec<_> = others.into_iter().map(|(_, key)| key).collect();
        for key in &others {
            self.take(key);
        }
        others
    }
}
