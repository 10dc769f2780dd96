//! The driver of a connection: the task that connects its channel, its session and its side.

mod held;
mod reading;
mod state;
mod waiting;
mod writing;

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use wse_proto::session::{Close, Event};

use self::state::{Closing, Driver, Read};
use super::channel::Channel;
use super::shared::Connection;
use super::side::{Incoming, Side};
use super::state::NextSteps;
use crate::callback::text_of;

/// The most messages handled, or rounds without a message, before other tasks get their turn.
const BUDGET: usize = 64;

/// Schedules this task behind those that are ready, and behind those whose sockets have become ready meanwhile: a busy
/// connection must not delay a quiet one.
fn let_others_run(cx: &mut Context<'_>) {
    let yielded = pin!(tokio::task::yield_now());
    let _ = yielded.poll(cx);
}

/// Drives a connection to its end. Not an `async fn`, whose future would store the arguments twice.
pub(crate) fn drive<C, S>(
    channel: C,
    connection: Arc<Connection>,
    side: S,
) -> impl Future<Output = ()>
where
    C: Channel,
    S: Side + Unpin,
{
    let mut driver = Driver {
        channel,
        connection,
        side,
        now: Duration::ZERO,
        heard: Duration::ZERO,
        held: None,
        paused_since: None,
        blocked: false,
        ready: false,
        departed: false,
        broken: false,
        closing: Closing::No,
        deadline: None,
        sleep: None,
    };
    let mut panicked = false;
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| driver.poll(cx))) {
        Ok(polled) => polled,
        Err(panic) => driver.panicked(&*panic, std::mem::replace(&mut panicked, true), cx),
    })
}

impl<C, S> Driver<C, S>
where
    C: Channel,
    S: Side + Unpin,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.now = self.connection.clock.now();
        let mut budget = BUDGET;
        loop {
            self.connection.begin_poll();
            self.events(cx);
            if !self.ready {
                self.poll_greeting(cx);
            }
            while budget > 1 && self.handle_held(cx) {
                budget -= 1;
            }
            let mut read = self.read(cx);
            // Rounds without a message count too: senders in other threads could keep the loop running.
            budget -= 1;
            // Before the session is ready, a message may start something that must be polled first.
            while self.ready && matches!(read, Read::Message) && budget > 0 {
                read = self.read(cx);
                budget -= 1;
            }
            if matches!(read, Read::Message) && budget > 0 {
                continue;
            }
            // While reading is paused, the peer's silence means nothing.
            let paused = matches!(read, Read::Paused);
            if self.channel.take_read_progress() || paused {
                self.heard = self.now;
            }
            if self.connection.beat_due(self.now) {
                self.connection.handle_timeout(self.heard);
            }
            self.events(cx);
            if let Read::End = read {
                self.handle_all_held(cx);
                self.depart(&Close::VANISHED);
                return Poll::Ready(());
            }
            if self.connection.is_finishing() {
                self.connection.finish_if_answered();
            }
            let was_broken = self.broken;
            let lent = self.write(cx);
            let wrote_enough = writing::is_spent(lent.as_ref());
            let NextSteps { closing, due, aborted, idle, slow } =
                self.connection.end_round(lent, cx);
            if slow {
                self.side.slow(&self.connection);
            }
            if aborted {
                if let Some((close, _)) = closing {
                    self.depart(&close);
                }
                return Poll::Ready(());
            }
            if self.begin_close(closing, cx).is_ready() || self.timeouts(due, cx).is_ready() {
                return Poll::Ready(());
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

    /// Handles a panic of a protocol, an extension or a transport, which must not end more than this connection. The first
    /// one closes the connection, and the second one ends it.
    #[cold]
    fn panicked(
        &mut self,
        panic: &(dyn Any + Send),
        again: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if again {
            self.depart(&Close::VANISHED);
            return Poll::Ready(());
        }
        self.side.panicked(&self.connection, &text_of(panic));
        self.connection.close(Close::new(1011, "internal error"));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Handles all events of the session.
    fn events(&mut self, cx: &mut Context<'_>) {
        while let Some(event) = self.connection.next_event() {
            self.event(event, false, cx);
        }
    }

    /// Handles an event. `reliable` says whether it is of a message that the peer sends until it has a receipt.
    fn event(&mut self, event: Event, reliable: bool, cx: &mut Context<'_>) {
        match event {
            Event::Cancelled { stamp } => self.cancelled(&stamp),
            Event::Message { name, payload } => {
                self.side.message(&self.connection, name, payload, reliable, cx)
            }
            Event::Call { name, stamp, timeout, payload } => {
                self.side.call(&self.connection, name, Incoming { stamp, timeout }, payload, cx);
            }
            event => self.side.event(&self.connection, event),
        }
    }

    /// Tells the side that the connection has ended. Later calls do nothing.
    fn depart(&mut self, close: &Close) {
        if !std::mem::replace(&mut self.departed, true) {
            if !self.connection.is_closing() {
                self.connection.ended(close);
            }
            self.side.departed(&self.connection, close);
            self.connection.release();
        }
    }
}
