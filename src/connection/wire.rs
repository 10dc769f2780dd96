//! [`Wire`]: a protocol with its type erased.

use std::any::Any;

use bytes::{Bytes, BytesMut};
use wse_proto::{
    CodecError, Envelope, Format, Head, MessageKind, Negotiate, Packed, Protocol, ProtocolInfo,
    SessionMessage, open_batch, open_envelope, seal,
};
use wse_transport::ws;

/// The protocol of one connection. Drivers, tasks, registries and routers do not depend on its type, and are compiled once
/// for all protocols.
pub(crate) struct Wire {
    pub(crate) info: ProtocolInfo,
    /// The index of the protocol among those of the endpoint.
    pub(crate) variant: usize,
    protocol: Box<dyn AnyProtocol>,
}

impl Wire {
    fn new<P: Protocol>(protocol: P, variant: usize) -> Self {
        Self { info: protocol.info(), variant, protocol: Box::new(protocol) }
    }

    /// The protocol with its type, to encode and decode payloads.
    #[inline]
    pub(crate) fn typed<P: Protocol>(&self) -> &P {
        let protocol: &dyn Any = &*self.protocol;
        protocol.downcast_ref().expect("a connection speaks the protocol of its endpoint")
    }

    /// The format of the protocol, with its type.
    #[inline]
    pub(crate) fn format<P: Protocol>(&self) -> &P::Format {
        self.typed::<P>().format()
    }

    pub(crate) fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        self.protocol.unpack(message)
    }

    pub(crate) fn open_batch(
        &self,
        message: Packed<'_>,
    ) -> Option<Vec<Result<SessionMessage, CodecError>>> {
        self.protocol.open_batch(message)
    }

    pub(crate) fn open_envelope(&self, envelope: Envelope) -> Result<SessionMessage, CodecError> {
        self.protocol.open_envelope(envelope)
    }

    /// Packs a message of the session. The result is empty when the protocol cannot express it.
    pub(crate) fn seal(&self, message: &SessionMessage) -> Result<ws::Message, CodecError> {
        let mut out = BytesMut::new();
        self.protocol.seal(message, &mut out);
        frame(self.info.kind(), out.freeze())
    }

    /// Packs a message whose payload is encoded already.
    pub(crate) fn pack(&self, head: &Head, payload: &[u8]) -> Result<ws::Message, CodecError> {
        if let Head::Message { name, .. } | Head::Call { name, .. } = head {
            self.check_name(name)?;
        }
        let mut out = BytesMut::new();
        self.protocol.pack(head, payload, &mut out);
        frame(self.info.kind(), out.freeze())
    }

    /// The payload for absent meta.
    pub(crate) fn empty_map(&self) -> Bytes {
        self.protocol.empty_map()
    }
}

/// Turns packed bytes into a message of this kind.
pub(crate) fn frame(kind: MessageKind, bytes: Bytes) -> Result<ws::Message, CodecError> {
    match kind {
        MessageKind::Binary => Ok(ws::Message::Binary(bytes)),
        MessageKind::Text => {
            ws::Utf8Bytes::try_from(bytes).map(ws::Message::Text).map_err(|error| {
                CodecError::malformed(
                    "a packed message",
                    "the protocol is text, but this is not UTF-8",
                )
                .with_source(error)
            })
        }
    }
}

trait AnyProtocol: Any + Send + Sync {
    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError>;
    fn open_batch(&self, message: Packed<'_>) -> Option<Vec<Result<SessionMessage, CodecError>>>;
    fn open_envelope(&self, envelope: Envelope) -> Result<SessionMessage, CodecError>;
    fn seal(&self, message: &SessionMessage, out: &mut BytesMut);
    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut);
    fn empty_map(&self) -> Bytes;
}

impl<P: Protocol> AnyProtocol for P {
    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        Protocol::unpack(self, message)
    }

    fn open_batch(&self, message: Packed<'_>) -> Option<Vec<Result<SessionMessage, CodecError>>> {
        open_batch(self, message)
    }

    fn open_envelope(&self, envelope: Envelope) -> Result<SessionMessage, CodecError> {
        open_envelope(self, envelope)
    }

    fn seal(&self, message: &SessionMessage, out: &mut BytesMut) {
        seal(self, message, out);
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        Protocol::pack(self, head, payload, out);
    }

    fn empty_map(&self) -> Bytes {
        self.format().empty_map()
    }
}

/// The protocols of an endpoint, with their types erased.
pub(crate) trait Choice: Send + Sync {
    fn subprotocols(&self) -> Vec<&'static str>;
    fn select(&self, offered: &[&str]) -> Option<Wire>;
    fn first(&self) -> Wire;
    /// Every protocol once.
    fn all(&self) -> Vec<Wire>;
    /// Whether all connections speak the same protocol.
    fn is_only(&self) -> bool;
}

impl<N: Negotiate> Choice for N {
    fn subprotocols(&self) -> Vec<&'static str> {
        Negotiate::subprotocols(self)
    }

    fn select(&self, offered: &[&str]) -> Option<Wire> {
        let protocol = Negotiate::select(self, offered)?;
        let variant = N::variant(&protocol);
        Some(Wire::new(protocol, variant))
    }

    fn first(&self) -> Wire {
        let protocol = Negotiate::first(self);
        let variant = N::variant(&protocol);
        Wire::new(protocol, variant)
    }

    fn all(&self) -> Vec<Wire> {
        let named = Negotiate::subprotocols(self).into_iter().map(|name| vec![name]);
        // A protocol without a subprotocol fits an offer of nothing.
        let offers = named.chain([Vec::new()]);
        let mut wires: Vec<Wire> = Vec::new();
        for wire in offers.filter_map(|offered| Choice::select(self, &offered)) {
            if wires.iter().all(|it| it.variant != wire.variant) {
                wires.push(wire);
            }
        }
        wires
    }

    fn is_only(&self) -> bool {
        self.variants() == 1
    }
}
