//! [`Report`]: what became of a message on each connection that it was sent to, as a list or a stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use wse_proto::{CodecError, Text};

use super::core::ConnCore;
use crate::connection::{Expected, ReceiptError};

/// What became of a message on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The client has given its receipt.
    Received,
    /// The message was sent, and no receipt came in time. It may have arrived.
    TimedOut,
    /// The connection has ended before the receipt, or was closing already. The message may have arrived.
    Disconnected,
    /// The send queue is full, or as many receipts are pending as [`max_receipts`](crate::ServerBuilder::max_receipts)
    /// allows. Nothing was sent.
    QueueFull,
    /// The client gives no receipts, or its connection cannot carry this message. Nothing was sent.
    Unsupported,
}

impl Outcome {
    fn of(receipt: Result<(), ReceiptError>) -> Self {
        let Err(error) = receipt else { return Self::Received };
        match error {
            ReceiptError::NotReady | ReceiptError::Closed(_) => Self::Disconnected,
            ReceiptError::QueueFull | ReceiptError::TooManyReceipts => Self::QueueFull,
            ReceiptError::Encode(_) | ReceiptError::Unsupported => Self::Unsupported,
            ReceiptError::TimedOut | ReceiptError::Outstanding => Self::TimedOut,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Received => "received",
            Self::TimedOut => "timed out",
            Self::Disconnected => "disconnected",
            Self::QueueFull => "queue full",
            Self::Unsupported => "unsupported",
        })
    }
}

/// A connection that a message was sent to, and what became of it there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The id of the user.
    pub user: Text,
    /// The number of the connection: see [`Conn::id`](crate::Conn::id).
    pub conn_id: u64,
    /// What became of the message.
    pub outcome: Outcome,
}

/// What became of a message on each connection that it was sent to, oldest connection first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(Vec<Delivery>);

impl Report {
    /// Returns the connections with their outcomes, oldest connection first.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.0
    }

    /// Returns how many connections have given a receipt.
    #[must_use]
    pub fn received(&self) -> usize {
        self.0.iter().filter(|it| it.outcome == Outcome::Received).count()
    }

    /// Returns the number of connections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there was no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Report {
    type Item = Delivery;
    type IntoIter = std::vec::IntoIter<Delivery>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A connection that a message was sent to, and its pending receipt.
pub(super) type Sent = (ConnCore, Result<Expected, ReceiptError>);

/// A message that was sent, and whose receipts are pending: see [`Target::send_acked`](crate::Target::send_acked).
///
/// As a future it returns the [`Report`] when all outcomes are known. Cancel safe: polled by reference, it loses none.
///
/// ```
/// # async fn example(server: &wse::Server<wse::JsonArray>) -> Result<(), wse::CodecError> {
/// use futures::StreamExt;
///
/// let report = server.user("ann").send_acked("invoice", "no. 7").await?;
/// for delivery in report.deliveries() {
///     println!("connection {}: {}", delivery.conn_id, delivery.outcome);
/// }
/// let mut deliveries = server.room("lobby").send_acked("question", "coffee?").each()?;
/// while let Some(delivery) = deliveries.next().await {
///     println!("{} on connection {}: {}", delivery.user, delivery.conn_id, delivery.outcome);
/// }
/// # Ok(()) }
/// ```
#[must_use = "without it, the receipts are not awaited"]
pub struct Acked {
    /// The error is taken when it is returned.
    sent: Result<Deliveries, Option<CodecError>>,
    /// The outcomes so far, by the positions of the connections.
    known: Vec<(usize, Delivery)>,
}

impl Acked {
    pub(super) fn new(sent: Result<Vec<Sent>, CodecError>) -> Self {
        Self { sent: sent.map(Deliveries::new).map_err(Some), known: Vec::new() }
    }

    /// Returns a stream of the outcomes as they come in.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the payload cannot be encoded. Nothing was sent then.
    pub fn each(self) -> Result<Deliveries, CodecError> {
        self.sent.map_err(taken)
    }
}

impl Future for Acked {
    type Output = Result<Report, CodecError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { sent, known } = &mut *self;
        let deliveries = match sent {
            Ok(deliveries) => deliveries,
            Err(error) => return Poll::Ready(Err(taken(error.take()))),
        };
        while let Some(delivery) = ready!(deliveries.poll_delivery(cx)) {
            known.push(delivery);
        }
        known.sort_unstable_by_key(|(at, _)| *at);
        let report = std::mem::take(known).into_iter().map(|(_, delivery)| delivery);
        Poll::Ready(Ok(Report(report.collect())))
    }
}

fn taken(error: Option<CodecError>) -> CodecError {
    error.expect("`Acked` was polled after it had returned an error")
}

impl fmt::Debug for Acked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acked").finish_non_exhaustive()
    }
}

/// The outcomes of a message as they come in: see [`Acked::each`]. Dropping it forgets the receipts that have not come.
///
/// Cancel safe. Those that are known at once, since nothing was sent, come first.
pub struct Deliveries {
    conns: Vec<(Text, u64)>,
    decided: Vec<(usize, Outcome)>,
    waiting: FuturesUnordered<Waiting>,
}

impl Deliveries {
    fn new(sent: Vec<Sent>) -> Self {
        let conns = sent.iter().map(|(conn, _)| (conn.user().clone(), conn.id())).collect();
        let (mut decided, waiting) = (Vec::new(), FuturesUnordered::new());
        for (at, (_, receipt)) in sent.into_iter().enumerate() {
            match receipt {
                Ok(receipt) => waiting.push(Waiting { at, receipt }),
                Err(error) => decided.push((at, Outcome::of(Err(error)))),
            }
        }
        // The last is taken first.
        decided.reverse();
        Self { conns, decided, waiting }
    }

    /// Returns the next outcome, with the position of its connection.
    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Delivery)>> {
        let known = match self.decided.pop() {
            Some(known) => Some(known),
            None => ready!(self.waiting.poll_next_unpin(cx)),
        };
        Poll::Ready(known.map(|(at, outcome)| {
            let (user, conn_id) = self.conns[at].clone();
            (at, Delivery { user, conn_id, outcome })
        }))
    }
}

impl Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.poll_delivery(cx).map(|next| next.map(|(_, delivery)| delivery))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.decided.len() + self.waiting.len();
        (left, Some(left))
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

/// A receipt of one of several connections.
struct Waiting {
    at: usize,
    receipt: Expected,
}

impl Future for Waiting {
    type Output = (usize, Outcome);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let receipt = ready!(Pin::new(&mut self.receipt).poll(cx));
        Poll::Ready((self.at, Outcome::of(receipt)))
    }
}
