//! [`Cluster`]: a node of a cluster, as the application sees it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use wse::cluster::{Admitted, ClusterLink, LocalNode, Publication};
use wse::{Close, Text};

use crate::backplane::Backplane;
use crate::directory::AtLimit;
use crate::driver::Driver;
use crate::id::NodeId;
use crate::node::{ClusterEvent, Machine, NodeInfo};
use crate::settings::{Settings, WhenDown};
use crate::shared::Shared;

/// A node of a cluster: the link of one server to the others. Clones are handles to the same node.
///
/// ```
/// use wse::{Accept, Hello, JsonArray, Server};
/// use wse_cluster::{AtLimit, Cluster, Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let cluster = Cluster::builder(Memory::new()).name("fra-1").at_limit(AtLimit::Refuse).build();
/// let server = Server::builder(JsonArray)
///     .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
///     .connections_per_user(3)
///     .cluster(&cluster)
///     .build();
/// assert!(cluster.is_live());
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    backplane: Arc<dyn Backplane>,
    settings: Settings,
    events: broadcast::Sender<ClusterEvent>,
    started: OnceLock<Arc<Shared>>,
}

/// Configures a [`Cluster`].
#[must_use = "a builder does nothing until `build`"]
pub struct ClusterBuilder {
    backplane: Arc<dyn Backplane>,
    settings: Settings,
}

impl Cluster {
    /// A node on this backplane, with the default settings.
    pub fn on(backplane: impl Backplane) -> Self {
        Self::builder(backplane).build()
    }

    /// Returns a builder for a node on this backplane.
    pub fn builder(backplane: impl Backplane) -> ClusterBuilder {
        ClusterBuilder { backplane: Arc::new(backplane), settings: Settings::default() }
    }

    /// Returns whether the node hears its own beats through the backplane, and its directory of users answers. Then messages
    /// reach other nodes, and new users are counted on all nodes. While it is not ready, the node serves its own connections.
    ///
    /// A load balancer should not send new clients to a node that is not ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.started.get().is_some_and(|shared| shared.machine().is_ready())
    }

    /// Returns whether the task of the node runs. It does from the start of the server to its shutdown; otherwise the process
    /// should be replaced.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.0.started.get().is_some_and(|shared| !shared.ended.is_cancelled())
    }

    /// Waits until the node is ready. Cancel safe.
    pub async fn ready(&self) {
        let mut events = self.0.events.subscribe();
        while !self.is_ready() {
            if let Err(RecvError::Closed) = events.recv().await {
                return;
            }
        }
    }

    /// Returns this node and the others that it hears, sorted by their names.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeInfo> {
        let Some(shared) = self.0.started.get() else { return Vec::new() };
        let machine = shared.machine();
        let mut nodes = machine.nodes();
        nodes.push(machine.this_node());
        drop(machine);
        nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        nodes
    }

    /// Returns a stream of the events from now on. A reader that falls more than 1,024 events behind misses the oldest of them.
    /// Cancel safe.
    pub fn events(&self) -> impl Stream<Item = ClusterEvent> + Send + Unpin + use<> {
        let receiver = self.0.events.subscribe();
        Box::pin(futures::stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(event) => return Some((event, receiver)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        }))
    }

    fn shared(&self) -> Option<&Arc<Shared>> {
        self.0.started.get()
    }
}

impl ClusterBuilder {
    /// Sets the name of the node, for logs, events and other nodes. Default: `node`.
    pub fn name(mut self, name: impl Into<Text>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Sets what happens to a further connection of a user who has as many as
    /// [`connections_per_user`](wse::ServerBuilder::connections_per_user) allows on all nodes together. Default:
    /// [`AtLimit::Evict`].
    pub fn at_limit(mut self, at_limit: AtLimit) -> Self {
        self.settings.at_limit = at_limit;
        self
    }

    /// Sets what happens to clients that log in while the backplane is away. Default: [`WhenDown::Admit`].
    pub fn when_down(mut self, when_down: WhenDown) -> Self {
        self.settings.when_down = when_down;
        self
    }

    /// Sets a key that all nodes have. Messages without a tag of this key are dropped and counted. Without a key, a program
    /// that can publish to the broker can send anything to all clients. Default: none.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.settings.key = Some(key.into());
        self
    }

    /// Builds the node. It starts with the server.
    #[must_use]
    pub fn build(self) -> Cluster {
        let Self { backplane, settings } = self;
        let (events, started) = (Shared::events(), OnceLock::new());
        Cluster(Arc::new(Inner { backplane, settings, events, started }))
    }
}

impl ClusterLink for Cluster {
    /// # Panics
    ///
    /// Outside a tokio runtime, and when another server has this node already.
    fn start(&self, node: Box<dyn LocalNode>) {
        let id = NodeId::new(rand::random());
        let limit = node.connections_per_user();
        let machine = Machine::new(id, rand::random(), limit, self.0.settings.clone());
        let shared = Arc::new(Shared::new(machine, self.0.events.clone()));
        assert!(self.0.started.set(Arc::clone(&shared)).is_ok(), "a node has one server");
        tokio::spawn(Driver::new(shared, node, Arc::clone(&self.0.backplane)).run());
    }

    fn publish(&self, publication: Publication) {
        if let Some(shared) = self.shared() {
            shared.change(|machine, _| machine.publish(&publication));
        }
    }

    fn has_members(&self, room: &Text, any: bool) {
        if let Some(shared) = self.shared() {
            shared.change(|machine, _| machine.has_members(room, any));
        }
    }

    fn admit(&self, user: &Text, conn_id: u64) -> BoxFuture<'static, Result<Admitted, Close>> {
        let Some(shared) = self.shared().cloned() else {
            return std::future::ready(Ok(Admitted::new(true))).boxed();
        };
        let waiting = shared.wait(conn_id);
        shared.change(|machine, now| machine.admit(now, user, conn_id));
        let asked = Asked { shared, conn_id, answered: false };
        async move {
            let result = waiting.await;
            asked.answered();
            result.unwrap_or_else(|_| Err(Close::new(1001, "the server shuts down")))
        }
        .boxed()
    }

    fn release(&self, _user: &Text, conn_id: u64, close: Option<&Close>) {
        if let Some(shared) = self.shared() {
            shared.change(|machine, _| machine.release(conn_id, close));
        }
    }

    fn close_user(&self, user: &Text, close: &Close) {
        if let Some(shared) = self.shared() {
            shared.change(|machine, _| machine.close_user(user, close));
        }
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let shared = self.shared().cloned();
        async move {
            if let Some(shared) = shared {
                shared.stopping.cancel();
                shared.ended.cancelled().await;
            }
        }
        .boxed()
    }
}

/// A connection that waits for a place. When it is dropped before the answer, the place is given back.
struct Asked {
    shared: Arc<Shared>,
    conn_id: u64,
    answered: bool,
}

impl Asked {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.forget(self.conn_id);
            self.shared.change(|machine, _| machine.release(self.conn_id, None));
        }
    }
}

impl From<Cluster> for Arc<dyn ClusterLink> {
    fn from(cluster: Cluster) -> Self {
        Arc::new(cluster)
    }
}

impl From<&Cluster> for Arc<dyn ClusterLink> {
    fn from(cluster: &Cluster) -> Self {
        Arc::new(cluster.clone())
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.0.settings.name;
        f.debug_struct("Cluster").field("name", name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClusterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.settings.name;
        f.debug_struct("ClusterBuilder").field("name", name).finish_non_exhaustive()
    }
}
