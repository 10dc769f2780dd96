//! Calls to the peer.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use wse_proto::session::{CallId, Tracked};
use wse_proto::{Decode, Encode, Head, Protocol, Text, UsageError};

use super::error::CallError;
use super::queue::{Class, Queued};
use super::shared::Connection;
use super::state::CallOutcome;

impl Connection {
    /// Calls the peer. Dropping the future cancels the call. With `announce`, the peer is told the timeout.
    pub(crate) async fn call<P: Protocol, T: ?Sized, R>(
        &self,
        name: Text,
        payload: &T,
        timeout: Option<Duration>,
        announce: bool,
    ) -> Result<R, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        let pending = PendingCall::begin(self, timeout)?;
        let head = Head::call(name, pending.id.stamp());
        let head = self.with_deadline(head, timeout.filter(|_| announce));
        let message = self.wire.message::<P, T>(&head, payload).map_err(CallError::Encode)?;
        let payload = pending.answer(message.into()).await?;
        self.decode::<P, R>(&payload).map_err(CallError::Decode)
    }

    /// Adds the deadline to a call, if the protocol has deadlines.
    pub(super) fn with_deadline(&self, head: Head, timeout: Option<Duration>) -> Head {
        match timeout {
            Some(timeout) if self.wire.info.can().has_deadlines() => {
                head.with_timeout(millis(timeout))
            }
            _ => head,
        }
    }

    /// Begins a call that is about to be sent. Returns the receiver of its outcome.
    pub(super) fn begin_call(
        &self,
        timeout: Option<Duration>,
    ) -> Result<(CallId, oneshot::Receiver<CallOutcome>), CallError> {
        let (answer, answered) = oneshot::channel();
        self.with(|state| {
            let id =
                state.session.call(self.clock.now(), timeout).map_err(|error| match error {
                    UsageError::TooManyCalls => CallError::TooManyCalls,
                    _ => CallError::NotReady,
                })?;
            state.calls.insert(id, answer);
            Ok((id, answered))
        })
    }

    /// Forgets a call, and cancels it at the peer unless it has ended or was never sent.
    pub(super) fn forget_call(&self, id: CallId, sent: bool) {
        // Most calls have ended by now. A look-up is cheaper than `with`.
        let waiting = self.lock().calls.remove(&id);
        // Dropped here, without the lock: it wakes its receiver.
        if waiting.is_some() {
            drop(waiting);
            self.with(|state| match sent {
                true => state.session.cancel(id),
                false => state.session.withdraw(id),
            });
        }
    }
}

/// A call that has no answer yet. Dropping it cancels the call.
struct PendingCall<'a> {
    connection: &'a Connection,
    id: CallId,
    sent: bool,
    answer: oneshot::Receiver<CallOutcome>,
}

impl<'a> PendingCall<'a> {
    fn begin(connection: &'a Connection, timeout: Option<Duration>) -> Result<Self, CallError> {
        let (id, answer) = connection.begin_call(timeout)?;
        Ok(Self { connection, id, sent: false, answer })
    }

    async fn answer(mut self, message: Queued) -> Result<Bytes, CallError> {
        let id = self.id;
        self.connection.push_tracked(Class::Call, message, || Some(Tracked::Call(id)))?;
        self.sent = true;
        let outcome = (&mut self.answer).await;
        Ok(outcome.map_err(|_| CallError::NotReady)??)
    }
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.connection.forget_call(self.id, self.sent);
    }
}

/// A timeout in milliseconds, as the peer is told: rounded up, at least 1.
fn millis(timeout: Duration) -> u32 {
    timeout.as_nanos().div_ceil(1_000_000).clamp(1, u32::MAX.into()) as u32
}
