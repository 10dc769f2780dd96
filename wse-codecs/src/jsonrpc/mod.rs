//! JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>): the protocol [`JsonRpc`] and its format [`RpcJson`].

mod batch;
mod envelope;
mod format;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use wse_proto::{Abilities, CodecError, Envelope, Head, Opcode, Pings, Protocol};

use crate::json::scan;
use batch::Batches;

pub use format::RpcJson;

/// JSON-RPC 2.0: no subprotocol, text frames, no greeting. Both sides may call.
///
/// ```text
/// {"jsonrpc":"2.0","method":"update","params":[1,2]}                     a message (§4.1)
/// {"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}          a call (§4)
/// {"jsonrpc":"2.0","result":19,"id":1}                                   its reply (§5)
/// {"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}   its fault (§5.1)
/// {"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}     a complaint (§5)
/// ```
///
/// What has no form here is not sent: receipts, pings, cancellations and greetings. What a call knows
/// beside them (its time, a receipt wanted) is left out.
///
/// **Ids** are texts, the empty one too, or integers that an `i64` holds, 0 too; they come back as they were.
/// Others are refused: null and fractions (which §4 advises against), and `1.0` or `1e3`, which might be
/// written otherwise in the answer. An error whose id is null is a complaint.
///
/// **Params** (§4.2) are an array or an object, and the payload as it is. A payload that is neither is
/// written as an array of one, and read from one by [`RpcJson`]; `null`, as in the other protocols, is an
/// absent payload, and left out. A result that is absent is `null`.
///
/// **Members** come in any order; unknown ones are passed over, and of members of one name the last counts.
/// A message with `method` and also `result` or `error` is refused.
///
/// **Batches** (§6) are answered by one array, once its last call is answered, in the order in which the
/// answers came; one that wants no answers gets none. To that end the protocol keeps a state:
/// [`select`](Protocol::select) gives each connection its own, and clones share it. An id must not come again
/// before its batch is answered. Of unanswered batches 16 MiB of answers are kept at most; what does not fit is
/// answered by the error -32000. We send no batches of our own.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::JsonRpc;
/// use wse_proto::{Head, Protocol, Stamp};
///
/// let rpc = JsonRpc::new();
/// let call = r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#;
/// let envelope = rpc.unpack(Bytes::from(call))?;
/// assert_eq!(envelope.head, Head::call("subtract", Stamp::Int(1)));
/// assert_eq!(envelope.payload, "[42, 23]");
///
/// let mut out = BytesMut::new();
/// rpc.pack(&Head::reply(Stamp::Int(1)), b"19", &mut out);
/// assert_eq!(out, r#"{"jsonrpc":"2.0","result":19,"id":1}"#);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Debug)]
pub struct JsonRpc {
    max_batch: usize,
    batches: Arc<Mutex<Batches>>,
}

impl JsonRpc {
    /// The protocol with its defaults.
    ///
    /// ```
    /// use wse_codecs::JsonRpc;
    /// use wse_proto::Protocol;
    /// assert!(JsonRpc::new().subprotocols().is_empty());
    /// ```
    pub fn new() -> Self {
        Self { max_batch: 100, batches: Arc::default() }
    }

    /// How many members a batch (§6) may have; default 100. A larger one is refused as a whole, by one
    /// complaint. So is one whose calls and invalid members would make more than 1,024, together with those
    /// of the batches that are not answered yet: that limit is fixed, and bounds what is kept.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use wse_codecs::JsonRpc;
    /// use wse_proto::{CodecErrorKind, Protocol};
    ///
    /// let rpc = JsonRpc::new().max_batch(2);
    /// let refused = rpc.bundle(&Bytes::from("[1,2,3]")).unwrap();
    /// assert_eq!(refused[0].as_ref().unwrap_err().kind(), CodecErrorKind::Limit);
    /// assert_eq!(refused.len(), 1);
    /// ```
    #[must_use]
    pub fn max_batch(mut self, members: usize) -> Self {
        self.max_batch = members;
        self
    }

    fn batches(&self) -> MutexGuard<'_, Batches> {
        // Nothing in there is left half done by a panic.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members of a batch, each unpacked by itself.
    fn members(&self, message: &Bytes) -> Result<Vec<Result<Envelope, CodecError>>, CodecError> {
        const PLACE: &str = "the batch";
        let text = envelope::text(message)?;
        let mut ranges = Vec::new();
        let mut count = 0_usize;
        scan::each_element(text, |range| {
            count += 1;
            if count <= self.max_batch {
                ranges.push(range);
            }
        })?;
        if count > self.max_batch {
            return Err(CodecError::limit(PLACE, "too many members"));
        }
        if count == 0 {
            return Err(CodecError::shape(PLACE, "empty"));
        }
        let mut members: Vec<_> =
            ranges.into_iter().map(|range| envelope::read(message.slice(range))).collect();
        self.batches().take(&mut members)?;
        Ok(members)
    }
}

impl Default for JsonRpc {
    fn default() -> Self {
        Self::new()
    }
}

impl Protocol for JsonRpc {
    type Format = RpcJson;

    fn name(&self) -> &'static str {
        ""
    }

    fn opcode(&self) -> Opcode {
        Opcode::Text
    }

    fn format(&self) -> RpcJson {
        RpcJson
    }

    fn abilities(&self) -> Abilities {
        Abilities { receipts: false, pings: Pings::Never, complaints: true }
    }

    fn has_greeting(&self) -> bool {
        false
    }

    fn select(&self, _offered: &[&str]) -> Option<Self> {
        Some(Self { batches: Arc::default(), ..*self })
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        let written = self.pack_with(head, out, |out| {
            out.extend_from_slice(payload);
            Ok(())
        });
        debug_assert!(written.is_ok(), "{written:?}");
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        let start = out.len();
        envelope::write(head, out, write)?;
        // Only now, when nothing can fail any more.
        if let Head::Reply { .. } | Head::Fault { .. } | Head::Complaint = head {
            self.batches().settle(head, start, out);
        }
        Ok(())
    }

    fn unpack(&self, message: Bytes) -> Result<Envelope, CodecError> {
        let envelope = envelope::read(message)?;
        if let Head::Call { stamp, .. } = &envelope.head
            && self.batches().awaits(stamp)
        {
            return Err(batch::repeated());
        }
        Ok(envelope)
    }

    fn bundle(&self, message: &Bytes) -> Option<Vec<Result<Envelope, CodecError>>> {
        // The white space of JSON, which is not all of ASCII's.
        let first = message.iter().find(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        (first == Some(&b'[')).then(|| self.members(message).unwrap_or_else(|e| vec![Err(e)]))
    }
}
