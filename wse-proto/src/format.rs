//! [`Format`], [`Encode`] and [`Decode`]: payload formats.

use bytes::{Bytes, BytesMut};

use crate::{CodecError, Fault, Hi, Value};

/// A payload format. This trait encodes the payloads that the session itself reads; [`Encode`] and [`Decode`] encode the
/// values of the application.
///
/// The members of [`Hi`] and the details of a [`Fault`] are values that are already encoded in this format. They are
/// embedded as they are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a payload format",
    note = "use a shipped one (`JsonFormat`, `CborFormat`, `MessagePackFormat`, `ProtobufFormat`) or implement `wse_proto::Format`"
)]
pub trait Format: Clone + Send + Sync + 'static {
    /// Appends the payload of a greeting.
    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut);

    /// Reads the payload of a greeting. Its members should be slices of `payload`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a greeting, for example when the payload is absent or has no identity.
    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError>;

    /// Appends the payload of a fault.
    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut);

    /// Reads the payload of a fault.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a fault.
    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError>;

    /// Appends the payload of a ping: its number. Default: in decimal, which is valid text and valid bytes.
    fn encode_serial(&self, serial: u64, out: &mut BytesMut) {
        out.extend_from_slice(serial.to_string().as_bytes());
    }

    /// Reads the payload of a pong; `None` when it is not a number. Default: in decimal.
    fn decode_serial(&self, payload: &Bytes) -> Option<u64> {
        std::str::from_utf8(payload).ok()?.parse().ok()
    }

    /// Appends a value of a message about resume. Default: appends nothing. Override it, and write
    /// [`Hi::resume`] in greetings, before a protocol claims [`Capabilities::resume`](crate::Capabilities::resume).
    fn encode_value(&self, _value: &Value, _out: &mut BytesMut) {}

    /// Reads a value of a message about resume. `None` when the payload cannot be read. Members that
    /// [`Value::NAMES`] does not list may be left out. Default: `None`.
    fn decode_value(&self, _payload: &Bytes) -> Option<Value> {
        None
    }

    /// An encoded empty map. It stands for the meta of a greeting without meta. Default: no bytes. Override it in a format
    /// whose empty map has bytes: otherwise a server that reads the meta refuses clients that send none.
    fn empty_map(&self) -> Bytes {
        Bytes::new()
    }
}

/// A format that can write `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be written by the format `{Self}`",
    label = "no `Encode<{T}>` for `{Self}`",
    note = "for JSON, CBOR and MessagePack derive `serde::Serialize` for `{T}`; for protobuf derive `prost::Message`",
    note = "in code for any protocol `P`, add the bound `P: wse::Speaks<{T}>`"
)]
pub trait Encode<T: ?Sized>: Format {
    /// Appends the encoded value.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the value cannot be expressed in this format, for example a map with keys that are not texts.
    /// The caller discards what was appended.
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError>;
}

/// A format that can read `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be read by the format `{Self}`",
    label = "no `Decode<{T}>` for `{Self}`",
    note = "for JSON, CBOR and MessagePack derive `serde::Deserialize` for `{T}`; for protobuf derive `prost::Message`",
    note = "in code for any protocol `P`, add the bound `P: wse::Speaks<{T}>`"
)]
pub trait Decode<T>: Format {
    /// Reads a payload. An empty one is an absent value, which self-describing formats read as null.
    ///
    /// # Errors
    ///
    /// [`CodecErrorKind::Value`](crate::CodecErrorKind::Value) when it is not a `T`.
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError>;
}
