//! [`Feed`]: two streams of events as one. The second cannot delay or crowd out the first.

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Reads events from two channels. Those of the second come only when the first has none.
pub(super) struct Feed<T> {
    first: Receiver<T>,
    second: Receiver<T>,
}

/// What a [`Feed`] returns.
pub(super) enum Fed<T> {
    First(T),
    Second(T),
    /// So many events of the first channel were lost, because the reader is slow.
    MissedFirst(u64),
    /// So many events of the second channel were lost.
    MissedSecond(u64),
}

impl<T: Clone> Feed<T> {
    pub(super) fn new(first: Receiver<T>, second: Receiver<T>) -> Self {
        Self { first, second }
    }

    /// Returns the next event. `None` once both channels are empty and `ended` is cancelled, or the first channel is
    /// closed. Cancel safe.
    pub(super) async fn next(&mut self, ended: &CancellationToken) -> Option<Fed<T>> {
        tokio::select! {
            biased;
            received = self.first.recv() => match received {
                Ok(event) => Some(Fed::First(event)),
                Err(RecvError::Lagged(count)) => Some(Fed::MissedFirst(count)),
                Err(RecvError::Closed) => None,
            },
            received = self.second.recv() => match received {
                Ok(event) => Some(Fed::Second(event)),
                Err(RecvError::Lagged(count)) => Some(Fed::MissedSecond(count)),
                Err(RecvError::Closed) => None,
            },
            () = ended.cancelled() => None,
        }
    }
}
