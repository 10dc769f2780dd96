//! jsonrpsee's client, our server.

use futures::future::try_join_all;
use http::{HeaderMap, HeaderValue};
use jsonrpsee::core::client::{ClientT, Error, IdKind, SubscriptionClientT};
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::PingConfig;
use tokio::sync::watch;
use wse::{Heartbeat, Refuse};

use super::*;

/// Code, message and data of a call that failed.
#[track_caller]
fn error_of<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (i32, String, Value) {
    match outcome {
        Err(Error::Call(error)) => {
            let data =
                error.data().map_or(Value::Null, |it| serde_json::from_str(it.get()).unwrap());
            (error.code(), error.message().to_owned(), data)
        }
        other => panic!("no error of the call: {other:?}"),
    }
}

#[tokio::test]
async fn jsonrpsee_calls_notifies_and_fails_with_either_kind_of_id() {
    for kind in [IdKind::Number, IdKind::String] {
        let (server, log) = open_server().await;
        let url = server.url().unwrap();
        let client: WsClient = soon(builder().id_format(kind).build(url)).await.unwrap();

        // The first id is 0.
        assert_eq!(soon(client.request::<i64, _>("subtract", array([42, 23]))).await.unwrap(), 19);
        let by_name = named(&subtract(42, 23));
        assert_eq!(soon(client.request::<i64, _>("subtract", by_name)).await.unwrap(), 19);
        assert_eq!(soon(client.request::<i64, _>("sum", array(1..=9))).await.unwrap(), 45);
        let upper: String = soon(client.request("upper", rpc_params!["é\u{0}\""])).await.unwrap();
        assert_eq!(upper, "É\u{0}\"");
        for params in [rpc_params![], rpc_params![()]] {
            let who: String = soon(client.request("who", params)).await.unwrap();
            assert_eq!(who, server.connections()[0].user_id());
        }
        soon(client.request::<(), _>("nothing", rpc_params![])).await.unwrap();
        assert_eq!(log.lines(), [""; 0]);

        soon(client.notification("note", rpc_params!["one"])).await.unwrap();
        soon(client.notification("note subtract", named(&subtract(3, 2)))).await.unwrap();
        soon(client.notification("nobody hears it", rpc_params!["two"])).await.unwrap();
        soon(client.notification("note", rpc_params![3])).await.unwrap();
        let notes: Vec<String> = soon(client.request("notes", rpc_params![])).await.unwrap();
        assert_eq!(notes, ["one", "3 - 2"]);
        // The one that is no text.
        assert_eq!(log.take().len(), 1);

        let outcome = soon(client.request::<(), _>("no such", rpc_params![])).await;
        let (code, message, data) = error_of(outcome);
        assert_eq!((code, message.as_str(), data), (-32601, "Method not found", Value::Null));
        for params in [array([1]), array([1, 2, 3])] {
            let outcome = soon(client.request::<(), _>("subtract", params)).await;
            assert_eq!(error_of(outcome).0, -32602);
        }
        let outcome = soon(client.request::<(), _>("withdraw", array([7]))).await;
        let expected = (1001, "not enough".to_owned(), json!({ "missing": 7 }));
        assert_eq!(error_of(outcome), expected);
        for (code, number, data) in [
            ("-32050", -32050, Value::Null),
            ("0", 0, Value::Null),
            ("wse.server.rp.failed", -32000, Value::Null),
            ("shop.closed", -32000, json!({ "code": "shop.closed" })),
        ] {
            let outcome = soon(client.request::<(), _>("fail", rpc_params![code])).await;
            assert_eq!(error_of(outcome), (number, "as told".to_owned(), data), "{code}");
        }

        // A fault is an event of its connection; nothing else has happened.
        assert_eq!(log.take().len(), 7);
        assert!(client.is_connected());
        assert_eq!(server.counts(), Counts::default());
        drop(client);
        eventually("it has left", || server.connections().is_empty()).await;
    }
}

#[tokio::test]
async fn a_batch_of_jsonrpsee_is_answered_member_by_member() {
    for kind in [IdKind::Number, IdKind::String] {
        let (server, _) = open_server().await;
        let url = server.url().unwrap();
        let client: WsClient = soon(builder().id_format(kind).build(url)).await.unwrap();
        let mut batch = BatchRequestBuilder::new();
        batch.insert("subtract", array([5, 3])).unwrap();
        batch.insert("no such", rpc_params![]).unwrap();
        batch.insert("subtract", named(&subtract(1, 2))).unwrap();
        batch.insert("subtract", rpc_params!["five"]).unwrap();
        batch.insert("withdraw", array([1])).unwrap();
        batch.insert("sum", array([7])).unwrap();
        let answers = soon(client.batch_request::<i64>(batch)).await.unwrap();
        assert_eq!((answers.num_successful_calls(), answers.num_failed_calls()), (3, 3));
        let answers = answers.into_iter().map(|it| it.map_err(|error| error.code()));
        let expected = [Ok(2), Err(-32601), Ok(-1), Err(-32602), Err(1001), Ok(7)];
        assert_eq!(answers.collect::<Vec<_>>(), expected);

        // As large as may be, several at once, and calls between them.
        let rounds = join_all((0..4).map(|round| {
            let client = &client;
            async move {
                let mut batch = BatchRequestBuilder::new();
                (0..100).for_each(|it| batch.insert("sum", array([round, it])).unwrap());
                let answers = client.batch_request::<i64>(batch).await.unwrap();
                let sum: i64 = client.request("sum", array([round])).await.unwrap();
                assert_eq!(sum, round);
                answers.into_iter().map(Result::unwrap).collect::<Vec<_>>()
            }
        }));
        for (round, sums) in (0..).zip(soon(rounds).await) {
            assert_eq!(sums, (0..100).map(|it| it + round).collect::<Vec<i64>>());
        }
        assert!(client.is_connected());
        assert_eq!(server.counts(), Counts::default());
    }
}

#[tokio::test]
async fn many_calls_of_jsonrpsee_are_answered_out_of_order() {
    const CALLS: i64 = 200;
    let (server, log) = open_server().await;
    // Each call waits for the one behind it: the last is answered first.
    let turn = watch::Sender::new(CALLS);
    server.procedure("reversed", move |_, number: i64| {
        let turn = turn.clone();
        async move {
            turn.subscribe().wait_for(|it| *it == number + 1).await?;
            turn.send_replace(number);
            wse::Ok(number * 10)
        }
    });
    let client = see(&server).await;
    let calls = (0..CALLS).map(|it| client.request::<i64, _>("reversed", array([it])));
    let answers = soon(try_join_all(calls)).await.unwrap();
    assert_eq!(answers, (0..CALLS).map(|it| it * 10).collect::<Vec<_>>());
    assert_eq!((server.counts(), log.lines().len()), (Counts::default(), 0));
}

#[tokio::test]
async fn jsonrpsee_hears_the_notifications_of_our_server() {
    let (server, log) = open_server().await;
    let client = see(&server).await;
    let mut news = soon(client.subscribe_to_method::<Subtract>("news")).await.unwrap();
    let mut texts = soon(client.subscribe_to_method::<(String,)>("news text")).await.unwrap();
    let mut bare = soon(client.subscribe_to_method::<Value>("news bare")).await.unwrap();
    soon(client.request::<(), _>("announce", rpc_params!["hi"])).await.unwrap();
    assert_eq!(soon(news.next()).await.unwrap().unwrap(), subtract(2, 1));
    assert_eq!(soon(texts.next()).await.unwrap().unwrap(), ("hi".to_owned(),));
    assert_eq!(soon(bare.next()).await.unwrap().unwrap(), Value::Null);
    // What it did not ask for does not disturb it, and a broadcast comes to all.
    let other = see(&server).await;
    soon(other.request::<(), _>("nothing", rpc_params![])).await.unwrap();
    let mut also = soon(other.subscribe_to_method::<Subtract>("news")).await.unwrap();
    server.all().send("unasked", &subtract(0, 0)).unwrap();
    assert_eq!(server.all().send("news", &subtract(9, 8)).unwrap(), 2);
    for news in [&mut news, &mut also] {
        assert_eq!(soon(news.next()).await.unwrap().unwrap(), subtract(9, 8));
    }
    assert!(client.is_connected() && other.is_connected());
    assert_eq!((server.counts(), log.lines().len()), (Counts::default(), 0));
}

#[tokio::test]
async fn the_heartbeats_of_both_ends_disturb_nobody() {
    let server = handlers(Server::builder(JsonRpc::default()))
        .identify(|_: Hello<()>| async move { wse::Ok(Accept::user("it")) })
        .heartbeat(Heartbeat::fixed(ms(20), secs(20)))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let pings = PingConfig::new().ping_interval(ms(60)).inactive_limit(secs(20)).max_failures(1);
    let client = builder().enable_ws_ping(pings).build(server.url().unwrap());
    let client: WsClient = soon(client).await.unwrap();
    soon(client.request::<(), _>("nothing", rpc_params![])).await.unwrap();
    let conn = server.connections().remove(0);
    eventually("ten pongs", || conn.liveness().unwrap().pongs >= 10).await;
    assert_eq!(soon(client.request::<i64, _>("sum", array([1, 2]))).await.unwrap(), 3);
    assert!(client.is_connected());
    assert_eq!(server.counts(), Counts::default());
}

#[tokio::test]
async fn who_jsonrpsee_is_says_the_http_request() {
    let server = handlers(Server::builder(JsonRpc::default()))
        .identity_from([IdentityFrom::bearer(), IdentityFrom::header(X_USER)])
        .identify(|hello: Hello<String>| async move {
            // While it thinks, the client calls already.
            tokio::task::yield_now().await;
            match hello.identity.strip_prefix("secret of ") {
                Some(user) => Ok(Accept::user(user).welcome("not sent".to_owned())),
                None => Err(Refuse::not_authorized()),
            }
        })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let url = server.url().unwrap();
    let with = async |fields: &[(HeaderName, &'static str)]| -> WsClient {
        let fields = fields.iter().map(|(name, value)| (name.clone(), *value));
        let fields: HeaderMap =
            fields.map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        soon(builder().set_headers(fields).build(&url)).await.unwrap()
    };
    let bearer = http::header::AUTHORIZATION;
    for (fields, user) in [
        (vec![(bearer.clone(), "Bearer secret of ann")], "ann"),
        (vec![(X_USER, "secret of bob")], "bob"),
        (vec![(X_USER, "secret of bob"), (bearer.clone(), "Bearer secret of eve")], "eve"),
        (vec![(X_USER, "secret of dan"), (bearer.clone(), "Basic abc")], "dan"),
    ] {
        let client = with(&fields).await;
        assert_eq!(soon(client.request::<String, _>("who", rpc_params![])).await.unwrap(), user);
        assert!(client.is_connected());
    }
    for fields in [vec![], vec![(X_USER, "a guess")], vec![(bearer, "Bearer ")]] {
        let client = with(&fields).await;
        let outcome = soon(client.request::<String, _>("who", rpc_params![])).await;
        assert!(matches!(outcome, Err(Error::RestartNeeded(_))), "{fields:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_client_that_cannot_know_that_it_must_wait_may_begin_at_once() {
    let server = handlers(Server::builder(JsonRpc::default()))
        .identify(|_: Hello<()>| async move {
            tokio::task::yield_now().await;
            wse::Ok(Accept::user("it"))
        })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let client = see(&server).await;
    let mut batch = BatchRequestBuilder::new();
    (0..100).for_each(|it| batch.insert("sum", array([it])).unwrap());
    let answers = soon(client.batch_request::<i64>(batch)).await.unwrap();
    assert_eq!(answers.num_successful_calls(), 100);
}
