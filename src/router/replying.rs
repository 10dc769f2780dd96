//! [`Replying`]: the future of a procedure, which packs the reply with what it is polled with.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use wse_proto::{Encode, Head, Protocol, Stamp};
use wse_transport::ws;

use super::call::RunningCall;
use super::output::HandlerError;
use super::running::HandlerResult;
use crate::connection::Connection;

/// A procedure that runs.
///
/// Not a `Future`, which would have to own its connection and the stamp of its call: most procedures are ready at their
/// first poll.
pub(super) trait Reply: Send {
    /// Polls the procedure. Returns its packed reply.
    fn poll_reply(
        self: Pin<&mut Self>,
        to: ReplyTo<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<HandlerResult<ws::Message>>;
}

/// The call that a procedure replies to.
#[derive(Clone, Copy)]
pub(super) struct ReplyTo<'a> {
    pub(super) connection: &'a Connection,
    pub(super) stamp: &'a Stamp,
    /// For procedures that take a [`Call`](super::Call).
    pub(super) running: Option<&'a RunningCall>,
}

pin_project! {
    /// The future of a procedure for protocol `P`, with result `R` or error `E`.
    pub(super) struct Replying<P, R, E, Fut> {
        #[pin]
        future: Fut,
        types: PhantomData<fn() -> (P, R, E)>,
    }
}

impl<P, R, E, Fut> Replying<P, R, E, Fut> {
    pub(super) fn new(future: Fut) -> Self {
        Self { future, types: PhantomData }
    }
}

impl<P, R, E, Fut> Reply for Replying<P, R, E, Fut>
where
    P: Protocol<Format: Encode<R>>,
    Fut: Future<Output = Result<R, E>> + Send,
    E: HandlerError,
{
    fn poll_reply(
        self: Pin<&mut Self>,
        to: ReplyTo<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<HandlerResult<ws::Message>> {
        let result = ready!(self.project().future.poll(cx)).map_err(HandlerError::into_error)?;
        let receipt = to.running.is_some_and(|running| running.state.pack_request())
            && to.connection.gives_receipts();
        let head = Head::Reply { stamp: to.stamp.clone(), receipt };
        let message = to.connection.wire.message::<P, R>(&head, &result)?;
        to.connection.check(&message)?;
        Poll::Ready(Ok(message))
    }
}
