//! The scripts answer as the table in memory does, and the limit holds across nodes.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use wse::Text;
use wse_cluster::directory::{Device, Reply, Request, Table};
use wse_cluster::{AtLimit, Backplane, Inbox, NodeId, Session};

use crate::server::*;
use crate::support::*;

fn requests() -> impl Strategy<Value = Vec<Request>> {
    // With the characters that keys, members and patterns use themselves.
    let user = prop_oneof![Just("ann"), Just("b:ob\n%s"), Just("")].prop_map(Text::from);
    let device = (1..3_u128, 0..4_u64)
        .prop_map(|(node, conn_id)| Device { node: NodeId::new(node << 100), conn_id });
    let at_limit = prop_oneof![Just(AtLimit::Evict), Just(AtLimit::Refuse)];
    let lease = secs(600);
    let admit = (user.clone(), device.clone(), 0..4_usize, at_limit).prop_map(
        move |(user, device, limit, at_limit)| Request::Admit {
            user,
            device,
            limit,
            at_limit,
            lease,
        },
    );
    let release =
        (user.clone(), device).prop_map(|(user, device)| Request::Release { user, device });
    let places = prop::collection::vec((user.clone(), 0..4_u64), 0..6);
    let refresh = places.prop_map(move |places| {
        let node = NodeId::new(1 << 100);
        Request::Refresh { node, places, lease }
    });
    let find = user.prop_map(|user| Request::Find { user });
    prop::collection::vec(prop_oneof![4 => admit, 3 => release, 1 => refresh, 1 => find], 1..40)
}

async fn session(server: &RedisServer, namespace: &str) -> Arc<dyn Session> {
    server.redis().await.namespace(namespace).open(Inbox::unread()).await.unwrap()
}

#[test]
fn the_scripts_answer_as_the_table_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(RedisServer::start());
    let session = runtime.block_on(session(&server, "model"));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(requests in requests())| {
        runtime.block_on(server.command(&["FLUSHALL"]));
        let mut table = Table::default();
        for request in &requests {
            let reply = runtime.block_on(session.ask(request)).unwrap();
            prop_assert_eq!(reply, table.answer(secs(1), request), "{:?}", request);
        }
    });
}

#[tokio::test]
async fn places_lapse_in_redis_as_in_the_table() {
    let server = RedisServer::start().await;
    let session = session(&server, "lapse").await;
    let device = |conn_id| Device { node: NodeId::new(9), conn_id };
    let admit = |conn_id, millis| Request::Admit {
        user: "ann".into(),
        device: device(conn_id),
        limit: 5,
        at_limit: AtLimit::Evict,
        lease: Duration::from_millis(millis),
    };
    let ask = async |request: Request| session.ask(&request).await.unwrap();
    let reap = Request::Reap;
    let find = || Request::Find { user: "ann".into() };
    ask(admit(1, 50)).await;
    ask(admit(2, 60_000)).await;
    tokio::time::sleep(Duration::from_millis(70)).await;
    assert_eq!(ask(find()).await, Reply::Found(vec![device(2)]));
    assert_eq!(ask(reap.clone()).await, Reply::Reaped { left: vec![], more: false });
    ask(Request::Release { user: "ann".into(), device: device(2) }).await;
    ask(admit(3, 50)).await;
    tokio::time::sleep(Duration::from_millis(70)).await;
    let refresh =
        Request::Refresh { node: NodeId::new(9), places: vec![("ann".into(), 3)], lease: secs(60) };
    assert_eq!(ask(refresh).await, Reply::Refreshed { lost: vec![("ann".into(), 3)] });
    assert_eq!(ask(reap.clone()).await, Reply::Reaped { left: vec!["ann".into()], more: false });
    assert_eq!(ask(reap).await, Reply::Reaped { left: vec![], more: false });
    ask(admit(4, 50)).await;
    tokio::time::sleep(Duration::from_millis(70)).await;
    let admitted = Reply::Admitted { first: true, left: true, evicted: vec![] };
    assert_eq!(ask(admit(5, 60_000)).await, admitted);
    assert_eq!(server.command(&["DBSIZE"]).await, redis::Value::Int(2), "places and one user");
}

/// `LOGINS` times two devices log in at once, on two nodes, where one is allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_logins_at_once_never_exceed_the_limit() {
    let logins: usize = std::env::var("LOGINS").map_or(300, |logins| logins.parse().unwrap());
    let server = RedisServer::start().await;
    let [a, b] = [server.node("a", 1).await, server.node("b", 1).await];
    let log = Log::default();
    for number in 0..logins {
        let user = format!("user {number}");
        let clients = rivals([&a, &b], &user, &log).await;
        let count = || {
            let on = |node: &Node| node.server.user(user.as_str()).connections().len();
            on(&a) + on(&b)
        };
        eventually(15, "one is left", || count() <= 1).await;
        clients.iter().for_each(wse::Client::close);
        eventually(15, "none is left", || count() == 0).await;
        let all = || [a.users.sorted(), b.users.sorted()].concat();
        let mut users = all();
        eventually(5, "the user has left", || {
            users.extend(all());
            users.iter().any(|line| line.starts_with('-'))
        })
        .await;
        users.sort();
        assert_eq!(users, [format!("+{user}"), format!("-{user}")]);
    }
    assert_eq!(server.command(&["DBSIZE"]).await, redis::Value::Int(0), "nothing is left behind");
}
