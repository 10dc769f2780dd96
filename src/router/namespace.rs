//! Protocols with one set of names ([`ProtocolInfo::one_namespace`](wse_proto::ProtocolInfo::one_namespace)): a message for
//! a procedure, and a call of a message handler.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use wse_proto::{Head, SessionMessage};
use wse_transport::ws;

use super::replying::{Reply, ReplyTo};
use super::running::HandlerResult;
use super::started::{HandlerFuture, StartResult, StartedCall};
use crate::connection::{Connection, Incoming, stamp};

/// A message for a procedure: no one waits for its answer.
pub(super) fn unanswered() -> Incoming {
    Incoming { stamp: stamp(), timeout: None }
}

/// Runs a procedure as the handler of a message. Its result is dropped.
pub(super) fn as_handler(
    connection: &Arc<Connection>,
    call: Incoming,
    started: StartedCall,
) -> HandlerFuture<()> {
    let connection = Arc::clone(connection);
    let StartedCall { mut reply, running } = started;
    Box::pin(async move {
        let answered = poll_fn(|cx| {
            let to = ReplyTo {
                connection: &connection,
                stamp: &call.stamp,
                running: running.as_deref(),
            };
            reply.as_mut().poll_reply(to, cx)
        });
        answered.await.map(drop)
    })
}

/// Runs a message handler as a procedure. Its result is absent.
pub(super) fn as_procedure(started: StartResult<HandlerFuture<()>>) -> StartResult<StartedCall> {
    started.map(|future| StartedCall { reply: Box::pin(Absent(future)), running: None })
}

/// A message handler that runs for a call.
struct Absent(HandlerFuture<()>);

impl Reply for Absent {
    fn poll_reply(
        mut self: Pin<&mut Self>,
        to: ReplyTo<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<HandlerResult<ws::Message>> {
        ready!(self.0.as_mut().poll(cx))?;
        let reply = SessionMessage::raw(Head::reply(to.stamp.clone()), Bytes::new());
        Poll::Ready(Ok(to.connection.wire.seal(&reply)?))
    }
}
