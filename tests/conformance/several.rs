//! One server, and clients of which each speaks another protocol.

use wse::{Client, IdentityFrom, Reliable, Server, memory};
use wse_codecs::{Cbor, JsonArray, JsonRpc, MessagePack, Protobuf};
use wse_proto::Protocol;

use crate::net::*;
use crate::prefixed::Prefixed;
use crate::protocols::{All, negotiated};
use crate::support::endpoints::*;

/// A client of one of the protocols of a server that has them all.
async fn device<P: Talk>(protocol: P, server: &Server<All>, log: &Log) -> Client<P> {
    let log = log.clone();
    let name = format!("{protocol:?}");
    let client = Client::builder(protocol, memory::URL)
        .connector(memory::connector(server))
        .identity("secret of ann".to_owned())
        .header("authorization", bearer("ann"))
        .on("note", move |_, Note { text }: Note| {
            log.add(format!("{} {text}", name.split([' ', '{']).next().unwrap()));
            async {}
        })
        .connect()
        .await
        .unwrap();
    adds(&client).await.unwrap();
    client
}

#[tokio::test(start_paused = true)]
async fn devices_of_one_user_may_speak_different_protocols() {
    let log = Log::default();
    let server = server(&negotiated())
        .identity_from([IdentityFrom::bearer()])
        .connections_per_user(6)
        .build();
    let _devices = (
        device(JsonArray, &server, &log).await,
        device(Cbor, &server, &log).await,
        device(Protobuf, &server, &log).await,
        device(MessagePack, &server, &log).await,
        device(Prefixed::new(), &server, &log).await,
        device(JsonRpc::default(), &server, &log).await,
    );
    let lines = || {
        let mut lines = log.take();
        lines.sort();
        lines
    };
    assert_eq!(server.all().send("note", &note("all")).unwrap(), 6);
    settle().await;
    let all = ["Cbor", "JsonArray", "JsonRpc", "MessagePack", "Prefixed", "Protobuf"];
    assert_eq!(lines(), all.map(|name| format!("{name} all")));

    // Two of them have no receipts, and get nothing that wants one.
    let able = ["Cbor", "JsonArray", "MessagePack", "Protobuf"];
    let ann = server.user("ann");
    let (delivered, took) = timed(ann.send_acked("note", &note("acked"))).await;
    assert_eq!(counts(delivered), (4, 6));
    assert!(took < ms(10), "{took:?}");
    assert_eq!(lines(), able.map(|name| format!("{name} acked")));

    let mut conns = ann.connections();
    let left_out = conns.pop().unwrap();
    conns.iter().for_each(|conn| assert_eq!(conn.join("lobby"), Ok(true)));
    let first = server.room("lobby").except(&conns[0]).send("note", &note("room"));
    assert_eq!(first.unwrap(), 4);
    settle().await;
    let in_room = ["Cbor", "MessagePack", "Prefixed", "Protobuf"];
    assert_eq!(lines(), in_room.map(|name| format!("{name} room")));
    assert_eq!(left_out.join("lobby"), Ok(true));
    let report = server.room("lobby").send_acked("note", &note("acked")).await;
    assert_eq!(counts(report), (4, 6));
    assert_eq!(lines(), able.map(|name| format!("{name} acked")));

    ann.send_reliable(Reliable::default(), "note", &note("reliable")).await.unwrap();
    settle().await;
    assert_eq!(lines(), able.map(|name| format!("{name} reliable")));
    for conn in ann.connections() {
        let acked = conn.send_acked("note", &note("one")).await.is_ok();
        assert_eq!(lines().len(), usize::from(acked));
        assert_eq!(acked, conn.protocol().info().can().has_receipts());
    }
}
