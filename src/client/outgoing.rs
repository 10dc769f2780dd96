//! Where a message of a client goes: to its connection, or to the offline queue.

use std::sync::Arc;

use wse_proto::{Encode, Head, Protocol, Text};
use wse_transport::ws;

use super::offline_queue::Kept;
use super::shared::Shared;
use super::status::Status;
use crate::connection::{
    Attempt, Connection, GaveUp, ReceiptError, Reliable, Rule, SendError, Unsent, Wakes, reliably,
};

/// What is to happen to a message that has to wait.
struct Waiting {
    /// Whether it waits for a connection; `None` if the application has set no rule for it.
    keeps: Option<bool>,
    rule: Option<Rule>,
}

impl Shared {
    pub(super) fn send<P: Protocol, T: ?Sized>(
        &self,
        name: Text,
        payload: &T,
    ) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        let state = self.state();
        if !state.offline_queue.keeps_all() && state.offline_queue.is_empty() {
            let connection = state.connection.clone();
            drop(state);
            return connection.ok_or(SendError::NotReady)?.send::<P, T>(name, payload);
        }
        drop(state);
        self.send_waiting::<P, T>(Waiting { keeps: None, rule: None }, name, payload)
    }

    pub(super) fn send_with<P: Protocol, T: ?Sized>(
        &self,
        unsent: Unsent,
        name: Text,
        payload: &T,
    ) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        let keeps = Some(unsent != Unsent::Refuse);
        self.send_waiting::<P, T>(Waiting { keeps, rule: unsent.rule() }, name, payload)
    }

    fn send_waiting<P: Protocol, T: ?Sized>(
        &self,
        waiting: Waiting,
        name: Text,
        payload: &T,
    ) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        let head = Head::message(name);
        loop {
            // Without the lock, since the encoding of the payload may call the client.
            let message = self.with_wire(|wire| {
                wire.message::<P, T>(&head, payload).map(|message| (wire.variant, message))
            });
            let (variant, message) = message?;
            if let Some(sent) = self.send_or_keep(variant, message, &waiting) {
                return sent;
            }
        }
    }

    /// Sends a message, or adds it to the offline queue. Returns `None` when the protocol has
    /// changed since the message was packed.
    fn send_or_keep(
        &self,
        variant: usize,
        message: ws::Message,
        waiting: &Waiting,
    ) -> Option<Result<(), SendError>> {
        let Waiting { keeps, rule } = waiting;
        let mut ended: Option<Arc<Connection>> = None;
        loop {
            let mut state = self.state();
            if self.wire_of(&state).variant != variant {
                return None;
            }
            // Once others may use a connection, it has the offline queue, and no message overtakes that.
            let this = std::thread::current().id();
            let open = state.on_ready_thread.is_none_or(|thread| thread == this);
            let connection = state.connection.as_ref().filter(|_| open);
            let connection =
                connection.filter(|it| !ended.as_ref().is_some_and(|old| Arc::ptr_eq(it, old)));
            let Some(connection) = connection.cloned() else {
                let queue = &mut state.offline_queue;
                if !keeps.unwrap_or(queue.keeps_all()) {
                    return Some(Err(SendError::NotReady));
                }
                let queued = queue.push(Kept { variant, message, rule: rule.clone() });
                return Some(queued.then_some(()).ok_or(SendError::QueueFull));
            };
            // Without the lock, since the waker of a sender that waits may use the client.
            drop(state);
            if *keeps == Some(false) && !connection.is_attached() {
                return Some(Err(SendError::NotReady));
            }
            let mut wakes = Wakes::default();
            let sent = connection.push_unsent(message.clone(), rule.clone(), &mut wakes);
            wakes.wake();
            match sent {
                Err(SendError::NotReady) => ended = Some(connection),
                sent => return Some(sent),
            }
        }
    }

    pub(super) async fn send_reliable<P: Protocol, T: ?Sized>(
        &self,
        options: Reliable,
        name: Text,
        payload: &T,
    ) -> Result<(), GaveUp>
    where
        P::Format: Encode<T>,
    {
        let name = &name;
        reliably(options, |stamp| async move {
            let Some(connection) = self.next_connection().await else { return Attempt::Hopeless };
            // A session that keeps the message until it is processed sends it again by itself.
            let timeout = (!connection.is_counting()).then_some(options.receipt_timeout);
            let error =
                match connection.send_under::<P, T>(stamp, true, name.clone(), payload, timeout) {
                    Ok(expected) => match expected.await {
                        Ok(()) => return Attempt::Delivered,
                        Err(error) => return Attempt::Failed { sent: true, error },
                    },
                    Err(error) => error,
                };
            if let ReceiptError::QueueFull = error {
                connection.writable().await;
            }
            Attempt::Failed { sent: false, error }
        })
        .await
    }

    /// Waits for a connection that is ready. Returns `None` when the client does not try to
    /// connect.
    async fn next_connection(&self) -> Option<Arc<Connection>> {
        let mut status = self.status.subscribe();
        loop {
            // Before the check, so that no later change is missed.
            let now = *status.borrow_and_update();
            if let Some(connection) = self.connection().filter(|connection| connection.is_ready()) {
                return Some(connection);
            }
            if matches!(now, Status::Idle | Status::Offline) {
                return None;
            }
            status.changed().await.ok()?;
        }
    }

    /// Waits until a message can be sent or kept.
    pub(super) async fn writable(&self) {
        let mut status = self.status.subscribe();
        loop {
            if let Some(connection) = self.connection().filter(|connection| connection.is_ready()) {
                return connection.writable().await;
            }
            let waits = self.state().offline_queue.waits_for_room();
            if !waits || status.changed().await.is_err() {
                return;
            }
        }
    }
}
