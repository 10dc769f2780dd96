//! New credentials for a connection whose own are about to expire.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use wse_proto::ErrorCode;

use super::error::ConnectError;
use super::shared::Shared;
use super::status::ClientEvent;
use crate::chain::chain;
use crate::connection::Connection;

/// Asks the application for new credentials in a task, and sends them. The task ends when the guard is dropped, and when the
/// time is over. `None` when the credentials cannot change.
pub(super) fn renew(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    time: Duration,
) -> Option<DropGuard> {
    let credentials = shared.state().target.credentials.clone();
    if !credentials.may_change() {
        return None;
    }
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let (shared, connection) = (Arc::clone(shared), Arc::clone(connection));
    shared.tasks.clone().spawn(async move {
        let renewing = async {
            let asked = tokio::time::timeout(time, credentials.hi(&connection.wire)).await;
            match asked.unwrap_or(Err(ConnectError::Timeout)) {
                // Fails when the connection is lost meanwhile: the next greeting has new credentials.
                Ok(hi) => drop(connection.session(|session, _| session.renew(hi))),
                Err(error) => report(&shared, error),
            }
        };
        stop.run_until_cancelled(renewing).await;
    });
    Some(guard)
}

fn report(shared: &Shared, error: ConnectError) {
    let message = match &error {
        ConnectError::Timeout => "there were no new credentials before the old ones expired".into(),
        error => chain(error),
    };
    let source = match error {
        ConnectError::Timeout => None,
        error => Some(Arc::new(error) as _),
    };
    tracing::debug!(message, "the credentials are not renewed");
    shared.emit(ClientEvent::Error {
        code: ErrorCode::Failed,
        name: Some("credentials".into()),
        message,
        id: None,
        source,
    });
}
