//! [`Protobuf`]: the protocol of wse in Protocol Buffers.

use std::fmt::Write;
use std::num::NonZeroU32;

use bytes::BytesMut;
use wse_proto::{Capabilities, CodecError, Envelope, Head, Packed, Protocol, ProtocolInfo, Stamp};

use super::ProtobufFormat;
use super::wire::{self, put_bytes, put_bytes_with, put_uint32};

const TYPE: u8 = 1;
const PAYLOAD: u8 = 2;
const STAMP: u8 = 3;
const FLAGS: u8 = 4;
const TIMEOUT: u8 = 5;

/// The messages of wse in Protocol Buffers: subprotocol `wse-protobuf`, binary frames. For peers in other languages there is
/// `proto/wse.proto`.
///
/// ```text
/// message Envelope {
///   string type = 1; bytes payload = 2; string stamp = 3; uint32 flags = 4; uint32 timeout = 5;
/// }
///
/// 0a 05 68 65 6c 6c 6f    type: "hello"
/// 12 02 08 01             payload: an encoded message
/// 1a 02 73 31             stamp: "s1"
/// 20 01                   flags: 1
/// ```
///
/// An empty stamp means "no stamp". Absent parts are left out. Integer stamps are written as decimal text. Unknown fields are skipped. Of a repeated field
/// the last value counts.
///
/// ```
/// use bytes::BytesMut;
/// use wse_codecs::Protobuf;
/// use wse_proto::{Head, Packed, Protocol};
///
/// let mut out = BytesMut::new();
/// Protobuf.pack(&Head::message("hello"), b"\x08\x01", &mut out);
/// assert_eq!(out, &b"\x0a\x05hello\x12\x02\x08\x01"[..]);
///
/// let message = out.freeze();
/// let envelope = Protobuf.unpack(Packed::Binary(&message))?;
/// assert_eq!(envelope.payload, &b"\x08\x01"[..]);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protobuf;

const INFO: ProtocolInfo =
    ProtocolInfo::binary("wse-protobuf").capabilities(Capabilities::CONVENTION.resume());

impl Protocol for Protobuf {
    type Format = ProtobufFormat;

    fn info(&self) -> ProtocolInfo {
        INFO
    }

    fn format(&self) -> &Self::Format {
        &ProtobufFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        put_bytes(TYPE, head.kind_bytes(INFO.types()), out);
        put_bytes(PAYLOAD, payload, out);
        close(head, out);
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let start = out.len();
        put_bytes(TYPE, head.kind_bytes(INFO.types()), out);
        if let Err(error) = put_bytes_with(PAYLOAD, out, write) {
            out.truncate(start);
            return Err(error);
        }
        close(head, out);
        Ok(())
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let message = message.bytes();
        let [mut kind, mut payload, mut stamp] = [const { 0..0 }; 3];
        let [mut flags, mut timeout] = [0; 2];
        wire::fields(message, |number, value| {
            match u8::try_from(number) {
                Ok(TYPE) => wire::next_text(&mut kind, value, message, "the type")?,
                Ok(PAYLOAD) => payload = value.bytes()?,
                Ok(STAMP) => wire::next_text(&mut stamp, value, message, "the stamp")?,
                Ok(FLAGS) => flags = value.uint32()?,
                Ok(TIMEOUT) => timeout = value.uint32()?,
                _ => {}
            }
            Ok(())
        })?;
        let kind = wire::text(message, kind, "the type")?;
        let stamp = match wire::text(message, stamp, "the stamp")? {
            none if none.is_empty() => None,
            stamp => Some(Stamp::Text(stamp)),
        };
        let head = Head::from_parts(INFO.types(), kind, stamp, flags)?.with_timeout(timeout);
        Ok(Envelope { head, payload: message.slice(payload) })
    }
}

/// Writes the part after the payload.
fn close(head: &Head, out: &mut BytesMut) {
    match head.stamp() {
        None => {}
        Some(Stamp::Text(text)) => put_bytes(STAMP, text.as_bytes(), out),
        Some(Stamp::Int(int) | Stamp::Whole(int, _)) => {
            // This cannot fail: the buffer grows.
            let written = put_bytes_with(STAMP, out, |out| {
                write!(out, "{int}")
                    .map_err(|e| CodecError::value("the stamp", "cannot be written").with_source(e))
            });
            debug_assert!(written.is_ok(), "{written:?}");
        }
    }
    put_uint32(FLAGS, head.flags(), out);
    put_uint32(TIMEOUT, head.timeout().map_or(0, NonZeroU32::get), out);
}
