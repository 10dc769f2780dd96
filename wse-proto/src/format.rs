//! [`Format`], [`Encode`] and [`Decode`]: how payloads are written.

use bytes::{Bytes, BytesMut};

use crate::{CodecError, Fault, Hi};

/// How payloads are written. The trait itself covers the two payloads the session needs; the
/// application's come with [`Encode`] and [`Decode`].
///
/// The members of [`Hi`] and the details of a [`Fault`] are values that are already encoded in this
/// format: they are embedded as they are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a payload format",
    note = "use a shipped one (`Json`, `CborFormat`, `MsgPack`, `Prost`) or implement `wse_proto::Format`"
)]
pub trait Format: Clone + Send + Sync + 'static {
    /// Appends the payload of a greeting.
    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut);

    /// Reads the payload of a greeting; its members are slices of `payload`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a greeting: an absent one, or one without an identity.
    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError>;

    /// Appends the payload of a fault.
    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut);

    /// Reads the payload of a fault.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a fault.
    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError>;

    /// Appends the number of a ping, a payload. Default: in decimal, which suits text and bytes.
    fn encode_serial(&self, serial: u64, out: &mut BytesMut) {
        out.extend_from_slice(serial.to_string().as_bytes());
    }

    /// Reads the number of a pong; `None` when it is none. Default: in decimal.
    fn decode_serial(&self, payload: &Bytes) -> Option<u64> {
        std::str::from_utf8(payload).ok()?.parse().ok()
    }

    /// An encoded empty map: what a greeting without meta counts as. Default: no bytes. A format in which
    /// an empty map is anything else must say so: servers that ask for meta would refuse clients without.
    fn empty_map(&self) -> Bytes {
        Bytes::new()
    }
}

/// A format that can write `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be written by the format `{Self}`",
    label = "no `Encode<{T}>` for `{Self}`",
    note = "for JSON, CBOR and MessagePack derive `serde::Serialize` for `{T}`; for protobuf derive `prost::Message`"
)]
pub trait Encode<T: ?Sized>: Format {
    /// Appends the encoded value.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the value has no form in this format, such as a map with keys that are
    /// not texts. What was appended until then is to be thrown away.
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError>;
}

/// A format that can read `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be read by the format `{Self}`",
    label = "no `Decode<{T}>` for `{Self}`",
    note = "for JSON, CBOR and MessagePack derive `serde::Deserialize` for `{T}`; for protobuf derive `prost::Message`"
)]
pub trait Decode<T>: Format {
    /// Reads a payload; an empty one stands for null.
    ///
    /// # Errors
    ///
    /// [`CodecErrorKind::Value`](crate::CodecErrorKind::Value) when it is not a `T`.
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError>;
}
