//! [`Side`]: what differs between the server's and the client's end of a connection.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use wse_proto::session::{Close, Duplicates, Event, Heartbeat};
use wse_proto::{SessionMessage, Stamp, Text};
use wse_transport::ws;

use super::shared::Connection;
use super::tasks::Tasks;

/// What differs between the server's and the client's end of a connection.
pub(crate) trait Side: Send + Unpin + Sized + 'static {
    /// See [`alive`](Self::alive).
    type Alive;
    /// Hands a message to its handler, unless the peer is not authenticated.
    ///
    /// The handler of a `reliable` message runs to its end, whatever the setting says.
    fn message(
        &self,
        connection: &Arc<Connection>,
        name: Text,
        payload: Bytes,
        reliable: bool,
        cx: &mut Context<'_>,
    );
    /// Hands a call to its procedure, unless the peer is not authenticated.
    fn call(
        &self,
        connection: &Arc<Connection>,
        name: Text,
        call: Incoming,
        payload: Bytes,
        cx: &mut Context<'_>,
    );
    /// Handles an event other than a message or a call. Called in the order of the events, never while the connection is
    /// locked.
    fn event(&mut self, connection: &Arc<Connection>, event: Event);
    /// Continues what takes time before the welcome, such as a decision. Returns the messages that the session held
    /// meanwhile, to be handled now.
    fn poll(&mut self, connection: &Arc<Connection>, cx: &mut Context<'_>) -> Vec<SessionMessage>;
    /// A guard under which messages reach their handlers; `None` when the application is gone.
    fn alive(&self) -> Option<Self::Alive>;
    /// The most handlers that may run before further messages wait.
    fn max_handlers(&self) -> usize;
    /// The settings of the driver. Returned on demand, so that a connection does not store a copy.
    fn config(&self) -> DriverConfig;
    /// The stamps of reliable messages that the peer has sent; `None` before the peer is identified.
    fn duplicates(&self) -> Option<Duplicates>;
    /// The send queue is full: the peer reads more slowly than this side sends.
    fn slow(&mut self, connection: &Arc<Connection>);
    /// Code of the application panicked in the task of the connection: most likely its protocol. The connection is closed
    /// with 1011. `text` is the text of the panic after a colon, if it has one.
    fn panicked(&mut self, connection: &Arc<Connection>, text: &str);
    /// The channel failed: the peer violated RFC 6455 or the framing, or the network failed.
    fn failed(&mut self, connection: &Arc<Connection>, error: ws::Error);
    /// Where a task is spawned that stands in for the driver while there is no channel.
    fn tasks(&self) -> Tasks;
    /// The heartbeat of each channel, with a number from 0 to 1 that spreads the first pings of many connections.
    fn heartbeat(&self, connection: &Connection) -> Option<(Heartbeat, f64)>;
    /// Server: the connection that the peer, which is authenticated, resumes over this channel. Returned once.
    fn resumes(&mut self) -> Option<Arc<Connection>> {
        None
    }
    /// Server: takes the channel of another side, whose peer resumes this connection. Returns false if it has ended.
    fn adopt(
        &mut self,
        _connection: &Arc<Connection>,
        _greeted: &Arc<Connection>,
        _by: &mut Self,
    ) -> bool {
        false
    }
    /// Server: the connection that the peer wants to resume has ended meanwhile.
    fn not_resumed(&mut self) {}
    /// Server: the messages that are kept for all sessions take too much memory.
    fn relieve(&self) {}
    /// The channel has ended with this close, and the connection waits for another one. May be called more than once.
    fn lost(&mut self, _close: &Close) {}
    /// The connection has ended, or the closing handshake has begun. Called once.
    fn departed(&mut self, connection: &Arc<Connection>, close: &Close);
}

/// A call to be answered.
pub(crate) struct Incoming {
    pub(crate) stamp: Stamp,
    /// How long the caller waits, in milliseconds.
    pub(crate) timeout: Option<NonZeroU32>,
}

/// The settings of a driver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DriverConfig {
    /// The limits once the session is ready.
    pub(crate) limits: ws::Limits,
    /// The most bytes of payloads that are handled or wait for that, before reading pauses.
    pub(crate) handled_bytes: usize,
    /// How long closing may take, including the writing of what is queued before.
    pub(crate) close_timeout: Duration,
}
