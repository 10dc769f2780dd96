//! The task of a driver, from its first poll to its end.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use wse_proto::session::Session;

use super::asked::Asked;
use super::core::Core;
use super::leaving::Leaving;
use super::state::{Closing, Driver, End};
use super::suspended::{hand_over, suspend};
use crate::connection::channel::Channel;
use crate::connection::shared::Connection;
use crate::connection::side::Side;

/// Drives a connection to the end of its channel. Not an `async fn`, whose future would store the arguments twice.
pub(crate) fn drive<C, S>(
    channel: C,
    connection: Arc<Connection>,
    side: S,
) -> impl Future<Output = ()>
where
    C: Channel,
    S: Side,
{
    let now = Duration::ZERO;
    let core = Core { connection, ready: false, departed: false, now, held: None, side };
    let driver = Driver::new(core, channel);
    driver.start_heartbeat();
    run(driver)
}

fn run<C: Channel, S: Side>(driver: Driver<C, S>) -> impl Future<Output = ()> {
    let (mut driver, mut leaving) = (Some(driver), None);
    let mut panicked = false;
    poll_fn(move |cx| {
        if let Some(running) = &mut driver {
            let polled = catch_unwind(AssertUnwindSafe(|| running.poll(cx)));
            let end = match polled {
                Ok(Poll::Ready(end)) => end,
                Ok(Poll::Pending) => return Poll::Pending,
                Err(panic) => match running.panicked(&*panic, panicked, cx) {
                    Some(end) => end,
                    None => {
                        panicked = true;
                        return Poll::Pending;
                    }
                },
            };
            let ended = driver.take();
            // Boxed: it is rare, and has a whole channel.
            leaving = ended.and_then(|driver| driver.end(end)).map(Box::new);
        }
        match &mut leaving {
            Some(leaving) => leaving.poll(cx),
            None => Poll::Ready(()),
        }
    })
}

impl<C: Channel, S: Side> Driver<C, S> {
    fn new(core: Core<S>, channel: C) -> Self {
        Self {
            core,
            channel,
            heard: Duration::ZERO,
            paused_since: None,
            blocked: false,
            broken: false,
            resumed: None,
            closing: Closing::No,
            deadline: None,
            sleep: None,
        }
    }

    /// Passes the connection on. Returns a channel that is still to be closed.
    fn end(self, end: End) -> Option<Leaving<C>> {
        match end {
            End::Over => None,
            End::Suspended => {
                suspend(self.core);
                None
            }
            End::TakenOver(takeover, close) => {
                hand_over(self.core, takeover);
                Some(Leaving::new(self.channel, &close))
            }
        }
    }
}

/// Client: a connection that waits for another channel.
pub(crate) struct Resumable<S: Side>(Core<S>);

impl<S: Side> Resumable<S> {
    /// Takes a suspended connection; `None` when it has ended.
    pub(crate) async fn take(connection: &Arc<Connection>) -> Option<Self> {
        Asked::new(connection).await.map(Self)
    }

    /// The side of the connection.
    pub(crate) fn side(&mut self) -> &mut S {
        &mut self.0.side
    }

    /// Drives the connection over this channel, from a greeting on. `greet` makes the session greet.
    pub(crate) fn drive<C: Channel>(
        self,
        channel: C,
        greet: impl FnOnce(&mut Session),
    ) -> impl Future<Output = ()> {
        let mut driver = Driver::new(self.0, channel);
        driver.core.connection.session(|session, _| greet(session));
        driver.attached();
        run(driver)
    }
}
