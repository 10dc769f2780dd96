//! [`Channel`]: what carries the messages of a connection. A WebSocket, or a byte stream with frames of its own. The pages in
//! `docs/` call it the socket.

use std::task::{Context, Poll};
use std::time::Duration;

use wse_proto::session::{Close, Heartbeat, PingVia, Session};
use wse_proto::{Pings, ProtocolInfo};
use wse_transport::ws;

use super::queue::Queued;

/// What a driver needs of the channel under its connection. Its methods are those of a [`ws::WebSocket`], in which
/// [`ws::Message`] is the unit on both kinds of channel.
pub(crate) trait Channel: Unpin {
    /// Whether it is a byte stream: no close codes, no pings, and no line breaks in text messages.
    const FRAMED: bool;

    /// Receives the next message. [`ws::Message::Close`] is the peer's end; `None` follows once this side has ended too.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ws::Message, ws::Error>>>;

    /// Waits until a message can be sent.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws::Error>>;

    /// Queues a message, after [`poll_ready`](Self::poll_ready).
    fn start_send(&mut self, message: Queued) -> Result<(), ws::Error>;

    /// Writes what is queued.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws::Error>>;

    /// Begins to close. Receive until `None` to complete it.
    fn close(&mut self, close: &Close);

    /// Whether neither side has begun to close.
    fn is_open(&self) -> bool;

    /// The bytes that are queued and not yet written.
    fn queued(&self) -> usize;

    /// Changes the limits on what is received.
    fn set_limits(&mut self, limits: ws::Limits);

    /// Whether bytes were written since the last call.
    fn take_write_progress(&mut self) -> bool;

    /// Whether bytes arrived since the last call.
    fn take_read_progress(&mut self) -> bool;

    /// Tells that nothing was received for this long because the caller did not ask.
    fn reading_paused(&mut self, time: Duration);
}

/// A heartbeat that the peer's limit on pings, 20 a second by default, allows:
/// see [`ControlRate`](wse_transport::ws::ControlRate).
pub(crate) fn allowed(heartbeat: Heartbeat) -> Heartbeat {
    let min_interval = heartbeat.min_interval.max(Duration::from_millis(50));
    Heartbeat { min_interval, ..heartbeat }
}

/// Starts the heartbeat of a session over a channel. Over a byte stream it uses the pings of the protocol; a protocol that
/// has none has no heartbeat there.
pub(super) fn start_heartbeat<C: Channel>(
    session: &mut Session,
    info: &ProtocolInfo,
    heartbeat: Heartbeat,
    now: Duration,
    jitter: f64,
) {
    let via = match (C::FRAMED, info.can().has_pings()) {
        (true, Pings::Never) => return,
        (true, _) => Some(PingVia::Session),
        (false, _) => None,
    };
    session.start_heartbeat(heartbeat, via, now, jitter);
}
