//! Users are counted on all nodes together.

use wse::{Close, CloseReason, ConnectError, JsonArray};
use wse_cluster::{AtLimit, Cluster, Memory};

use crate::support::*;

fn too_many() -> Close {
    Close::normal(CloseReason::ClientsConcurrency)
}

#[tokio::test(start_paused = true)]
async fn a_user_joins_and_leaves_once() {
    let (memory, log) = (Memory::new(), Log::default());
    let [a, b, c] = three(&memory).await;
    let first = client(&a, "ann", &log).await;
    let second = client(&b, "ann", &log).await;
    let third = client(&c, "ann", &log).await;
    settle().await;
    assert_eq!(
        (a.users.take(), b.users.take(), c.users.take()),
        (vec!["+ann".into()], vec![], vec![])
    );
    for client in [first, third, second] {
        client.close();
    }
    settle().await;
    assert_eq!(
        (a.users.take(), c.users.take(), b.users.take()),
        (vec![], vec![], vec!["-ann".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn the_oldest_connection_on_any_node_is_closed() {
    let (memory, log) = (Memory::new(), Log::default());
    let builder = |name: &str| Cluster::builder(memory.clone()).name(name.to_owned());
    let a = node_of(JsonArray, builder("a"), 2).await;
    let b = node_of(JsonArray, builder("b"), 2).await;
    let first = client(&a, "ann", &log).await;
    let second = client(&b, "ann", &log).await;
    let third = client(&b, "ann", &log).await;
    assert_eq!(first.closed().await.unwrap(), too_many());
    let fourth = client(&a, "ann", &log).await;
    assert_eq!(second.closed().await.unwrap(), too_many());
    settle().await;
    assert_eq!([a.users.take(), b.users.take()].concat(), ["+ann"]);
    for client in [third, fourth] {
        client.close();
    }
    settle().await;
    assert_eq!([a.users.take(), b.users.take()].concat(), ["-ann"]);
}

#[tokio::test(start_paused = true)]
async fn a_further_connection_is_refused_if_so_chosen() {
    let (memory, log) = (Memory::new(), Log::default());
    let builder = || Cluster::builder(memory.clone()).at_limit(AtLimit::Refuse);
    let [a, b] = [node_of(JsonArray, builder(), 1).await, node_of(JsonArray, builder(), 1).await];
    let first = client(&a, "ann", &log).await;
    for node in [&a, &b] {
        let refused = wse::Client::builder(JsonArray, wse::memory::URL)
            .connector(wse::memory::connector(&node.server))
            .identity("ann".to_owned())
            .connect()
            .await;
        let Err(ConnectError::Refused(close)) = refused else { panic!("{refused:?}") };
        assert_eq!(close, too_many());
    }
    first.close();
    settle().await;
    client(&b, "ann", &log).await.close();
    settle().await;
    assert_eq!([a.users.take(), b.users.take()].concat(), ["+ann", "-ann", "+ann", "-ann"]);
}

#[tokio::test(start_paused = true)]
async fn two_logins_at_once_never_exceed_the_limit() {
    let (memory, log) = (Memory::new(), Log::default());
    let builder = || Cluster::builder(memory.clone());
    let [a, b] = [node_of(JsonArray, builder(), 1).await, node_of(JsonArray, builder(), 1).await];
    for _ in 0..100 {
        let clients = rivals([&a, &b], "ann", &log).await;
        settle().await;
        let here = a.server.user("ann").connections().len();
        let there = b.server.user("ann").connections().len();
        assert_eq!(here + there, 1);
        for client in clients {
            client.close();
        }
        settle().await;
        let users = [a.users.take(), b.users.take()].concat();
        assert_eq!(users.iter().filter(|it| *it == "+ann").count(), 1, "{users:?}");
        assert_eq!(users.iter().filter(|it| *it == "-ann").count(), 1, "{users:?}");
    }
}

/// The client disconnects while it is admitted, at every moment of that.
#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_leaves_no_place_behind() {
    let (memory, log) = (Memory::new(), Log::default());
    let [a, b, _c] = three(&memory).await;
    for polls in 0..40 {
        let mut connecting = Box::pin(client(&a, "ann", &log));
        for _ in 0..polls {
            if futures::poll!(&mut connecting).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(connecting);
        tokio::time::sleep(secs(1)).await;
        let users = a.users.take();
        assert!(users.is_empty() || users == ["+ann", "-ann"], "{polls}: {users:?}");
        // There is no ghost: the next one is the first.
        client(&b, "ann", &log).await.close();
        settle().await;
        assert_eq!(b.users.take(), ["+ann", "-ann"], "{polls}");
    }
}
