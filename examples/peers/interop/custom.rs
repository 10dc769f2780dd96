//! The contract's custom format: `CUSTOM:` and what JSON would send.

use bytes::{BufMut, BytesMut};
use wse::{CodecError, Envelope, Head, JsonArray, JsonFormat, Packed, Protocol, ProtocolInfo};

const PREFIX: &str = "CUSTOM:";

#[derive(Clone, Copy, Debug)]
pub struct Custom;

impl Protocol for Custom {
    type Format = JsonFormat;

    fn info(&self) -> ProtocolInfo {
        ProtocolInfo::text("wse-custom-prefix").capabilities(JsonArray.info().can())
    }

    fn format(&self) -> &JsonFormat {
        &JsonFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        out.put_slice(PREFIX.as_bytes());
        JsonArray.pack(head, payload, out);
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let text = message.text()?;
        let json =
            text.strip_prefix(PREFIX).ok_or(CodecError::malformed("the prefix", "not CUSTOM:"))?;
        JsonArray.unpack((&text.slice(json)).into())
    }
}
