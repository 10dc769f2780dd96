//! What `wsprocessor_server` keeps, for clients to ask about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use wse::{CallError, ErrorCode, ReceiptError};

use crate::Json;

/// A failure code: a number, mostly. Faults have theirs as text, which is written as a number where it is one.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Code {
    Number(serde_json::Number),
    Text(String),
}

impl Code {
    fn from_text(text: &str) -> Self {
        serde_json::from_str(text).map_or_else(|_| Self::Text(text.to_owned()), Self::Number)
    }

    pub fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// What came of something that the server sent.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Outcome {
    Ack { status: u8 },
    Success { value: Json },
    Failure { code: Code, message: String },
}

/// What has happened since the start, on all connections.
#[derive(Default)]
pub struct Entries {
    pub notes: Vec<Json>,
    pub errors: Vec<String>,
    /// By tag.
    pub outcomes: HashMap<String, Vec<Outcome>>,
}

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Entries>>);

impl Log {
    pub fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("no panic while it is held")
    }

    fn happened(&self, tag: String, outcome: Outcome) {
        self.lock().outcomes.entry(tag).or_default().push(outcome);
    }

    /// An acknowledgement has come, or will not.
    pub fn acknowledged(&self, tag: String, receipt: Result<(), ReceiptError>) {
        let status = match receipt {
            Ok(()) => Some(0),
            // The connection had ended before anything was sent.
            Err(ReceiptError::NotReady) => Some(1),
            Err(error) => error.status_code().and_then(|status| status.parse().ok()),
        };
        if let Some(status) = status {
            self.happened(tag, Outcome::Ack { status });
        }
    }

    /// A request to a client has its response, or has failed: with this code, unless the client gave one.
    pub fn answered(&self, tag: String, result: Result<Json, CallError>, code: Option<&str>) {
        let (code, message) = match result {
            Ok(value) => return self.happened(tag, Outcome::Success { value }),
            Err(CallError::Fault(fault)) => (fault.code, fault.message.unwrap_or_default()),
            // The format has no code for the rest, such as too many requests at once. That gets a code of this crate.
            Err(error) => (code.map_or_else(|| error.code(), ErrorCode::from), error.to_string()),
        };
        self.happened(tag, Outcome::Failure { code: Code::from_text(code.as_str()), message });
    }
}
