//! What is sent on one node arrives on the others.

use wse::{Cbor, Close, JsonArray, Negotiated};
use wse_cluster::{Cluster, Memory};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn messages_reach_the_connections_on_all_nodes() {
    let (memory, log) = (Memory::new(), Log::default());
    let [a, b, c] = three(&memory).await;
    let _clients = [
        client(&a, "ann", &log).await,
        client(&b, "ann", &log).await,
        client(&b, "bob", &log).await,
        client(&c, "cid", &log).await,
    ];
    let text = |text: &str| text.to_owned();

    assert_eq!(a.server.all().send("note", &text("all")).unwrap(), 1, "here");
    settle().await;
    assert_eq!(log.sorted(), ["ann all", "ann all", "bob all", "cid all"]);

    a.server.all().except_user("bob").send("note", &text("but bob")).unwrap();
    settle().await;
    assert_eq!(log.sorted(), ["ann but bob", "ann but bob", "cid but bob"]);

    let ann = a.server.user("ann");
    let here = ann.connections().pop().unwrap();
    ann.except(&here).send("note", &text("other devices")).unwrap();
    settle().await;
    assert_eq!(log.take(), ["ann other devices"]);

    for user in ["bob", "cid", "nobody"] {
        c.server.user(user).send("note", &text("hi")).unwrap();
    }
    settle().await;
    assert_eq!(log.sorted(), ["bob hi", "cid hi"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_has_members_on_all_nodes() {
    let (memory, log) = (Memory::new(), Log::default());
    let [a, b, c] = three(&memory).await;
    let clients = [
        client(&a, "ann", &log).await,
        client(&b, "bob", &log).await,
        client(&c, "cid", &log).await,
    ];
    let channels = memory.channels();
    for client in &clients[..2] {
        client.send("join", &"lobby".to_owned()).unwrap();
    }
    settle().await;
    assert_eq!(memory.channels(), channels + 1);
    let lobby = c.server.room("lobby");
    assert_eq!(lobby.send("note", &"from c".to_owned()).unwrap(), 0);
    settle().await;
    assert_eq!(log.sorted(), ["ann from c", "bob from c"]);
    lobby.except_user("ann").send("note", &"but ann".to_owned()).unwrap();
    settle().await;
    assert_eq!(log.take(), ["bob but ann"]);

    // In order, as the sender has sent.
    let texts: Vec<_> = (0..100).map(|i| format!("{i}")).collect();
    for text in &texts {
        a.server.room("lobby").except_user("ann").send("note", text).unwrap();
    }
    settle().await;
    assert_eq!(log.take(), texts.iter().map(|text| format!("bob {text}")).collect::<Vec<_>>());

    for client in clients {
        client.close();
    }
    settle().await;
    assert_eq!(memory.channels(), channels - 3, "no room, no users");
    lobby.send("note", &"nobody".to_owned()).unwrap();
    settle().await;
    assert!(log.take().is_empty());
    for node in [&a, &b, &c] {
        assert!(!node.events.take().iter().any(|event| event.starts_with("gap")));
    }
}

/// A payload is encoded for each protocol, since another node cannot translate it.
#[tokio::test(start_paused = true)]
async fn each_client_gets_messages_in_its_protocol() {
    let (memory, log) = (Memory::new(), Log::default());
    let both = Negotiated::new((JsonArray, Cbor));
    let builder = |name: &str| Cluster::builder(memory.clone()).name(name.to_owned());
    let a = node_of(both.clone(), builder("a"), 9).await;
    let b = node_of(both.clone(), builder("b"), 9).await;
    let only = node_of(JsonArray, builder("c"), 9).await;
    let _ann = wse::Client::builder(Cbor, wse::memory::URL)
        .connector(wse::memory::connector(&b.server))
        .identity("ann".to_owned())
        .on("note", {
            let log = log.clone();
            move |_, text: String| {
                log.add(format!("cbor {text}"));
                async {}
            }
        })
        .connect()
        .await
        .unwrap();
    let _bob = client_of(both, &b, "bob", &log).await;
    let _cid = client(&only, "cid", &log).await;
    a.server.all().send("note", &"one".to_owned()).unwrap();
    settle().await;
    assert_eq!(log.sorted(), ["bob one", "cbor one", "cid one"]);
    // The third node has no encoding for the others' CBOR.
    only.server.all().send("note", &"two".to_owned()).unwrap();
    settle().await;
    assert_eq!(log.sorted(), ["bob two", "cid two"]);
}

#[tokio::test(start_paused = true)]
async fn a_user_is_closed_on_all_nodes() {
    let (memory, log) = (Memory::new(), Log::default());
    let [a, b, c] = three(&memory).await;
    let (here, there) = (client(&a, "ann", &log).await, client(&b, "ann", &log).await);
    let _bob = client(&b, "bob", &log).await;
    c.server.close_user("ann", Close::new(4009, "banned"));
    for client in [here, there] {
        assert_eq!(client.closed().await.unwrap(), Close::new(4009, "banned"));
    }
    settle().await;
    let users = [a.users.take(), b.users.take(), c.users.take()].concat();
    assert_eq!(users.len(), 3, "{users:?}");
    assert!(["+ann", "+bob", "-ann"].iter().all(|it| users.iter().any(|user| user == it)));
}
