//! Receipts of messages, calls and answers.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::sync::oneshot;
use wse_proto::session::{Close, ReceiptFailure, Tracked};
use wse_proto::{CodecError, Encode, Head, Protocol, ReceiptOf, Stamp, Text, UsageError};

use super::error::SendError;
use super::pending::ReceiptOutcome;
use super::queue::{Class, Queued};
use super::shared::Connection;
use crate::chain::causes;
use crate::random;

/// How long to wait for the receipt of a message or an answer by default.
pub(crate) const RECEIPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no receipt. The table of [outcomes](wse_proto::session::receipts#outcomes) lists all cases.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The connection is not ready; nothing was sent.
    NotReady,
    /// The send queue is full; nothing was sent.
    QueueFull,
    /// The most receipts allowed are pending; nothing was sent.
    TooManyReceipts,
    /// The value cannot be encoded in this protocol; nothing was sent.
    Encode(CodecError),
    /// It was sent, and no receipt arrived in time. It may have arrived.
    TimedOut,
    /// It was sent, and the connection ended before the receipt arrived. It may have arrived.
    Closed(Close),
    /// It was a call, and no answer arrived in time either.
    Outstanding,
    /// The protocol has no receipts, or the client has not said in its greeting that it gives some: nothing was sent. Or
    /// the peer sends none, and it arrived.
    Unsupported,
}

impl ReceiptError {
    /// The number that the JavaScript package wsprocessor reports in this case, if it has one.
    pub fn status_code(&self) -> Option<&'static str> {
        match self {
            Self::Closed(_) => Some("1"),
            Self::TimedOut => Some("2"),
            Self::NotReady => Some("3"),
            _ => None,
        }
    }
}

impl ReceiptError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the connection is not ready"),
            Self::QueueFull => f.write_str("the send queue is full"),
            Self::TooManyReceipts => f.write_str("too many receipts are pending"),
            Self::Encode(_) => f.write_str("the payload cannot be encoded"),
            Self::TimedOut => f.write_str("no receipt arrived in time"),
            Self::Closed(close) => write!(f, "the connection ended before the receipt: {close}"),
            Self::Outstanding => f.write_str("the call got neither receipt nor answer in time"),
            Self::Unsupported => f.write_str("the protocol or the peer has no receipts"),
        }
    }
}

impl fmt::Display for ReceiptError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl Error for ReceiptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ReceiptFailure> for ReceiptError {
    fn from(failure: ReceiptFailure) -> Self {
        match failure {
            ReceiptFailure::Closed(close) => Self::Closed(close),
            ReceiptFailure::Outstanding => Self::Outstanding,
            ReceiptFailure::Unsupported => Self::Unsupported,
            _ => Self::TimedOut,
        }
    }
}

impl ReceiptError {
    /// Whether another attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::NotReady | Self::QueueFull | Self::TimedOut | Self::Closed(_))
    }
}

impl From<SendError> for ReceiptError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotReady => Self::NotReady,
            SendError::QueueFull => Self::QueueFull,
            SendError::Encode(error) => Self::Encode(error),
        }
    }
}

impl From<UsageError> for ReceiptError {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::NoReceipts => Self::Unsupported,
            UsageError::TooManyReceipts => Self::TooManyReceipts,
            _ => Self::NotReady,
        }
    }
}

/// A receipt that is awaited. Dropping it stops waiting.
pub(crate) struct Expected {
    connection: Arc<Connection>,
    of: ReceiptOf,
    stamp: Stamp,
    receiver: oneshot::Receiver<ReceiptOutcome>,
}

impl Future for Expected {
    type Output = Result<(), ReceiptError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.receiver).poll(cx);
        ended.map(|outcome| Ok(outcome.map_err(|_| ReceiptError::NotReady)??))
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.connection.forget_receipt(self.of, &self.stamp);
    }
}

impl Connection {
    /// Starts to wait for the receipt of what is sent under this stamp.
    pub(crate) fn expect(
        self: &Arc<Self>,
        of: ReceiptOf,
        stamp: Stamp,
        timeout: Option<Duration>,
    ) -> Result<Expected, ReceiptError> {
        if !self.gives_receipts() {
            return Err(self.unsupported());
        }
        let receiver = self.expect_receipt(of, stamp.clone(), timeout)?;
        Ok(Expected { connection: Arc::clone(self), of, stamp, receiver })
    }

    /// Sends a message and waits for its receipt.
    pub(crate) async fn send_acked<P: Protocol, T: ?Sized>(
        self: &Arc<Self>,
        name: Text,
        payload: &T,
        timeout: Option<Duration>,
    ) -> Result<(), ReceiptError>
    where
        P::Format: Encode<T>,
    {
        self.send_under::<P, T>(stamp(), false, name, payload, timeout)?.await
    }

    /// Sends a message under this stamp. Returns a future of its receipt.
    pub(crate) fn send_under<P: Protocol, T: ?Sized>(
        self: &Arc<Self>,
        stamp: Stamp,
        reliable: bool,
        name: Text,
        payload: &T,
        timeout: Option<Duration>,
    ) -> Result<Expected, ReceiptError>
    where
        P::Format: Encode<T>,
    {
        let head = Head::Message { name, receipt: Some(stamp.clone()), reliable };
        if !self.gives_receipts() {
            // Checked before packing: the protocol may not be able to express such a message.
            return Err(self.unsupported());
        }
        let message = self
            .wire
            .message::<P, T>(&head, payload)
            .map_err(|error| ReceiptError::from(SendError::from(error)))?;
        self.push_under(stamp, message, timeout)
    }

    fn unsupported(&self) -> ReceiptError {
        match self.is_ready() {
            true => ReceiptError::Unsupported,
            false => ReceiptError::NotReady,
        }
    }

    /// Sends a packed message and waits for the receipt under this stamp. No policy drops the message.
    pub(crate) fn push_under(
        self: &Arc<Self>,
        stamp: Stamp,
        message: impl Into<Queued>,
        timeout: Option<Duration>,
    ) -> Result<Expected, ReceiptError> {
        let expected = self.expect(ReceiptOf::Message, stamp.clone(), timeout)?;
        let tracked = || Some(Tracked::Receipt(ReceiptOf::Message, stamp));
        self.push_tracked(Class::Call, message, tracked)?;
        Ok(expected)
    }

    /// Registers a receipt with the session. Returns the receiver of its outcome.
    pub(super) fn expect_receipt(
        &self,
        of: ReceiptOf,
        stamp: Stamp,
        timeout: Option<Duration>,
    ) -> Result<oneshot::Receiver<ReceiptOutcome>, UsageError> {
        let (sender, receiver) = oneshot::channel();
        self.with(|state| {
            let now = self.clock.now();
            state.session.expect_receipt(now, of, stamp.clone(), timeout)?;
            let pending = state.pending.get_or_insert_default();
            pending.receipts.insert((of, stamp), sender);
            Ok(receiver)
        })
    }

    /// Stops waiting for a receipt.
    pub(super) fn forget_receipt(&self, of: ReceiptOf, stamp: &Stamp) {
        let mut state = self.lock();
        let waited = state.pending.as_mut().and_then(|it| it.receipts.remove(&(of, stamp.clone())));
        if waited.is_some() {
            state.session.forget_receipt(of, stamp.clone());
        }
        drop(state);
        // It wakes its receiver, without the lock.
        drop(waited);
    }
}

/// A random stamp, unique over all connections: a protocol may take every message that asks for a receipt for one that may
/// be repeated. At this length it needs no allocation.
pub(crate) fn stamp() -> Stamp {
    Stamp::from(BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<16>()).as_str())
}
