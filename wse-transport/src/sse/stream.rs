//! [`EventStream`].

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::{Sink, future::BoxFuture, ready};

use super::{
    error::{End, TrySendError},
    event::EncodedEvent,
    shared::Shared,
};

/// A stream of events to one client, on a connection or inside an HTTP server.
///
/// # Sending
///
/// [`feed`](Self::feed) queues, [`send`](Self::send) queues and flushes, [`flush`](Self::flush) waits until the transport
/// has accepted the queue; an HTTP server copies bytes into a buffer of its own. Feeding many events and flushing once
/// costs few writes.
///
/// With [`Config::buffer`](super::Config::buffer) bytes queued, `feed` and `send` wait for the transport, and
/// [`try_send`](Self::try_send) fails. All take an [`Event`](super::Event), a text, or an [`EncodedEvent`], which is not
/// copied, and can be called from several tasks. The stream is a [`Sink`] too.
///
/// `feed`, `send` and `flush` are cancel safe: an event is queued whole or not at all, and stays queued.
///
/// # Ending
///
/// [`closed`](Self::closed) resolves when the stream has ended, and sending fails with that [`End`]. On a connection it
/// ends when the peer ends its side. A peer that vanishes is noticed by pings, when the system gives up on them.
///
/// A peer that reads too slowly also ends the stream. On a connection, this is when it does not accept 64 KiB, or the rest
/// of the queue, within [`Config::write_timeout`](super::Config::write_timeout). Inside an HTTP server, whose transport is
/// not visible here, it is when `feed`, `send`, `flush` or, after `close`, `closed` have waited that long; the timeouts of
/// that server decide when it closes the connection.
///
/// Dropping the stream closes it, as [`close`](Self::close) does.
pub struct EventStream {
    shared: Arc<Shared>,
    last_event_id: Option<String>,
    /// What the sink waits for. Locked only briefly; the lock makes the stream `Sync`.
    waiting: Mutex<Option<Waiting>>,
}

type Waiting = (Until, BoxFuture<'static, Result<(), End>>);

/// What a [`Sink`] waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Room,
    Written(u64),
}

impl EventStream {
    pub(super) fn new(shared: Arc<Shared>, last_event_id: Option<String>) -> Self {
        Self { shared, last_event_id, waiting: Mutex::default() }
    }

    /// Queues an event when there is space, and waits until the transport has accepted it. Cancel safe, as described above.
    ///
    /// # Errors
    ///
    /// [`End`], if the stream has ended.
    pub async fn send(&self, event: impl Into<EncodedEvent>) -> Result<(), End> {
        self.feed(event).await?;
        self.flush().await
    }

    /// Queues an event when there is space. Cancel safe: dropped while it waits, it queues nothing.
    ///
    /// # Errors
    ///
    /// [`End`], if the stream has ended.
    pub async fn feed(&self, event: impl Into<EncodedEvent>) -> Result<(), End> {
        self.shared.pushed(&event.into().into()).await
    }

    /// Waits until the transport has accepted everything that was queued before. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`End`], if the stream has ended before.
    pub async fn flush(&self) -> Result<(), End> {
        self.shared.is_written(self.shared.queued()).await
    }

    /// Queues an event without waiting, if there is space: for senders to many streams.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`]: the caller can wait, skip the event, or close the stream, so that the client reconnects and
    /// tells what it has missed. [`TrySendError::Ended`].
    pub fn try_send(&self, event: impl Into<EncodedEvent>) -> Result<(), TrySendError> {
        let pushed = self.shared.try_push(&event.into().into());
        // Also when it is full: a part of the queue may be fed and not yet flushed.
        self.shared.wake_body();
        pushed
    }

    /// Ends the stream once the queue is written. Nothing more can be sent. The client reconnects, unless an event of the
    /// application tells it to close its `EventSource`, or it is rejected with the status 204.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Waits for the end, and returns its cause. It may be called several times, also during `send`. Cancel safe.
    pub async fn closed(&self) -> End {
        self.shared.ended().await
    }

    /// Whether nothing more can be sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_ended()
    }

    /// The number of bytes that are queued and not yet accepted by the transport; after the end, of those that were lost.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.waiting()
    }

    /// The id of the last event that the client received before it reconnected, if there was one.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    fn poll_until(&mut self, until: Until, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let waiting = self.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        if waiting.as_ref().is_none_or(|(other, _)| *other != until) {
            let now = match until {
                Until::Room => self.shared.room(),
                Until::Written(target) => self.shared.written(target),
            };
            if let Some(result) = now {
                *waiting = None;
                return Poll::Ready(result);
            }
            let shared = Arc::clone(&self.shared);
            let future = async move {
                match until {
                    Until::Room => shared.has_room().await,
                    Until::Written(target) => shared.is_written(target).await,
                }
            };
            *waiting = Some((until, Box::pin(future)));
        }
        let result = match waiting {
            Some((_, future)) => ready!(future.as_mut().poll(cx)),
            None => Ok(()),
        };
        *waiting = None;
        Poll::Ready(result)
    }
}

impl<E: Into<EncodedEvent>> Sink<E> for EventStream {
    type Error = End;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.get_mut().poll_until(Until::Room, cx)
    }

    fn start_send(self: Pin<&mut Self>, event: E) -> Result<(), End> {
        self.shared.push(event.into().into())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let target = self.shared.queued();
        self.get_mut().poll_until(Until::Written(target), cx)
    }

    /// Closes the stream, and waits until everything is written.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.shared.close();
        let target = self.shared.queued();
        self.get_mut().poll_until(Until::Written(target), cx)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("last_event_id", &self.last_event_id)
            .field("queued", &self.queued())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
