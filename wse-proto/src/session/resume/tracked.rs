//! [`Tracked`]: what depends on a message that was sent.

use crate::session::calls::CallId;
use crate::{ReceiptOf, Stamp};

/// What a message that is sent belongs to. The session settles it when the peer has processed the message, or when the
/// message is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tracked {
    /// The message is a call of this side. Its receipt is settled too, if there is one.
    Call(CallId),
    /// The message wants a receipt. It is a message of the application or an answer.
    Receipt(ReceiptOf, Stamp),
}
