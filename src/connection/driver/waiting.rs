//! What a connection does with messages that have to wait for a handler to end.

use std::task::Context;

use wse_proto::{SessionMessage, Stamp};

use super::core::Core;
use crate::connection::side::Side;

impl<S: Side> Core<S> {
    /// Whether a message that starts a handler must wait, or is not taken any more.
    #[inline]
    pub(super) fn must_wait(&self) -> bool {
        self.held.is_some()
            || self.connection.running() > 0 && !self.has_place()
            || self.connection.is_finishing()
    }

    /// Whether one more handler may start beside those that run.
    #[cold]
    fn has_place(&self) -> bool {
        let connection = &self.connection;
        let bytes = connection.handled_bytes().saturating_add(connection.expected_bytes());
        connection.running() < self.side.max_handlers() && bytes < self.side.config().handled_bytes
    }

    /// Holds a message until a handler has ended. Drops it when this side has begun to close, or the channel is given up.
    #[cold]
    pub(super) fn hold(&mut self, message: SessionMessage) {
        if !self.connection.drops_new() && self.connection.arrived(self.now, &message.head) {
            self.held.get_or_insert_default().push(self.now, message);
        }
    }

    /// Whether the payloads that are handled or held take the whole budget.
    #[inline]
    pub(super) fn is_over_budget(&self) -> bool {
        self.connection.running() > 0 && self.handles_too_much()
    }

    #[cold]
    fn handles_too_much(&self) -> bool {
        let held = self.held.as_ref().map_or(0, |held| held.bytes);
        self.connection.handled_bytes().saturating_add(held) >= self.side.config().handled_bytes
    }

    /// Handles the oldest held message if a handler may start now. Returns whether it did.
    pub(super) fn handle_held(&mut self, cx: &mut Context<'_>) -> bool {
        if self.held.is_none() {
            return false;
        }
        self.handle_next_held(cx)
    }

    #[cold]
    fn handle_next_held(&mut self, cx: &mut Context<'_>) -> bool {
        if self.connection.is_finishing() {
            if self.connection.drops_new() {
                self.drop_waiting();
            }
            return false;
        }
        let free = self.connection.running() == 0 || self.has_place();
        free && !self.connection.holds_reading() && self.handle_oldest(cx)
    }

    fn handle_oldest(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(held) = &mut self.held else { return false };
        let next = held.pop(self.now);
        if held.is_empty() {
            self.held = None;
        }
        next.is_some_and(|message| {
            self.handle(Ok(message), true, cx);
            true
        })
    }

    /// Handles the messages that wait, since the peer has ended the connection behind them. Nobody waits for the answers to
    /// calls: they are dropped.
    pub(super) fn handle_all_held(&mut self, cx: &mut Context<'_>) {
        if let Some(held) = &mut self.held {
            held.drop_calls();
        }
        while self.held.is_some() && !self.connection.is_finishing() && self.handle_oldest(cx) {}
    }

    /// Forgets a message that was read and not processed: the channel is lost.
    pub(super) fn drop_deferred(&mut self) {
        if let Some(held) = &mut self.held {
            held.deferred = None;
            if held.is_empty() {
                self.held = None;
            }
        }
    }

    /// Drops what waits: this side closes.
    pub(super) fn drop_waiting(&mut self) {
        if let Some(held) = self.held.take()
            && let Some(deferred) = held.deferred
        {
            self.held.get_or_insert_default().deferred = Some(deferred);
        }
    }

    /// The peer has cancelled a call, which runs or waits.
    pub(super) fn cancelled(&mut self, stamp: &Stamp) {
        if !self.held.as_mut().is_some_and(|held| held.cancel(stamp)) {
            self.connection.cancelled(stamp);
        }
    }
}
