//! A node with clients, and what it writes down.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use wse::{Accept, Client, ConnectError, Hello, JsonArray, Server, ServerEvent, Speaks, memory};
use wse_cluster::{Cluster, ClusterBuilder, ClusterEvent, Memory};

/// Lines in the order in which they were added.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub fn sorted(&self) -> Vec<String> {
        let mut lines = self.take();
        lines.sort();
        lines
    }
}

/// A node with its server. `users` is who has joined and left here.
pub struct Node<P: wse::Negotiate = JsonArray> {
    pub server: Server<P>,
    pub cluster: Cluster,
    pub users: Log,
    pub events: Log,
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Lets everything happen that needs no time.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// A node of this protocol, once it is ready.
pub async fn node_of<P>(protocol: P, builder: ClusterBuilder, limit: usize) -> Node<P>
where
    P: Speaks<String> + Speaks<()>,
{
    let cluster = builder.build();
    let users = Log::default();
    let noted = users.clone();
    let server = Server::builder(protocol)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .connections_per_user(limit)
        .on("join", |conn, room: String| async move { conn.join(room).map(|_| ()) })
        .cluster(&cluster)
        .build();
    server.on_event(move |event| match event {
        ServerEvent::Joined(conn) => noted.add(format!("+{}", conn.user_id())),
        ServerEvent::Left(user, _) => noted.add(format!("-{user}")),
        _ => {}
    });
    let events = Log::default();
    let (log, mut stream) = (events.clone(), cluster.events());
    tokio::spawn(async move {
        while let Some(event) = stream.next().await {
            log.add(described(&event));
        }
    });
    cluster.ready().await;
    Node { server, cluster, users, events }
}

/// Short, and without times.
fn described(event: &ClusterEvent) -> String {
    match event {
        ClusterEvent::Ready => "ready".to_owned(),
        ClusterEvent::Degraded { why, .. } => format!("degraded: {why}"),
        ClusterEvent::NodeUp(node) => format!("up {}", node.name),
        ClusterEvent::NodeDown(node) => format!("down {}", node.name),
        ClusterEvent::Gap { node, to, lost } => format!("gap of {lost} from {node} to {to}"),
        ClusterEvent::Unsent { messages, .. } => format!("unsent {messages}"),
        ClusterEvent::Directory { answers } => format!("directory {answers}"),
        ClusterEvent::Foreign { count, why } => format!("foreign {count}: {why}"),
        other => format!("{other:?}"),
    }
}

pub async fn node(memory: &Memory, name: &str) -> Node {
    node_of(JsonArray, Cluster::builder(memory.clone()).name(name.to_owned()), 10).await
}

/// Three nodes that know each other.
pub async fn three(memory: &Memory) -> [Node; 3] {
    let nodes = [node(memory, "a").await, node(memory, "b").await, node(memory, "c").await];
    settle().await;
    nodes
}

/// A client that writes down its messages.
pub async fn client_of<P>(protocol: P, node: &Node<P>, user: &str, log: &Log) -> Client<P>
where
    P: Speaks<String> + Speaks<()>,
{
    try_client_of(protocol, node, user, log).await.unwrap()
}

pub async fn try_client_of<P>(
    protocol: P,
    node: &Node<P>,
    user: &str,
    log: &Log,
) -> Result<Client<P>, ConnectError>
where
    P: Speaks<String> + Speaks<()>,
{
    let (log, name) = (log.clone(), user.to_owned());
    let client = Client::builder(protocol, memory::URL)
        .connector(memory::connector(&node.server))
        .identity(user.to_owned())
        .on("note", move |_, text: String| {
            log.add(format!("{name} {text}"));
            async {}
        });
    client.connect().await
}

pub async fn client(node: &Node, user: &str, log: &Log) -> Client<JsonArray> {
    client_of(JsonArray, node, user, log).await
}

/// Two devices log in at once where one is allowed. The one that loses is refused, or closed soon.
pub async fn rivals(nodes: [&Node; 2], user: &str, log: &Log) -> Vec<Client<JsonArray>> {
    let [one, other] = nodes.map(|node| try_client_of(JsonArray, node, user, log));
    let (one, other) = tokio::join!(one, other);
    let mut clients = Vec::new();
    for client in [one, other] {
        match client {
            Ok(client) => clients.push(client),
            Err(ConnectError::Refused(close)) => {
                assert_eq!(close, wse::Close::normal(wse::CloseReason::ClientsConcurrency));
            }
            Err(error) => panic!("{error:#}"),
        }
    }
    assert!(!clients.is_empty());
    clients
}
