//! [`EventBody`]: the bytes of a stream.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use tokio::time::{Sleep, sleep};

use super::{config::Config, error::End, shared::Shared};

/// A comment without text, and an empty line, at which some intermediaries forward their data.
const PING: &[u8] = b":\n\n";

/// The body of the response to an EventSource request: a [`Stream`] of bytes and, with the feature `hyper`, a
/// `hyper::body::Body`. [`response`](super::response) and [`channel`](super::channel) create it.
///
/// It also yields pings, with the clock of tokio: poll it within a tokio runtime. Dropping it ends the stream with
/// [`End::Left`]. If the stream ended other than by being closed, it yields an error once, so that the HTTP server aborts
/// the connection.
#[derive(Debug)]
pub struct EventBody {
    shared: Arc<Shared>,
    ping: Option<Duration>,
    /// The time of the next ping; `None` before the first wait.
    timer: Option<Pin<Box<Sleep>>>,
    failed: bool,
}

impl EventBody {
    pub(super) fn new(shared: Arc<Shared>, config: &Config) -> Self {
        Self { shared, ping: config.ping.filter(|it| !it.is_zero()), timer: None, failed: false }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The next bytes, at most `max`, to be reported with [`Shared::wrote`]; `None` after the last ones.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Option<Result<Bytes, End>>> {
        loop {
            if let Poll::Ready(piece) = self.shared.poll_pop(cx, max) {
                if let (Some(timer), Some(interval)) = (&mut self.timer, self.ping) {
                    timer.as_mut().set(sleep(interval));
                }
                return Poll::Ready(piece);
            }
            let Some(interval) = self.ping else { return Poll::Pending };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(interval)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            // If the stream has ended meanwhile, the next turn finds out.
            let _ = self.shared.push(Bytes::from_static(PING));
        }
    }
}

impl Stream for EventBody {
    type Item = Result<Bytes, End>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        let piece = std::task::ready!(this.poll_piece(cx, usize::MAX));
        match &piece {
            Some(Ok(piece)) => this.shared.wrote(piece.len()),
            Some(Err(_)) => this.failed = true,
            None => this.shared.end(End::Closed),
        }
        Poll::Ready(piece)
    }
}

#[cfg(feature = "hyper")]
impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = End;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, End>>> {
        self.poll_next(cx).map_ok(hyper::body::Frame::data)
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        self.shared.end(End::Left);
    }
}
