//! [`SharedWaker`]: one waker for a socket that two tasks poll.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Wake, Waker},
};

/// The waker that the transport gets; it wakes both halves of a WebSocket.
///
/// A transport remembers one reader and one writer. Here the reading half also writes (pongs, close frames), and the
/// closing half also reads: with their own wakers, a split WebSocket would lose wake-ups.
pub(crate) struct SharedWaker {
    slots: Arc<Slots>,
    both: Waker,
    /// The same as `slots`, so that the lock is taken only for a new task.
    known: [Option<Waker>; 2],
}

/// The half of the WebSocket that is polled.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Stream,
    Sink,
}

#[derive(Default)]
struct Slots(Mutex<[Option<Waker>; 2]>);

impl Wake for Slots {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let [stream, sink] = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(stream) = &stream {
            stream.wake_by_ref();
        }
        if let Some(sink) = sink.filter(|sink| !stream.is_some_and(|it| it.will_wake(sink))) {
            sink.wake();
        }
    }
}

impl SharedWaker {
    pub(crate) fn new() -> Self {
        let slots = Arc::new(Slots::default());
        Self { both: Waker::from(Arc::clone(&slots)), slots, known: [None, None] }
    }

    /// Registers the task that polls `half`, and returns the waker for the transport.
    pub(crate) fn register(&mut self, half: Half, waker: &Waker) -> &Waker {
        let known = &mut self.known[half as usize];
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
            let mut slots = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots[half as usize] = Some(waker.clone());
        }
        &self.both
    }

    /// Wakes both halves, after a change that neither of them notices.
    pub(crate) fn wake(&self) {
        self.both.wake_by_ref();
    }
}

impl fmt::Debug for SharedWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWaker").finish_non_exhaustive()
    }
}
