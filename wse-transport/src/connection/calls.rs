//! Calls of ours, over a [`Link`].

use std::time::Duration;

use tokio::sync::oneshot;
use wse_proto::session::CallId;
use wse_proto::{Decode, Encode, Head, Protocol, Text, UsageError};

use super::error::CallError;
use super::link::Link;
use super::pack;
use super::queue::Class;
use super::receipt::millis;
use super::state::Outcome;

impl<P: Protocol> Link<P> {
    /// Calls the peer. Dropping the future cancels the call. The peer is told a timeout that is `told`.
    pub(crate) async fn call<T: ?Sized, R>(
        &self,
        name: Text,
        payload: &T,
        timeout: Option<Duration>,
        told: bool,
    ) -> Result<R, CallError>
    where
        P::Format: Encode<T> + Decode<R>,
    {
        let (id, answer) = self.begin_call(timeout)?;
        let mut pending = Pending { link: self, id, sent: false };
        let told = timeout.filter(|_| told).map_or(0, millis);
        let head = Head::call(name, id.stamp()).with_timeout(told);
        let message = pack::message(self.protocol(), &head, payload).map_err(CallError::Encode)?;
        self.push(Class::Call, message)?;
        pending.sent = true;
        let outcome = answer.await;
        drop(pending);
        let payload = outcome.map_err(|_| CallError::NotReady)??;
        self.format().decode(&payload).map_err(CallError::Decode)
    }

    /// A call that is about to be sent, and what its outcome comes through.
    pub(super) fn begin_call(
        &self,
        timeout: Option<Duration>,
    ) -> Result<(CallId, oneshot::Receiver<Outcome>), CallError> {
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

    /// Nobody waits for this call any more: the peer is told, unless it has ended or was never sent.
    pub(super) fn forget_call(&self, id: CallId, sent: bool) {
        // One that has ended is not there; looked up first, since most have.
        if self.lock().calls.remove(&id).is_some() {
            self.with(|state| match sent {
                true => state.session.cancel(id),
                false => state.session.withdraw(id),
            });
        }
    }
}

/// Cancels a call when its future is dropped.
struct Pending<'a, P: Protocol> {
    link: &'a Link<P>,
    id: CallId,
    sent: bool,
}

impl<P: Protocol> Drop for Pending<'_, P> {
    fn drop(&mut self) {
        self.link.forget_call(self.id, self.sent);
    }
}
