//! [`Failure`]: what the peer, the event and the log get of an error that a handler returned.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use wse_proto::{ErrorCode, Fault, Text, excerpt};

use super::output::BoxError;
use super::running::panicked;
use crate::chain::{chain, find_source};
use crate::connection::CallError;
use crate::random;

/// The failure of a message or a call, for the endpoint's error events. Name and message are excerpts.
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    /// The name of the message or procedure.
    pub(crate) name: Text,
    /// The error and its causes.
    pub(crate) message: String,
    /// The correlation id that the peer got. `None` when the peer got the message itself.
    pub(crate) id: Option<Text>,
    pub(crate) source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Makes a failure whose text stays local: it gets a correlation id and is logged.
    pub(crate) fn internal(name: Text, error: BoxError) -> Self {
        let (name, id, message) = (shown(name), id(), chain(&*error));
        tracing::warn!(%name, %id, error = %message, "a handler failed");
        let source = Some(Arc::from(error));
        Self { code: ErrorCode::Failed, name, message, id: Some(id), source }
    }
}

/// The failure of a handler, and the fault that the peer gets.
pub(super) struct HandlerFailure {
    pub(super) fault: Fault,
    pub(super) failure: Failure,
}

impl HandlerFailure {
    /// Converts an error of a handler.
    ///
    /// A [`Fault`], also among the causes of the error, reaches the peer unchanged. One that another peer answered with, in
    /// a [`CallError`], reaches it without its details, which are in the format of another connection. Any other error stays
    /// local unless `expose` is set: the peer gets a generic failure with an id.
    pub(super) fn new(name: Text, error: BoxError, expose: bool) -> Self {
        let spare = name.clone();
        // The `Display` of an error may panic too.
        catch_unwind(AssertUnwindSafe(|| Self::convert(name, error, expose)))
            .unwrap_or_else(|_| Self::convert(spare, panicked(), expose))
    }

    fn convert(name: Text, error: BoxError, expose: bool) -> Self {
        let error = match error.downcast::<Fault>() {
            Ok(fault) => return Self::exposed(ErrorCode::Failed, name, *fault),
            Err(error) => error,
        };
        let error = match error.downcast::<CallError>() {
            Ok(error) => match *error {
                CallError::Fault(fault) => {
                    return Self::exposed(ErrorCode::Failed, name, fault.details(Bytes::new()));
                }
                error => error.into(),
            },
            Err(error) => error,
        };
        if let Some(fault) = find_source(&*error, fault_of) {
            let message = chain(&*error);
            let source = Some(Arc::from(error));
            let (code, name) = (ErrorCode::Failed, shown(name));
            return Self { fault, failure: Failure { code, name, message, id: None, source } };
        }
        if expose {
            return Self::exposed(ErrorCode::Failed, name, Fault::failed(chain(&*error)));
        }
        let failure = Failure::internal(name, error);
        let id = failure.id.as_deref().unwrap_or_default();
        Self { fault: Fault::failed(format!("internal error, id {id}")), failure }
    }

    /// The failure of a message, about which the peer learns nothing. Its code is that of the
    /// fault.
    pub(super) fn for_message(self) -> Failure {
        Failure { code: self.fault.code, ..self.failure }
    }

    /// The failure of a call. Its code is always [`ErrorCode::Failed`].
    pub(super) fn for_call(mut self) -> Self {
        self.failure.code = ErrorCode::Failed;
        self
    }

    /// A failure that the peer gets unchanged.
    pub(super) fn exposed(code: ErrorCode, name: Text, fault: Fault) -> Self {
        let (name, message) = (shown(name), fault.to_string());
        Self { fault, failure: Failure { code, name, message, id: None, source: None } }
    }
}

/// Returns the fault that an error is, without its causes.
fn fault_of(error: &(dyn Error + 'static)) -> Option<Fault> {
    error.downcast_ref().cloned().or_else(|| match error.downcast_ref() {
        Some(CallError::Fault(fault)) => Some(fault.clone().details(Bytes::new())),
        _ => None,
    })
}

/// A message that has no handler of its own has any name that its sender wrote.
fn shown(name: Text) -> Text {
    Text::from(excerpt(&name).to_string())
}

/// Returns a correlation id: 16 hexadecimal digits, unique in practice.
fn id() -> Text {
    let number = u64::from_be_bytes(random::bytes());
    Text::from(format!("{number:016x}"))
}
