//! Reading of a [`Driver`]: from messages to the session and the side.

use std::task::{Context, Poll};

use bytes::Bytes;
use wse_proto::session::Close;
use wse_transport::ws::{self, CloseFrame};

use super::held::Received;
use super::state::{Closing, Driver, Read};
use crate::connection::channel::Channel;
use crate::connection::side::Side;

/// From how many bytes on a message is large: handling it takes as long as some sixty small ones.
const LARGE: usize = 64 * 1024;

impl<C: Channel, S: Side> Driver<C, S> {
    /// Continues what comes before the welcome. With a protocol without a greeting, the decision about the peer begins before
    /// anything was received. The full limits apply once the session is ready.
    pub(super) fn poll_greeting(&mut self, cx: &mut Context<'_>) {
        loop {
            let held = self.core.side.poll(&self.core.connection, cx);
            self.core.events(cx);
            for message in held {
                self.core.deliver(Ok(message), cx);
            }
            match self.poll_resumed(cx) {
                Some(Poll::Pending) => return,
                Some(Poll::Ready(())) => {}
                None => break,
            }
        }
        if self.core.connection.is_attached() {
            self.core.ready = true;
            self.channel.set_limits(self.core.side.config().limits);
        }
    }

    /// Whether reading is paused. It is not while the connection ends, since the end must be read.
    pub(super) fn is_paused(&self) -> bool {
        // What comes before the welcome starts no handler, and is read even if answers wait for the welcome.
        let is_full = || self.core.connection.holds_reading() || self.core.is_over_budget();
        let pauses = self.is_undecided() || self.core.ready && is_full();
        pauses && self.closing == Closing::No && !self.broken && self.channel.is_open()
    }

    /// Whether a peer waits for the decision without having greeted. With a protocol without a greeting, it cannot know that
    /// it is not accepted yet, and may send any amount. Nothing is read from it.
    fn is_undecided(&self) -> bool {
        !self.core.ready && !self.core.connection.wire.info.has_greeting()
    }

    /// Reads one message. While reading is paused, one more message is read and deferred, so that the end of the connection
    /// is seen if nothing else comes before it.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Read {
        let paused = self.is_paused();
        if paused && (self.is_undecided() || self.core.has_deferred()) {
            self.paused_since.get_or_insert(self.core.now);
            return Read::Paused;
        }
        if (self.core.held.is_some() || self.paused_since.is_some()) && self.resume(cx) {
            return Read::Message;
        }
        match self.channel.poll_receive(cx) {
            Poll::Pending if self.broken => return Read::End,
            Poll::Pending => return Read::Nothing,
            Poll::Ready(None) => return Read::End,
            Poll::Ready(Some(Ok(message))) => match message {
                ws::Message::Text(text) => return self.data(text.into_bytes(), true, paused, cx),
                ws::Message::Binary(bytes) => return self.data(bytes, false, paused, cx),
                ws::Message::Ping(_) => {}
                ws::Message::Pong(payload) => self.core.connection.pong(self.core.now, &payload),
                ws::Message::Close(frame) => {
                    if C::FRAMED
                        && let Some(lent) = self.write(cx)
                    {
                        // A peer may end its own direction and still read the answers to what it has sent.
                        self.core.connection.return_lent(lent);
                    }
                    self.closing = Closing::Handshake;
                    self.lost(&closed_by(frame), cx);
                }
            },
            Poll::Ready(Some(Err(error))) => {
                self.closing = Closing::Handshake;
                self.core.side.failed(&self.core.connection, error);
                self.lost(&Close::VANISHED, cx);
            }
        }
        Read::Message
    }

    /// Resumes reading. Returns whether there was a deferred message, which is handled now.
    #[cold]
    fn resume(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(deferred) = self.core.take_deferred() {
            self.message(deferred.bytes, deferred.text, cx);
            return true;
        }
        if let Some(since) = self.paused_since.take() {
            self.channel.reading_paused(self.core.now.saturating_sub(since));
            self.core.connection.session(|session, _| session.handle_unread());
        }
        false
    }

    /// Handles a data message, or defers it while reading is paused. `text` says whether the channel has checked that it is
    /// UTF-8.
    #[inline(always)]
    fn data(&mut self, bytes: Bytes, text: bool, paused: bool, cx: &mut Context<'_>) -> Read {
        let large = bytes.len() >= LARGE;
        if paused {
            self.core.held.get_or_insert_default().deferred = Some(Received { bytes, text });
        } else {
            self.message(bytes, text, cx);
        }
        if large { Read::LargeMessage } else { Read::Message }
    }

    fn message(&mut self, bytes: Bytes, text: bool, cx: &mut Context<'_>) {
        // Without a way to answer, and without one to count them, messages are dropped.
        if !self.broken {
            self.core.message(bytes, text, cx);
        }
    }
}

fn closed_by(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close::new(frame.code.into(), frame.reason.as_str()),
        None => Close::new(1005, ""),
    }
}
