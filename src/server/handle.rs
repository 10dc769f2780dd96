//! [`Server`]: a handle to a server.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use wse_proto::session::Close;
use wse_proto::{CloseReason, Negotiate};

use super::conn::Conn;
use super::core::ServerCore;
use super::events::{ServerEvent, typed};
use super::feed::{Fed, Feed};
use crate::connection::Counts;

/// A server of one protocol.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use wse::{Accept, Hello, JsonArray, Server};
///
/// let server = Server::builder(JsonArray)
///     .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
///     .on("say", |conn, text: String| async move {
///         conn.server().all().send("said", &text)?;
///         wse::Ok(())
///     })
///     .procedure("add", |_conn, (a, b): (i64, i64)| async move { wse::Ok(a + b) })
///     .bind("127.0.0.1:4200")
///     .await?;
///
/// server.user("ann").send("news", "hello")?;
/// # Ok(()) }
/// ```
///
/// Clones are handles to the same server. It runs until [`shutdown`](Server::shutdown), even when
/// all handles were dropped.
pub struct Server<P: Negotiate> {
    pub(super) inner: Arc<ServerCore>,
    protocol_type: PhantomData<fn() -> P>,
}

impl<P: Negotiate> Server<P> {
    pub(super) fn of(inner: Arc<ServerCore>) -> Self {
        Self { inner, protocol_type: PhantomData }
    }

    /// Calls `callback` at each event, in order.
    ///
    /// It runs where the event happens and delays what follows: it may send and close, but should
    /// not block. A panic in it is caught and logged, and is an error event for the other callbacks and for streams.
    pub fn on_event(&self, callback: impl Fn(&ServerEvent<P>) + Send + Sync + 'static) {
        self.inner.add_callback(typed("on_event", callback));
    }

    /// Returns a stream of the events from now on. It ends when the server has shut down.
    ///
    /// A reader that falls more than 1,024 events behind gets [`ServerEvent::Missed`]. Cancel safe.
    ///
    /// Events of connections that were never accepted, which any peer can cause, wait apart: [`ServerEvent::Refused`],
    /// and [`ServerEvent::Error`] without a connection. They come when no other event waits. A reader that falls more
    /// than 64 of them behind gets [`ServerEvent::MissedRefused`], and loses none of the others.
    pub fn events(&self) -> impl Stream<Item = ServerEvent<P>> + Send + Unpin + use<P> {
        let Self { inner, .. } = self;
        let feed = Feed::new(inner.events.subscribe(), inner.unaccepted.subscribe());
        let state = (feed, inner.ended.clone());
        Box::pin(futures::stream::unfold(state, |(mut feed, ended)| async move {
            let event = match feed.next(&ended).await? {
                Fed::First(event) | Fed::Second(event) => event.into(),
                Fed::MissedFirst(count) => ServerEvent::Missed(count),
                Fed::MissedSecond(count) => ServerEvent::MissedRefused(count),
            };
            Some((event, (feed, ended)))
        }))
    }

    /// Returns all connections of all users, in no particular order.
    #[must_use]
    pub fn connections(&self) -> Vec<Conn<P>> {
        self.inner.registry.connections().into_iter().map(Conn::of).collect()
    }

    /// Returns counts of unexpected or dropped inbound messages, of peers that went silent, and of
    /// refused connections, since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.inner.counts.counts()
    }

    /// Returns the addresses that the server listens on.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.inner.local_addrs().into_iter().map(|(addr, _)| addr).collect()
    }

    /// Returns the URL of the first address that the server listens on, such as
    /// `ws://127.0.0.1:4200`, with `wss://` when that address uses TLS. Returns `None` when the
    /// server does not listen.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.inner.local_addrs().first().map(|(addr, scheme)| format!("{scheme}://{addr}"))
    }

    /// Stops the server: rejects new connections, takes no new messages and calls, answers the calls that are being handled,
    /// closes all connections with 1001, and waits at most `grace` until all connections and handlers have ended. Then it
    /// cancels those that have not ended. Returns whether all ended in time.
    ///
    /// A connection without calls is closed at once. The others are closed when their calls are answered, or when three
    /// quarters of `grace` are over, or all but one second of it if that is later.
    ///
    /// Clients do not reconnect after code 1001. Before a restart, use
    /// [`shutdown_with`](Self::shutdown_with) and code 1012.
    ///
    /// A handler of a reliable message is not cancelled, since its sender has a receipt: it runs on by itself.
    ///
    /// A handler that blocks its thread cannot be cancelled: the server waits until it ends. A
    /// handler that awaits this method waits for itself and is cancelled after `grace`. The server also
    /// waits for a future of [`accept`](Self::accept) or [`serve_framed`](Self::serve_framed): go on
    /// polling it, or drop it.
    ///
    /// Several shutdowns at once, and later ones, return the same. The code and reason are those of
    /// the first, and what has not ended is cancelled after the shortest grace.
    ///
    /// Not cancel safe: when the future is dropped, the server has stopped, but handlers may still
    /// run.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.shutdown_with(Close::new(1001, CloseReason::ByServer), grace).await
    }

    /// Stops the server as [`shutdown`](Self::shutdown) does, and closes the connections with this
    /// code and reason. After 1012 (restart) clients reconnect.
    pub async fn shutdown_with(&self, close: Close, grace: Duration) -> bool {
        // The last part of the grace is for the closing handshakes.
        let handshakes = (grace / 4).min(Duration::from_secs(1));
        self.inner.stop(close, grace - handshakes);
        let ended = tokio::time::timeout(grace, self.inner.tasks.join()).await.is_ok();
        // Before the cancelling: another shutdown must not take what is cancelled for ended.
        let verdict = self.inner.verdict.reach(ended);
        self.inner.cancel();
        self.inner.tasks.join().await;
        if let Some(cluster) = &self.inner.cluster {
            cluster.stop().await;
        }
        self.inner.end();
        verdict.keep()
    }
}

impl<P: Negotiate> Conn<P> {
    /// Returns the server of this connection.
    #[must_use]
    pub fn server(&self) -> Server<P> {
        Server::of(Arc::clone(&self.core.0.server))
    }
}

impl<P: Negotiate> Clone for Server<P> {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.inner))
    }
}

impl<P: Negotiate> fmt::Debug for Server<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("protocols", &self.inner.protocol.subprotocols())
            .field("users", &self.inner.registry.len())
            .field("router", &self.inner.router)
            .finish_non_exhaustive()
    }
}
