//! How much a task does before others get their turn.

use std::future::Future;
use std::pin::pin;
use std::task::Context;

/// The most messages handled, or rounds without a message, before other tasks get their turn.
pub(super) const BUDGET: usize = 64;

/// Schedules this task behind those that are ready, and behind those whose sockets have become ready meanwhile: a busy
/// connection must not delay a quiet one.
pub(super) fn let_others_run(cx: &mut Context<'_>) {
    let yielded = pin!(tokio::task::yield_now());
    let _ = yielded.poll(cx);
}
