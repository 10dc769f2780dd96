//! [`Pending`]: the receipts that are awaited, and the handlers that can be cancelled.

use std::collections::HashMap;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wse_proto::session::ReceiptFailure;
use wse_proto::{ReceiptOf, Stamp};

pub(super) type ReceiptOutcome = Result<(), ReceiptFailure>;

/// The receipts that a connection awaits, and its handlers that can be cancelled. Most connections have none.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) receipts: HashMap<(ReceiptOf, Stamp), oneshot::Sender<ReceiptOutcome>>,
    /// The tokens of handlers of the peer's calls, cancelled when the peer cancels the call.
    pub(super) running: HashMap<Stamp, CancellationToken>,
    /// The parent of these tokens, cancelled when the connection ends.
    pub(super) ended: CancellationToken,
}
