//! [`Envelope`] and [`Head`], and the convention of type, stamp, flags and timeout that most protocols write.

use std::num::NonZeroU32;

use bytes::Bytes;

use crate::{CodecError, InternalTypes, Stamp, Text};

/// Flag: the sender wants a receipt. On a greeting: the client gives receipts.
pub const FLAG_RECEIPT: u32 = 1;
/// Flag: this is a message, not a call, although it has a stamp. The stamp only identifies its receipt. On a receipt: it
/// confirms such a message.
pub const FLAG_NOTE: u32 = 2;
/// Flag on a receipt: it confirms an answer, which is a reply or a fault.
pub const FLAG_ANSWER: u32 = 4;
/// Flag on a message that wants a receipt: the sender may repeat it under the same stamp, which it never uses for anything
/// else. The receiver drops repetitions, so a stamp that was used with this flag is never used again.
pub const FLAG_RELIABLE: u32 = 8;

/// The kind of a message. Impossible combinations cannot be expressed: a reply has a stamp, a greeting has none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Head {
    /// Client to server: the greeting, with the identity.
    Hi,
    /// Client to server: the greeting of a client that gives receipts. No message to another client wants one.
    HiWithReceipts,
    /// Server to client: the question. Client to server: the answer.
    Challenge,
    /// Server to client: the connection is accepted.
    Welcome,
    /// A message of the application; it has no answer.
    Message {
        /// The name, which selects the handler.
        name: Text,
        /// The stamp of the receipt that the sender wants; `None` when it wants none.
        receipt: Option<Stamp>,
        /// Whether the sender may repeat it under this stamp, also on a later connection.
        reliable: bool,
    },
    /// A call of a procedure; answered by a reply or a fault with the same stamp.
    Call {
        /// The name of the procedure.
        name: Text,
        /// The stamp of the answer.
        stamp: Stamp,
        /// Whether a receipt is asked for.
        receipt: bool,
        /// How long the caller still waits, in milliseconds; `None` when it does not say.
        timeout: Option<NonZeroU32>,
    },
    /// The caller no longer waits for the answer.
    Cancel {
        /// The call's stamp.
        stamp: Stamp,
    },
    /// The result of a call.
    Reply {
        /// The call's stamp.
        stamp: Stamp,
        /// Whether a receipt is asked for.
        receipt: bool,
    },
    /// The failure of a call.
    Fault {
        /// The call's stamp.
        stamp: Stamp,
        /// Whether a receipt is asked for.
        receipt: bool,
    },
    /// What was sent under this stamp has arrived.
    Receipt {
        /// The stamp of what arrived.
        stamp: Stamp,
        /// What arrived. The sender of messages and calls chooses their stamps; the receiver of answers has chosen theirs.
        of: ReceiptOf,
    },
    /// Asks whether the peer is alive. The pong returns the payload.
    Ping,
    /// The answer to a ping.
    Pong,
    /// A message of the receiver could not be processed. The payload is a fault with the reason. Only for protocols with
    /// [`Capabilities::error_reports`](crate::Capabilities::error_reports); for others such a message ends the connection.
    ErrorReport,
    /// Server to client, before the welcome: the session can be resumed. The payload is a
    /// [`SessionInfo`](crate::SessionInfo). This head and those below are only for protocols with
    /// [`Capabilities::resume`](crate::Capabilities::resume).
    Session,
    /// How many counted messages have been processed. The payload is a number.
    Seen,
    /// Server to client: asks it to come back to another server. The payload is a [`DrainNotice`](crate::DrainNotice).
    Drain,
    /// Server to client: its credentials expire. The payload says in which time.
    Expires,
    /// Client to server: new credentials. The payload is a greeting's.
    Renew,
    /// Server to client: the new credentials are accepted. The payload says in which time they expire; null for never.
    Renewed,
}

/// What a receipt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReceiptOf {
    /// A message.
    Message,
    /// A call.
    Call,
    /// A reply or a fault.
    Answer,
}

impl Head {
    /// A message without a receipt.
    pub fn message(name: impl Into<Text>) -> Self {
        Self::Message { name: name.into(), receipt: None, reliable: false }
    }

    /// A call without a receipt.
    pub fn call(name: impl Into<Text>, stamp: Stamp) -> Self {
        Self::Call { name: name.into(), stamp, receipt: false, timeout: None }
    }

    /// Sets how long the caller still waits, in milliseconds, if it is a call; 0 stands for unknown.
    #[must_use]
    pub fn with_timeout(mut self, millis: u32) -> Self {
        if let Self::Call { timeout, .. } = &mut self {
            *timeout = NonZeroU32::new(millis);
        }
        self
    }

    /// How long the caller still waits, in milliseconds: the `timeout` of the convention.
    pub fn timeout(&self) -> Option<NonZeroU32> {
        match self {
            Self::Call { timeout, .. } => *timeout,
            _ => None,
        }
    }

    /// A reply without a receipt.
    pub fn reply(stamp: Stamp) -> Self {
        Self::Reply { stamp, receipt: false }
    }

    /// A fault without a receipt.
    pub fn fault(stamp: Stamp) -> Self {
        Self::Fault { stamp, receipt: false }
    }

    /// The `type` of the convention: the name of a message or procedure, or the name of the internal type. Whether a protocol
    /// is text or binary is [`ProtocolInfo::kind`](crate::ProtocolInfo::kind).
    pub fn kind<'a>(&'a self, types: &'a InternalTypes) -> &'a str {
        match self {
            Self::Hi | Self::HiWithReceipts => types.hi,
            Self::Challenge => types.challenge,
            Self::Welcome => types.welcome,
            Self::Message { name, .. } | Self::Call { name, .. } => name,
            Self::Reply { .. } => types.reply,
            Self::Fault { .. } => types.fault,
            Self::Receipt { .. } => types.receipt,
            Self::Ping => types.ping,
            Self::Pong => types.pong,
            Self::Cancel { .. } => types.cancel,
            Self::ErrorReport => types.error_report,
            Self::Session => types.session,
            Self::Seen => types.seen,
            Self::Drain => types.drain,
            Self::Expires => types.expires,
            Self::Renew => types.renew,
            Self::Renewed => types.renewed,
        }
    }

    /// Whether both sides of a session that can be resumed count this message: messages, calls, replies, faults and
    /// cancels count.
    #[inline]
    pub fn is_counted(&self) -> bool {
        matches!(
            self,
            Self::Message { .. }
                | Self::Call { .. }
                | Self::Reply { .. }
                | Self::Fault { .. }
                | Self::Cancel { .. }
        )
    }

    /// The bytes of [`kind`](Self::kind). Cheaper, because names need not be checked to be UTF-8 again.
    pub fn kind_bytes<'a>(&'a self, types: &'a InternalTypes) -> &'a [u8] {
        match self {
            Self::Message { name, .. } | Self::Call { name, .. } => name.as_bytes(),
            _ => self.kind(types).as_bytes(),
        }
    }

    /// The `stamp` of the convention.
    pub fn stamp(&self) -> Option<&Stamp> {
        match self {
            Self::Message { receipt, .. } => receipt.as_ref(),
            Self::Call { stamp, .. }
            | Self::Reply { stamp, .. }
            | Self::Fault { stamp, .. }
            | Self::Cancel { stamp }
            | Self::Receipt { stamp, .. } => Some(stamp),
            Self::Hi
            | Self::HiWithReceipts
            | Self::Challenge
            | Self::Welcome
            | Self::Ping
            | Self::Pong
            | Self::ErrorReport
            | Self::Session
            | Self::Seen
            | Self::Drain
            | Self::Expires
            | Self::Renew
            | Self::Renewed => None,
        }
    }

    /// The `flags` of the convention. Protocols leave out 0.
    pub fn flags(&self) -> u32 {
        match self {
            Self::Message { receipt: Some(_), reliable: true, .. } => {
                FLAG_RECEIPT | FLAG_NOTE | FLAG_RELIABLE
            }
            Self::Message { receipt: Some(_), .. } => FLAG_RECEIPT | FLAG_NOTE,
            Self::Receipt { of: ReceiptOf::Message, .. } => FLAG_NOTE,
            Self::Receipt { of: ReceiptOf::Answer, .. } => FLAG_ANSWER,
            Self::HiWithReceipts
            | Self::Call { receipt: true, .. }
            | Self::Reply { receipt: true, .. }
            | Self::Fault { receipt: true, .. } => FLAG_RECEIPT,
            _ => 0,
        }
    }

    /// Builds a head from the parts of the convention.
    ///
    /// A type in [`InternalTypes`] is that internal message. Any other type is a call when it has a stamp, and a message
    /// when it has none. As in the JavaScript package, **an empty text and the integer 0 count as no stamp**: peers have to
    /// count their calls from 1. With
    /// [`FLAG_NOTE`] but not [`FLAG_RECEIPT`], the stamp of a message is ignored. Unknown flags are ignored.
    ///
    /// # Errors
    ///
    /// [`CodecErrorKind::Shape`](crate::CodecErrorKind::Shape) when the type is empty, unless it is a call: procedures may
    /// have an empty name.
    #[inline]
    pub fn from_parts(
        types: &InternalTypes,
        kind: Text,
        stamp: Option<Stamp>,
        flags: u32,
    ) -> Result<Self, CodecError> {
        let receipt = flags & FLAG_RECEIPT != 0;
        let is = |name: &str| kind == *name;
        // By reference: moving a stamp costs more than looking at it.
        let given = stamp.as_ref().is_some_and(|stamp| match stamp {
            Stamp::Text(text) => !text.is_empty(),
            Stamp::Int(int) | Stamp::Whole(int, _) => *int != 0,
        });
        // The stamp of a note only identifies its receipt.
        let given = given
            && (flags & (FLAG_NOTE | FLAG_RECEIPT) != FLAG_NOTE
                || kind.is_empty()
                || [types.reply, types.fault, types.receipt, types.cancel].into_iter().any(is));
        Ok(match stamp.filter(|_| given) {
            None if kind.is_empty() => {
                return Err(CodecError::shape("the type", "neither type nor stamp"));
            }
            None if is(types.hi) && receipt => Self::HiWithReceipts,
            None if is(types.hi) => Self::Hi,
            None if is(types.challenge) => Self::Challenge,
            None if is(types.welcome) => Self::Welcome,
            None if is(types.ping) => Self::Ping,
            None if is(types.pong) => Self::Pong,
            None if is(types.error_report) => Self::ErrorReport,
            None if is(types.session) => Self::Session,
            None if is(types.seen) => Self::Seen,
            None if is(types.drain) => Self::Drain,
            None if is(types.expires) => Self::Expires,
            None if is(types.renew) => Self::Renew,
            None if is(types.renewed) => Self::Renewed,
            None => Self::Message { name: kind, receipt: None, reliable: false },
            Some(stamp) if is(types.reply) => Self::Reply { stamp, receipt },
            Some(stamp) if is(types.fault) => Self::Fault { stamp, receipt },
            Some(stamp) if is(types.cancel) => Self::Cancel { stamp },
            Some(stamp) if is(types.receipt) => {
                let of = match flags {
                    _ if flags & FLAG_ANSWER != 0 => ReceiptOf::Answer,
                    _ if flags & FLAG_NOTE != 0 => ReceiptOf::Message,
                    _ => ReceiptOf::Call,
                };
                Self::Receipt { stamp, of }
            }
            Some(_) if flags & FLAG_NOTE != 0 && kind.is_empty() => {
                return Err(CodecError::shape("the type", "missing"));
            }
            Some(stamp) if flags & FLAG_NOTE != 0 => {
                let reliable = flags & FLAG_RELIABLE != 0;
                Self::Message { name: kind, receipt: Some(stamp), reliable }
            }
            Some(stamp) => Self::Call { name: kind, stamp, receipt, timeout: None },
        })
    }
}

/// An unpacked message: a head, and a payload that is still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The kind of message.
    pub head: Head,
    /// The encoded payload, usually a slice of the message; empty when absent.
    pub payload: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IntForm;

    #[test]
    fn the_convention_reads_what_it_writes() {
        let types = InternalTypes::DEFAULT;
        let stamp = || Stamp::from("s1");
        let heads = [
            Head::Hi,
            Head::HiWithReceipts,
            Head::Challenge,
            Head::Welcome,
            Head::Ping,
            Head::Pong,
            Head::message("m"),
            Head::Message { name: "m".into(), receipt: Some(stamp()), reliable: false },
            Head::Message { name: "m".into(), receipt: Some(stamp()), reliable: true },
            Head::call("m", stamp()),
            Head::Call { name: "m".into(), stamp: Stamp::Int(-5), receipt: true, timeout: None },
            Head::Cancel { stamp: stamp() },
            Head::ErrorReport,
            Head::Session,
            Head::Seen,
            Head::Drain,
            Head::Expires,
            Head::Renew,
            Head::Renewed,
            Head::reply(stamp()),
            Head::Reply { stamp: stamp(), receipt: true },
            Head::fault(stamp()),
            Head::Receipt { stamp: stamp(), of: ReceiptOf::Message },
            Head::Receipt { stamp: stamp(), of: ReceiptOf::Call },
            Head::Receipt { stamp: stamp(), of: ReceiptOf::Answer },
        ];
        for head in heads {
            let kind = Text::from(head.kind(&types));
            let read = Head::from_parts(&types, kind, head.stamp().cloned(), head.flags());
            assert_eq!(read.unwrap(), head);
        }
    }

    #[test]
    fn empty_stamps_are_none_and_internal_types_depend_on_stamps() {
        let types = InternalTypes::DEFAULT;
        let read = |kind: &str, stamp| Head::from_parts(&types, kind.into(), stamp, 0);
        assert_eq!(read("m", Some(Stamp::from(""))).unwrap(), Head::message("m"));
        assert_eq!(read("m", Some(Stamp::Int(0))).unwrap(), Head::message("m"));
        let zero = Stamp::from_float(-0.0, IntForm::Double);
        assert_eq!(read("m", zero).unwrap(), Head::message("m"));
        assert_eq!(read("~wse:response", None).unwrap(), Head::message("~wse:response"));
        assert_eq!(read("~wse:hi", Some("x".into())).unwrap(), Head::call("~wse:hi", "x".into()));
        assert!(read("", None).is_err());
        assert_eq!(read("", Some("x".into())).unwrap(), Head::call("", "x".into()));
    }

    /// Otherwise it would become another message when a relay writes it again.
    #[test]
    fn the_stamp_of_a_note_without_a_receipt_is_ignored() {
        let types = InternalTypes::DEFAULT;
        let read = |kind: &str, stamp, flags| Head::from_parts(&types, kind.into(), stamp, flags);
        let stamp = || Some(Stamp::from("s1"));
        for kind in ["m", "~wse:ping", "~wse:pong", "~wse:hi", "~wse:welcome", "~wse:challenge"] {
            let note = read(kind, stamp(), FLAG_NOTE).unwrap();
            assert_eq!(note, read(kind, None, 0).unwrap(), "{kind}");
            let kept = Head::Message { name: kind.into(), receipt: stamp(), reliable: false };
            assert_eq!(read(kind, stamp(), FLAG_NOTE | FLAG_RECEIPT).unwrap(), kept);
        }
        assert!(read("", stamp(), FLAG_NOTE).is_err());
    }
}
