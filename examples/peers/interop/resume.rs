//! What the interop server says about resume: the procedure `session`, and the event `resumed`.

use std::sync::{Mutex, PoisonError};

use wse::{Conn, Negotiate, Resumed, Server, Speaks};

use crate::contract::{ids, procedure};
use crate::log::Log;
use crate::value::{Value, map};

/// How often a connection was resumed, and how the last time ended. It is state of the connection.
#[derive(Default)]
pub struct Resumes(Mutex<(u64, Option<&'static str>)>);

pub fn procedures<P: Speaks<Value>>(server: &Server<P>, log: &Log) {
    procedure(server, log, "session", |conn, _| async move {
        let (resumes, last) = counted(&conn);
        let last = last.or(conn.not_resumed().map(|_| "none"));
        Ok(map([
            ("conn_id", conn.id().to_string().as_str().into()),
            ("resumes", Value::Int(resumes as i64)),
            ("last", last.map_or(Value::Null, Value::from)),
        ]))
    });
}

/// Takes note that a connection was resumed.
pub fn resumed<P: Negotiate>(log: &Log, conn: &Conn<P>, how: &Resumed) {
    let lost = match *how {
        Resumed::Partial { first, last } => Some([first, last]),
        _ => None,
    };
    let outcome = if lost.is_some() { "partial" } else { "full" };
    if let Some(state) = conn.state::<Resumes>() {
        let mut resumes = state.0.lock().unwrap_or_else(PoisonError::into_inner);
        *resumes = (resumes.0 + 1, Some(outcome));
    }
    let [cid, id] = ids(conn);
    match lost {
        None => log.record("resumed", [cid, id, ("outcome", outcome.into())]),
        Some(lost) => {
            let lost = Value::List(lost.map(|number| Value::Int(number as i64)).to_vec());
            log.record("resumed", [cid, id, ("outcome", outcome.into()), ("lost", lost)]);
        }
    }
}

fn counted<P: Negotiate>(conn: &Conn<P>) -> (u64, Option<&'static str>) {
    let state = conn.state::<Resumes>();
    state.map_or((0, None), |state| *state.0.lock().unwrap_or_else(PoisonError::into_inner))
}
