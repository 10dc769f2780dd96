//! The state that a stream and its body share: the queue between them, and the end.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::timeout};

use super::{
    config::Config,
    error::{End, TrySendError},
};

/// The most queued events, however small: each costs some memory of its own.
const MAX_EVENTS: usize = 1024;

/// The capacity for events while nothing is sent.
const SMALL_QUEUE: usize = 16;

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Notified of everything that a sender may wait for.
    progress: Notify,
    buffer: usize,
    write_timeout: Duration,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// The number of bytes ever queued, and of those that the transport has accepted.
    queued: u64,
    written: u64,
    closing: bool,
    end: Option<End>,
    body: Option<Waker>,
}

impl Shared {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::default(),
            progress: Notify::new(),
            buffer: config.buffer.max(1),
            write_timeout: config.write_timeout,
        }
    }

    pub(super) fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    /// Queues an event if there is space.
    pub(super) fn try_push(&self, event: &Bytes) -> Result<(), TrySendError> {
        let mut state = self.lock();
        state.check().map_err(TrySendError::Ended)?;
        if !state.has_room(self.buffer) {
            return Err(TrySendError::Full);
        }
        state.push(event.clone());
        Ok(())
    }

    /// Queues an event for which there was space before.
    pub(super) fn push(&self, event: Bytes) -> Result<(), End> {
        let mut state = self.lock();
        state.check()?;
        state.push(event);
        Ok(())
    }

    /// Queues an event as soon as there is space.
    pub(super) async fn pushed(&self, event: &Bytes) -> Result<(), End> {
        self.wait(|| match self.try_push(event) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Ended(end)) => Some(Err(end)),
            Err(TrySendError::Full) => None,
        })
        .await
    }

    /// Whether there is space, or will never be.
    pub(super) fn room(&self) -> Option<Result<(), End>> {
        let state = self.lock();
        match state.check() {
            Ok(()) => state.has_room(self.buffer).then_some(Ok(())),
            Err(end) => Some(Err(end)),
        }
    }

    pub(super) async fn has_room(&self) -> Result<(), End> {
        self.wait(|| self.room()).await
    }

    pub(super) fn queued(&self) -> u64 {
        self.lock().queued
    }

    /// Whether the transport has accepted the first `target` bytes ever queued, or never will.
    pub(super) fn written(&self, target: u64) -> Option<Result<(), End>> {
        let state = self.lock();
        if state.written >= target {
            return Some(Ok(()));
        }
        state.end.clone().map(Err)
    }

    pub(super) async fn is_written(&self, target: u64) -> Result<(), End> {
        self.wait(|| self.written(target)).await
    }

    /// The number of bytes queued and not yet accepted.
    pub(super) fn waiting(&self) -> usize {
        let state = self.lock();
        usize::try_from(state.queued - state.written).unwrap_or(usize::MAX)
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake_body();
        // A caller that waits for the end has a deadline from now on.
        self.progress.notify_waiters();
    }

    pub(super) fn is_ended(&self) -> bool {
        let state = self.lock();
        state.closing || state.end.is_some()
    }

    pub(super) async fn ended(&self) -> End {
        let mut closing = false;
        loop {
            let mut progress = pin!(self.progress.notified());
            progress.as_mut().enable();
            {
                let state = self.lock();
                if let Some(end) = &state.end {
                    return end.clone();
                }
                closing |= state.closing;
            }
            if !closing {
                progress.await;
            } else if timeout(self.write_timeout, progress).await.is_err() {
                self.end(End::Slow);
            }
        }
    }

    /// Ends the stream, unless it has ended already. Queued bytes are dropped.
    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        drop(queue);
        self.wake_body();
        self.progress.notify_waiters();
    }

    /// Takes at most `max` bytes off the queue; `None` when there will be no more.
    pub(super) fn poll_pop(
        &self,
        cx: &Context<'_>,
        max: usize,
    ) -> Poll<Option<Result<Bytes, End>>> {
        let mut state = self.lock();
        match &state.end {
            None => {}
            Some(End::Closed) => return Poll::Ready(None),
            Some(end) => return Poll::Ready(Some(Err(end.clone()))),
        }
        if let Some(piece) = state.pop(max) {
            return Poll::Ready(Some(Ok(piece)));
        }
        if state.closing {
            return Poll::Ready(None);
        }
        let mut old = None;
        if !state.body.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            old = state.body.replace(cx.waker().clone());
        }
        // Woken outside the lock: a waker may hold the last reference to a task with a stream, which locks too.
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// Takes at most `max` bytes off the queue, if there are any.
    pub(super) fn pop(&self, max: usize) -> Option<Bytes> {
        self.lock().pop(max)
    }

    /// The transport has accepted bytes that were popped.
    pub(super) fn wrote(&self, bytes: usize) {
        self.lock().written += bytes as u64;
        self.progress.notify_waiters();
    }

    pub(super) fn wake_body(&self) {
        let waker = self.lock().body.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Retries at each progress. A peer without progress for the write timeout ends the stream.
    async fn wait<R>(&self, attempt: impl Fn() -> Option<R>) -> R {
        if let Some(result) = attempt() {
            return result;
        }
        loop {
            let mut progress = pin!(self.progress.notified());
            // From here on, no progress is missed.
            progress.as_mut().enable();
            if let Some(result) = attempt() {
                return result;
            }
            self.wake_body();
            if timeout(self.write_timeout, progress).await.is_err() {
                self.end(End::Slow);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether events can still be sent.
    fn check(&self) -> Result<(), End> {
        match &self.end {
            Some(end) => Err(end.clone()),
            None if self.closing => Err(End::Closed),
            None => Ok(()),
        }
    }

    fn has_room(&self, buffer: usize) -> bool {
        self.queued - self.written < buffer as u64 && self.queue.len() < MAX_EVENTS
    }

    fn push(&mut self, event: Bytes) {
        self.queued += event.len() as u64;
        self.queue.push_back(event);
    }

    fn pop(&mut self, max: usize) -> Option<Bytes> {
        let front = self.queue.front_mut().filter(|_| max > 0)?;
        if front.len() > max {
            return Some(front.split_to(max));
        }
        let piece = self.queue.pop_front();
        if self.queue.is_empty() {
            // An idle stream does not keep the capacity of an earlier burst.
            self.queue.shrink_to(SMALL_QUEUE);
        }
        piece
    }
}
