//! JSON-RPC 2.0 over pipes in memory: responses that break the rules, and methods that are called as messages.

use crate::support::endpoints::*;
use serde_json::{Value, json};
use wse::{
    Accept, Call, CallError, CallOptions, Client, ClientBuilder, ErrorCode, Fault, Hello, Server,
    ServerBuilder, ServerEvent, Speaks, memory,
};
use wse_codecs::{JsonArray, JsonRpc};

/// A client, and the server that the test plays.
async fn played() -> (Client<JsonRpc>, Raw) {
    let (dial, mut arrivals) = dialled();
    let client = Client::builder(JsonRpc::new(), memory::URL).connector(dial);
    let (client, raw) = tokio::join!(client.connect(), arrivals.accept());
    (client.unwrap(), raw)
}

/// The outcome of a call to which `response` comes back. `ID` in it is the id of the call. Fails if the client says
/// something to that, or waits.
async fn outcome(response: &str) -> Result<Value, CallError> {
    let (client, mut raw) = played().await;
    let serving = async {
        let call: Value = serde_json::from_str(&raw.hear().await).unwrap();
        raw.say(&response.replace("ID", &call["id"].to_string())).await;
        raw
    };
    let ((outcome, took), mut raw) =
        tokio::join!(timed(client.call::<_, Value>("m", &())), serving);
    assert!(took < secs(1), "{response}: {took:?}");
    assert_eq!(raw.hear_all().await, [] as [String; 0], "{response}");
    outcome
}

#[tokio::test(start_paused = true)]
async fn a_response_that_breaks_the_rules_ends_its_call_at_once_and_is_not_answered() {
    for response in [
        r#"{"jsonrpc":"2.0","id":ID}"#,
        r#"{"jsonrpc":"2.0","error":null,"id":ID}"#,
        r#"{"jsonrpc":"2.0","result":1,"error":{"code":1,"message":""},"id":ID}"#,
        r#"{"result":1,"id":ID}"#,
        r#"{"jsonrpc":"1.0","result":1,"error":null,"id":ID}"#,
        r#"{"error":{"code":1,"message":""},"id":ID}"#,
        r#"[{"jsonrpc":"2.0","id":ID}]"#,
        r#"[{"result":1,"id":ID},{"jsonrpc":"2.0","result":1}]"#,
    ] {
        let error = outcome(response).await.unwrap_err();
        assert!(matches!(error, CallError::Decode(_)), "{response}: {error:?}");
    }
    for (response, result) in [
        (r#"{"jsonrpc":"2.0","result":5,"error":null,"id":ID}"#, json!(5)),
        (r#"{"jsonrpc":"2.0","result":null,"error":null,"id":ID}"#, Value::Null),
        (r#"[{"jsonrpc":"2.0","error":null,"result":5,"id":ID}]"#, json!(5)),
    ] {
        assert_eq!(outcome(response).await.unwrap(), result, "{response}");
    }
    for (error, code, message) in [
        (r#"{"code":"E_NO","message":"no"}"#, "E_NO", Some("no")),
        (r#"{"code":-32601.0,"message":"no"}"#, ErrorCode::NotRegistered.as_str(), Some("no")),
        (r#"{"message":"no"}"#, ErrorCode::Failed.as_str(), Some("no")),
        (r#"{"code":5,"message":["no"]}"#, "5", Some("[\"no\"]")),
        (r#""no""#, ErrorCode::Failed.as_str(), Some("no")),
        ("false", ErrorCode::Failed.as_str(), Some("false")),
    ] {
        for result in ["", r#""result":null,"#] {
            let response = format!(r#"{{"jsonrpc":"2.0",{result}"error":{error},"id":ID}}"#);
            let Err(CallError::Fault(fault)) = outcome(&response).await else { panic!("{error}") };
            assert_eq!((fault.code.as_str(), fault.message.as_deref()), (code, message), "{error}");
        }
    }
}

/// Answers of the client to the server's answers could go on without end.
#[tokio::test(start_paused = true)]
async fn a_response_is_never_answered() {
    let (client, mut raw) = played().await;
    // A call that is over: its answer comes late.
    let late = client.call_within::<_, ()>(Some(ms(10)), "m", &()).await;
    assert!(matches!(late, Err(CallError::Timeout)));
    raw.hear_all().await;
    let before = client.counts().unreadable;
    for (response, unreadable) in [
        (r#"{"jsonrpc":"2.0","id":"1"}"#, 1),
        (r#"{"jsonrpc":"2.0","result":1}"#, 1),
        (r#"{"result":1,"id":"99"}"#, 1),
        (r#"{"jsonrpc":"2.0","result":1,"id":[1]}"#, 1),
        (r#"{"jsonrpc":"2.0","error":{"code":1,"message":""}}"#, 0),
        (r#"{"error":"no","id":null}"#, 1),
    ] {
        let before = client.counts().unreadable;
        raw.say(response).await;
        assert_eq!(raw.hear_all().await, [] as [String; 0], "{response}");
        assert_eq!(client.counts().unreadable, before + unreadable, "{response}");
    }
    assert!(client.counts().unreadable > before);
    // A request that breaks the rules is answered under its id.
    for (request, id) in [
        (r#"{"jsonrpc":"2.0","method":"m","params":5,"id":7}"#, json!(7)),
        (r#"{"method":"m","id":"x"}"#, json!("x")),
        (r#"{"jsonrpc":"2.0","id":"2"}"#, json!("2")),
        (r#"{"jsonrpc":"2.0","method":5}"#, Value::Null),
    ] {
        raw.say(request).await;
        let answer: Value = serde_json::from_str(&raw.hear().await).unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(-32600)), "{request}");
    }
    assert_eq!(raw.hear_all().await, [] as [String; 0]);
}

/// A message handler and two procedures, of either end.
macro_rules! methods {
    ($builder:expr, $log:expr) => {{
        let [noted, added, slept] = [$log.clone(), $log.clone(), $log.clone()];
        $builder
            .on("note", move |_, text: String| {
                noted.add(format!("note {text}"));
                async move {
                    tokio::task::yield_now().await;
                    match text.as_str() {
                        "fault" => Err(wse::BoxError::from(Fault::new("7").message("no"))),
                        "error" => Err("secret".into()),
                        _ => Ok(()),
                    }
                }
            })
            .procedure("add", move |_, Add { a, b }: Add| {
                added.add(format!("add {a} {b}"));
                async move { a.checked_add(b).ok_or(Fault::new("8").message("too large")) }
            })
            .procedure_with("sleep", move |_, call: Call<u64>| {
                let slept = slept.clone();
                let receipt = call.want_receipt(None);
                async move {
                    tokio::time::sleep(ms(call.payload)).await;
                    slept.add(format!("slept {}", call.is_cancelled()));
                    drop(receipt);
                    wse::Ok(call.payload)
                }
            })
    }};
}

async fn ends<P>(protocol: P, log: &Log) -> (Server<P>, Client<P>, wse::Conn<P>)
where
    P: Speaks<String> + Speaks<Option<String>> + Speaks<()>,
    P: Speaks<Add> + Speaks<i64> + Speaks<u64>,
{
    let errors = log.clone();
    let server: ServerBuilder<P> = Server::builder(protocol.clone())
        .identify_with(|_, _: Hello<Option<String>>| async move { wse::Ok(Accept::user("ann")) });
    let server = server.on_event(move |event| {
        if let ServerEvent::Error(error) = event {
            errors.add(format!("error {} {}", error.name.as_deref().unwrap(), error.code));
        }
    });
    let server = methods!(server, log).build();
    let client: ClientBuilder<P> =
        Client::builder(protocol, memory::URL).connector(memory::connector(&server));
    let client = client.identity("ann".to_owned());
    let client = methods!(client, log).connect().await.unwrap();
    settle().await;
    let conn = server.user("ann").connections().remove(0);
    (server, client, conn)
}

/// §4.1: the caller alone decides whether it wants an answer.
#[tokio::test(start_paused = true)]
async fn methods_are_one_set_in_json_rpc() {
    let log = Log::default();
    let (_server, client, conn) = ends(JsonRpc::new(), &log).await;
    // A call of a message handler is answered when it has ended.
    client.call::<_, ()>("note", "one").await.unwrap();
    conn.call::<_, ()>("note", "two").await.unwrap();
    assert_eq!(log.take(), ["note one", "note two"]);
    let fault = client.call::<_, ()>("note", "fault").await.unwrap_err();
    assert_eq!(fault.code().as_str(), "7");
    let Err(CallError::Fault(fault)) = client.call::<_, ()>("note", "error").await else {
        panic!()
    };
    assert_eq!(fault.code, ErrorCode::Failed);
    assert!(!fault.message.unwrap().contains("secret"));
    let Err(CallError::Fault(fault)) = client.call::<_, ()>("note", &5_i64).await else { panic!() };
    assert_eq!(fault.code, ErrorCode::InvalidPayload);
    log.take();
    // A notification of a procedure runs it. Its result goes nowhere, and its error to the events.
    client.send("add", &Add { a: 1, b: 2 }).unwrap();
    conn.send("add", &Add { a: 3, b: 4 }).unwrap();
    client.send("add", &Add { a: i64::MAX, b: 1 }).unwrap();
    client.send("add", "nothing to add").unwrap();
    client.send("sleep", &20_u64).unwrap();
    client.send("sleep", &10_u64).unwrap();
    client.send("unknown", "x").unwrap();
    tokio::time::sleep(ms(100)).await;
    let mut lines = log.take();
    lines.sort_unstable();
    let expected = [
        "add 1 2",
        "add 3 4",
        &format!("add {} 1", i64::MAX),
        "error add 8",
        &format!("error add {}", ErrorCode::MessageProcessing),
        "slept false",
        "slept false",
    ];
    assert_eq!(lines, expected);
    // Nothing was answered, and calls work as before.
    assert_eq!(client.counts(), wse::Counts::default());
    assert_eq!(client.call::<_, i64>("add", &Add { a: 1, b: 2 }).await.unwrap(), 3);
    let mut call = client.call_acked::<_, u64>(CallOptions::default(), "sleep", &5_u64).unwrap();
    assert_eq!(call.result().await.unwrap(), 5);
    let unknown = client.call::<_, ()>("unknown", &()).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::NotRegistered);
}

#[tokio::test(start_paused = true)]
async fn messages_and_calls_have_sets_of_their_own_elsewhere() {
    let log = Log::default();
    let (_server, client, _conn) = ends(JsonArray, &log).await;
    let unknown = client.call::<_, ()>("note", "one").await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::NotRegistered);
    client.send("add", &Add { a: 1, b: 2 }).unwrap();
    settle().await;
    assert_eq!(log.take(), [] as [String; 0]);
}
