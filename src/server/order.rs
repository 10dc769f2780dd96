//! [`Order`]: the events of a user come in order, and no lock is held while they are emitted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use wse_proto::Text;

/// Who emits the events of which user.
///
/// The holder of a user's turn emits all events of the user, also those that others queue meanwhile.
/// It does so without a lock, since callbacks are code of the application.
#[derive(Debug)]
pub(super) struct Order<E>(Mutex<HashMap<Text, Turn<E>>>);

#[derive(Debug)]
struct Turn<E> {
    events: VecDeque<E>,
    waiting: Vec<Waker>,
}

impl<E> Default for Order<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E> Order<E> {
    /// Takes the turn of a user. Wakes the task when it is free again. The holder must call
    /// [`emit`](Self::emit).
    pub(super) fn poll_turn(&self, user: &Text, cx: &Context<'_>) -> Poll<()> {
        let mut turns = self.lock();
        if let Some(turn) = turns.get_mut(user) {
            if !turn.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                turn.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        turns.insert(user.clone(), Turn { events: VecDeque::new(), waiting: Vec::new() });
        Poll::Ready(())
    }

    /// Makes a change and queues its events, both under the lock, so that the events come in the
    /// order of the changes. Returns whether the caller has to emit them: not when another caller
    /// holds the user's turn.
    pub(super) fn change(&self, user: &Text, change: impl FnOnce(&mut VecDeque<E>)) -> bool {
        let mut turns = self.lock();
        if let Some(turn) = turns.get_mut(user) {
            change(&mut turn.events);
            return false;
        }
        let mut events = VecDeque::new();
        change(&mut events);
        let any = !events.is_empty();
        if any {
            turns.insert(user.clone(), Turn { events, waiting: Vec::new() });
        }
        any
    }

    /// Emits the queued events of a user until there are none, and ends the turn. `emit` must not
    /// panic.
    pub(super) fn emit(&self, user: &Text, mut emit: impl FnMut(E)) {
        loop {
            let mut turns = self.lock();
            if let Some(event) = turns.get_mut(user).and_then(|turn| turn.events.pop_front()) {
                drop(turns);
                emit(event);
                continue;
            }
            let over = turns.remove(user);
            drop(turns);
            for waker in over.into_iter().flat_map(|turn| turn.waiting) {
                waker.wake();
            }
            return;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Text, Turn<E>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_the_turn_emits_what_others_queue() {
        let (order, ann) = (Order::default(), Text::from("ann"));
        let cx = Context::from_waker(Waker::noop());
        assert!(order.change(&ann, |events| events.push_back(1)));
        assert!(order.poll_turn(&ann, &cx).is_pending());
        assert!(order.poll_turn(&Text::from("bob"), &cx).is_ready());
        let mut emitted = Vec::new();
        order.emit(&ann, |event| {
            emitted.push(event);
            if event < 3 {
                assert!(!order.change(&ann, |events| events.push_back(event + 1)));
            }
        });
        assert_eq!(emitted, [1, 2, 3]);
        assert!(!order.change(&ann, |_| {}));
        assert!(order.poll_turn(&ann, &cx).is_ready());
    }
}
