//! The procedures of the interop server that are about rooms, outcomes and reliable messages.

use std::time::Duration;

use wse::{Negotiate, Outcome, Reliable, Room, SendError, Server, Speaks};

use crate::contract::{Failure, procedure};
use crate::log::Log;
use crate::value::{Value, map};

/// The most messages that `ticks` sends.
const TICKS: usize = 100_000;

pub fn procedures<P: Speaks<Value>>(server: &Server<P>, log: &Log) {
    procedure(server, log, "join", |conn, p| async move {
        let room = room(&p);
        conn.join(room).map_err(|error| Failure::Plain(error.to_string()))?;
        Ok(conn.room(room).len().into())
    });
    procedure(server, log, "leave", |conn, p| async move {
        conn.leave(room(&p));
        Ok(conn.room(room(&p)).len().into())
    });
    procedure(server, log, "rooms", |conn, _| async move {
        Ok(Value::List(conn.rooms().iter().map(|room| room.as_str().into()).collect()))
    });
    procedure(server, log, "members", |conn, p| async move { Ok(members(&conn.room(room(&p)))) });
    procedure(server, log, "room-send", |conn, p| async move {
        let room = conn.room(room(&p));
        let (name, payload) = (text(&p, "type"), p.get("payload"));
        let sent = match p.get("except") {
            Value::Bool(true) => room.except(&conn).send(name, payload),
            _ => room.send(name, payload),
        };
        sent.map(Value::from).map_err(|error| Failure::Plain(error.to_string()))
    });
    procedure(server, log, "acked", |conn, p| async move {
        let user = conn.server().user(text(&p, "cid"));
        let sent = user.send_acked_within(Some(timeout(&p)), text(&p, "type"), p.get("payload"));
        let report = sent.await.map_err(|error| Failure::Plain(error.to_string()))?;
        let outcomes = report.into_iter().map(|it| {
            let conn_id = it.conn_id.to_string();
            map([("conn_id", conn_id.as_str().into()), ("outcome", name(it.outcome).into())])
        });
        Ok(Value::List(outcomes.collect()))
    });
    procedure(server, log, "reliable", |conn, p| async move {
        let user = conn.server().user(text(&p, "cid"));
        let options = Reliable::default().give_up_after(timeout(&p));
        let sent = user.send_reliable(options, text(&p, "type"), p.get("payload")).await;
        Ok(map([("delivered", Value::Bool(sent.is_ok()))]))
    });
    procedure(server, log, "ticks", |conn, p| async move {
        let n = p.get("n").number().unwrap_or(0.0).clamp(0.0, TICKS as f64) as usize;
        let pause =
            Duration::from_secs_f64(p.get("ms").number().unwrap_or(0.0).clamp(1.0, 1e6) / 1e3);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(pause);
            ticks.tick().await; // at once: the answer goes first
            for tick in 1..=n {
                ticks.tick().await;
                while let Err(error) = conn.send("tick", &Value::from(tick)) {
                    if !matches!(error, SendError::QueueFull) {
                        return;
                    }
                    conn.writable().await;
                }
            }
        });
        Ok(n.into())
    });
}

fn members<P: Negotiate>(room: &Room<P>) -> Value {
    let members = room.members().into_iter().map(|member| {
        map([("cid", member.user.as_str().into()), ("conns", member.conn_ids.len().into())])
    });
    Value::List(members.collect())
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Received => "received",
        Outcome::TimedOut => "timed-out",
        Outcome::Disconnected => "disconnected",
        Outcome::QueueFull => "queue-full",
        Outcome::Unsupported => "unsupported",
        _ => "unknown",
    }
}

fn room(p: &Value) -> &str {
    text(p, "room")
}

fn text<'a>(p: &'a Value, key: &str) -> &'a str {
    p.get(key).text().unwrap_or_default()
}

/// The timeout in seconds; 5 s by default.
fn timeout(p: &Value) -> Duration {
    Duration::from_secs_f64(p.get("timeout").number().unwrap_or(5.0).clamp(0.0, 1e6))
}
