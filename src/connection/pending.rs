//! [`Pending`]: the receipts that are awaited, the handlers that can be cancelled, and a close that waits.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wse_proto::session::{Close, ReceiptFailure};
use wse_proto::{ReceiptOf, Stamp};

pub(super) type ReceiptOutcome = Result<(), ReceiptFailure>;

/// Sends what drives a connection to the driver that asks for it: its core, whose type depends on the side.
pub(super) type Takeover = oneshot::Sender<Box<dyn Any + Send>>;

/// What most connections do not have: receipts that they await, handlers that can be cancelled, a close that waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) receipts: HashMap<(ReceiptOf, Stamp), oneshot::Sender<ReceiptOutcome>>,
    /// The tokens of handlers of the peer's calls, cancelled when the peer cancels the call.
    pub(super) running: HashMap<Stamp, CancellationToken>,
    /// The parent of these tokens, cancelled when the connection ends.
    pub(super) ended: CancellationToken,
    /// Who takes the connection over, in the order of their requests.
    pub(super) takeovers: VecDeque<Takeover>,
    /// The close that waits for answers. Here, since it is rare.
    pub(super) finishing: Option<Finishing>,
}

/// A close that waits for answers.
#[derive(Debug)]
pub(super) struct Finishing {
    pub(super) close: Close,
    /// When to close without the answers.
    pub(super) until: Duration,
    pub(super) waits: Waits,
    /// How many procedures have closed the connection and are not answered yet.
    pub(super) own: usize,
}

/// What a close waits for, and whether this side may go on sending meanwhile. The one that waits least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waits {
    /// For the answer of the procedure that closes the connection it was called over. Nothing else is sent.
    OwnAnswer,
    /// For the answers to all calls that are being handled. Nothing else is sent.
    Answers,
    /// As `Answers`, and what the handlers send is sent.
    Handlers,
}
