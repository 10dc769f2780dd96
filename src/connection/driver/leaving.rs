//! [`Leaving`]: a channel whose connection goes on over another one.

use std::task::{Context, Poll, ready};

use wse_proto::session::Close;

use crate::connection::channel::Channel;

/// A channel that is being closed, which takes the close timeout at most. What arrives is dropped.
pub(super) struct Leaving<C>(C);

impl<C: Channel> Leaving<C> {
    /// Closes a channel, if that has not begun.
    pub(super) fn new(mut channel: C, close: &Close) -> Self {
        if channel.is_open() {
            channel.close(close);
        }
        Self(channel)
    }

    /// Ready when the channel has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(Ok(_)) = ready!(self.0.poll_receive(cx)) {}
        Poll::Ready(())
    }
}
