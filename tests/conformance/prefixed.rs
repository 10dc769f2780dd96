//! A format of the user's own, as in `examples/custom_protocol.rs`: JSON behind type and stamp.

use bytes::{BufMut, BytesMut};
use wse_codecs::JsonFormat;
use wse_proto::{
    Capabilities, CodecError, Envelope, FLAG_RECEIPT, Head, Packed, Pings, Protocol, ProtocolInfo,
};

const INFO: ProtocolInfo = ProtocolInfo::text("conformance-prefixed");

/// `type|stamp|payload`: no room for flags, and so for receipts.
#[derive(Clone, Copy, Debug)]
pub struct Prefixed {
    careless: bool,
}

impl Prefixed {
    pub fn new() -> Self {
        Self { careless: false }
    }

    /// One that claims receipts, which it cannot carry.
    pub fn careless() -> Self {
        Self { careless: true }
    }
}

impl Protocol for Prefixed {
    type Format = JsonFormat;

    fn info(&self) -> ProtocolInfo {
        let can = Capabilities::NONE.cancel().pings(Pings::Possible);
        INFO.capabilities(if self.careless { can.receipts() } else { can })
    }

    fn format(&self) -> &JsonFormat {
        &JsonFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        let stamp = match head {
            // Without its flags it would be a call.
            Head::Message { .. } if !self.careless => None,
            head => head.stamp(),
        };
        let stamp = stamp.map(|stamp| stamp.to_text()).unwrap_or_default();
        out.put_slice(format!("{}|{stamp}|", head.kind(INFO.types())).as_bytes());
        out.put_slice(payload);
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let text = message.text()?;
        let mut parts = text.splitn(3, '|');
        let (Some(kind), Some(stamp), Some(payload)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(CodecError::malformed("the message", "not type|stamp|payload"));
        };
        let stamp = Some(text.part(stamp).into());
        // The careless one says so in its greeting, too.
        let flags = if self.careless && kind == INFO.types().hi { FLAG_RECEIPT } else { 0 };
        let head = Head::from_parts(INFO.types(), text.part(kind), stamp, flags)?;
        Ok(Envelope { head, payload: text.slice(payload) })
    }
}
