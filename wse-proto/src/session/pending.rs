//! Calls and receipts that this side waits for: how the wait begins, and how it ends without a message.

use std::time::Duration;

use bytes::Bytes;

use super::calls::CallId;
use super::deadlines::{NEVER, Nanos, nanos};
use super::event::Event;
use super::machine::Session;
use super::queue::push;
use super::receipts::ReceiptFailure;
use crate::{Head, ReceiptOf, SessionMessage, Stamp, UsageError};

impl Session {
    /// Begins a call. Send it under [`CallId::stamp`]. `timeout` counts from `now`; `None` waits until the connection
    /// ends. The call ends with an [`Event::CallEnded`], or with [`Session::cancel`] and no event.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`], [`UsageError::TooManyCalls`].
    pub fn call(&mut self, now: Duration, timeout: Option<Duration>) -> Result<CallId, UsageError> {
        self.check_ready()?;
        self.calls.begin(deadline(now, timeout))
    }

    /// Removes a call that could not be sent. Does nothing when it has ended.
    pub fn withdraw(&mut self, call: CallId) {
        if self.calls.take(call) {
            self.forget_receipt(ReceiptOf::Call, call.stamp());
        }
    }

    /// Cancels a call, and tells the peer if the protocol has cancellations. An answer that still arrives is dropped. Does
    /// nothing when the call has ended.
    pub fn cancel(&mut self, call: CallId) {
        if self.calls.take(call) {
            self.forget_receipt(ReceiptOf::Call, call.stamp());
            if self.capabilities.has_cancel() {
                self.send(SessionMessage::raw(Head::Cancel { stamp: call.stamp() }, Bytes::new()));
            }
        }
    }

    /// Whether a call is pending.
    pub fn is_waiting(&self, call: CallId) -> bool {
        self.calls.is_pending(call)
    }

    /// How many calls are pending.
    pub fn calls_waiting(&self) -> usize {
        self.calls.len()
    }

    /// A stamp for a message that wants a receipt. It is unique in this session, but other sessions use the same stamps.
    /// For a protocol that reads every such message as a reliable one, use a random stamp instead.
    pub fn next_stamp(&mut self) -> Stamp {
        Stamp::from(self.calls.next_serial())
    }

    /// Expects a receipt for what is sent under this stamp: a message, a call, or the answer to a call of the peer. Its
    /// head must ask for the receipt. The wait ends with an [`Event::ReceiptEnded`], see the table of
    /// [outcomes](super::receipts#outcomes), or with [`forget_receipt`](Self::forget_receipt) and no event.
    /// `timeout` counts from `now`; `None` waits until the connection or the call ends.
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
        if !self.capabilities.has_receipts() {
            return Err(UsageError::NoReceipts);
        }
        let receipts = self.receipts.get_or_insert_default();
        if receipts.len() >= self.max_receipts {
            return Err(UsageError::TooManyReceipts);
        }
        let new = receipts.expect((of, stamp), deadline(now, timeout));
        new.then_some(()).ok_or(UsageError::StampInUse)
    }

    /// Stops waiting for a receipt. Does nothing when the wait has ended.
    pub fn forget_receipt(&mut self, of: ReceiptOf, stamp: Stamp) {
        if let Some(receipts) = &mut self.receipts {
            receipts.take(&(of, stamp));
            self.tidy();
        }
    }

    /// How many receipts are pending.
    pub fn receipts_waiting(&self) -> usize {
        self.receipts.as_ref().map_or(0, |receipts| receipts.len())
    }

    /// Ends the wait for a receipt. Returns whether it was expected.
    pub(super) fn end_receipt(
        &mut self,
        of: ReceiptOf,
        stamp: Stamp,
        outcome: Result<(), ReceiptFailure>,
    ) -> bool {
        let Some(receipts) = &mut self.receipts else { return false };
        let key = (of, stamp);
        if !receipts.take(&key) {
            return false;
        }
        self.tidy();
        push(&mut self.events, Event::ReceiptEnded { of, stamp: key.1, outcome });
        true
    }

    /// Frees the table of receipts when it is empty.
    pub(super) fn tidy(&mut self) {
        self.receipts.take_if(|receipts| receipts.len() == 0);
    }
}

fn deadline(now: Duration, timeout: Option<Duration>) -> Nanos {
    timeout.map_or(NEVER, |timeout| nanos(now.saturating_add(timeout)))
}
