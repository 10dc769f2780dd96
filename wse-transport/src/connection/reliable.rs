//! Messages that are sent again until they are known to have arrived.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use wse_proto::Stamp;

use super::receipt::{RECEIPT_TIMEOUT, ReceiptError};
use crate::luck;

/// How a message is sent until it is known to have arrived.
///
/// ```
/// use std::time::Duration;
/// use wse_transport::Reliable;
/// let patient = Reliable::default().give_up_after(Duration::from_secs(600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reliable {
    /// For how long a receipt is waited for before the message is sent again. Default: 5 s.
    pub receipt_timeout: Duration,
    /// When it is given up, from the beginning, time without a connection included. Default: 60 s.
    pub give_up_after: Duration,
}

impl Default for Reliable {
    fn default() -> Self {
        Self { receipt_timeout: RECEIPT_TIMEOUT, give_up_after: Duration::from_secs(60) }
    }
}

impl Reliable {
    /// Sets for how long a receipt is waited for before the message is sent again.
    #[must_use]
    pub fn receipt_timeout(mut self, timeout: Duration) -> Self {
        self.receipt_timeout = timeout;
        self
    }

    /// Sets when it is given up.
    #[must_use]
    pub fn give_up_after(mut self, timeout: Duration) -> Self {
        self.give_up_after = timeout;
        self
    }
}

/// A message was sent again and again, and is not known to have arrived. It may have.
#[derive(Debug)]
pub struct GaveUp {
    /// How often it was sent.
    pub attempts: u32,
    /// Why the last attempt failed; `None` when there was never a connection.
    pub last: Option<ReceiptError>,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message was sent {} times without a receipt", self.attempts)
    }
}

impl Error for GaveUp {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last.as_ref().map(|error| error as _)
    }
}

/// What to do after an attempt.
pub(crate) enum Attempt {
    Delivered,
    /// There is no connection, and none can come.
    Hopeless,
    /// It was sent, or could not be, and is to be tried again when `try` is next called.
    Failed {
        sent: bool,
        error: ReceiptError,
    },
}

/// Tries until the message is delivered, or time is over. `attempt` waits for a connection by itself.
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
                    let again = error.may_heal();
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

/// A stamp that is never drawn again, on any connection: protocols may take every message that wants a receipt for
/// one that may come again. (So short, it needs no memory of its own.)
pub(crate) fn stamp() -> Stamp {
    Stamp::from(BASE64_URL_SAFE_NO_PAD.encode(luck::bytes::<16>()).as_str())
}
