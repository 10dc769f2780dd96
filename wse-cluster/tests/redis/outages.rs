//! The server goes away, hangs, answers errors, or is edited by hand.

use std::time::Duration;

use redis::Value;
use wse_cluster::{Cluster, Redis, WhenDown};

use crate::server::*;
use crate::support::*;

async fn note(from: &Node, text: &str) {
    from.server.all().send("note", &text.to_owned()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Ann on the first node and Bob on the second, both ready.
async fn pair(server: &RedisServer, log: &Log) -> ([Node; 2], [wse::Client<wse::JsonArray>; 2]) {
    let nodes = [server.node("a", 1).await, server.node("b", 1).await];
    let clients = [client(&nodes[0], "ann", log).await, client(&nodes[1], "bob", log).await];
    eventually(5, "they know each other", || nodes.iter().all(|it| it.cluster.nodes().len() == 2))
        .await;
    note(&nodes[0], "begin").await;
    assert_eq!(log.sorted(), ["ann begin", "bob begin"]);
    for node in &nodes {
        node.users.take();
        node.events.take();
    }
    (nodes, clients)
}

async fn both_ready(nodes: &[Node; 2]) {
    eventually(15, "both nodes are ready", || nodes.iter().all(|it| it.cluster.is_ready())).await;
}

/// Nobody has lost a connection, and messages go both ways.
async fn all_is_well(nodes: &[Node; 2], clients: &[wse::Client<wse::JsonArray>; 2], log: &Log) {
    both_ready(nodes).await;
    log.take();
    note(&nodes[0], "from a").await;
    note(&nodes[1], "from b").await;
    assert_eq!(log.sorted(), ["ann from a", "ann from b", "bob from a", "bob from b"]);
    assert!(clients.iter().all(|client| client.status() == wse::Status::Ready));
    // The places are there: another device takes one over.
    let desk = client(&nodes[0], "bob", log).await;
    eventually(5, "bob's device is replaced", || clients[1].status() != wse::Status::Ready).await;
    desk.close();
    eventually(5, "bob has left", || {
        let users = [nodes[0].users.take(), nodes[1].users.take()].concat();
        users.contains(&"-bob".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_starts_empty_is_filled_again() {
    let mut server = RedisServer::start().await;
    let log = Log::default();
    let (nodes, clients) = pair(&server, &log).await;
    server.kill();
    eventually(2, "the loss is noticed", || nodes.iter().all(|it| !it.cluster.is_ready())).await;
    note(&nodes[0], "only here").await;
    assert_eq!(log.take(), ["ann only here"]);
    server.restart().await;
    all_is_well(&nodes, &clients, &log).await;
    let events = nodes[1].events.take();
    assert!(events.iter().any(|event| event.starts_with("degraded: ")), "{events:?}");
    assert!(events.contains(&"gap of 1 from a to all".to_owned()), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_noticed_and_what_it_does_late_does_no_harm() {
    let server = RedisServer::start().await;
    let log = Log::default();
    let (nodes, clients) = pair(&server, &log).await;
    server.signal("STOP");
    // Admitted all the same, once the directory has not answered.
    let cid = client(&nodes[0], "cid", &log).await;
    eventually(8, "the silence is noticed", || nodes.iter().all(|it| !it.cluster.is_ready())).await;
    tokio::time::sleep(secs(5)).await;
    cid.close();
    server.signal("CONT");
    all_is_well(&nodes, &clients, &log).await;
    // The place of Cid, which was asked for and never used, is no ghost.
    tokio::time::sleep(secs(16)).await;
    assert_eq!(server.command(&["EXISTS", "{wse}:user:cid"]).await, Value::Int(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_are_replaced_at_once() {
    let server = RedisServer::start().await;
    let log = Log::default();
    let (nodes, clients) = pair(&server, &log).await;
    for kind in ["pubsub", "normal"] {
        server.command(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        // A broken connection without work is noticed by its first use.
        note(&nodes[0], "probe").await;
        note(&nodes[1], "probe").await;
        tokio::time::sleep(secs(1)).await;
        both_ready(&nodes).await;
        log.take();
        note(&nodes[0], kind).await;
        assert_eq!(log.sorted(), [format!("ann {kind}"), format!("bob {kind}")]);
    }
    all_is_well(&nodes, &clients, &log).await;
}

/// Out of memory, no disk to save to, a replica, and scripts that are forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_server_are_no_answers() {
    let server = RedisServer::start().await;
    let log = Log::default();
    let (nodes, clients) = pair(&server, &log).await;
    let user = |number: usize| format!("user {number}");

    server.command(&["SCRIPT", "FLUSH"]).await;
    client(&nodes[0], &user(0), &log).await.close();
    assert!(nodes[0].cluster.is_ready());

    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let oom = client(&nodes[0], &user(1), &log).await;
    assert!(!nodes[0].cluster.is_ready(), "admitted without a place");
    note(&nodes[0], "messages pass").await;
    let lines = log.sorted();
    assert!(lines.contains(&"bob messages pass".to_owned()), "{lines:?}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    both_ready(&nodes).await;
    tokio::time::sleep(secs(6)).await;
    let key = format!("{{wse}}:user:{}", user(1));
    assert_eq!(server.command(&["EXISTS", &key]).await, Value::Int(1));
    oom.close();

    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let readonly = client(&nodes[0], &user(2), &log).await;
    assert!(!nodes[0].cluster.is_ready());
    assert!(Redis::connect(&server.url()).await.unwrap_err().to_string().contains("replica"));
    server.command(&["REPLICAOF", "NO", "ONE"]).await;
    readonly.close();
    all_is_well(&nodes, &clients, &log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_was_edited_by_hand_is_mended() {
    let server = RedisServer::start().await;
    let log = Log::default();
    let (nodes, clients) = pair(&server, &log).await;
    server.command(&["DEL", "{wse}:user:ann"]).await;
    server.command(&["HSET", "{wse}:user:bob", "rubbish", "x"]).await;
    server.command(&["ZADD", "{wse}:places", "1", "no place at all"]).await;
    tokio::time::sleep(secs(6)).await;
    assert_eq!(server.command(&["HLEN", "{wse}:user:ann"]).await, Value::Int(1));
    all_is_well(&nodes, &clients, &log).await;

    // A key of another kind in the way: an error, and no answer.
    server.command(&["FLUSHALL"]).await;
    server.command(&["SET", "{wse}:places", "text"]).await;
    let cid = client(&nodes[0], "cid", &log).await;
    assert!(!nodes[0].cluster.is_ready());
    server.command(&["DEL", "{wse}:places"]).await;
    both_ready(&nodes).await;
    cid.close();
}

#[tokio::test]
async fn what_cannot_be_a_server_is_an_error_at_once() {
    let refused = |url: &'static str| async move {
        let error = Redis::connect(url).await.unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    };
    assert!(refused("http://example.com").await.starts_with("the URL"));
    assert!(refused("redis://127.0.0.1:1").await.starts_with("cannot connect to Redis"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_refused_while_the_server_is_away_if_so_chosen() {
    let mut server = RedisServer::start().await;
    let builder = Cluster::builder(server.redis().await).when_down(WhenDown::Refuse);
    let node = node_of(wse::JsonArray, builder, 1).await;
    server.kill();
    eventually(2, "the loss is noticed", || !node.cluster.is_ready()).await;
    let refused = wse::Client::builder(wse::JsonArray, wse::memory::URL)
        .connector(wse::memory::connector(&node.server))
        .identity("ann".to_owned())
        .connect()
        .await;
    let Err(wse::ConnectError::Refused(close)) = refused else { panic!("{refused:?}") };
    assert_eq!(close.code, 1013);
}
