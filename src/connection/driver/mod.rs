//! The driver of a connection: the task that connects its channel, its session and its side.
//!
//! ```text
//! task.rs       drive          the task of a connection, from its first poll to the end of its channel
//! mod.rs        Driver::poll   one poll: events, reading, writing, timers
//! state.rs      Driver, End    the state of a driver, and how it ends
//! core.rs       Core           a connection with its side, with or without a channel: messages and events
//! reading.rs, writing.rs       messages from and to the channel
//! held.rs, waiting.rs          messages that wait for a handler to end
//! budget.rs                    how much one poll may do
//! suspended.rs  Suspended      the task of a connection without a channel
//! resuming.rs, asked.rs        the driver of another channel takes the connection over
//! leaving.rs    Leaving        closes the channel that the connection had before
//! ```

mod asked;
mod budget;
mod core;
mod held;
mod leaving;
mod reading;
mod resuming;
mod state;
mod suspended;
mod task;
mod waiting;
mod writing;

use std::any::Any;
use std::task::{Context, Poll};

use wse_proto::CloseReason;
use wse_proto::session::Close;

use self::budget::{BUDGET, let_others_run};
use self::state::{Closing, Driver, End, Read};
pub(crate) use self::task::{Resumable, drive};
use super::channel::Channel;
use super::side::Side;
use super::state::NextSteps;
use crate::callback::text_of;

impl<C: Channel, S: Side> Driver<C, S> {
    /// Does what can be done now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.core.now = self.core.connection.clock.now();
        let mut budget = BUDGET;
        loop {
            self.core.connection.begin_poll();
            self.core.events(cx);
            if !self.core.ready {
                self.poll_greeting(cx);
            }
            while budget > 1 && self.core.handle_held(cx) {
                budget -= 1;
            }
            let mut read = self.read(cx);
            // Rounds without a message count too: senders in other threads could keep the loop running.
            budget -= 1;
            // Before the session is ready, a message may start something that must be polled first.
            while self.core.ready && matches!(read, Read::Message) && budget > 0 {
                read = self.read(cx);
                budget -= 1;
            }
            if matches!(read, Read::Message) && budget > 0 {
                continue;
            }
            // While reading is paused, the peer's silence means nothing.
            let paused = matches!(read, Read::Paused);
            if self.channel.take_read_progress() || paused {
                self.heard = self.core.now;
            }
            if self.core.connection.beat_due(self.core.now) {
                self.core.connection.handle_timeout(self.heard);
            }
            self.core.events(cx);
            if let Read::End = read {
                self.lost(&Close::VANISHED, cx);
                return Poll::Ready(self.over());
            }
            if self.core.connection.is_finishing() {
                self.core.connection.finish_if_answered();
            }
            let was_broken = self.broken;
            let lent = self.write(cx);
            let wrote_enough = writing::is_spent(lent.as_ref());
            if self.closing != Closing::No || self.broken {
                self.keep_queued();
            }
            let NextSteps { closing, due, aborted, idle, slow, asked } =
                self.core.connection.end_round(lent, cx);
            if slow {
                self.core.side.slow(&self.core.connection);
            }
            if aborted {
                if let Some((close, _)) = closing {
                    self.core.close(&close, cx);
                }
                return Poll::Ready(self.over());
            }
            if asked && let Some(takeover) = self.core.connection.next_takeover() {
                // Unless this side was about to close it.
                let close = closing.map(|(close, _)| close);
                let close = close.unwrap_or(Close::normal(CloseReason::SessionTaken));
                return Poll::Ready(End::TakenOver(takeover, close));
            }
            if self.begin_close(closing, cx).is_ready() || self.timeouts(due, cx).is_ready() {
                return Poll::Ready(self.over());
            }
            if budget == 0 || matches!(read, Read::LargeMessage) || wrote_enough {
                let_others_run(cx);
                return Poll::Pending;
            }
            // Reading has resumed. The channel only wakes this task once it was polled.
            let resumed = matches!(read, Read::Paused) && !self.is_paused();
            if idle && !resumed && self.broken == was_broken {
                return Poll::Pending;
            }
        }
    }

    /// The channel has ended, or the peer closes it.
    pub(super) fn lost(&mut self, close: &Close, cx: &mut Context<'_>) {
        let keeps = !self.core.departed && self.core.connection.outlives(close);
        if !keeps {
            // They were sent before the end.
            self.core.handle_all_held(cx);
        }
        self.core.close(close, cx);
    }

    /// How the driver ends, now that its channel has ended.
    fn over(&mut self) -> End {
        if self.core.connection.is_suspended() {
            return End::Suspended;
        }
        // Not told yet, if it was suspended when this side began to close.
        if let Some(close) = self.core.connection.closed_with() {
            self.core.depart(&close);
        }
        End::Over
    }

    /// Keeps what is queued, if the connection waits for another channel.
    fn keep_queued(&mut self) {
        if self.core.connection.keep_queued() {
            self.core.side.relieve();
        }
    }

    /// Handles a panic of a protocol, an extension or a transport, which must not end more than this connection. The first
    /// one closes the connection, and the second one ends it.
    #[cold]
    pub(super) fn panicked(
        &mut self,
        panic: &(dyn Any + Send),
        again: bool,
        cx: &mut Context<'_>,
    ) -> Option<End> {
        if again {
            self.core.connection.gone();
            self.core.depart(&Close::VANISHED);
            return Some(End::Over);
        }
        self.core.side.panicked(&self.core.connection, &text_of(panic));
        // What the protocol does not survive would be sent again if the session went on.
        self.core.connection.close_for_good(Close::new(1011, "internal error"));
        cx.waker().wake_by_ref();
        None
    }
}
