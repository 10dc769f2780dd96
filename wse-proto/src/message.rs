//! [`SessionMessage`]: an envelope whose payload is decoded if the session reads it. [`open`] and [`seal`] convert between
//! packed messages and session messages; nothing else of a session depends on the protocol.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::resumption::{in_time, read_in_time};
use crate::{
    CodecError, DrainNotice, Envelope, Fault, Format, Head, Hi, Packed, Protocol, SessionInfo,
    Value,
};

/// What a session takes and returns: a head, and a payload that is decoded if the session reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionMessage {
    /// The kind of message.
    pub head: Head,
    /// Its payload.
    pub body: Body,
}

/// The payload of a [`SessionMessage`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// For the application: encoded in the format of the connection, empty when absent.
    Raw(Bytes),
    /// Of a greeting, or of new credentials.
    Hi(Hi),
    /// Of a failed call, or of an error report.
    Fault(Fault),
    /// Of a ping of this session, or of the pong to it: its number.
    Serial(u64),
    /// Of [`Head::Session`].
    Session(Box<SessionInfo>),
    /// Of [`Head::Seen`]: how many messages have been processed.
    Seen(u64),
    /// Of [`Head::Drain`].
    Drain(DrainNotice),
    /// Of [`Head::Expires`] and [`Head::Renewed`]: when the credentials expire; `None` for never.
    Expires(Option<Duration>),
}

impl SessionMessage {
    /// A message whose payload the session does not read.
    pub fn raw(head: Head, payload: Bytes) -> Self {
        Self { head, body: Body::Raw(payload) }
    }

    /// A greeting.
    pub fn hi(hi: Hi) -> Self {
        Self { head: Head::Hi, body: Body::Hi(hi) }
    }

    /// The failure of the call with this stamp.
    pub fn fault(stamp: crate::Stamp, fault: Fault) -> Self {
        Self { head: Head::fault(stamp), body: Body::Fault(fault) }
    }
}

/// Unpacks a received message, and decodes its payload if the session reads it.
///
/// # Errors
///
/// Those of [`Protocol::unpack`], and those of the format for a greeting. A fault whose payload cannot be read is no
/// error: it is read as [`ErrorCode::Failed`](crate::ErrorCode::Failed), without message and details.
#[inline]
pub fn open<P: Protocol>(protocol: &P, message: Packed<'_>) -> Result<SessionMessage, CodecError> {
    open_envelope(protocol, protocol.unpack(message)?)
}

/// If the message is a batch ([`Protocol::unpack_batch`]), returns its members, each as [`open`] returns it.
#[inline]
pub fn open_batch<P: Protocol>(
    protocol: &P,
    message: Packed<'_>,
) -> Option<Vec<Result<SessionMessage, CodecError>>> {
    let batch = protocol.unpack_batch(message)?;
    Some(batch.into_iter().map(|it| it.and_then(|it| open_envelope(protocol, it))).collect())
}

/// Calls `each` with every message that [`open_batch`] or [`open`] returns, in order.
pub fn open_each<P: Protocol>(
    protocol: &P,
    message: Packed<'_>,
    each: impl FnMut(Result<SessionMessage, CodecError>),
) {
    match open_batch(protocol, message) {
        Some(messages) => messages.into_iter().for_each(each),
        None => Some(open(protocol, message)).into_iter().for_each(each),
    }
}

/// Decodes the payload of an unpacked message if the session reads it.
///
/// # Errors
///
/// Those of the format for a greeting. A fault whose payload cannot be read is no error: it is read as
/// [`ErrorCode::Failed`](crate::ErrorCode::Failed), without message and details. A payload about resume that cannot be read
/// is no error either: it stays raw.
pub fn open_envelope<P: Protocol>(
    protocol: &P,
    envelope: Envelope,
) -> Result<SessionMessage, CodecError> {
    let Envelope { head, payload } = envelope;
    let body = match head {
        Head::Hi | Head::HiWithReceipts => Body::Hi(protocol.format().decode_hi(&payload)?),
        Head::Fault { .. } | Head::ErrorReport => Body::Fault(
            protocol
                .format()
                .decode_fault(&payload)
                .unwrap_or_else(|_| Fault::new(crate::ErrorCode::Failed)),
        ),
        Head::Pong => {
            let serial = protocol.format().decode_serial(&payload);
            serial.map_or(Body::Raw(payload), Body::Serial)
        }
        Head::Renew => {
            let hi = protocol.format().decode_hi(&payload);
            hi.map_or(Body::Raw(payload), Body::Hi)
        }
        Head::Session | Head::Seen | Head::Drain | Head::Expires | Head::Renewed => {
            let value = protocol.format().decode_value(&payload);
            value.and_then(|value| read(&head, &value)).unwrap_or(Body::Raw(payload))
        }
        _ => Body::Raw(payload),
    };
    Ok(SessionMessage { head, body })
}

/// Reads a payload about resume. What is none stays raw, and the session decides what that means.
fn read(head: &Head, value: &Value) -> Option<Body> {
    match head {
        Head::Session => SessionInfo::from_value(value).map(|info| Body::Session(Box::new(info))),
        Head::Seen => value.as_integer().map(Body::Seen),
        Head::Drain => DrainNotice::from_value(value).map(Body::Drain),
        Head::Renewed if *value == Value::Null => Some(Body::Expires(None)),
        _ => read_in_time(value).map(|time| Body::Expires(Some(time))),
    }
}

/// Packs a message of a session. Appends nothing when the protocol cannot express it.
pub fn seal<P: Protocol>(protocol: &P, message: &SessionMessage, out: &mut BytesMut) {
    let format = protocol.format();
    match &message.body {
        Body::Raw(payload) => protocol.pack(&message.head, payload, out),
        Body::Hi(hi) => {
            let start = out.len();
            pack(protocol, &message.head, out, |out| format.encode_hi(hi, out));
            if out.len() == start && message.head == Head::HiWithReceipts {
                // The protocol cannot say that the client gives receipts.
                pack(protocol, &Head::Hi, out, |out| format.encode_hi(hi, out));
            }
        }
        Body::Fault(fault) => {
            pack(protocol, &message.head, out, |out| format.encode_fault(fault, out));
        }
        Body::Serial(serial) => {
            pack(protocol, &message.head, out, |out| format.encode_serial(*serial, out));
        }
        Body::Session(_) | Body::Seen(_) | Body::Drain(_) | Body::Expires(_) => {
            let value = match &message.body {
                Body::Session(info) => info.to_value(),
                Body::Seen(seen) => Value::clamped(*seen),
                Body::Drain(notice) => notice.to_value(),
                Body::Expires(Some(time)) => in_time(*time),
                _ => Value::Null,
            };
            pack(protocol, &message.head, out, |out| format.encode_value(&value, out));
        }
    }
}

fn pack<P: Protocol>(
    protocol: &P,
    head: &Head,
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut),
) {
    let mut payload = BytesMut::new();
    write(&mut payload);
    protocol.pack(head, &payload, out);
}
