//! [`Side`]: what differs between the server's and the client's end of a connection.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use wse_proto::session::{Close, Duplicates, Event};
use wse_proto::{Message, Protocol};

use super::link::Link;
use crate::router::{Report, Scope};
use crate::ws;

/// What differs between the server's and the client's end of a connection.
pub(crate) trait Side<P: Protocol>: Send {
    /// What handlers get as their connection.
    type Conn: Send + 'static;
    /// Who is told when one fails.
    type Report: Report;

    /// The handlers, and what they run with; `None` while nobody is let in.
    fn scope<'a>(
        &'a self,
        link: &'a Arc<Link<P>>,
    ) -> Option<Scope<'a, P, Self::Conn, Self::Report>>;
    /// Something happened that is no message and no call for a handler. Called in their order, never while the link
    /// is locked.
    fn event(&mut self, link: &Arc<Link<P>>, event: Event);
    /// Goes on with what takes time before the welcome, such as a decision; what the session held meanwhile, to be
    /// handled now.
    fn poll(&mut self, link: &Arc<Link<P>>, cx: &mut Context<'_>) -> Vec<Message>;
    /// How many handlers may wait for something before no further message is read.
    fn max_handlers(&self) -> usize;
    /// How the connection is driven. Asked for where it is kept: a connection has no room for its own.
    fn config(&self) -> DriverConfig;
    /// What the peer's messages that may come again are known by, once it is known who it is.
    fn duplicates(&self) -> Option<Duplicates>;
    /// The WebSocket failed: the peer broke RFC 6455, or the network did.
    fn failed(&mut self, link: &Arc<Link<P>>, error: ws::Error);
    /// The connection has ended, or the closing handshake has begun. Called once.
    fn departed(&mut self, link: &Arc<Link<P>>, close: &Close);
}

/// How a connection is driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DriverConfig {
    /// Limits from the moment the session is ready.
    pub(crate) limits: ws::Limits,
    /// How long the closing handshake may take, what is queued before it included.
    pub(crate) close_timeout: Duration,
}
