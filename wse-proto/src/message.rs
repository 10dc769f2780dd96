//! [`Message`]: an envelope whose session payload is read. [`open`] and [`seal`] are the only places
//! where a session meets a protocol.

use bytes::{Bytes, BytesMut};

use crate::{CodecError, Envelope, Fault, Format, Head, Hi, Protocol};

/// What a session takes and gives: a head, and a payload as far as the session reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What kind of message it is.
    pub head: Head,
    /// Its payload.
    pub body: Body,
}

/// The payload of a [`Message`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// Encoded in the connection's format, for the application; empty when absent.
    Raw(Bytes),
    /// Of a greeting.
    Hi(Hi),
    /// Of a failed call, or of a complaint.
    Fault(Fault),
    /// Of a ping of ours, or of the pong to it: its number.
    Serial(u64),
}

impl Message {
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

/// Unpacks a received message and reads the payload if it is the session's own.
///
/// # Errors
///
/// Those of [`Protocol::unpack`] and of the format for a greeting. A fault whose payload cannot be
/// read is still a failed call: [`ErrorCode::Failed`](crate::ErrorCode::Failed), without message and details.
#[inline]
pub fn open<P: Protocol>(protocol: &P, message: Bytes) -> Result<Message, CodecError> {
    open_envelope(protocol, protocol.unpack(message)?)
}

/// The messages in one that is several ([`Protocol::bundle`]), each as [`open`] gives it; `None` for any other.
#[inline]
pub fn open_bundle<P: Protocol>(
    protocol: &P,
    message: &Bytes,
) -> Option<Vec<Result<Message, CodecError>>> {
    let bundle = protocol.bundle(message)?;
    Some(bundle.into_iter().map(|it| it.and_then(|it| open_envelope(protocol, it))).collect())
}

/// Gives `each` what [`open_bundle`] or [`open`] give, in order.
pub fn open_each<P: Protocol>(
    protocol: &P,
    message: Bytes,
    each: impl FnMut(Result<Message, CodecError>),
) {
    match open_bundle(protocol, &message) {
        Some(messages) => messages.into_iter().for_each(each),
        None => Some(open(protocol, message)).into_iter().for_each(each),
    }
}

/// Reads the payload of an unpacked message if it is the session's own.
///
/// # Errors
///
/// Those of the format for a greeting. A fault whose payload cannot be read is still a failed call:
/// [`ErrorCode::Failed`](crate::ErrorCode::Failed), without message and details.
pub fn open_envelope<P: Protocol>(protocol: &P, envelope: Envelope) -> Result<Message, CodecError> {
    let Envelope { head, payload } = envelope;
    let body = match head {
        Head::Hi => Body::Hi(protocol.format().decode_hi(&payload)?),
        Head::Fault { .. } | Head::Complaint => Body::Fault(
            protocol
                .format()
                .decode_fault(&payload)
                .unwrap_or_else(|_| Fault::new(crate::ErrorCode::Failed)),
        ),
        Head::Pong => {
            let serial = protocol.format().decode_serial(&payload);
            serial.map_or(Body::Raw(payload), Body::Serial)
        }
        _ => Body::Raw(payload),
    };
    Ok(Message { head, body })
}

/// Packs a message of the session's. Nothing is appended when the protocol cannot say it.
pub fn seal<P: Protocol>(protocol: &P, message: &Message, out: &mut BytesMut) {
    let format = protocol.format();
    match &message.body {
        Body::Raw(payload) => protocol.pack(&message.head, payload, out),
        Body::Hi(hi) => pack(protocol, &message.head, out, |out| format.encode_hi(hi, out)),
        Body::Fault(fault) => {
            pack(protocol, &message.head, out, |out| format.encode_fault(fault, out));
        }
        Body::Serial(serial) => {
            pack(protocol, &message.head, out, |out| format.encode_serial(*serial, out));
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
