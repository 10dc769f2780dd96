//! Writing, closing and timeouts of a [`Driver`].

use std::task::{Context, Poll};
use std::time::Duration;

use wse_proto::session::Close;
use wse_transport::ws;

use super::state::{Closing, Driver};
use crate::connection::channel::Channel;
use crate::connection::queue::{Entry, Queue, packed, size};
use crate::connection::shared::Connection;
use crate::connection::side::Side;

/// The most bytes written before other tasks get their turn.
const WRITE_BUDGET: usize = 256 * 1024;

impl<C: Channel, S: Side> Driver<C, S> {
    /// Writes what is queued, as far as the channel and the budget allow. Returns the messages that are left, and how many
    /// bytes the channel accepted; `None` when nothing was queued.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> Option<(Queue, usize)> {
        let mut lent = None;
        if self.closing != Closing::Handshake && !self.broken {
            let queue = self.core.connection.lend();
            lent = (!queue.is_empty()).then_some((queue, 0));
        }
        if let Err(ws::Error::Io(error)) = self.try_write(lent.as_mut(), cx)
            && !self.broken
        {
            tracing::debug!(%error, "writing failed");
            self.broken = true;
        }
        if self.broken {
            if let Some(lent) = lent {
                self.core.connection.return_lent(lent);
            }
            self.core.connection.discard_outbox();
            return None;
        }
        lent
    }

    fn try_write(
        &mut self,
        lent: Option<&mut (Queue, usize)>,
        cx: &mut Context<'_>,
    ) -> Result<(), ws::Error> {
        let channel = &mut self.channel;
        if let Some((queue, written)) = lent {
            let counting = self.core.connection.is_counting().then_some(&*self.core.connection);
            send_all(channel, queue, written, counting, cx)?;
        }
        let _ = channel.poll_flush(cx)?;
        // Bytes that had to wait were written, so the peer has read some.
        if channel.take_write_progress() && self.blocked {
            self.heard = self.core.now;
        }
        self.blocked = channel.queued() > 0;
        Ok(())
    }

    /// Closes the channel once everything queued before is written. Ready when the close timeout is over.
    pub(super) fn begin_close(
        &mut self,
        closing: Option<(Close, bool)>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some((close, flushed)) = closing else { return Poll::Pending };
        if self.closing == Closing::No {
            self.deadline = Some(
                self.core
                    .connection
                    .clock
                    .now()
                    .saturating_add(self.core.side.config().close_timeout),
            );
            self.closing = Closing::Flushing;
            self.core.close(&close, cx);
            if self.core.connection.is_suspended() {
                // The next round keeps what is queued.
                cx.waker().wake_by_ref();
            }
        }
        if self.closing == Closing::Flushing && flushed {
            self.closing = Closing::Handshake;
            self.channel.close(&close);
            // Poll the channel again, to see its end.
            cx.waker().wake_by_ref();
        }
        self.expired()
    }

    /// Ready when the close timeout is over.
    fn expired(&self) -> Poll<()> {
        match self.deadline {
            Some(deadline) if deadline <= self.core.connection.clock.now() => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Handles what is due, and sets the timer for what is due next. Ready when the close timeout is over.
    pub(super) fn timeouts(&mut self, mut due: Option<Duration>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            due = due.into_iter().chain(self.deadline).min();
            let Some(at) = due.and_then(|due| self.core.connection.clock.at(due)) else {
                // Most connections have no deadline most of the time, and then no timer.
                self.sleep = None;
                return Poll::Pending;
            };
            let sleep = match &mut self.sleep {
                Some(sleep) => {
                    if sleep.deadline() != at {
                        sleep.as_mut().reset(at);
                    }
                    sleep
                }
                None => self.sleep.insert(Box::pin(tokio::time::sleep_until(at))),
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.expired().is_ready() {
                return Poll::Ready(());
            }
            due = self.core.connection.handle_timeout(self.heard);
        }
    }
}

/// Whether a round of writing was ended by its budget.
pub(super) fn is_spent(lent: Option<&(Queue, usize)>) -> bool {
    lent.is_some_and(|(queue, written)| *written >= WRITE_BUDGET && !queue.is_empty())
}

/// Sends messages as long as the channel and the budget allow, and counts their bytes.
fn send_all<C: Channel>(
    channel: &mut C,
    queue: &mut Queue,
    bytes: &mut usize,
    counting: Option<&Connection>,
    cx: &mut Context<'_>,
) -> Result<(), ws::Error> {
    while !queue.is_empty() && *bytes < WRITE_BUDGET && channel.poll_ready(cx)?.is_ready() {
        let Some(entry) = queue.pop() else { break };
        *bytes += size(&entry.message);
        if entry.extra.is_some() && entry.is_expired() {
            continue;
        }
        let Entry { message, class, extra } = entry;
        if let Some(connection) = counting.filter(|_| class.is_counted()) {
            connection.sent(packed(message.message()), extra);
        }
        channel.start_send(message)?;
    }
    Ok(())
}
