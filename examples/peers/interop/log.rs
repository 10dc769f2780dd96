//! [`Log`]: the events of the interop server.

use std::sync::{Arc, Mutex};

use crate::value::{Value, map};

/// What has happened, for clients to ask about.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Value>>>);

impl Log {
    pub fn record<const N: usize>(&self, event: &str, members: [(&str, Value); N]) {
        let Value::Map(mut entry) = map(members) else { return };
        let mut log = self.0.lock().expect("no panic while it is held");
        entry.insert("event".into(), event.into());
        entry.insert("n".into(), log.len().into());
        log.push(Value::Map(entry));
    }

    pub fn since(&self, n: usize) -> Value {
        let log = self.0.lock().expect("no panic while it is held");
        Value::List(log.iter().skip(n).cloned().collect())
    }
}
