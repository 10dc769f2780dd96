//! What resume needs of a [`Connection`]: it loses its channel, keeps what is sent, and gets another one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use wse_proto::session::{Close, Event, NotAttached, Token, reconnects};
use wse_proto::{Head, NotResumed, ResumeRequest};

use super::queue::{Extra, Queue, packed, size};
use super::shared::Connection;
use super::wire::Wire;

impl Connection {
    /// Whether messages are counted.
    #[inline]
    pub(crate) fn is_counting(&self) -> bool {
        self.counting.load(Ordering::Relaxed)
    }

    /// Whether the session has a channel past its welcome.
    pub(crate) fn is_attached(&self) -> bool {
        self.lock().session.is_attached()
    }

    /// Whether the session waits for another channel.
    pub(crate) fn is_suspended(&self) -> bool {
        self.is_counting() && self.lock().session.is_suspended()
    }

    /// Whether the session outlives its channel, or would if that were lost now.
    pub(super) fn is_kept(&self) -> bool {
        let state = self.lock();
        state.session.is_suspended() || state.session.is_attached()
    }

    /// Whether the session outlives such an end of its channel.
    pub(super) fn outlives(&self, close: &Close) -> bool {
        self.is_counting() && reconnects(close.code) && self.is_kept()
    }

    /// A counted message is being written.
    #[inline(never)]
    pub(super) fn sent(&self, packed: Bytes, extra: Option<Box<Extra>>) {
        let mut state = self.lock();
        // It never says that all sessions keep too much: only suspended ones do.
        match extra {
            None => state.session.sent(packed, None),
            Some(extra) => state.session.sent(packed, extra.into_tracked()),
        };
    }

    /// As [`keep_queued`](Self::keep_queued), for what was queued since the channel was lost. At a client, that stays where it
    /// is.
    pub(super) fn keep_new(&self) -> bool {
        let server = self.lock().session.is_server();
        server && self.keep_queued()
    }

    /// Keeps what is queued for the next channel: at a server as if it was written, at a client in the queue. Returns whether
    /// all sessions together keep too much.
    pub(super) fn keep_queued(&self) -> bool {
        if !self.is_counting() || !self.is_kept() {
            return false;
        }
        let mut state = self.lock();
        state.dirty = !state.events.is_empty();
        let (mut queue, mut exceeded) = (state.outbox.lend(), false);
        let mut left = Queue::default();
        let mut bytes = 0;
        while let Some(entry) = queue.pop() {
            match entry.class {
                class if !class.is_counted() => bytes += size(&entry.message),
                _ if state.session.is_server() => {
                    bytes += size(&entry.message);
                    let packed = packed(entry.message.message());
                    let tracked = entry.extra.and_then(|it| it.into_tracked());
                    exceeded |= state.session.sent(packed, tracked);
                }
                _ => left.push(entry),
            }
        }
        let writable = self.written(&mut state, left, bytes);
        drop(state);
        if writable {
            self.writable.notify_waiters();
        }
        exceeded
    }

    /// A message has arrived that is held back. Returns whether it may be handled later.
    pub(super) fn arrived(&self, now: Duration, head: &Head) -> bool {
        if !self.is_counting() {
            return true;
        }
        let mut attached = false;
        self.with(|state| {
            attached = state.session.is_attached();
            state.session.count_held(now, head);
        });
        attached
    }

    /// The name of the session; `None` when it cannot be resumed.
    pub(crate) fn session_name(&self) -> Option<String> {
        if !self.is_counting() {
            return None;
        }
        self.lock().session.session_name().map(str::to_owned)
    }

    /// Whether the session goes on over a channel of this wire.
    pub(crate) fn speaks(&self, wire: &Wire, lines: bool) -> bool {
        self.wire.variant == wire.variant && self.options.lines == lines
    }

    /// Why the session of this connection is not resumed over another one.
    pub(crate) fn refusal(
        &self,
        request: &ResumeRequest,
        same_user: bool,
        over: &Self,
    ) -> Option<NotResumed> {
        let same_wire = self.speaks(&over.wire, over.options.lines);
        self.lock().session.refusal(request, same_user, same_wire)
    }

    /// Whether a client says that it has processed more than was sent.
    pub(crate) fn is_ahead(&self, request: &ResumeRequest) -> bool {
        let ResumeRequest::Resume { seen, .. } = request else { return false };
        self.lock().session.is_ahead(*seen)
    }

    /// Resumes the session over the channel of another connection, which ends.
    pub(crate) fn attach(
        &self,
        greeted: &Self,
        token: Token,
        welcome: Bytes,
    ) -> Result<(), NotAttached> {
        self.with(|state| {
            // Both are locked. Nobody else locks two: the other one belongs to the caller alone.
            let mut greeted = greeted.lock();
            let outcome = state.session.attach(&mut greeted.session, token, welcome)?;
            // It was for the channel that is lost.
            state.closing = None;
            if !state.detached {
                // What the lost channel has not taken comes behind the welcome and what it has taken. The rest was for that
                // channel only, or is in the ring.
                state.outbox.drop_unwanted(|class, _| class.is_counted());
                state.detached = true;
            }
            // In the order in which the session was suspended and resumed.
            state.events.push_back(Event::Resumed { outcome });
            Ok(())
        })
    }

    /// The channel is given up. What was about to be done with it is forgotten.
    pub(super) fn detach(&self) {
        let mut state = self.lock();
        if !state.session.is_closed() {
            (state.closing, state.aborted) = (None, false);
        }
    }

    /// Client: gives up the channel over which the session is being resumed.
    pub(crate) fn drop_channel(&self) {
        self.lose(&Close::VANISHED);
        self.abort();
    }

    /// Drops the messages that are kept for the next channel.
    pub(crate) fn empty_ring(&self) {
        self.lock().session.empty_ring();
    }

    /// Ends a suspended session, whose window is over.
    pub(crate) fn end_suspended(&self) {
        self.with(|state| {
            if let Some(close) = state.session.end_suspended() {
                state.closing = Some(Box::new(close));
            }
        });
    }

    /// Ends the session if it is suspended: the server stops.
    pub(crate) fn stop_suspended(&self, close: &Close) {
        self.with(|state| {
            if state.session.is_suspended() {
                state.session.end_session(close);
                state.closing = Some(Box::new(close.clone()));
            }
        });
    }
}
