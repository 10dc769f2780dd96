//! A connection without a channel, which its peer may resume.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use wse_proto::session::Close;

use super::budget::{BUDGET, let_others_run};
use super::core::Core;
use crate::callback::text_of;
use crate::connection::pending::Takeover;
use crate::connection::side::Side;
use crate::connection::state::NextSteps;

/// Lets a task of its own stand in for the driver until the peer comes back, or the session ends.
pub(super) fn suspend<S: Side>(mut core: Core<S>) {
    core.drop_deferred();
    core.connection.detach();
    if core.connection.keep_queued() {
        core.side.relieve();
    }
    let tasks = core.side.tasks();
    tasks.spawn(Suspended { core: Some(core), sleep: None });
}

/// Hands a connection to the driver that has asked for it. If that is gone, the connection is suspended.
pub(super) fn hand_over<S: Side>(mut core: Core<S>, takeover: Takeover) {
    core.drop_deferred();
    core.connection.detach();
    if let Err(core) = takeover.send(Box::new(core))
        && let Ok(core) = core.downcast::<Core<S>>()
    {
        core.connection.lose(&Close::VANISHED);
        suspend(*core);
    }
}

/// What a connection does without a channel: handlers run, calls and receipts end in time, and what is sent is kept.
struct Suspended<S: Side> {
    core: Option<Core<S>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S: Side> Future for Suspended<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        catch_unwind(AssertUnwindSafe(|| this.run(cx))).unwrap_or_else(|panic| {
            this.panicked(&*panic);
            Poll::Ready(())
        })
    }
}

impl<S: Side> Suspended<S> {
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(core) = &mut self.core else { return Poll::Ready(()) };
        let mut budget = BUDGET;
        while budget > 0 {
            budget -= 1;
            core.connection.begin_poll();
            core.now = core.connection.clock.now();
            core.events(cx);
            while budget > 0 && core.handle_held(cx) {
                budget -= 1;
            }
            if core.connection.keep_new() {
                core.side.relieve();
            }
            if core.connection.is_finishing() {
                core.connection.finish_if_answered();
            }
            core.events(cx);
            let NextSteps { closing, due, idle, asked, .. } = core.connection.end_round(None, cx);
            if !core.connection.is_suspended() {
                let close = closing.map_or(Close::VANISHED, |(close, _)| close);
                core.depart(&close);
                return Poll::Ready(());
            }
            if asked && let Some(takeover) = core.connection.next_takeover() {
                if let Some(core) = self.core.take() {
                    hand_over(core, takeover);
                }
                return Poll::Ready(());
            }
            let at = due.and_then(|due| core.connection.clock.at(due));
            let is_due = poll_sleep(&mut self.sleep, at, cx);
            if is_due {
                core.connection.handle_timeout(Duration::ZERO);
            }
            if idle && !is_due {
                return Poll::Pending;
            }
        }
        let_others_run(cx);
        Poll::Pending
    }

    /// Ends the connection after a panic of its protocol.
    #[cold]
    fn panicked(&mut self, panic: &(dyn Any + Send)) {
        if let Some(mut core) = self.core.take() {
            core.side.panicked(&core.connection, &text_of(panic));
            core.connection.gone();
            core.depart(&Close::VANISHED);
        }
    }
}

/// Whether it is time.
fn poll_sleep(
    sleep: &mut Option<Pin<Box<Sleep>>>,
    at: Option<tokio::time::Instant>,
    cx: &mut Context<'_>,
) -> bool {
    let Some(at) = at else {
        *sleep = None;
        return false;
    };
    let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
    if sleep.deadline() != at {
        sleep.as_mut().reset(at);
    }
    sleep.as_mut().poll(cx).is_ready()
}
