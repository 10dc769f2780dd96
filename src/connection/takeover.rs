//! Another driver asks for a connection, since the peer has come back over another channel.

use std::any::Any;
use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::pending::Takeover;
use super::shared::Connection;

impl Connection {
    /// Asks the driver of this connection, or what stands in for it while there is no channel, to hand it over. Of several
    /// requests, the first is answered first.
    ///
    /// Nothing arrives when the connection has ended meanwhile.
    pub(super) fn ask_for(&self) -> oneshot::Receiver<Box<dyn Any + Send>> {
        let (takeover, core) = oneshot::channel();
        let mut state = self.lock();
        if !state.session.is_closed() {
            state.pending.get_or_insert_default().takeovers.push_back(takeover);
            state.asked = true;
        }
        drop(state);
        self.wake();
        core
    }

    /// The next request for this connection whose sender still waits. `None` when the session has ended.
    #[cold]
    pub(super) fn next_takeover(&self) -> Option<Takeover> {
        let mut state = self.lock();
        let closed = state.session.is_closed();
        let takeovers = &mut state.pending.as_mut()?.takeovers;
        let ended = if closed { std::mem::take(takeovers) } else { VecDeque::new() };
        let next = std::iter::from_fn(|| takeovers.pop_front()).find(|it| !it.is_closed());
        state.asked = !state.pending.as_ref().is_none_or(|it| it.takeovers.is_empty());
        drop(state);
        drop(ended);
        next
    }
}
