//! The server for interop tests with the npm package wsprocessor: a client can check every feature of its format from
//! outside. It covers requests both ways, notes, acknowledgements and their outcomes, and heartbeats.
//!
//! `cargo run --example wsprocessor_server -- --addr 127.0.0.1:4200 --heartbeat-timeout 5`
//!
//! `{"type":"request","stamp":"s","data":{"do":"echo","value":1}}` is answered with
//! `{"type":"response","sendAck":false,"stamp":"s","data":1,"failureCode":0}`; the other values of `do` are in [`respond`].

#[path = "wsprocessor/log.rs"]
mod log;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, MissedTickBehavior};
use wse::{
    Accept, BoxError, Call, CallError, CallOptions, Close, CloseReason, ErrorCode, Fault,
    Heartbeat, Hello, Server, WsProcessor,
};

use log::{Code, Log};

const HELP: &str = "usage: wsprocessor_server [--addr HOST:PORT] [--heartbeat-interval SECONDS] \
    [--heartbeat-timeout SECONDS]";

/// In this format notes and requests have no names: all of them arrive, and leave, under these.
const NOTE: &str = "note";
const REQUEST: &str = "request";

/// How long a request to a client waits for its response by default.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a note waits to be acknowledged; the same goes for a response.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

type Conn = wse::Conn<WsProcessor>;
/// Values are only passed on here, so they stay the text they came as.
type Json = Box<RawValue>;

// On one thread, what a handler spawns runs after the handler, and so behind the response it gives: see `respond`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addr = "127.0.0.1:0".to_owned();
    let mut heartbeat = Heartbeat::default();

    use lexopt::prelude::*;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("addr") => addr = args.value()?.parse()?,
            // Neither depends on round trips any more, once it is given.
            Long("heartbeat-interval") => {
                let interval = Duration::try_from_secs_f64(args.value()?.parse()?)?;
                heartbeat.min_interval = interval;
                heartbeat.max_interval = interval;
                heartbeat.interval_rtts = 0;
            }
            Long("heartbeat-timeout") => {
                heartbeat.min_timeout = Duration::try_from_secs_f64(args.value()?.parse()?)?;
                heartbeat.timeout_rtts = 0;
            }
            Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("{}\n{HELP}", other.unexpected()).into()),
        }
    }

    let log = Log::default();
    let (notes, errors) = (log.clone(), log.clone());
    let users = AtomicU64::new(0);
    let server = Server::builder(WsProcessor::new())
        .heartbeat(heartbeat)
        // Clients send no identity: each connection is a user of its own.
        .identify(move |_: Hello<()>| {
            let user = users.fetch_add(1, Ordering::Relaxed);
            async move { wse::Ok(Accept::user(user.to_string())) }
        })
        .on_connected(move |conn| drop(tokio::spawn(watch(conn.clone(), heartbeat))))
        .procedure_with(REQUEST, move |conn, call| respond(conn, call, log.clone()))
        .on(NOTE, move |conn, note| {
            let reply = take_note(&conn, note, &notes);
            async { reply }
        })
        .on_error(move |error| {
            // The error reports of clients. One without a text is not listed.
            let report = error.source.as_deref().and_then(|it| it.downcast_ref::<Fault>());
            let text = report.and_then(|it| it.message.clone()).unwrap_or_default();
            if error.code == ErrorCode::ErrorReport && !text.is_empty() {
                errors.lock().errors.push(text);
            }
        })
        .build();
    println!("listening on ws://{}", server.listen(addr).await?);
    std::future::pending().await
}

/// Lists a note, and sends back what it asks for.
fn take_note(conn: &Conn, note: Json, log: &Log) -> Result<(), BoxError> {
    let members = Members::of(&note);
    log.lock().notes.push(note);
    match members {
        Ok(it) if it.get("do").is_ok_and(|what: String| what == "reply") => {
            Ok(conn.send(NOTE, &it.get::<Json>("value")?)?)
        }
        _ => Ok(()),
    }
}

/// Does what a request asks for, and returns the response; a fault is one with a failure code.
async fn respond(conn: Conn, call: Call<Json>, log: Log) -> Result<Json, BoxError> {
    let wanted = Members::of(&call.payload)?;
    match wanted.get::<String>("do")?.as_str() {
        "echo" => Ok(wanted.get("value")?),
        "slow" => {
            let time = wanted.duration("ms", 1000.0)?.ok_or_else(|| bad("`ms` is missing"))?;
            let value = wanted.get("value")?;
            // Others do not wait for it.
            tokio::time::sleep(time).await;
            Ok(value)
        }
        "fail" => {
            let code = wanted.get::<Code>("code")?.into_text();
            Err(Fault::new(code).message(wanted.get::<String>("message")?).into())
        }
        "never" => Ok(nothing(&call).await?),
        "with-ack" => {
            let (value, tag) = (wanted.get("value")?, wanted.get("tag")?);
            let ack = call.want_receipt(wanted.timeout()?);
            // The response must be given first, so a task of its own waits.
            tokio::spawn(async move { log.acknowledged(tag, ack.await) });
            Ok(value)
        }
        "send-note" => {
            let note: Json = wanted.get("note")?;
            if wanted.flag("ack")? {
                let tag = wanted.get("tag")?;
                let timeout = Some(wanted.timeout()?.unwrap_or(ACK_TIMEOUT));
                tokio::spawn(async move {
                    log.acknowledged(tag, conn.send_acked_within(timeout, NOTE, &note).await);
                });
            } else {
                // A client that has gone meanwhile does not get it.
                tokio::spawn(async move { conn.send(NOTE, &note).ok() });
            }
            Ok(to_raw_value(&true)?)
        }
        "ask" => {
            let (request, tag) = (wanted.get("request")?, wanted.get("tag")?);
            let timeout = wanted.timeout()?.unwrap_or(REQUEST_TIMEOUT);
            if wanted.flag("ack")? {
                tokio::spawn(ask_acked(conn, request, timeout, tag, log));
            } else {
                tokio::spawn(ask(conn, request, timeout, tag, log));
            }
            Ok(to_raw_value(&true)?)
        }
        "outcomes" => {
            let tag: String = wanted.get("tag")?;
            Ok(to_raw_value(log.lock().outcomes.get(&tag).map_or(&[][..], Vec::as_slice))?)
        }
        "notes" => Ok(to_raw_value(&log.lock().notes)?),
        "errors" => Ok(to_raw_value(&log.lock().errors)?),
        "heartbeats" => {
            let known = conn.liveness().ok_or_else(|| Fault::failed("there are no heartbeats"))?;
            let counts = serde_json::json!({ "sent": known.pings, "answered": known.pongs });
            Ok(to_raw_value(&counts)?)
        }
        "connections" => Ok(to_raw_value(&conn.server().connections().len())?),
        "close" => {
            let reason: Option<String> = wanted.get("reason")?;
            conn.close_now(Close::new(1000, reason.unwrap_or_default()));
            Ok(nothing(&call).await?)
        }
        _ => Err(bad("this cannot be done").into()),
    }
}

/// Gives no response as long as the client waits for one.
async fn nothing(call: &Call<Json>) -> Result<Json, Fault> {
    call.cancelled().await;
    Err(Fault::failed("the request was cancelled"))
}

/// Sends a request to the client.
async fn ask(conn: Conn, request: Json, timeout: Duration, tag: String, log: Log) {
    let result = conn.call_within(Some(timeout), REQUEST, &request).await;
    let code = match &result {
        Err(CallError::Disconnected(_) | CallError::NotReady) => Some("1"),
        Err(CallError::Timeout) => Some("2"),
        _ => None,
    };
    log.answered(tag, result, code);
}

/// Sends a request to the client that it has to acknowledge.
async fn ask_acked(conn: Conn, request: Json, timeout: Duration, tag: String, log: Log) {
    let options = CallOptions::default().timeout(timeout);
    let mut call = match conn.call_acked(options, REQUEST, &request) {
        Ok(call) => call,
        Err(error) => {
            let gone = matches!(error, CallError::NotReady);
            return log.answered(tag, Err(error), gone.then_some("1.2"));
        }
    };
    if call.receipt().await.is_ok() {
        log.acknowledged(tag.clone(), Ok(()));
    }
    let result = call.result().await;
    let code = match &result {
        Ok(_) => None,
        Err(error) => call.status_code(error).await,
    };
    log.answered(tag, result, code);
}

/// Closes a connection whose pongs are missing. The server by itself drops clients of which nothing is heard at all;
/// one that sends notes but no pongs is there, to it. In this format it counts as gone.
async fn watch(conn: Conn, heartbeat: Heartbeat) {
    let [least, most] = [10, 500].map(Duration::from_millis);
    let mut ticks = tokio::time::interval((heartbeat.min_timeout / 10).clamp(least, most));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // How many pings and pongs there were, and when, when no pong was missing at last.
    let (mut pings, mut pongs, mut since) = (0, 0, Instant::now());
    while conn.is_ready() {
        let now = ticks.tick().await;
        let Some(known) = conn.liveness() else { return };
        let round_trips = known.rtt.unwrap_or_default() * heartbeat.timeout_rtts.into();
        if known.pings == pings || known.pongs > pongs {
            (pings, pongs, since) = (known.pings, known.pongs, now);
        } else if now - since > heartbeat.min_timeout.max(round_trips) {
            conn.close(Close::normal(CloseReason::HeartbeatTimeout));
        }
    }
}

/// A request that is not understood.
fn bad(why: impl Into<String>) -> Fault {
    Fault::new("400").message(why)
}

/// The members of a request or note.
struct Members(HashMap<String, Json>);

impl Members {
    fn of(data: &RawValue) -> Result<Self, Fault> {
        serde_json::from_str(data.get()).map(Self).map_err(|_| bad("it is no object"))
    }

    /// A member; one that is absent is read as null.
    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, Fault> {
        let value = self.0.get(name).map_or("null", |value| value.get());
        serde_json::from_str(value).map_err(|error| bad(format!("`{name}`: {error}")))
    }

    fn flag(&self, name: &str) -> Result<bool, Fault> {
        Ok(self.get::<Option<bool>>(name)?.unwrap_or_default())
    }

    /// A time, if it is there; so many of its unit are a second.
    fn duration(&self, name: &str, per_second: f64) -> Result<Option<Duration>, Fault> {
        let time = self.get::<Option<f64>>(name)?.map(|it| it / per_second);
        let time = time.map(Duration::try_from_secs_f64).transpose();
        time.map_err(|error| bad(format!("`{name}`: {error}")))
    }

    fn timeout(&self) -> Result<Option<Duration>, Fault> {
        self.duration("timeout", 1.0)
    }
}
