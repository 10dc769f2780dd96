//! What the interop server does on request, for any protocol that can carry a [`Value`].

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use wse::{
    Accept, BoxError, CallError, Close, CloseReason, CodecError, Conn, ErrorCode, Fault, Hello,
    Negotiate, Refuse, ResumeLimits, Server, ServerEvent, Speaks, Unauthenticated, ws,
};

use crate::log::Log;
use crate::resume::Resumes;
use crate::value::{Value, map, number};
use crate::{leaving, resume, rooms};

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    pub connections_per_user: usize,
    pub challenge: bool,
    pub call_timeout: Duration,
    pub welcome: Value,
    pub max_message: usize,
    pub auth_timeout: Option<Duration>,
    /// How long sessions can be resumed.
    pub resume: Option<Duration>,
    /// The size of a session's ring.
    pub resume_bytes: usize,
}

/// How a procedure fails, in the contract's three ways.
pub enum Failure {
    Plain(String),
    Custom(Value),
    Coded(&'static str, Value),
}

/// A server that follows the contract.
pub fn server<P: Speaks<Value>>(protocol: P, options: &Options) -> Server<P> {
    let log = Log::default();
    let users = Arc::new(Mutex::new(0));
    let Options { challenge, welcome, .. } = options.clone();
    let mut builder = Server::builder(protocol)
        .connections_per_user(options.connections_per_user)
        .call_timeout(options.call_timeout)
        .auth_timeout(options.auth_timeout)
        .limits(ws::Limits::default().max_message(options.max_message))
        .room_events(true)
        .identify_with(move |conn, hello: Hello<Value, Value>| {
            identify(conn, hello, challenge, welcome.clone(), Arc::clone(&users))
        });
    if let Some(window) = options.resume {
        // Bytes are the only limit of a ring.
        let limits = ResumeLimits::default().ring_bytes(options.resume_bytes);
        builder = builder.resume(limits.ring_messages(usize::MAX).window(window));
    }
    let server = builder.build();
    let ignored = log.clone();
    server.unhandled(move |conn, message| {
        let log = ignored.clone();
        async move {
            let payload = conn.decode(&message.payload)?;
            let members = [
                ("cid", conn.user_id().into()),
                ("type", Value::from(message.name.as_str())),
                ("payload", payload),
            ];
            log.record("ignored", members);
            Ok::<_, CodecError>(())
        }
    });
    messages(&server, &log);
    procedures(&server, &log);
    rooms::procedures(&server, &log);
    resume::procedures(&server, &log);
    leaving::procedures(&server, &log);
    events(&server, &log);
    server
}

async fn identify<P: Speaks<Value>>(
    conn: Unauthenticated<P>,
    hello: Hello<Value, Value>,
    challenge: bool,
    welcome: Value,
    users: Arc<Mutex<u64>>,
) -> Result<Accept<Value>, Refuse> {
    let mut valid = hello.identity.text() == Some("valid-secret");
    if challenge {
        if hello.identity.text() == Some("refuse-me") {
            return Err(Refuse::not_authorized());
        }
        let quest = map([("a", 1.into()), ("b", 2.into())]);
        let answer: Value = conn.challenge(&quest).await?;
        valid = valid && answer.number() == Some(3.0);
    }
    if let Some(delay) = hello.meta.get("auth_delay").number() {
        tokio::time::sleep(Duration::from_secs_f64(delay.clamp(0.0, 1e6) / 1000.0)).await;
    }
    if !valid {
        return Err(Refuse::not_authorized());
    }
    let user = match hello.meta.get("user_id") {
        Value::Text(text) => text.clone(),
        Value::Int(int) => int.to_string(),
        _ => {
            let mut users = users.lock().expect("no panic while it is held");
            *users += 1;
            format!("user-{users}")
        }
    };
    Ok(Accept::user(user).welcome(welcome).state(Resumes::default()))
}

fn messages<P: Speaks<Value>>(server: &Server<P>, log: &Log) {
    server.on("count", |conn, payload: Value| async move {
        let n = payload.get("count").number().unwrap_or(0.0);
        conn.send("count", &map([("count", number(n + 1.0))]))
    });
    let record = log.clone();
    server.on("record", move |conn, payload: Value| {
        let members =
            [("cid", conn.user_id().into()), ("type", "record".into()), ("payload", payload)];
        record.record("message", members);
        async {}
    });
    let all = server.clone();
    server.on("hey", move |conn, _: Value| {
        let user = all.user(conn.user_id());
        async move {
            user.send("both", &Value::Null)?;
            conn.send("only", &Value::Null)?;
            Ok::<_, BoxError>(())
        }
    });
    server.on("drop-me", |conn, payload: Value| async move {
        let reason = payload.get("reason").text().map_or(CloseReason::ByServer, CloseReason::from);
        conn.close(Close::normal(reason));
    });
    let all = server.clone();
    server.on("drop-client", move |conn, payload: Value| {
        let reason = payload.get("reason").text().unwrap_or_default();
        all.close_user(conn.user_id(), Close::new(1000, reason));
        async {}
    });
    server.on("close-me", |conn, payload: Value| async move {
        let code = payload.get("code").number().unwrap_or(1000.0) as u16;
        conn.close(Close::new(code, payload.get("reason").text().unwrap_or_default()));
    });
}

/// Registers a procedure whose failures carry what the contract wants in their details.
pub fn procedure<P, F, Fut>(server: &Server<P>, log: &Log, name: &'static str, run: F)
where
    P: Speaks<Value>,
    F: Fn(Conn<P>, Value) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Value, Failure>> + Send,
{
    let (run, log) = (Arc::new(run), log.clone());
    server.procedure(name, move |conn: Conn<P>, payload: Value| {
        let (run, log) = (Arc::clone(&run), log.clone());
        async move {
            let failure = match run(conn.clone(), payload.clone()).await {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            let (mut fault, details) = match failure {
                Failure::Plain(message) => {
                    let origin =
                        map([("name", "Error".into()), ("message", message.as_str().into())]);
                    (Fault::failed(message), map([("origin", origin)]))
                }
                Failure::Custom(details) => (Fault::failed("RPC execution failed"), details),
                Failure::Coded(code, details) => (Fault::new(code), details),
            };
            let mut details = details.into_map();
            details.entry("rpc".into()).or_insert_with(|| name.into());
            if !payload.is_null() {
                details.entry("payload".into()).or_insert(payload);
            }
            // What cannot be written in this format is left out.
            if let Ok(details) = conn.encode(&Value::Map(details)) {
                fault = fault.details(details);
            }
            let members = [("cid", conn.user_id().into()), ("code", fault.code.as_str().into())];
            log.record("error", members);
            Err::<Value, _>(fault)
        }
    });
}

fn procedures<P: Speaks<Value>>(server: &Server<P>, log: &Log) {
    procedure(server, log, "add", |_, p| async move {
        match (p.get("a").number(), p.get("b").number()) {
            (Some(a), Some(b)) => Ok(number(a + b)),
            _ => Err(Failure::Plain("a and b must be numbers".into())),
        }
    });
    procedure(server, log, "echo", |_, p| async move { Ok(p) });
    procedure(server, log, "nothing", |_, _| async move { Ok(Value::Null) });
    procedure(server, log, "double", |_, p| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(number(p.get("value").number().unwrap_or(0.0) * 2.0))
    });
    procedure(server, log, "slow", |_, p| async move {
        let ms = p.get("ms").number().unwrap_or(0.0).clamp(0.0, 1e6);
        tokio::time::sleep(Duration::from_secs_f64(ms / 1000.0)).await;
        Ok(1.into())
    });
    procedure(server, log, "throw-vanilla", |_, _| async move {
        Err(Failure::Plain("Vanilla error".into()))
    });
    procedure(server, log, "throw-custom", |_, _| async move {
        Err(Failure::Custom(map([("test_field", "nope".into())])))
    });
    procedure(server, log, "throw-wse", |_, _| async move {
        Err(Failure::Coded("test-err-code", map([("fun", 1.into())])))
    });
    procedure(server, log, "drop-during-call", |conn, p| async move {
        let reason = p.get("reason").text().map_or(CloseReason::ByServer, CloseReason::from);
        conn.close_now(Close::normal(reason));
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(1.into())
    });
    procedure(server, log, "call-me", |conn, p| async move {
        Ok(outcome(&conn, call(&conn, &p).await))
    });
    let all = server.clone();
    procedure(server, log, "call-user", move |_, p| {
        let user = all.user(p.get("cid").text().unwrap_or_default());
        async move {
            match user.connections().first() {
                Some(conn) => Ok(outcome(conn, call(conn, &p).await)),
                None => Ok(map([("err", code(&ErrorCode::ConnectionMissing))])),
            }
        }
    });
    let all = server.clone();
    procedure(server, log, "broadcast", move |_, p| {
        let name = p.get("type").text().unwrap_or_default();
        let sent = all.all().send(name, p.get("payload"));
        let users = all.users().len();
        async move { sent.map(|_| users.into()).map_err(|e| Failure::Plain(e.to_string())) }
    });
    let all = server.clone();
    procedure(server, log, "send-to", move |_, p| {
        let user = all.user(p.get("cid").text().unwrap_or_default());
        let sent = user.send(p.get("type").text().unwrap_or_default(), p.get("payload"));
        async move { sent.map(Value::from).map_err(|e| Failure::Plain(e.to_string())) }
    });
    let all = server.clone();
    procedure(server, log, "drop-user", move |_, p| {
        let reason = p.get("reason").text().unwrap_or_default();
        let cid = p.get("cid").text().unwrap_or_default();
        let dropped = all.close_user(cid, Close::new(1000, reason));
        async move { Ok(dropped.into()) }
    });
    procedure(server, log, "whoami", |conn, _| async move {
        Ok(map([
            ("cid", conn.user_id().into()),
            ("conn_id", conn.id().to_string().as_str().into()),
            ("meta", meta(&conn)),
            ("identity", conn.identity().unwrap_or_default()),
        ]))
    });
    let all = server.clone();
    procedure(server, log, "clients", move |_, _| {
        let users = all.users().into_iter().map(|user| {
            let conns = user.connections().len();
            map([("cid", user.id().into()), ("conns", conns.into())])
        });
        let users = Value::List(users.collect());
        async move { Ok(users) }
    });
    let events = log.clone();
    procedure(server, log, "events", move |_, p| {
        let since = p.get("since").number().unwrap_or(0.0) as usize;
        let events = events.since(since);
        async move { Ok(events) }
    });
}

async fn call<P: Speaks<Value>>(conn: &Conn<P>, p: &Value) -> Result<Value, CallError> {
    conn.call(p.get("rp").text().unwrap_or_default(), p.get("payload")).await
}

/// The outcome of a call to a client, as data.
fn outcome<P: Speaks<Value>>(conn: &Conn<P>, done: Result<Value, CallError>) -> Value {
    let error = match done {
        Ok(value) => return map([("ok", value)]),
        Err(error) => error,
    };
    let details = match &error {
        CallError::Fault(fault) => conn.decode(&fault.details).unwrap_or_default(),
        CallError::Disconnected(close) => {
            let close = vec![i64::from(close.code).into(), close.reason.as_str().into()];
            map([("disconnected", Value::List(close))])
        }
        _ => Value::Null,
    };
    let details = if details.is_null() { map([]) } else { details };
    let mut err = code(&error.code()).into_map();
    err.insert("details".into(), details);
    map([("err", Value::Map(err))])
}

fn code(code: &ErrorCode) -> Value {
    map([("code", code.as_str().into())])
}

fn events<P: Speaks<Value>>(server: &Server<P>, log: &Log) {
    let this = OnceLock::new();
    let _ = this.set(server.clone());
    let log = log.clone();
    server.on_event(move |event| match event {
        ServerEvent::Joined(conn) => {
            let meta = meta(conn);
            log.record("joined", [("cid", conn.user_id().into()), ("meta", meta.clone())]);
            let Some(user) = this.get().map(|server| server.user(conn.user_id())) else { return };
            let greet = meta.get("greet");
            if !greet.is_null() {
                let _ =
                    user.send(greet.get("type").text().unwrap_or_default(), greet.get("payload"));
            }
            if let Some(reason) = meta.get("drop_on_join").text() {
                user.close(Close::new(1000, reason));
            }
        }
        ServerEvent::Connected(conn) => {
            log.record("connected", ids(conn));
            let wanted = meta(conn).get("call_on_connect").clone();
            if !wanted.is_null() {
                tokio::spawn(called(conn.clone(), wanted, log.clone()));
            }
        }
        ServerEvent::Disconnected(conn, close) => {
            let [cid, id] = ids(conn);
            let [code, reason] = closed(close);
            log.record("disconnected", [cid, id, code, reason]);
        }
        ServerEvent::Suspended(conn, _) => log.record("suspended", ids(conn)),
        ServerEvent::Resumed(conn, how) => resume::resumed(&log, conn, how),
        ServerEvent::Entered(conn, room) => log.record("entered", in_room(conn, room)),
        ServerEvent::Exited(conn, room) => log.record("exited", in_room(conn, room)),
        ServerEvent::Undelivered(message) => {
            let members = [
                ("cid", message.user_id().into()),
                ("type", message.name().into()),
                ("payload", message.payload().unwrap_or_default()),
            ];
            log.record("undelivered", members);
        }
        ServerEvent::Left(user, close) => {
            let [code, reason] = closed(close);
            log.record("left", [("cid", user.as_str().into()), code, reason]);
        }
        // Failed procedures are recorded where they fail.
        ServerEvent::Error(error) if error.name.is_none() => {
            let cid = error.conn.as_ref().map_or(Value::Null, |conn| conn.user_id().into());
            log.record("error", [("cid", cid), ("code", error.code.as_str().into())]);
        }
        _ => {}
    });
}

async fn called<P: Speaks<Value>>(conn: Conn<P>, wanted: Value, log: Log) {
    let outcome = outcome(&conn, call(&conn, &wanted).await).into_map();
    let rp = wanted.get("rp").clone();
    for (key, value) in outcome {
        log.record("called", [("cid", conn.user_id().into()), ("rp", rp.clone()), (&key, value)]);
    }
}

/// The greeting's meta; null counts as an empty map.
fn meta<P: Speaks<Value>>(conn: &Conn<P>) -> Value {
    match conn.meta() {
        Ok(Value::Null) | Err(_) => map([]),
        Ok(meta) => meta,
    }
}

pub fn ids<P: Negotiate>(conn: &Conn<P>) -> [(&'static str, Value); 2] {
    [("cid", conn.user_id().into()), ("conn_id", conn.id().to_string().as_str().into())]
}

fn in_room<P: Negotiate>(conn: &Conn<P>, room: &str) -> [(&'static str, Value); 3] {
    let [cid, id] = ids(conn);
    [cid, id, ("room", room.into())]
}

fn closed(close: &Close) -> [(&'static str, Value); 2] {
    [("code", i64::from(close.code).into()), ("reason", close.reason.as_str().into())]
}
