//! [`Leaving`]: a channel whose connection goes on over another one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;
use wse_proto::session::Close;

use crate::connection::channel::Channel;

/// A channel that is being closed. What arrives is dropped.
pub(super) struct Leaving<C> {
    channel: C,
    deadline: Pin<Box<Sleep>>,
}

impl<C: Channel> Leaving<C> {
    /// Closes a channel within this time, if that has not begun.
    pub(super) fn new(mut channel: C, close: &Close, timeout: Duration) -> Self {
        if channel.is_open() {
            channel.close(close);
        }
        Self { channel, deadline: Box::pin(tokio::time::sleep(timeout)) }
    }

    /// Ready when the channel has ended, or the time is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.deadline.as_mut().poll(cx).is_pending() {
            match ready!(self.channel.poll_receive(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
        Poll::Ready(())
    }
}
