//! [`Protocol`]: a wire format.

use bytes::BytesMut;

use crate::{CodecError, Envelope, Format, Head, Packed, ProtocolInfo};

/// A wire format: packs and unpacks envelopes. Its [`Format`] encodes the payloads.
///
/// Most protocols write the convention `type`, `payload`, `stamp`, `flags`, `timeout`. [`Head::kind`],
/// [`Head::stamp`], [`Head::flags`] and [`Head::timeout`] split a head into these parts, and [`Head::from_parts`] builds
/// one from them. [`testing::check`](crate::testing::check) tests an implementation.
///
/// An endpoint clones the protocol for each connection and uses that clone until the connection ends. A protocol with
/// state per connection starts it afresh in `Clone`. [`pack`](Self::pack) may run while the connection is locked: a
/// protocol must not use the connection that it packs for.
///
/// ```
/// use bytes::{BufMut, BytesMut};
/// use wse_proto::{CodecError, Envelope, Format, Head, Packed, Protocol, ProtocolInfo};
///
/// const INFO: ProtocolInfo = ProtocolInfo::text("example-lengths");
///
/// /// `4 2 notes1payload`: the lengths of type and stamp; then type, stamp and payload, in any format that is text.
/// #[derive(Clone, Debug)]
/// struct Lengths<F>(F);
///
/// impl<F: Format> Protocol for Lengths<F> {
///     type Format = F;
///     fn info(&self) -> ProtocolInfo { INFO }
///     fn format(&self) -> &F { &self.0 }
///
///     fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
///         let kind = head.kind(INFO.types());
///         let stamp = head.stamp().map(|stamp| stamp.to_text()).unwrap_or_default();
///         out.put_slice(format!("{} {} {kind}{stamp}", kind.len(), stamp.len()).as_bytes());
///         out.put_slice(payload);
///     }
///
///     fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
///         let text = message.text()?;
///         let read = || {
///             let (kind, rest) = text.split_once(' ')?;
///             let (stamp, rest) = rest.split_once(' ')?;
///             let (kind, rest) = rest.split_at_checked(kind.parse().ok()?)?;
///             let (stamp, payload) = rest.split_at_checked(stamp.parse().ok()?)?;
///             Some((kind, stamp, payload))
///         };
///         let cut_off = CodecError::malformed("the message", "a part is missing");
///         let (kind, stamp, payload) = read().ok_or(cut_off)?;
///         let stamp = Some(text.part(stamp).into());
///         let head = Head::from_parts(INFO.types(), text.part(kind), stamp, 0)?;
///         Ok(Envelope { head, payload: text.slice(payload) })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message protocol",
    label = "does not implement `Protocol`",
    note = "use a shipped one (`JsonArray`, `Cbor`, `MessagePack`, `Protobuf`, `JsonRpc`, `WsProcessor`) or implement `wse_proto::Protocol`: `info`, `format`, `pack` and `unpack`"
)]
pub trait Protocol: Clone + Send + Sync + 'static {
    /// The payload format.
    type Format: Format;

    /// The subprotocol name, text or binary, the names of the internal types, and the capabilities. A value and its
    /// clones always return the same.
    fn info(&self) -> ProtocolInfo;

    /// The payload format.
    fn format(&self) -> &Self::Format;

    /// Appends one message to `out`. `payload` is encoded in the [`Format`], and empty when absent.
    ///
    /// A session only asks for heads that [`info`](Self::info) claims. For a head that the protocol cannot express, append
    /// nothing; then nothing is sent.
    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut);

    /// Splits a received message into its head and its payload. The payload should share the buffer of `message`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a message of this protocol. The bytes come from an untrusted peer: the method must
    /// not panic, and must limit depth, memory and time.
    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError>;

    /// Appends one message whose payload is written by `write`. Default: `write` gets a buffer of its own, which is
    /// copied. Override it to avoid the copy.
    ///
    /// # Errors
    ///
    /// Those of `write`. Nothing is appended then.
    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let mut payload = BytesMut::new();
        write(&mut payload)?;
        self.pack(head, &payload, out);
        Ok(())
    }

    /// If the message is a batch, as JSON-RPC has them, returns its members in order; `None` for any other message.
    /// Default: `None`.
    ///
    /// A protocol that answers a batch with one message holds the answers back: [`pack`](Self::pack) writes nothing until
    /// it has the last one.
    fn unpack_batch(&self, _message: Packed<'_>) -> Option<Vec<Result<Envelope, CodecError>>> {
        None
    }
}
