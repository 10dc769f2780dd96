//! [`Driver`]: the state of a driver, and how it ends.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Sleep;
use wse_proto::session::Close;

use super::asked::Asked;
use super::core::Core;
use crate::connection::pending::Takeover;
use crate::connection::side::Side;

/// The state of a driver.
///
/// The order of the fields is fixed: those that each poll reads first are at the start of the task.
#[repr(C)]
pub(super) struct Driver<C, S: Side> {
    pub(super) core: Core<S>,
    /// Whether writing has failed. The peer's messages are still read, up to its close frame.
    pub(super) broken: bool,
    pub(super) closing: Closing,
    /// The end of the close timeout, once this side closes.
    pub(super) deadline: Option<Duration>,
    pub(super) sleep: Option<Pin<Box<Sleep>>>,
    /// When bytes last arrived from the peer, or it last made room for bytes that were waiting. Both are signs of life.
    pub(super) heard: Duration,
    /// Since when nothing is read.
    pub(super) paused_since: Option<Duration>,
    /// Whether the channel had bytes left to write after the last flush.
    pub(super) blocked: bool,
    /// What the peer resumes over this channel, while it is asked for.
    pub(super) resumed: Option<Box<Asked<S>>>,
    pub(super) channel: C,
}

/// How a driver ends.
pub(super) enum End {
    /// With its connection.
    Over,
    /// Its channel is lost, and the connection waits for another one.
    Suspended,
    /// The peer has come back over another channel, whose driver asks for the connection. This one is closed so.
    TakenOver(Takeover, Close),
}

/// How far this side is with closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    No,
    /// This side closes. What is queued is written first.
    Flushing,
    /// Either side has closed the channel, or it has failed. The channel does the rest.
    Handshake,
}

/// The result of an attempt to read.
pub(super) enum Read {
    Message,
    /// A message of which one is enough before other tasks get their turn.
    LargeMessage,
    Nothing,
    /// Reading is paused, and the channel was not asked.
    Paused,
    End,
}
