//! Errors that handlers return: what the peer, the error event and its source get.

// These tests are about the conversion by `?`.
#![allow(clippy::needless_question_mark)]

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use crate::support::endpoints::*;
use anyhow::Context;
use wse::{
    Accept, BoxError, Call, CallError, ClientBuilder, ClientEvent, ConnectError, ErrorCode, Fault,
    Hello, Refuse, Server, ServerBuilder, Unhandled,
};
use wse_codecs::JsonArray;

crate::over_every_protocol! {
    a_client_gets_an_id_in_place_of_an_error
    a_server_gets_an_id_in_place_of_an_error
    errors_of_message_handlers_are_events
    errors_are_exposed_on_request
    a_fault_arrives_as_it_was_built
    a_forwarded_fault_keeps_code_and_message
    an_error_whose_text_panics_ends_one_call
    a_cancelled_token_of_a_call_does_not_cancel_the_call
    an_error_of_identify_is_no_refusal
    a_refusal_is_found_among_causes
    errors_of_credentials_and_solvers_stay_on_the_client
    application_state_is_found_by_type
}

/// The text that no peer may see.
const SECRET: &str = "password=hunter2";

fn read() -> io::Result<i64> {
    Err(io::Error::other(SECRET))
}

/// An error type of the application.
#[derive(Debug)]
struct Own<E>(E);

impl<E> fmt::Display for Own<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot load the user")
    }
}

impl<E: Error + 'static> Error for Own<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// The handlers of [`failing`], and the messages of their error events.
const FAILURES: [(&str, &str); 9] = [
    ("io", SECRET),
    ("string", SECRET),
    ("str", SECRET),
    ("boxed", SECRET),
    ("any", SECRET),
    ("anyhow", "cannot read the settings: password=hunter2"),
    ("own", "cannot load the user: password=hunter2"),
    ("panic", "the handler panicked"),
    ("start", "the handler panicked"),
];

/// A builder, of a server or a client, with a procedure and a message handler per kind of error.
macro_rules! failing {
    ($builder:expr) => {
        $builder
            .procedure("io", |_, (): ()| async { io::Result::Ok(read()?) })
            .procedure("string", |_, (): ()| async {
                Result::<i64, String>::Ok(read().map_err(|error| error.to_string())?)
            })
            .procedure("str", |_, (): ()| async { Err::<i64, &str>(SECRET) })
            .procedure("boxed", |_, (): ()| async {
                Result::<i64, Box<dyn Error + Send + Sync>>::Ok(read()?)
            })
            .procedure("any", |_, (): ()| async { wse::Ok(read()?) })
            .procedure("anyhow", |_, (): ()| async {
                anyhow::Ok(read().context("cannot read the settings")?)
            })
            .procedure("own", |_, (): ()| async {
                Result::<i64, Own<io::Error>>::Ok(read().map_err(Own)?)
            })
            .procedure("panic", |_, (): ()| async { wse::Ok(read().expect(SECRET)) })
            .procedure("start", |_, (): ()| {
                let number = read().expect(SECRET);
                async move { wse::Ok(number) }
            })
            .procedure_with("with", |_, _: Call<()>| async { wse::Ok(read()?) })
            .procedure_with("with own", |_, _: Call<()>| async { read().map_err(Own) })
            .on("io", |_, (): ()| async { io::Result::Ok(read()?) })
            .on("string", |_, (): ()| async {
                Result::<&str, String>::Ok(
                    read().map(|_| "text").map_err(|error| error.to_string())?,
                )
            })
            .on("str", |_, (): ()| async { Err::<(), &str>(SECRET) })
            .on("boxed", |_, (): ()| async {
                Result::<i64, Box<dyn Error + Send + Sync>>::Ok(read()?)
            })
            .on("any", |_, (): ()| async { wse::Ok(Some(read()?)) })
            .on("anyhow", |_, (): ()| async {
                anyhow::Ok(read().context("cannot read the settings")?)
            })
            .on("own", |_, (): ()| async { read().map_err(Own) })
            .on("panic", |_, (): ()| async { wse::Ok(read().expect(SECRET)) })
            .on("start", |_, (): ()| {
                let number = read().expect(SECRET);
                async move { wse::Ok(number) }
            })
            .unhandled(|_, _: Unhandled| async { wse::Ok(read().map_err(Own)?) })
    };
}

fn event(
    name: Option<&str>,
    id: Option<&str>,
    message: &str,
    source: Option<&(dyn Error + Send + Sync)>,
) -> String {
    let source = source.map(ToString::to_string).unwrap_or_default();
    format!("{}|{}|{message}|{source}", name.unwrap_or("-"), id.unwrap_or("no id"))
}

/// Writes down the error events of a server.
fn errors<P: Talk>(builder: ServerBuilder<P>, log: &Log) -> ServerBuilder<P> {
    let log = log.clone();
    builder.on_error(move |it| {
        log.add(event(it.name.as_deref(), it.id.as_deref(), &it.message, it.source.as_deref()));
    })
}

/// Writes down the error events of a client.
fn client_errors<P: Talk>(builder: ClientBuilder<P>, log: &Log) -> ClientBuilder<P> {
    let log = log.clone();
    builder.on_error(move |it| {
        let ClientEvent::Error { name, id, message, source, .. } = it else { panic!("{it:?}") };
        log.add(event(name.as_deref(), id.as_deref(), message, source.as_deref()));
    })
}

#[track_caller]
fn fault(outcome: Result<i64, CallError>) -> Fault {
    match outcome {
        Err(CallError::Fault(fault)) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

/// The id in the text that a peer gets.
#[track_caller]
fn id(text: &str) -> &str {
    let id = text.strip_prefix("internal error, id ").unwrap();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    id
}

/// The text of the source in an event whose message has all causes.
fn source(message: &str) -> &str {
    message.split(": ").next().unwrap()
}

/// Checks that a failure has one id on both sides, and its text on one.
#[track_caller]
fn check(log: &Log, name: &str, message: &str, fault: &Fault) {
    assert_eq!(fault.code, ErrorCode::Failed);
    assert!(fault.details.is_empty());
    let id = id(fault.message.as_deref().unwrap());
    assert_eq!(log.take(), [format!("{name}|{id}|{message}|{}", source(message))]);
}

async fn a_client_gets_an_id_in_place_of_an_error<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = errors(failing!(server(&protocol)), &log).build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    for (name, message) in FAILURES {
        check(&log, name, message, &fault(ann.call(name, &()).await));
    }
    check(&log, "with", SECRET, &fault(ann.call("with", &()).await));
    let message = "cannot load the user: password=hunter2";
    check(&log, "with own", message, &fault(ann.call("with own", &()).await));
}

async fn a_server_gets_an_id_in_place_of_an_error<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol).build();
    let ann = client_errors(failing!(client(&protocol, &server, "ann")), &log);
    let _ann = ann.connect().await.unwrap();
    let conn = server.user("ann").connections().remove(0);
    for (name, message) in FAILURES {
        check(&log, name, message, &fault(conn.call(name, &()).await));
    }
    check(&log, "with", SECRET, &fault(conn.call("with", &()).await));
}

async fn errors_of_message_handlers_are_events<P: Talk>(protocol: P) {
    let (log, client_log) = (Log::default(), Log::default());
    let server = errors(failing!(server(&protocol)), &log).build();
    let ann = client_errors(failing!(client(&protocol, &server, "ann")), &client_log);
    let ann = ann.connect().await.unwrap();
    let unhandled = ("other", "cannot load the user: password=hunter2");
    for (name, message) in FAILURES.into_iter().chain([unhandled]) {
        ann.send(name, &()).unwrap();
        server.user("ann").send(name, &()).unwrap();
        settle().await;
        for log in [&log, &client_log] {
            let lines = log.take();
            let [line] = &lines[..] else { panic!("{name}: {lines:?}") };
            let parts: Vec<_> = line.split('|').collect();
            assert_eq!([parts[0], parts[2], parts[3]], [name, message, source(message)]);
            id(&format!("internal error, id {}", parts[1]));
        }
    }
}

async fn errors_are_exposed_on_request<P: Talk>(protocol: P) {
    let (log, client_log) = (Log::default(), Log::default());
    let server = errors(failing!(server(&protocol)), &log).expose_errors(true).build();
    let ann = client_errors(failing!(client(&protocol, &server, "ann")), &client_log);
    let ann = ann.expose_errors(true).connect().await.unwrap();
    let conn = server.user("ann").connections().remove(0);
    for (name, message) in FAILURES {
        for fault in [fault(ann.call(name, &()).await), fault(conn.call(name, &()).await)] {
            assert_eq!(fault, Fault::failed(message), "{name}");
        }
        let line = format!("{name}|no id|wse.server.rp.failed: {message}|");
        assert_eq!(log.take(), [line.as_str()]);
        assert_eq!(client_log.take(), [line]);
    }
}

/// A fault with all its parts.
fn built() -> Fault {
    Fault::new("my-app.no").message("not today").details("\"more\"".into())
}

async fn a_fault_arrives_as_it_was_built<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = errors(server(&protocol), &log)
        .procedure("fault", |conn, (): ()| async move {
            Err::<i64, _>(built().details(conn.encode(&note("more")).unwrap()))
        })
        .procedure("boxed", |conn, (): ()| async move {
            let details = conn.encode(&note("more"))?;
            if !details.is_empty() {
                Err(built().details(details))?;
            }
            wse::Ok(1_i64)
        })
        .procedure("context", |conn, (): ()| async move {
            let fault = built().details(conn.encode(&note("more"))?);
            anyhow::Ok(Err::<i64, _>(fault).context(SECRET)?)
        })
        .procedure("own", |conn, (): ()| async move {
            Err::<i64, _>(Own(built().details(conn.encode(&note("more")).unwrap())))
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    let table = [
        ("fault", "my-app.no: not today|"),
        ("boxed", "my-app.no: not today|"),
        ("context", "password=hunter2: my-app.no: not today|password=hunter2"),
        ("own", "cannot load the user: my-app.no: not today|cannot load the user"),
    ];
    for (name, message) in table {
        let fault = fault(ann.call(name, &()).await);
        assert_eq!(fault.code, ErrorCode::from("my-app.no"), "{name}");
        assert_eq!(fault.message.as_deref(), Some("not today"), "{name}");
        assert_eq!(ann.decode::<Note>(&fault.details).unwrap(), note("more"), "{name}");
        assert_eq!(log.take(), [format!("{name}|no id|{message}")]);
    }
}

async fn a_forwarded_fault_keeps_code_and_message<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure(
            "call error",
            |conn, (): ()| async move { conn.call::<(), i64>("deep", &()).await },
        )
        .procedure("boxed", |conn, (): ()| async move {
            let number: i64 = conn.call("deep", &()).await?;
            wse::Ok(number)
        })
        .procedure("context", |conn, (): ()| async move {
            let number: i64 = conn.call("deep", &()).await.context(SECRET)?;
            anyhow::Ok(number)
        })
        .procedure("own", |conn, (): ()| async move {
            conn.call::<(), i64>("deep", &()).await.map_err(Own)
        })
        .procedure("forward", |conn, name: String| async move {
            let number: i64 = conn.call("relay", &name).await?;
            wse::Ok(number)
        })
        .build();
    let ann = client(&protocol, &server, "ann")
        .procedure("deep", |ann, (): ()| async move {
            Err::<i64, _>(built().details(ann.encode(&note("more")).unwrap()))
        })
        // Back to the server, and so over four connections in all.
        .procedure("relay", |ann, name: String| async move {
            let number: i64 = ann.call(name, &()).await?;
            wse::Ok(number)
        })
        .connect()
        .await
        .unwrap();
    for name in ["call error", "boxed", "context", "own", "forward"] {
        let fault = match name {
            "forward" => fault(ann.call(name, &"boxed".to_owned()).await),
            _ => fault(ann.call(name, &()).await),
        };
        assert_eq!(fault.code, ErrorCode::from("my-app.no"), "{name}");
        assert_eq!(fault.message.as_deref(), Some("not today"), "{name}");
        // They may be in the format of another connection.
        assert!(fault.details.is_empty(), "{name}");
    }
}

#[derive(Debug)]
struct PanickingText;

impl fmt::Display for PanickingText {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

impl Error for PanickingText {}

async fn an_error_whose_text_panics_ends_one_call<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure("now", |_, (): ()| async { Err::<i64, _>(PanickingText) })
        .procedure("later", |_, (): ()| async {
            tokio::task::yield_now().await;
            Err::<i64, _>(PanickingText)
        })
        .on("message", |_, (): ()| async { Err::<(), _>(PanickingText) })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    for name in ["now", "later"] {
        assert_eq!(fault(ann.call(name, &()).await).code, ErrorCode::Failed, "{name}");
    }
    ann.send("message", &()).unwrap();
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn a_cancelled_token_of_a_call_does_not_cancel_the_call<P: Talk>(protocol: P) {
    let server = server(&protocol)
        .procedure_with("guarded", |_, call: Call<i64>| async move {
            let _guard = call.token().drop_guard();
            wse::Ok(call.payload)
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    assert_eq!(ann.call::<_, i64>("guarded", &7_i64).await.unwrap(), 7);
}

/// A future of an application that panics when it is dropped.
struct PanickingDrop;

impl Future for PanickingDrop {
    type Output = Result<i64, BoxError>;

    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(7))
    }
}

impl Drop for PanickingDrop {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[tokio::test]
async fn a_future_that_panics_when_dropped_has_answered() {
    let server = server(&JsonArray).procedure("drop", |_, (): ()| PanickingDrop).build();
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    for _ in 0..2 {
        assert_eq!(ann.call::<(), i64>("drop", &()).await.unwrap(), 7);
    }
}

#[tokio::test]
async fn a_fault_whose_details_cannot_be_sent_arrives_without_them() {
    let server = server(&JsonArray)
        .procedure("bytes", |_, (): ()| async {
            Err::<i64, _>(built().details(bytes::Bytes::from_static(b"\xff")))
        })
        .build();
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    assert_eq!(fault(ann.call("bytes", &()).await), Fault::new("my-app.no"));
}

/// Connects with this `identify`; returns the close, and the error events.
macro_rules! refused_by {
    ($protocol:expr, $identify:expr) => {{
        let log = Log::default();
        let builder = Server::builder($protocol.clone()).identify($identify);
        let server = errors(builder, &log).build();
        match client(&$protocol, &server, "ann").connect().await {
            Err(ConnectError::Refused(close)) => (close, log.take()),
            other => panic!("{other:?}"),
        }
    }};
}

async fn an_error_of_identify_is_no_refusal<P: Talk>(protocol: P) {
    let table = [
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            io::Result::Ok(Accept::user(read()?.to_string()))
        }),
        refused_by!(protocol, |_: Hello<String, Meta>| async { Err::<Accept, &str>(SECRET) }),
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            Err::<Accept, String>(SECRET.to_owned())
        }),
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            wse::Ok(Accept::user(read()?.to_string()))
        }),
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            anyhow::Ok(Accept::user(read()?.to_string()))
        }),
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            let user = read().map_err(Own)?;
            Result::<_, Own<io::Error>>::Ok(Accept::user(user.to_string()))
        }),
    ];
    for (close, lines) in table {
        assert_eq!(close.code, 1011);
        let id = id(close.reason.as_str());
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.starts_with(&format!("identify|{id}|")), "{line}");
        assert!(line.contains(SECRET), "{line}");
    }
}

async fn a_refusal_is_found_among_causes<P: Talk>(protocol: P) {
    let table = [
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            Err::<Accept, _>(Refuse::because(SECRET))
        }),
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            Err(Refuse::because(SECRET))?;
            wse::Ok(Accept::user("ann"))
        }),
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            anyhow::Ok(Err::<Accept, _>(Refuse::because(SECRET)).context("not today")?)
        }),
        refused_by!(protocol, |_: Hello<String, Meta>| async {
            Err::<Accept, _>(Own(Refuse::because(SECRET)))
        }),
    ];
    for (close, lines) in table {
        assert_eq!(close.to_string(), "1000 wse.not-authorized");
        assert_eq!(lines, [""; 0]);
    }
}

/// Checks that connecting fails because of the client, with the secret among the causes.
macro_rules! fails_locally {
    ($builder:expr) => {
        match $builder.connect().await {
            Err(error @ ConnectError::Credentials(_)) => {
                let causes: Vec<_> =
                    std::iter::successors(Some(&error as &dyn Error), |&error| error.source())
                        .map(ToString::to_string)
                        .collect();
                assert!(causes.iter().any(|cause| cause == SECRET), "{causes:?}");
            }
            other => panic!("{other:?}"),
        }
    };
}

async fn errors_of_credentials_and_solvers_stay_on_the_client<P: Talk>(protocol: P) {
    let log = Log::default();
    let builder = Server::builder(protocol.clone()).identify_with(
        |conn, hello: Hello<String, Meta>| async move {
            let _: String = conn.challenge(&"who?".to_owned()).await?;
            Ok::<_, Refuse>(Accept::user(hello.identity))
        },
    );
    let server = errors(builder, &log).build();
    let client = || client(&protocol, &server, "ann");
    fails_locally!(client().solver(|_: String| async { io::Result::Ok(read()?.to_string()) }));
    fails_locally!(client().solver(|_: String| async { wse::Ok(read()?.to_string()) }));
    fails_locally!(client().solver(|_: String| async { Err::<String, &str>(SECRET) }));
    fails_locally!(client().solver(|_: String| async { Err::<String, _>(SECRET.to_owned()) }));
    fails_locally!(client().solver(|_: String| async { anyhow::Ok(read()?.to_string()) }));
    fails_locally!(client().solver(|_: String| async {
        let number = read().map_err(Own)?;
        Result::<_, Own<io::Error>>::Ok(number.to_string())
    }));
    fails_locally!(client().credentials(|| async { io::Result::Ok((read()?.to_string(), ())) }));
    fails_locally!(client().credentials(|| async { wse::Ok((read()?.to_string(), ())) }));
    fails_locally!(client().credentials(|| async { Err::<(String, ()), &str>(SECRET) }));
    fails_locally!(client().credentials(|| async { Err::<(String, ()), _>(SECRET.to_owned()) }));
    fails_locally!(client().credentials(|| async { anyhow::Ok((read()?.to_string(), ())) }));
    settle().await;
    assert_eq!(log.lines(), [""; 0]);
}

async fn application_state_is_found_by_type<P: Talk>(protocol: P) {
    struct Prices(i64);
    struct Missing;
    let log = Log::default();
    let server = errors(server(&protocol), &log)
        .state(Prices(3))
        .state("a text".to_owned())
        .state(Prices(4))
        .procedure("price", |conn, (): ()| async move {
            let text: &String = conn.app();
            assert_eq!(text, "a text");
            wse::Ok(conn.app::<Prices>().0)
        })
        .procedure("missing", |conn, (): ()| async move {
            let _: &Missing = conn.app();
            wse::Ok(1_i64)
        })
        .build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    // The last value of a type counts.
    assert_eq!(ann.call::<(), i64>("price", &()).await.unwrap(), 4);
    check(&log, "missing", "the handler panicked", &fault(ann.call("missing", &()).await));
    let conn = server.user("ann").connections().remove(0);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _: &Missing = conn.app();
    }));
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(message.ends_with("::Missing`"), "{message}");
    assert!(conn.state::<Missing>().is_none());
}

/// What `anyhow` hides. A context makes the fault a cause, as the tests above show.
#[tokio::test(start_paused = true)]
async fn anyhow_without_context_hides_a_fault() {
    let server = server(&JsonArray)
        .procedure("hidden", |_, (): ()| async { anyhow::Ok(Err::<i64, _>(built())?) })
        .build();
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    let fault = fault(ann.call("hidden", &()).await);
    assert_eq!(fault.code, ErrorCode::Failed);
    id(fault.message.as_deref().unwrap());
}

/// The texts on the wire, whatever the endpoints make of them.
#[tokio::test(start_paused = true)]
async fn the_text_of_an_error_is_never_sent() {
    let server = failing!(server(&JsonArray)).build();
    let mut ann = Raw::user(&server, "ann").await;
    let (dial, mut arrivals) = dialled();
    let client = failing!(json_client(dial)).build();
    let (connected, mut raw) = tokio::join!(client.connect(), arrivals.welcomed());
    connected.unwrap();
    for peer in [&mut ann, &mut raw] {
        for (name, _) in FAILURES.into_iter().chain([("with", SECRET), ("with own", SECRET)]) {
            peer.say(&format!(r#"["{name}",null,"stamp"]"#)).await;
            let answer = peer.hear().await;
            assert!(answer.starts_with(r#"["~wse:response-err","#), "{answer}");
            for part in ["hunter2", "settings", "user", "panicked", ".rs"] {
                assert!(!answer.contains(part), "{part} in {answer}");
            }
        }
        for (name, _) in FAILURES.into_iter().chain([("other", SECRET)]) {
            peer.say(&format!(r#"["{name}",null]"#)).await;
        }
        assert_eq!(peer.hear_all().await, [""; 0]);
    }
}

/// Each kind of error converts into the type of the last line.
#[tokio::test(start_paused = true)]
async fn one_handler_takes_every_kind_of_error() {
    async fn step(n: i64) -> Result<i64, BoxError> {
        match n {
            0 => read().map_err(Into::into),
            1 => Err(SECRET.into()),
            2 => Err(SECRET.to_owned().into()),
            3 => Err(anyhow::anyhow!(SECRET).into()),
            4 => Err(Own(io::Error::other(SECRET)).into()),
            5 => Err(built().into()),
            _ => Ok(n),
        }
    }
    let server = server(&JsonArray)
        .procedure("step", |_, n: i64| async move {
            let from_string: i64 = match n {
                10 => Err(SECRET.to_owned())?,
                11 => Err(SECRET)?,
                12 => Err(anyhow::anyhow!(SECRET))?,
                _ => step(n).await?,
            };
            wse::Ok(from_string)
        })
        .build();
    let ann = client(&JsonArray, &server, "ann").connect().await.unwrap();
    for n in [0, 1, 2, 3, 4, 10, 11, 12] {
        id(fault(ann.call("step", &n).await).message.as_deref().unwrap());
    }
    assert_eq!(fault(ann.call("step", &5).await).code, ErrorCode::from("my-app.no"));
    assert_eq!(ann.call::<i64, i64>("step", &6).await.unwrap(), 6);
}
