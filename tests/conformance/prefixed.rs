//! A format of the user's own, as in `examples/custom_protocol.rs`: JSON behind type and stamp.

use bytes::{BufMut, Bytes, BytesMut};
use wse_codecs::Json;
use wse_proto::{Abilities, CodecError, Envelope, Head, Opcode, Protocol, Text};

/// `type|stamp|payload`: no room for flags, and so for receipts.
#[derive(Clone, Copy, Debug)]
pub struct Prefixed {
    careless: bool,
}

impl Prefixed {
    pub fn new() -> Self {
        Self { careless: false }
    }

    /// Whose author did not think of abilities.
    pub fn careless() -> Self {
        Self { careless: true }
    }
}

impl Protocol for Prefixed {
    type Format = Json;

    fn name(&self) -> &'static str {
        "conformance-prefixed"
    }

    fn opcode(&self) -> Opcode {
        Opcode::Text
    }

    fn format(&self) -> Json {
        Json
    }

    fn abilities(&self) -> Abilities {
        Abilities { receipts: self.careless, ..Abilities::ALL }
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        let stamp = match head {
            // Without its flags it would be a call.
            Head::Message { .. } if !self.careless => None,
            head => head.stamp(),
        };
        let stamp = stamp.map(|stamp| stamp.to_text()).unwrap_or_default();
        out.put_slice(format!("{}|{stamp}|", head.kind(self.internal_types())).as_bytes());
        out.put_slice(payload);
    }

    fn unpack(&self, message: Bytes) -> Result<Envelope, CodecError> {
        let text = std::str::from_utf8(&message)
            .map_err(|e| CodecError::malformed("the message", "not UTF-8").with_source(e))?;
        let mut parts = text.splitn(3, '|');
        let (Some(kind), Some(stamp), Some(payload)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(CodecError::malformed("the message", "not type|stamp|payload"));
        };
        let [kind, stamp] = [kind, stamp].map(|part| Text::slice_of(&message, part));
        let head = Head::from_parts(self.internal_types(), kind, Some(stamp.into()), 0)?;
        Ok(Envelope { head, payload: message.slice_ref(payload.as_bytes()) })
    }
}
