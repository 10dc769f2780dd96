//! [`Drain`]: a server sends its clients away at random times, so that they connect to another one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wse_proto::session::Close;
use wse_proto::{CloseReason, DrainNotice, Negotiate};

use super::core::ServerCore;
use super::handle::Server;
use crate::connection::{Clock, Connection, Waits};
use crate::random;

/// When the clients of a server that [drains](Server::drain) go.
///
/// ```
/// use std::time::Duration;
/// use wse::Drain;
/// let drain = Drain::default().after(Duration::from_secs(5)).spread(Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// When the first clients go, from now. Set it to the time that the load balancer needs to notice that this server
    /// refuses connections. Default: 0 s.
    pub after: Duration,
    /// How much later the last ones go: each goes at a random time in between. Default: 20 s.
    pub spread: Duration,
    /// Whether the server stops listening, in place of refusing new connections. Default: false.
    pub close_listeners: bool,
}

impl Default for Drain {
    fn default() -> Self {
        Self { after: Duration::ZERO, spread: Duration::from_secs(20), close_listeners: false }
    }
}

impl Drain {
    /// Sets when the first clients go, from now. Default: 0 s.
    #[must_use]
    pub const fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// Sets how much later the last ones go. Default: 20 s.
    #[must_use]
    pub const fn spread(mut self, spread: Duration) -> Self {
        self.spread = spread;
        self
    }

    /// Makes the server stop listening from the start, in place of refusing new connections with 503. For a process that has
    /// given its listening socket to its successor, which takes it with [`Server::listen_on`]: all connections go there that
    /// this process has not accepted yet. Those that it has accepted, and that have not greeted, are refused. Only sockets of this server are closed, not those of a [`Listener`](crate::Listener).
    ///
    /// `examples/handover.rs` shows both sides.
    #[must_use]
    pub const fn close_listeners(mut self) -> Self {
        self.close_listeners = true;
        self
    }
}

impl<P: Negotiate> Server<P> {
    /// Sends the clients away before this server stops, at random times. They connect to the same URL again, so a load
    /// balancer must send them to another server. Returns when all connections have ended, at the latest
    /// [`close_timeout`](crate::ServerBuilder::close_timeout) after `after + spread`. Then call
    /// [`shutdown_with`](Self::shutdown_with), which waits for handlers.
    ///
    /// - From the start, upgrades are refused with 503, those of clients that come back included, unless
    ///   [`close_listeners`](Drain::close_listeners) is set. What has not greeted yet is closed with 1012 `wse.drain`.
    /// - Clients that can resume are told, and choose a random time from `after` to `after + spread`. From then on, a client
    ///   goes when it waits for no answer, at the latest at the end: it closes with 4000 `wse.drain`, and connects again at
    ///   once. Clients of this crate do so if they have [`reconnect`](crate::ClientBuilder::reconnect). Each gets a new
    ///   connection at the other server, since sessions do not move.
    /// - Each of the others is closed with 1012 `wse.drain` at a random time of that interval: from then on its messages and
    ///   calls are dropped, and the connection ends when its calls are answered.
    /// - At the end of the interval, all that are left are closed with 1012 `wse.drain`, and their pending calls fail.
    /// - A suspended connection ends at once, since its client cannot come back to this server.
    ///
    /// Cancel safe: when the future is dropped, the server goes on draining. Of several drains the first one counts, and all
    /// return at its end.
    ///
    /// ```no_run
    /// # async fn example<P: wse::Negotiate>(server: wse::Server<P>) {
    /// use std::time::Duration;
    /// use wse::{Close, Drain};
    /// server.drain(Drain::default()).await;
    /// server.shutdown_with(Close::new(1012, "restart"), Duration::from_secs(5)).await;
    /// # }
    /// ```
    pub async fn drain(&self, drain: Drain) {
        self.inner.start_drain(drain);
        self.inner.registry.emptied().await;
    }
}

impl ServerCore {
    /// Whether the server drains, and takes no connections.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// What connections are closed with that are still there.
    pub(super) fn drain_close() -> Close {
        Close::new(1012, CloseReason::Drain)
    }

    /// Does nothing when the server drains already.
    fn start_drain(self: &Arc<Self>, drain: Drain) {
        // Before the registry: a connection that opens meanwhile sees it, or is in the registry.
        if self.draining.swap(true, Ordering::SeqCst) || self.stop.is_cancelled() {
            return;
        }
        if drain.close_listeners {
            self.listening.cancel();
        }
        let clock = Clock::start();
        let notice = DrainNotice { after: drain.after, spread: drain.spread };
        let mut leaving = Vec::new();
        self.registry.each_open(|id, connection| {
            if !told(connection, notice) {
                leaving.push((notice.choose(random::unit()), id));
            }
        });
        self.end_suspended();
        leaving.sort_unstable();
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = server.stop.clone();
            stop.run_until_cancelled(server.close_in_time(clock, &notice, leaving)).await;
        });
    }

    /// Closes these connections at their times, and all others at the end.
    async fn close_in_time(
        &self,
        clock: Clock,
        notice: &DrainNotice,
        leaving: Vec<(Duration, u64)>,
    ) {
        let end = notice.latest();
        for (at, id) in leaving {
            sleep_until(clock, at).await;
            if let Some(connection) = self.registry.open_connection(id) {
                let grace = end.saturating_sub(at);
                connection.finish(Self::drain_close(), grace, Waits::Handlers);
            }
        }
        sleep_until(clock, end).await;
        self.registry.each_open(|_, connection| connection.close(Self::drain_close()));
    }
}

/// Tells a client that the server drains. Returns whether it may be expected to go by itself. One that has not greeted is
/// closed.
fn told(connection: &Connection, notice: DrainNotice) -> bool {
    connection.session(|session, _| {
        if session.check_ready().is_err() {
            session.close(ServerCore::drain_close());
            return true;
        }
        session.send_drain(notice);
        session.has_announced_resume() && session.session_name().is_some()
    })
}

async fn sleep_until(clock: Clock, time: Duration) {
    match clock.at(time) {
        Some(at) => tokio::time::sleep_until(at).await,
        // Beyond what can be represented.
        None => std::future::pending().await,
    }
}
