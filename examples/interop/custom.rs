//! The contract's custom format: `CUSTOM:` and what JSON would send.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wse_codecs::{Json, JsonArray};
use wse_proto::{CodecError, Envelope, Head, Opcode, Protocol};

const PREFIX: &[u8] = b"CUSTOM:";

#[derive(Clone, Copy, Debug)]
pub struct Custom;

impl Protocol for Custom {
    type Format = Json;

    fn name(&self) -> &'static str {
        "wse-custom-prefix"
    }
    fn opcode(&self) -> Opcode {
        Opcode::Text
    }
    fn format(&self) -> Json {
        Json
    }
    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        out.put_slice(PREFIX);
        JsonArray.pack(head, payload, out);
    }
    fn unpack(&self, mut message: Bytes) -> Result<Envelope, CodecError> {
        if !message.starts_with(PREFIX) {
            return Err(CodecError::malformed("the prefix", "not CUSTOM:"));
        }
        message.advance(PREFIX.len());
        JsonArray.unpack(message)
    }
}
