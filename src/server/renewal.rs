//! New credentials of a connection, about which `identify` decides as about a greeting.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio_util::sync::{CancellationToken, DropGuard};
use wse_proto::session::Renewal;
use wse_proto::{ErrorCode, Hi};

use super::core::{ConnCore, CoreErrorEvent, CoreEvent};
use super::identify::{Accepted, AnswerSlot, Refuse, UnauthenticatedCore};
use crate::chain::find_source;
use crate::router::{BoxError, Failure};

/// Decides about new credentials in a task, within the time that a greeting has. The task ends when the guard is dropped.
pub(super) fn renew(conn: &ConnCore, hi: Hi) -> DropGuard {
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let conn = conn.clone();
    conn.0.server.tasks.clone().spawn(async move {
        stop.run_until_cancelled(decide(&conn, hi)).await;
    });
    guard
}

async fn decide(conn: &ConnCore, hi: Hi) {
    let accepted = match conn.0.server.config.auth_timeout {
        Some(timeout) => match tokio::time::timeout(timeout, identify(conn, &hi)).await {
            Ok(accepted) => accepted,
            Err(_) => Err(Refuse::because("no decision in time").into()),
        },
        None => identify(conn, &hi).await,
    };
    let accepted = accepted.and_then(|accepted| match accepted.user == *conn.user() {
        true => Ok(accepted),
        false => Err(Refuse::because("they belong to another user").into()),
    });
    let renewal = match &accepted {
        Ok(accepted) => Renewal::Accepted(accepted.expires_in),
        Err(_) => Renewal::Refused,
    };
    conn.connection().session(|session, now| {
        // False when the connection was resumed meanwhile, with credentials that are newer.
        if session.decide_renewal(now, renewal) && accepted.is_ok() {
            conn.set_hi(&hi);
        }
    });
    if let Err(error) = accepted {
        report(conn, error);
    }
}

/// What `identify` says. A panic is an error.
async fn identify(conn: &ConnCore, hi: &Hi) -> Result<Accepted, BoxError> {
    let Some(identify) = &conn.0.server.identify else {
        // Unreachable: a server without `identify` does not compile.
        return Err(Refuse::not_authorized().into());
    };
    let candidate = UnauthenticatedCore {
        connection: Arc::clone(conn.connection()),
        request: Arc::new(conn.0.request.get().clone()),
        peer_addr: conn.0.peer_addr,
        answer: AnswerSlot::default(),
    };
    let deciding = AssertUnwindSafe(async { identify(candidate, hi).await });
    deciding.catch_unwind().await.unwrap_or_else(|_| Err("`identify` panicked".into()))
}

/// Reports credentials that are not accepted.
fn report(conn: &ConnCore, error: BoxError) {
    let event = match find_source(&*error, |error| error.downcast_ref::<Refuse>()) {
        Some(refuse) => {
            let cause = refuse.cause.as_deref().unwrap_or("`identify` has refused");
            let message = format!("new credentials were refused: {cause}");
            let code = refuse.error.clone().unwrap_or(ErrorCode::Failed);
            let event = CoreErrorEvent::new(Some(conn.clone()), code, &message);
            CoreErrorEvent { name: Some("identify".into()), ..event }
        }
        None => CoreErrorEvent::of_failure(
            Some(conn.clone()),
            Failure::internal("identify".into(), error),
        ),
    };
    conn.emit(CoreEvent::Error(event));
}
