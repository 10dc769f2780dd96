//! A WebSocket as a [`Channel`].

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use wse_proto::session::Close;
use wse_transport::ws::{self, CloseCode, CloseFrame, WebSocket};

use super::channel::Channel;
use super::queue::Queued;

impl<T: AsyncRead + AsyncWrite + Unpin> Channel for WebSocket<T> {
    const FRAMED: bool = false;

    #[inline]
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ws::Message, ws::Error>>> {
        Pin::new(self).poll_next(cx)
    }

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws::Error>> {
        Sink::poll_ready(Pin::new(self), cx)
    }

    #[inline]
    fn start_send(&mut self, message: Queued) -> Result<(), ws::Error> {
        match message {
            Queued::Own(message) => Sink::start_send(Pin::new(self), message),
            Queued::Shared(prepared) => self.start_send_prepared(&prepared),
        }
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ws::Error>> {
        Sink::poll_flush(Pin::new(self), cx)
    }

    fn close(&mut self, close: &Close) {
        let frame = CloseFrame::new(CloseCode::from(close.code), close.reason.as_str().to_owned());
        Self::close(self, Some(frame));
    }

    #[inline]
    fn is_open(&self) -> bool {
        self.closing().is_open()
    }

    #[inline]
    fn queued(&self) -> usize {
        Self::queued(self)
    }

    fn set_limits(&mut self, limits: ws::Limits) {
        Self::set_limits(self, limits);
    }

    #[inline]
    fn take_write_progress(&mut self) -> bool {
        Self::take_write_progress(self)
    }

    #[inline]
    fn take_read_progress(&mut self) -> bool {
        Self::take_read_progress(self)
    }

    fn reading_paused(&mut self, time: Duration) {
        Self::reading_paused(self, time);
    }
}
