//! The backplane goes away and comes back; nodes come and go; other programs write to the channels.

use std::time::Duration;

use bytes::Bytes;
use wse::{ConnectError, JsonArray};
use wse_cluster::{Backplane, Channel, Cluster, Memory, WhenDown};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn nodes_know_each_other() {
    let memory = Memory::new();
    let [a, b, c] = three(&memory).await;
    let names = |node: &Node| -> Vec<String> {
        node.cluster.nodes().iter().map(|node| node.name.to_string()).collect()
    };
    for node in [&a, &b, &c] {
        assert!(node.cluster.is_ready() && node.cluster.is_live());
        assert_eq!(names(node), ["a", "b", "c"]);
    }
    assert_eq!(a.events.take(), ["ready", "up b", "up c"]);
    c.server.shutdown(secs(1)).await;
    assert!(!c.cluster.is_live());
    settle().await;
    assert_eq!(a.events.take(), ["down c"], "it has said so");
    assert_eq!(names(&b), ["a", "b"]);
    tokio::time::sleep(secs(60)).await;
    assert!(a.events.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_its_backplane_a_node_serves_its_own_connections() {
    let (memory, log) = (Memory::new(), Log::default());
    let [a, b, _c] = three(&memory).await;
    let _ann = client(&a, "ann", &log).await;
    let _bob = client(&b, "bob", &log).await;
    for node in [&a, &b] {
        node.events.take();
        node.users.take();
    }
    memory.set_up(false);
    a.server.all().send("note", &"lost on the way".to_owned()).unwrap();
    settle().await;
    assert_eq!(log.take(), ["ann lost on the way"]);
    tokio::time::sleep(secs(8)).await;
    assert!(!a.cluster.is_ready() && a.cluster.is_live());
    let mut events = a.events.take();
    events.retain(|event| !event.starts_with("directory"));
    assert_eq!(events[0], "unsent 1");
    assert_eq!(events[1], "degraded: the node does not hear its own beats");
    assert_eq!(events[2], "degraded: the broker is away");
    assert!(!events.iter().any(|event| event.starts_with("down")), "{events:?}");

    // A user of before, and one of now.
    let _desk = client(&a, "bob", &log).await;
    let _cid = client(&a, "cid", &log).await;
    a.server.all().send("note", &"not sent".to_owned()).unwrap();
    settle().await;
    assert_eq!(log.sorted(), ["ann not sent", "bob not sent", "cid not sent"]);
    assert_eq!(a.users.take(), ["+bob", "+cid"], "those of this node");

    memory.set_up(true);
    tokio::time::sleep(secs(10)).await;
    assert!(a.cluster.is_ready() && b.cluster.is_ready());
    a.server.user("bob").send("note", &"again".to_owned()).unwrap();
    a.server.all().send("note", &"all".to_owned()).unwrap();
    settle().await;
    let expected = ["ann all", "bob again", "bob again", "bob all", "bob all", "cid all"];
    assert_eq!(log.sorted(), expected);
    let events = b.events.take();
    assert!(events.contains(&"gap of 2 from a to all".to_owned()), "{events:?}");

    for name in ["bob", "cid"] {
        a.server.close_user(name, wse::Close::new(4000, ""));
    }
    tokio::time::sleep(secs(1)).await;
    assert_eq!([a.users.take(), b.users.take()].concat(), ["-cid", "-bob"]);
}

#[tokio::test(start_paused = true)]
async fn users_may_be_refused_while_the_backplane_is_away() {
    let (memory, log) = (Memory::new(), Log::default());
    let builder = Cluster::builder(memory.clone()).when_down(WhenDown::Refuse);
    let a = node_of(JsonArray, builder, 1).await;
    let connect = || {
        wse::Client::builder(JsonArray, wse::memory::URL)
            .connector(wse::memory::connector(&a.server))
            .identity("ann".to_owned())
            .connect()
    };
    memory.set_directory_up(false);
    for _ in 0..2 {
        let Err(ConnectError::Refused(close)) = connect().await else { panic!("admitted") };
        assert_eq!(close.code, 1013);
    }
    assert!(!a.cluster.is_ready());
    assert_eq!(a.events.take(), ["ready", "directory false"]);
    memory.set_directory_up(true);
    tokio::time::sleep(secs(6)).await;
    assert_eq!(a.events.take(), ["directory true"]);
    client(&a, "ann", &log).await.close();
    settle().await;
    assert_eq!(a.users.take(), ["+ann", "-ann"]);
}

/// What was lost is written again, and nobody is closed.
#[tokio::test(start_paused = true)]
async fn a_directory_that_forgets_is_filled_again() {
    let (memory, log) = (Memory::new(), Log::default());
    let a = node_of(JsonArray, Cluster::builder(memory.clone()), 1).await;
    let b = node_of(JsonArray, Cluster::builder(memory.clone()), 1).await;
    let users: Vec<_> = (0..1200).map(|i| format!("user {i}")).collect();
    let mut clients = Vec::new();
    for user in &users {
        clients.push(client(&a, user, &log).await);
    }
    a.users.take();
    memory.clear_directory();
    tokio::time::sleep(secs(7)).await;
    let again = a.users.take();
    assert_eq!(again.len(), users.len(), "their places are the first again");
    // The places are there: another device takes them over.
    let other = client(&b, "user 7", &log).await;
    settle().await;
    assert_eq!(clients[7].status(), wse::Status::Offline);
    assert!(b.users.take().is_empty());
    drop(other);
}

/// A place that another node took while this one was deaf is lost for good, and the socket closes within 15 s.
#[tokio::test(start_paused = true)]
async fn a_connection_that_has_lost_its_place_unheard_is_closed() {
    let (memory, log) = (Memory::new(), Log::default());
    let a = node_of(JsonArray, Cluster::builder(memory.clone()), 1).await;
    let old = client(&a, "ann", &log).await;
    memory.clear_directory();
    let b = node_of(JsonArray, Cluster::builder(memory.clone()), 1).await;
    let new = client(&b, "ann", &log).await;
    let closed = tokio::time::timeout(secs(15), old.closed()).await.unwrap().unwrap();
    assert_eq!(closed, wse::Close::normal(wse::CloseReason::ClientsConcurrency));
    settle().await;
    assert_eq!(new.status(), wse::Status::Ready);
    assert_eq!([a.users.take(), b.users.take()].concat(), ["+ann", "+ann"]);
}

/// More users than are removed at once: their places are those of a node that nobody hears.
#[tokio::test(start_paused = true)]
async fn users_of_a_node_that_has_died_leave_once() {
    let (memory, log) = (Memory::new(), Log::default());
    let [a, b, c] = three(&memory).await;
    let dead = Inbox::open(&memory).await;
    for number in 0..1200 {
        dead.admit(&format!("ghost {number}"), number).await;
    }
    let _ann = client(&a, "ann", &log).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let left = [a.users.take(), b.users.take(), c.users.take()].concat();
    let mut ghosts: Vec<_> = left.iter().filter(|it| it.starts_with("-ghost")).collect();
    assert_eq!(ghosts.len(), 1200);
    ghosts.sort();
    ghosts.dedup();
    assert_eq!(ghosts.len(), 1200);
    assert!(!left.contains(&"-ann".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_of_the_cluster_is_counted_and_dropped() {
    let (memory, log) = (Memory::new(), Log::default());
    let keyed = Cluster::builder(memory.clone()).name("keyed").key(*b"secret");
    let [plain, keyed] = [node(&memory, "plain").await, node_of(JsonArray, keyed, 1).await];
    let _clients = [client(&plain, "ann", &log).await, client(&keyed, "bob", &log).await];
    settle().await;
    // They do not hear each other: one has a key.
    assert_eq!(plain.cluster.nodes().len(), 1);
    assert_eq!(keyed.cluster.nodes().len(), 1);
    plain.events.take();
    keyed.events.take();
    plain.server.all().send("note", &"plain".to_owned()).unwrap();
    keyed.server.all().send("note", &"keyed".to_owned()).unwrap();
    settle().await;
    assert_eq!(log.sorted(), ["ann plain", "bob keyed"]);
    let stranger = Inbox::open(&memory).await;
    for bytes in [&b""[..], b"{}", b"\x01\x00", b"\x01\x00\xff\xff", b"\x02\x00", b"\x01\x07abc"] {
        for channel in [Channel::All, Channel::Beats, Channel::User("ann".into())] {
            stranger.session.publish(&[(channel, Bytes::from_static(bytes))]).await.unwrap();
        }
    }
    tokio::time::sleep(secs(10)).await;
    assert!(plain.cluster.is_ready() && keyed.cluster.is_ready());
    let events = [plain.events.take(), keyed.events.take()].concat();
    assert!(events.iter().all(|event| event.starts_with("foreign")), "{events:?}");
    assert!(events.len() > 4 && events.len() < 12, "{events:?}");
}

/// A session of its own with the backplane.
struct Inbox {
    session: std::sync::Arc<dyn wse_cluster::Session>,
}

impl Inbox {
    async fn open(memory: &Memory) -> Self {
        Self { session: memory.open(wse_cluster::Inbox::unread()).await.unwrap() }
    }

    async fn admit(&self, user: &str, conn_id: u64) {
        use wse_cluster::{AtLimit, NodeId, directory};
        let device = directory::Device { node: NodeId::new(7), conn_id };
        let (user, at_limit, lease) = (user.into(), AtLimit::Evict, secs(15));
        let request = directory::Request::Admit { user, device, limit: 1, at_limit, lease };
        self.session.ask(&request).await.unwrap();
    }
}
