//! [`Protocol`]: how a message is written.

use bytes::{Bytes, BytesMut};

use crate::{CodecError, Decode, Encode, Envelope, Format, Head};

/// The WebSocket data opcode a protocol's messages travel under (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// The names of a protocol's internal message types.
///
/// ```
/// use wse_proto::InternalTypes;
/// const MINE: InternalTypes = InternalTypes { hi: "!hello", ..InternalTypes::DEFAULT };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the name of the `Head` it stands for
pub struct InternalTypes {
    pub hi: &'static str,
    pub challenge: &'static str,
    pub welcome: &'static str,
    pub reply: &'static str,
    pub fault: &'static str,
    pub receipt: &'static str,
    pub ping: &'static str,
    pub pong: &'static str,
    pub cancel: &'static str,
    pub complaint: &'static str,
}

impl InternalTypes {
    /// The names of the JavaScript package wse.
    pub const DEFAULT: Self = Self {
        hi: "~wse:hi",
        challenge: "~wse:challenge",
        welcome: "~wse:welcome",
        reply: "~wse:response",
        fault: "~wse:response-err",
        receipt: "~wse:receipt",
        ping: "~wse:ping",
        pong: "~wse:pong",
        cancel: "~wse:cancel",
        complaint: "~wse:complaint",
    };

    /// Whether `name` is one of them, and so none that an application may use.
    pub fn contains(&self, name: &str) -> bool {
        let Self { hi, challenge, welcome, reply, fault, receipt, ping, pong, cancel, complaint } =
            *self;
        [hi, challenge, welcome, reply, fault, receipt, ping, pong, cancel, complaint]
            .contains(&name)
    }
}

impl Default for InternalTypes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a protocol can say beside greetings, messages and calls. Sessions ask for nothing else.
///
/// ```
/// use wse_proto::{Abilities, Pings};
/// let plain = Abilities { receipts: false, pings: Pings::Never, ..Abilities::ALL };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether a receipt can be asked for and given.
    pub receipts: bool,
    /// Whether it has pings of its own, and whether heartbeats use them.
    pub pings: Pings,
    /// Whether it can say that a message could not be processed: [`Head::Complaint`]. Such a message does not
    /// end the connection then.
    pub complaints: bool,
}

impl Abilities {
    /// Receipts and pings; a message that cannot be read ends the connection.
    pub const ALL: Self = Self { receipts: true, pings: Pings::Possible, complaints: false };
}

/// Whether a protocol has pings of its own, beside those of WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pings {
    /// It has none: heartbeats are WebSocket pings.
    Never,
    /// It has them, for peers that cannot send or see those of WebSocket, as browsers. Heartbeats are WebSocket
    /// pings all the same, which every peer answers.
    Possible,
    /// Heartbeats are its own pings.
    Always,
}

/// How messages are written: packs and unpacks envelopes; payloads are left to its [`Format`].
///
/// A wire format of your own is an implementation of this trait. Most formats write the convention
/// `type`, `payload`, `stamp`: [`Head::kind`], [`Head::stamp`] and [`Head::flags`] take a head apart
/// and [`Head::from_parts`] puts one together.
///
/// ```
/// use bytes::{BufMut, Bytes, BytesMut};
/// use wse_proto::{CodecError, Envelope, Format, Head, Opcode, Protocol, Text};
///
/// /// `type|stamp|payload`, in any payload format.
/// #[derive(Clone, Debug)]
/// struct Pipes<F>(F);
///
/// impl<F: Format> Protocol for Pipes<F> {
///     type Format = F;
///     fn name(&self) -> &'static str { "pipes" }
///     fn opcode(&self) -> Opcode { Opcode::Binary }
///     fn format(&self) -> F { self.0.clone() }
///
///     fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
///         let stamp = head.stamp().map(|s| s.to_text()).unwrap_or_default();
///         out.put_slice(format!("{}|{stamp}|", head.kind(self.internal_types())).as_bytes());
///         out.put_slice(payload);
///     }
///
///     fn unpack(&self, message: Bytes) -> Result<Envelope, CodecError> {
///         let mut parts = message.splitn(3, |b| *b == b'|');
///         let mut part = |what| parts.next().ok_or(CodecError::malformed(what, "missing"));
///         let text = |part| Text::from_utf8(message.slice_ref(part))
///             .map_err(|e| CodecError::malformed("a text", "not UTF-8").with_source(e));
///         let kind = text(part("the type")?)?;
///         let stamp = text(part("the stamp")?)?.into();
///         let payload = message.slice_ref(part("the payload")?);
///         let head = Head::from_parts(self.internal_types(), kind, Some(stamp), 0)?;
///         Ok(Envelope { head, payload })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message protocol",
    label = "does not implement `Protocol`",
    note = "use a shipped one (`JsonArray`, `Cbor`, `MessagePack`, `Protobuf`, `JsonRpc`, `WsProcessor`) or implement `wse_proto::Protocol`: `name`, `opcode`, `format`, `pack` and `unpack`"
)]
pub trait Protocol: Clone + Send + Sync + 'static {
    /// How payloads are encoded.
    type Format: Format;

    /// The `Sec-WebSocket-Protocol` token (RFC 6455 §11.3.4); empty for a protocol that uses none.
    fn name(&self) -> &'static str;

    /// Whether messages travel as text or as binary. Received messages are taken by their content.
    fn opcode(&self) -> Opcode;

    /// The payload format.
    fn format(&self) -> Self::Format;

    /// Appends one message to `out`. `payload` is what [`Format`] wrote, empty when absent. A head that the
    /// protocol cannot say appends nothing, and then nothing is sent.
    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut);

    /// Takes a message apart. The payload should be a slice of `message`, not a copy.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the message is not one of this protocol. The bytes come from a stranger:
    /// depth and size must be bounded, and nothing may panic.
    fn unpack(&self, message: Bytes) -> Result<Envelope, CodecError>;

    /// What the protocol can say beside greetings, messages and calls. Default: [`Abilities::ALL`].
    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    /// Takes a message apart that is several in one, as a batch of JSON-RPC is; `None` for any other.
    /// Default: there are none such.
    ///
    /// A protocol whose answers to a bundle are one message too keeps them back, writing nothing, until it has
    /// all: [`select`](Self::select) gives each connection a protocol of its own, which may have a state.
    fn bundle(&self, _message: &Bytes) -> Option<Vec<Result<Envelope, CodecError>>> {
        None
    }

    /// The names of the internal message types. Default: those of the JavaScript package wse.
    fn internal_types(&self) -> &InternalTypes {
        const { &InternalTypes::DEFAULT }
    }

    /// Whether a connection starts with a greeting. Default: yes. Without one a client is ready at
    /// once, and who it is comes from its HTTP request.
    fn has_greeting(&self) -> bool {
        true
    }

    /// Appends one message whose payload `write` appends. Default: through a buffer of its own;
    /// override it to write in place.
    ///
    /// # Errors
    ///
    /// Those of `write`; `out` is then as it was.
    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let mut payload = BytesMut::new();
        write(&mut payload)?;
        self.pack(head, &payload, out);
        Ok(())
    }

    /// The subprotocols to offer, best first. Default: [`name`](Self::name), or none when that is empty.
    fn subprotocols(&self) -> Vec<&'static str> {
        let name = self.name();
        if name.is_empty() { Vec::new() } else { vec![name] }
    }

    /// The protocol to speak on one connection, whose client offered `offered`, or `None` when none fits.
    /// Default: this one, when its name was offered or is empty. The answer's
    /// [`name`](Self::name) is what the handshake selects.
    fn select(&self, offered: &[&str]) -> Option<Self> {
        let name = self.name();
        (name.is_empty() || offered.contains(&name)).then(|| self.clone())
    }

    /// Which of [`variants`](Self::variants) this is, counted from 0. Broadcasts encode once per
    /// variant in use.
    fn variant(&self) -> usize {
        0
    }

    /// How many protocols this one chooses among. Default: 1.
    fn variants(&self) -> usize {
        1
    }
}

/// A protocol that can carry `T` both ways: the bound for generic handler code.
///
/// ```
/// use wse_proto::{Protocol, Speaks};
/// fn handlers<P: Protocol + Speaks<String> + Speaks<i64>>(protocol: P) {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry `{T}`",
    note = "its format must implement `Encode<{T}>` and `Decode<{T}>`: for JSON, CBOR and MessagePack derive `serde::Serialize` and `serde::Deserialize`, for protobuf derive `prost::Message`"
)]
pub trait Speaks<T>: Protocol<Format: Encode<T> + Decode<T>> {}

#[diagnostic::do_not_recommend]
impl<P, T> Speaks<T> for P
where
    P: Protocol,
    P::Format: Encode<T> + Decode<T>,
{
}
