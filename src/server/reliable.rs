//! Reliable messages to a user: sent until a device has confirmed them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use wse_proto::session::reconnects;
use wse_proto::{Encode, Negotiate, Stamp, Text};

use super::core::{ConnCore, CoreEvent, CoreUndelivered};
use super::user::User;
use crate::connection::{Expected, GaveUp, ReceiptError, Reliable, stamp};

/// The pause after an attempt that no connection of the user accepted.
const RETRY_DELAY: Duration = Duration::from_millis(100);

impl<P: Negotiate> User<P> {
    /// Sends a message to all connections of the user until one of them gives a receipt. It is sent
    /// again when no receipt comes, and waits for the next connection when there is none. A client
    /// drops duplicates.
    ///
    /// A connection that its client can [resume](crate::ServerBuilder::resume) keeps the message itself, so the message is sent
    /// to it only once.
    ///
    /// A client that gives no receipts is not sent the message. Dropping the future stops the attempts; a message that was
    /// sent may still arrive.
    ///
    /// A message that no device confirms is an event: see
    /// [`on_undelivered`](crate::ServerBuilder::on_undelivered).
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when the time is over, the payload cannot be encoded, too many receipts are pending,
    /// or the clients give no receipts. A connection that is suspended then may still get the message.
    pub async fn send_reliable<T: ?Sized>(
        &self,
        options: Reliable,
        name: impl Into<Text>,
        payload: &T,
    ) -> Result<(), GaveUp>
    where
        P::Format: Encode<T>,
    {
        let mut sending = Sending {
            user: self,
            options,
            stamp: stamp(),
            name: name.into(),
            waiting: FuturesUnordered::new(),
            undelivered: false,
            gave_up: GaveUp { attempts: 0, last: None },
        };
        if !self.is_connected() {
            sending.tell_undelivered(payload);
        }
        let trying = sending.until_received(payload);
        match tokio::time::timeout(options.give_up_after, trying).await {
            Ok(true) => Ok(()),
            _ => Err(sending.give_up(payload)),
        }
    }
}

/// A reliable message that is being sent.
struct Sending<'a, P: Negotiate> {
    user: &'a User<P>,
    options: Reliable,
    stamp: Stamp,
    name: Text,
    waiting: FuturesUnordered<Waiting>,
    /// Whether the application knows that the message has reached no device.
    undelivered: bool,
    gave_up: GaveUp,
}

impl<P: Negotiate> Sending<'_, P> {
    /// Returns whether a receipt has come; false when none can come any more.
    async fn until_received<T: ?Sized>(&mut self, payload: &T) -> bool
    where
        P::Format: Encode<T>,
    {
        loop {
            if self.waiting.is_empty() && self.user.connected().await.is_none() {
                return false;
            }
            let mut failures = Vec::new();
            let sent = match self.send(payload, &mut failures) {
                Ok(sent) => sent,
                Err(error) => {
                    self.gave_up.last = Some(error);
                    return false;
                }
            };
            if self.received(payload, sent, &mut failures).await {
                return true;
            }
            self.gave_up.attempts += u32::from(sent > 0);
            if failures.is_empty() && sent == 0 && self.waiting.is_empty() {
                failures.push(ReceiptError::NotReady);
            }
            // Try again as long as the error of one device may be temporary.
            let at = failures.iter().position(ReceiptError::is_transient);
            if !failures.is_empty() {
                self.gave_up.last = Some(failures.swap_remove(at.unwrap_or(0)));
                if at.is_none() && self.waiting.is_empty() {
                    return false;
                }
            }
            if sent == 0 && self.waiting.is_empty() {
                // The queues are full, or the connections are closing.
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }

    /// Sends the message to all devices that do not have it. Returns to how many.
    fn send<T: ?Sized>(
        &mut self,
        payload: &T,
        failures: &mut Vec<ReceiptError>,
    ) -> Result<usize, ReceiptError>
    where
        P::Format: Encode<T>,
    {
        let mut target = self.user.target.clone();
        self.waiting.iter().for_each(|it| target.leave_out(&it.conn));
        let (timeout, stamp) = (Some(self.options.receipt_timeout), self.stamp.clone());
        let all = target.send_under(stamp, true, timeout, self.name.clone(), payload);
        let mut sent = 0;
        for (conn, receipt) in all.map_err(ReceiptError::Encode)? {
            match receipt {
                Ok(receipt) => {
                    let kept = conn.connection().is_counting();
                    self.waiting.push(Waiting { conn, receipt, kept });
                    sent += 1;
                }
                Err(error) => failures.push(error),
            }
        }
        Ok(sent)
    }

    /// Waits until the message is to be sent again. Returns whether a receipt has come.
    async fn received<T: ?Sized>(
        &mut self,
        payload: &T,
        sent: usize,
        failures: &mut Vec<ReceiptError>,
    ) -> bool
    where
        P::Format: Encode<T>,
    {
        let next = tokio::time::sleep(self.options.receipt_timeout);
        tokio::pin!(next);
        // Devices that do not keep the message.
        let mut forgetful = self.waiting.iter().filter(|it| !it.kept).count();
        let repeats = sent > 0 && forgetful > 0;
        while forgetful > 0 || !repeats && !self.waiting.is_empty() {
            let (conn, kept, outcome) = tokio::select! {
                biased;
                Some(ended) = self.waiting.next() => ended,
                () = &mut next, if forgetful == 0 => break,
            };
            let Err(error) = outcome else { return true };
            forgetful -= usize::from(!kept);
            if kept && self.was_last_away(&conn, &error) {
                self.tell_undelivered(payload);
            }
            failures.push(error);
        }
        false
    }

    /// Whether the window of the user's last device has ended.
    fn was_last_away(&self, conn: &ConnCore, error: &ReceiptError) -> bool {
        let ReceiptError::Closed(close) = error else { return false };
        reconnects(close.code) && self.user.target.cores().iter().all(|it| it.is(conn))
    }

    /// The message has reached no device in time. It may still reach one that is away: then the application is told at the end
    /// of its window.
    fn give_up<T: ?Sized>(mut self, payload: &T) -> GaveUp
    where
        P::Format: Encode<T>,
    {
        if matches!(self.gave_up.last, Some(ReceiptError::Encode(_))) {
            return self.gave_up;
        }
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let away = waiting.filter(|it| it.kept && it.conn.connection().is_suspended());
        let mut away: FuturesUnordered<_> = away.collect();
        if away.is_empty() {
            self.tell_undelivered(payload);
        } else if !self.undelivered
            && let Some(event) = self.event(payload)
        {
            let server = Arc::clone(&self.user.target.server.inner);
            server.tasks.clone().spawn(async move {
                while let Some((_, _, outcome)) = away.next().await {
                    if outcome.is_ok() {
                        return;
                    }
                }
                server.emit(event);
            });
        }
        self.gave_up
    }

    /// Emits the event of a message that has reached no device. Once.
    fn tell_undelivered<T: ?Sized>(&mut self, payload: &T)
    where
        P::Format: Encode<T>,
    {
        if !std::mem::replace(&mut self.undelivered, true)
            && let Some(event) = self.event(payload)
        {
            self.user.target.server.inner.emit(event);
        }
    }

    /// `None` for a payload that cannot be encoded.
    fn event<T: ?Sized>(&self, payload: &T) -> Option<CoreEvent>
    where
        P::Format: Encode<T>,
    {
        let server = &self.user.target.server.inner;
        let payload = match server.wire.encode::<P::Protocol, T>(payload) {
            Ok(payload) => payload,
            Err(_) if server.protocol.is_only() => return None,
            // Another protocol of the server may be able to.
            Err(_) => Bytes::new(),
        };
        Some(CoreEvent::Undelivered(Arc::new(CoreUndelivered {
            user: self.user.id().into(),
            name: self.name.clone(),
            payload,
            server: Arc::clone(server),
        })))
    }
}

/// The receipt of one device. `kept` says whether its session keeps the message until it is processed.
struct Waiting {
    conn: ConnCore,
    receipt: Expected,
    kept: bool,
}

impl Future for Waiting {
    type Output = (ConnCore, bool, Result<(), ReceiptError>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.receipt).poll(cx));
        Poll::Ready((self.conn.clone(), self.kept, outcome))
    }
}
