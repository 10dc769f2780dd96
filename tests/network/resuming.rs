//! Connections that outlive real sockets, over every protocol that has resume: a relay between client and server is cut again and
//! again, in the middle of whatever is under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wse::{
    Backoff, Cbor, Client, ClientEvent, JsonArray, MessagePack, Protobuf, ResumeLimits, Resumed,
};

use crate::support::endpoints::*;

/// How often the relay is cut, and how many messages go either way between two cuts.
const CUTS: usize = 8;
const BURST: usize = 40;

/// Passes bytes on, until it is told to drop all sockets.
struct Relay {
    addr: SocketAddr,
    cuts: watch::Sender<usize>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let cuts = watch::Sender::new(0);
        let sockets = cuts.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut cut = sockets.subscribe();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { addr, cuts }
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

/// Counts numbers that come in order.
#[derive(Clone, Default)]
struct InOrder(Arc<AtomicUsize>);

impl InOrder {
    fn add(&self, text: &str) {
        assert_eq!(text, self.0.fetch_add(1, Ordering::Relaxed).to_string());
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

async fn nothing_is_lost<P: Talk>(protocol: P) {
    let [at_server, at_client, resumed] = std::array::from_fn(|_| InOrder::default());
    let (server_heard, client_heard) = (at_server.clone(), at_client.clone());
    let server = server(&protocol)
        .resume(ResumeLimits::default())
        .procedure("slow", |_, Note { text }: Note| async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            wse::Ok(note(text))
        })
        .on("note", move |_, Note { text }: Note| {
            server_heard.add(&text);
            async {}
        })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let relay = Relay::to(server.local_addrs()[0]).await;
    let times = resumed.clone();
    let ann: Client<P> = Client::builder(protocol, format!("ws://{}", relay.addr))
        .identity("secret of ann".to_owned())
        .reconnect(Backoff::default().base(Duration::from_millis(5)).cap(Duration::from_millis(20)))
        .on("note", move |_, Note { text }: Note| {
            client_heard.add(&text);
            async {}
        })
        .on_event(move |event| match event {
            ClientEvent::Resumed(Resumed::Full) => drop(times.0.fetch_add(1, Ordering::Relaxed)),
            ClientEvent::Resumed(gap) => panic!("{gap:?}"),
            ClientEvent::Closed(close) => assert_eq!(close.code, 1000, "{close}"),
            _ => {}
        })
        .connect()
        .await
        .unwrap();
    let conn = server.user("ann").connections().pop().unwrap();
    for cut in 0..CUTS {
        let text = cut.to_string();
        let calls = join_all((0..4).map(|_| async {
            let answer: Note = ann.call("slow", &note(text.clone())).await.unwrap();
            assert_eq!(answer.text, text);
        }));
        let messages = async {
            for n in cut * BURST..(cut + 1) * BURST {
                ann.send("note", &note(n.to_string())).unwrap();
                conn.send("note", &note(n.to_string())).unwrap();
                if n % BURST == BURST / 2 + cut {
                    tokio::task::yield_now().await;
                    relay.cut();
                }
            }
        };
        tokio::join!(calls, messages);
    }
    while (at_server.count(), at_client.count()) != (CUTS * BURST, CUTS * BURST) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(resumed.count() >= CUTS, "{}", resumed.count());
    assert_eq!(server.user("ann").connections()[0].id(), conn.id());
    ann.close();
    ann.closed().await;
}

async fn soon(test: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs");
}

#[tokio::test]
async fn nothing_is_lost_over_json() {
    soon(nothing_is_lost(JsonArray)).await;
}

#[tokio::test]
async fn nothing_is_lost_over_cbor() {
    soon(nothing_is_lost(Cbor)).await;
}

#[tokio::test]
async fn nothing_is_lost_over_messagepack() {
    soon(nothing_is_lost(MessagePack)).await;
}

#[tokio::test]
async fn nothing_is_lost_over_protobuf() {
    soon(nothing_is_lost(Protobuf)).await;
}
