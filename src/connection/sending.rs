//! Messages that are queued on a [`Connection`].

use std::sync::Arc;
use std::task::Waker;

use wse_proto::session::Tracked;
use wse_proto::{Body, CodecError, Encode, Fault, Head, Protocol, SessionMessage, Stamp, Text};
use wse_transport::ws;

use super::error::SendError;
use super::outbox::{Full, Outbox};
use super::queue::{Class, Extra, Queued, size};
use super::shared::Connection;
use super::state::State;
use super::unsent::Rule;
use crate::framed::{has_line_break, line_break};

impl Connection {
    /// Encodes and queues a message.
    pub(crate) fn send<P: Protocol, T: ?Sized>(
        &self,
        name: Text,
        payload: &T,
    ) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        let message = self.wire.message::<P, T>(&Head::message(name), payload)?;
        self.push(Class::Message, message)
    }

    /// Queues a message that is already packed by this connection's protocol.
    pub(crate) fn push(&self, class: Class, message: impl Into<Queued>) -> Result<(), SendError> {
        self.push_tracked(class, message, || None)
    }

    /// As [`push`](Self::push), for a message that a call or a receipt waits for.
    pub(crate) fn push_tracked(
        &self,
        class: Class,
        message: impl Into<Queued>,
        tracked: impl FnOnce() -> Option<Tracked>,
    ) -> Result<(), SendError> {
        let message = message.into();
        if size(&message) == 0 {
            // The protocol cannot express it, or writes it later with the rest of a batch.
            return Ok(());
        }
        self.check(message.message())?;
        let mut state = self.lock();
        if !self.takes(&state, class) {
            return Err(SendError::NotReady);
        }
        let tracked = state.session.is_counting().then(tracked).flatten();
        let extra = tracked.map(|it| Box::new(Extra::Tracked(it)));
        let (queued, writable) = self.enqueue(&mut state, message, |outbox, message| {
            outbox.push(|| self.clock.now(), class, message, extra)
        });
        self.changed(state);
        if writable {
            self.writable.notify_waiters();
        }
        queued.map_err(|_| SendError::QueueFull)
    }

    /// As [`push`](Self::push), for callers that hold a lock: they wake `wakes` once it is released.
    pub(crate) fn push_later(
        self: &Arc<Self>,
        class: Class,
        message: impl Into<Queued>,
        wakes: &mut Wakes,
    ) -> Result<(), SendError> {
        let message = message.into();
        if size(&message) == 0 {
            return Ok(());
        }
        self.check(message.message())?;
        self.queue_later(class, wakes, |state| {
            self.enqueue(state, message, |outbox, message| {
                outbox.push(|| self.clock.now(), class, message, None)
            })
        })
    }

    /// As [`push_later`](Self::push_later), for a message with a rule of its own for the time that it waits.
    pub(crate) fn push_unsent(
        self: &Arc<Self>,
        message: ws::Message,
        rule: Option<Rule>,
        wakes: &mut Wakes,
    ) -> Result<(), SendError> {
        let Some(rule) = rule else { return self.push_later(Class::Message, message, wakes) };
        self.check(&message)?;
        self.queue_later(Class::Message, wakes, |state| {
            self.enqueue(state, message.into(), |outbox, message| {
                outbox.push_unsent(|| self.clock.now(), message, rule)
            })
        })
    }

    /// As [`push_later`](Self::push_later), for a message that was accepted before the connection was there: the limits of the
    /// queue do not apply.
    pub(crate) fn push_kept(
        self: &Arc<Self>,
        message: ws::Message,
        rule: Option<Rule>,
        wakes: &mut Wakes,
    ) -> Result<(), SendError> {
        self.check(&message)?;
        self.queue_later(Class::Message, wakes, |state| {
            state.outbox.push_kept(|| self.clock.now(), message.into(), rule);
            (Ok(()), false)
        })
    }

    /// Runs `queue`, which returns what [`enqueue`](Self::enqueue) does, and collects whom it wakes.
    #[inline(always)]
    fn queue_later(
        self: &Arc<Self>,
        class: Class,
        wakes: &mut Wakes,
        queue: impl FnOnce(&mut State) -> (Result<(), Full>, bool),
    ) -> Result<(), SendError> {
        let mut state = self.lock();
        if !self.takes(&state, class) {
            return Err(SendError::NotReady);
        }
        let (queued, writable) = queue(&mut state);
        wakes.drivers.extend(self.mark_changed(state));
        if writable {
            wakes.writable.push(Arc::clone(self));
        }
        queued.map_err(|_| SendError::QueueFull)
    }

    /// Whether a message of this class may be queued. An answer may go out while the connection waits for it to close.
    #[inline(always)]
    fn takes(&self, state: &State, class: Class) -> bool {
        state.ready || class.is_answer() && state.session.check_ready().is_ok()
    }

    /// Queues a message. Also returns whether the queue has space again, because the policy dropped older messages.
    ///
    /// Not by `with`, which asks the session for output: the session has no part in this.
    #[inline(always)]
    fn enqueue(
        &self,
        state: &mut State,
        message: Queued,
        push: impl FnOnce(&mut Outbox, Queued) -> Result<(), Full>,
    ) -> (Result<(), Full>, bool) {
        if !state.session.has_space(size(&message)) {
            return (Err(Full), false);
        }
        let was_writable = state.outbox.is_writable();
        let queued = push(&mut state.outbox, message);
        (queued, !was_writable && state.outbox.is_writable())
    }

    /// Whether the channel of this connection can carry a packed message.
    #[inline]
    pub(crate) fn check(&self, message: &ws::Message) -> Result<(), CodecError> {
        if !self.options.lines {
            return Ok(());
        }
        match message {
            ws::Message::Text(text) if has_line_break(text.as_bytes()) => Err(line_break()),
            _ => Ok(()),
        }
    }

    /// Waits until the queue accepts messages, or the connection has ended.
    pub(crate) async fn writable(&self) {
        loop {
            let writable = self.writable.notified();
            {
                let state = self.lock();
                if state.session.is_closed() || state.is_writable() {
                    return;
                }
            }
            writable.await;
        }
    }

    /// Answers a call with a failure.
    pub(crate) fn fault(&self, stamp: Stamp, fault: Fault, receipt: bool) {
        let seal = |stamp, fault| {
            let (head, body) = (Head::Fault { stamp, receipt }, Body::Fault(fault));
            self.wire.seal(&SessionMessage { head, body })
        };
        let short = Fault::new(fault.code.clone());
        let sealed = seal(stamp.clone(), fault).and_then(|it| self.check(&it).map(|()| it));
        // Details that are not text cannot be sent in a text message, nor those with a line break over a line. The caller
        // still needs an answer.
        if let Ok(message) = sealed.or_else(|_| seal(stamp, short)) {
            let _ = self.push(Class::Answer, message);
        }
    }
}

/// Whom messages that were queued under a lock wake. A waker may run code of the application, which may come back to that
/// lock.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    drivers: Vec<Waker>,
    /// Connections whose queue has space again.
    writable: Vec<Arc<Connection>>,
}

impl Wakes {
    /// Wakes them. Called without a lock.
    pub(crate) fn wake(&mut self) {
        self.drivers.drain(..).for_each(Waker::wake);
        self.writable.drain(..).for_each(|connection| connection.writable.notify_waiters());
    }
}
