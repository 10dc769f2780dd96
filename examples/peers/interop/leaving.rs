//! Procedures of the interop server after which its clients leave: expired credentials, and a drain.

use std::time::Duration;

use wse::{Drain, Server, Speaks};

use crate::contract::procedure;
use crate::log::Log;
use crate::value::Value;

pub fn procedures<P: Speaks<Value>>(server: &Server<P>, log: &Log) {
    procedure(server, log, "expire", |conn, p| async move {
        conn.expire_in(millis(p.get("ms")));
        Ok(Value::Null)
    });
    let all = server.clone();
    procedure(server, log, "drain", move |_, p| {
        let drain = Drain::default().after(millis(p.get("after")));
        let (server, drain) = (all.clone(), drain.spread(millis(p.get("spread"))));
        tokio::spawn(async move {
            // Behind the answer.
            tokio::time::sleep(Duration::from_millis(50)).await;
            server.drain(drain).await;
        });
        async { Ok(Value::Null) }
    });
}

fn millis(value: &Value) -> Duration {
    Duration::from_secs_f64(value.number().unwrap_or(0.0).clamp(0.0, 1e9) / 1000.0)
}
