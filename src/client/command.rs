//! [`Command`]: what the handles of a client ask of its manager.

use tokio::sync::oneshot;
use wse_proto::session::Close;

use super::credentials::Target;
use super::error::ConnectError;

/// A command from a handle.
pub(super) enum Command {
    Close(Close),
    Migrate { target: Target, done: Done },
}

pub(super) type Done = oneshot::Sender<Result<(), ConnectError>>;
