//! Messages that are sent again until a receipt arrives.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use wse_proto::Stamp;

use super::receipt::{RECEIPT_TIMEOUT, ReceiptError, stamp};
use crate::chain::causes;

/// How a message is sent until a receipt arrives.
///
/// ```
/// use std::time::Duration;
/// use wse::Reliable;
/// let patient = Reliable::default().give_up_after(Duration::from_secs(600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reliable {
    /// How long to wait for a receipt before the message is sent again. Default: 5 s.
    pub receipt_timeout: Duration,
    /// How long to try, including time without a connection. Default: 60 s.
    pub give_up_after: Duration,
}

impl Default for Reliable {
    fn default() -> Self {
        Self { receipt_timeout: RECEIPT_TIMEOUT, give_up_after: Duration::from_secs(60) }
    }
}

impl Reliable {
    /// Sets how long to wait for a receipt before the message is sent again. Default: 5 s.
    #[must_use]
    pub fn receipt_timeout(mut self, timeout: Duration) -> Self {
        self.receipt_timeout = timeout;
        self
    }

    /// Sets how long to try, including time without a connection. Default: 60 s.
    #[must_use]
    pub fn give_up_after(mut self, timeout: Duration) -> Self {
        self.give_up_after = timeout;
        self
    }
}

/// No receipt arrived for a reliable message. The message may have arrived, unless `attempts` is 0.
#[derive(Debug)]
pub struct GaveUp {
    /// The number of times that it was sent.
    pub attempts: u32,
    /// The error of the last attempt; `None` when there was never a connection, or when a device that keeps the message until it is
    /// back has not confirmed it.
    pub last: Option<ReceiptError>,
}

impl GaveUp {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message was sent {} times without a receipt", self.attempts)
    }
}

impl fmt::Display for GaveUp {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl Error for GaveUp {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last.as_ref().map(|error| error as _)
    }
}

/// The result of an attempt.
pub(crate) enum Attempt {
    Delivered,
    /// There is no connection, and none will be opened.
    Hopeless,
    /// It failed, before or after the message was sent.
    Failed {
        sent: bool,
        error: ReceiptError,
    },
}

/// Tries until a receipt arrives, or the time is over. `attempt` waits for a connection.
pub(crate) async fn reliably<F: Future<Output = Attempt>>(
    options: Reliable,
    mut attempt: impl FnMut(Stamp) -> F,
) -> Result<(), GaveUp> {
    let stamp = stamp();
    let mut gave_up = GaveUp { attempts: 0, last: None };
    let trying = async {
        loop {
            match attempt(stamp.clone()).await {
                Attempt::Delivered => return true,
                Attempt::Hopeless => return false,
                Attempt::Failed { sent, error } => {
                    gave_up.attempts += u32::from(sent);
                    let again = error.is_transient();
                    gave_up.last = Some(error);
                    if !again {
                        return false;
                    }
                }
            }
        }
    };
    match tokio::time::timeout(options.give_up_after, trying).await {
        Ok(true) => Ok(()),
        _ => Err(gave_up),
    }
}
