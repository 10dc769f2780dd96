//! JSON-RPC 2.0 with the real jsonrpsee at the other end of a socket, and with peers that break its rules.

mod client;
mod rules;
mod server;

use crate::support::endpoints::{Log, ms, secs};
use crate::support::web::soon;
use futures::future::join_all;
use http::HeaderName;
use jsonrpsee::core::params::{ArrayParams, ObjectParams};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use wse::{
    Accept, CallError, Client, Counts, ErrorCode, Fault, Hello, IdentityFrom, Server,
    ServerBuilder, ServerEvent,
};
use wse_codecs::JsonRpc;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Subtract {
    minuend: i64,
    subtrahend: i64,
}

const fn subtract(minuend: i64, subtrahend: i64) -> Subtract {
    Subtract { minuend, subtrahend }
}

const X_USER: HeaderName = HeaderName::from_static("x-user");

/// The requests of all tests to our server. `notes` returns the notifications that came before.
fn handlers<S>(builder: ServerBuilder<JsonRpc, S>) -> ServerBuilder<JsonRpc, S> {
    let notes = Log::default();
    let noted = notes.clone();
    let noted_too = notes.clone();
    builder
        .procedure("subtract", |_, it: Subtract| async move { wse::Ok(it.minuend - it.subtrahend) })
        .procedure(
            "sum",
            |_, numbers: Vec<i64>| async move { wse::Ok(numbers.iter().sum::<i64>()) },
        )
        .procedure("upper", |_, text: String| async move { wse::Ok(text.to_uppercase()) })
        .procedure("who", |conn, (): ()| async move { wse::Ok(conn.user_id().to_owned()) })
        .procedure("nothing", |_, (): ()| async move { wse::Ok(()) })
        .procedure("withdraw", |conn, amount: u64| async move {
            let missing = conn.encode(&json!({ "missing": amount })).unwrap();
            Err::<(), _>(Fault::new("1001").message("not enough").details(missing))
        })
        .procedure("fail", |_, code: String| async move {
            Err::<(), _>(Fault::new(code.as_str()).message("as told"))
        })
        .procedure("announce", |conn, text: String| async move {
            conn.send("news", &subtract(2, 1))?;
            conn.send("news text", &text)?;
            conn.send("news bare", &())?;
            wse::Ok(())
        })
        .procedure("notes", move |_, (): ()| {
            let lines = notes.take();
            async move { wse::Ok(lines) }
        })
        .on("note", move |_, text: String| {
            noted.add(text);
            async {}
        })
        .on("note subtract", move |_, it: Subtract| {
            noted_too.add(format!("{} - {}", it.minuend, it.subtrahend));
            async {}
        })
}

/// A server that takes everybody, and what goes wrong there.
async fn open_server() -> (Server<JsonRpc>, Log) {
    let log = Log::default();
    let errors = log.clone();
    let server = handlers(Server::builder(JsonRpc::default()))
        .identify_with(|stranger, _: Hello<()>| async move {
            wse::Ok(Accept::user(format!("{}", stranger.peer_addr().unwrap())))
        })
        .on_event(move |event| match event {
            ServerEvent::Error(error) => {
                let who = error.conn.as_ref().map_or("nobody", |conn| conn.user_id());
                errors.add(format!("error {who}"));
            }
            ServerEvent::Disconnected(conn, close) => {
                errors.add(format!("disconnected {} {close}", conn.user_id()));
            }
            _ => {}
        })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    (server, log)
}

fn builder() -> WsClientBuilder {
    WsClientBuilder::default().request_timeout(secs(20)).connection_timeout(secs(20))
}

async fn see(server: &Server<JsonRpc>) -> WsClient {
    soon(builder().build(server.url().unwrap())).await.unwrap()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::time::sleep(ms(2)).await;
        }
    })
    .await;
    assert!(holds(), "{what}");
}

fn array(values: impl IntoIterator<Item = i64>) -> ArrayParams {
    let mut params = ArrayParams::new();
    values.into_iter().for_each(|it| params.insert(it).unwrap());
    params
}

fn named(it: &Subtract) -> ObjectParams {
    let mut params = ObjectParams::new();
    params.insert("subtrahend", it.subtrahend).unwrap();
    params.insert("minuend", it.minuend).unwrap();
    params
}

#[track_caller]
fn fault_of<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> Fault {
    match outcome {
        Err(CallError::Fault(fault)) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

#[tokio::test]
async fn both_ends_call_each_other_at_once() {
    const CALLS: usize = 100;
    // Nobody is answered before all have called: both ends wait for answers under the same ids.
    let barrier = std::sync::Arc::new(Barrier::new(2 * CALLS));
    let (here, there) = (barrier.clone(), barrier);
    let server = handlers(Server::builder(JsonRpc::default()))
        .identity_from([IdentityFrom::header(X_USER)])
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("double", move |_, number: i64| {
            let here = here.clone();
            async move {
                here.wait().await;
                wse::Ok(number * 2)
            }
        })
        .procedure("relay", |conn, it: Subtract| async move {
            wse::Ok(conn.call::<_, i64>("subtract", &it).await?)
        })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let client = Client::builder(JsonRpc::default(), server.url().unwrap())
        .header("x-user", "ann")
        .procedure("triple", move |_, number: i64| {
            let there = there.clone();
            async move {
                there.wait().await;
                wse::Ok(number * 3)
            }
        })
        .procedure("subtract", |_, it: Subtract| async move { wse::Ok(it.minuend - it.subtrahend) })
        .procedure("fail", |client, amount: u64| async move {
            let missing = client.encode(&json!({ "missing": amount })).unwrap();
            Err::<(), _>(Fault::new("1001").message("not enough").details(missing))
        });
    let client = soon(client.connect()).await.unwrap();
    eventually("ann is there", || server.user("ann").is_connected()).await;
    let conn = server.user("ann").connections().remove(0);

    let numbers = || 0..i64::try_from(CALLS).unwrap();
    let doubled = join_all(numbers().map(|it| {
        let client = &client;
        async move { client.call::<_, i64>("double", &it).await.unwrap() }
    }));
    let tripled = join_all(numbers().map(|it| {
        let conn = &conn;
        async move { conn.call::<_, i64>("triple", &it).await.unwrap() }
    }));
    let (doubled, tripled) = soon(futures::future::join(doubled, tripled)).await;
    assert_eq!(doubled, numbers().map(|it| it * 2).collect::<Vec<_>>());
    assert_eq!(tripled, numbers().map(|it| it * 3).collect::<Vec<_>>());

    let relayed: i64 = soon(client.call("relay", &subtract(9, 4))).await.unwrap();
    assert_eq!(relayed, 5);
    let fault = fault_of(soon(conn.call::<_, ()>("no such", &())).await);
    assert_eq!(fault.code, ErrorCode::NotRegistered);
    let fault = fault_of(soon(conn.call::<_, ()>("subtract", "five")).await);
    assert_eq!(fault.code, ErrorCode::InvalidPayload);
    let fault = fault_of(soon(conn.call::<_, ()>("fail", &7)).await);
    assert_eq!((fault.code.as_str(), fault.message.as_deref()), ("1001", Some("not enough")));
    assert_eq!(conn.decode::<Value>(&fault.details).unwrap(), json!({ "missing": 7 }));
    assert_eq!(server.counts(), Counts::default());
    assert_eq!(client.counts(), Counts::default());
}
