//! JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>): the format [`JsonRpcFormat`] and the protocol [`JsonRpc`].

mod batch;
mod envelope;
mod format;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use wse_proto::{
    Capabilities, CodecError, Envelope, Head, Packed, Protocol, ProtocolInfo, Stamp, Utf8,
};

use crate::json::scan;
use batch::Batches;

pub use format::JsonRpcFormat;

/// JSON-RPC 2.0: no subprotocol, text frames, no greeting. Both sides may call.
///
/// ```text
/// {"jsonrpc":"2.0","method":"update","params":[1,2]}                     a message (§4.1)
/// {"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}          a call (§4)
/// {"jsonrpc":"2.0","result":19,"id":1}                                   its reply (§5)
/// {"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}   its fault (§5.1)
/// {"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}     an error report (§5)
/// ```
///
/// JSON-RPC has no receipts, pings, cancellations and greetings; they are not sent. The timeout of a call is not written
/// either.
///
/// **Ids** are strings, also empty ones, or integers in the range of `i64`, also 0. They are returned unchanged. A float
/// without a fraction is that integer, and is returned as a float: `1.0` as `1.0`, `1e3` as `1000.0`. Other ids are refused:
/// null and fractions, which §4 advises against. An error without an id, or with the id null, is an error report.
///
/// **Methods** (§4.1): the caller decides whether it wants an answer. So handlers of messages and procedures are one set:
/// see [`ProtocolInfo::one_namespace`].
///
/// **Params** (§4.2) are an array or an object, and are the payload. Any other payload is written as an array with one
/// element; [`JsonRpcFormat`] reads it from there. A payload that is `null` is an absent one, as in the other protocols,
/// and the params are left out. Params that are `null` count as absent, because many clients write them so. An absent
/// result is written as `null`.
///
/// **Members** may have any order. Unknown members are ignored. Of repeated members the last counts. `method`, `result`
/// and `error` count as absent if they are `null` beside another one of them; `"result":null` alone is a result. So a
/// response with `"error":null` is a result, and one with `"result":null` and an error is an error.
///
/// **Messages that are not allowed** are answered with the error -32600, or -32700 if they are not JSON. A request is
/// answered under its id if that can be read, and under null otherwise. A response is never answered: the call with its id
/// ends at once with [`CallFailure::Unreadable`](wse_proto::session::CallFailure::Unreadable). An object with nothing but
/// an id is a response without a result if this side has called with that id; otherwise it is a request without a method.
///
/// **Batches** (§6) are answered with one array, in the order in which the answers were given, once the last call is
/// answered. A batch without calls and invalid members has no answer. For this the protocol has state per connection, which
/// `Clone` starts afresh. An id must not be used again before its batch is answered. At most 16 MiB of answers are held; an
/// answer beyond that is replaced by the error -32000. This implementation sends no batches.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::JsonRpc;
/// use wse_proto::{Head, Packed, Protocol, Stamp};
///
/// let rpc = JsonRpc::new();
/// let call = r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#;
/// let message = Bytes::from(call);
/// let envelope = rpc.unpack(Packed::Binary(&message))?;
/// assert_eq!(envelope.head, Head::call("subtract", Stamp::Int(1)));
/// assert_eq!(envelope.payload, "[42, 23]");
///
/// let mut out = BytesMut::new();
/// rpc.pack(&Head::reply(Stamp::Int(1)), b"19", &mut out);
/// assert_eq!(out, r#"{"jsonrpc":"2.0","result":19,"id":1}"#);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Debug)]
pub struct JsonRpc {
    max_batch: usize,
    batches: Mutex<Batches>,
    /// The highest id of a call of this side. Sessions count their calls from 1.
    called: AtomicU64,
}

impl JsonRpc {
    /// The protocol with its defaults.
    ///
    /// ```
    /// use wse_codecs::JsonRpc;
    /// use wse_proto::Protocol;
    /// assert_eq!(JsonRpc::new().info().subprotocol(), None);
    /// ```
    pub fn new() -> Self {
        Self { max_batch: 100, batches: Mutex::default(), called: AtomicU64::new(0) }
    }

    /// Sets the most members that a batch (§6) may have. Default: 100. A larger batch is refused with one error report.
    ///
    /// There is also a fixed limit of 1,024 calls and invalid members in all batches that are not answered yet. A batch
    /// that would exceed it is refused too.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use wse_codecs::JsonRpc;
    /// use wse_proto::{CodecErrorKind, Packed, Protocol};
    ///
    /// let rpc = JsonRpc::new().max_batch(2);
    /// let message = Bytes::from("[1,2,3]");
    /// let refused = rpc.unpack_batch(Packed::Binary(&message)).unwrap();
    /// assert_eq!(refused[0].as_ref().unwrap_err().kind(), CodecErrorKind::Limit);
    /// assert_eq!(refused.len(), 1);
    /// ```
    #[must_use]
    pub fn max_batch(mut self, members: usize) -> Self {
        self.max_batch = members;
        self
    }

    fn batches(&self) -> MutexGuard<'_, Batches> {
        // A panic cannot leave it in an inconsistent state.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, message: Utf8<'_>, text: &str) -> Result<Envelope, CodecError> {
        envelope::read(message.bytes(), text, |stamp| {
            serial(stamp).is_some_and(|serial| serial <= self.called.load(Ordering::Relaxed))
        })
    }

    /// Unpacks the members of a batch.
    fn members(&self, message: Utf8<'_>) -> Result<Vec<Result<Envelope, CodecError>>, CodecError> {
        const PLACE: &str = "the batch";
        let text = message.as_str();
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
            ranges.into_iter().map(|range| self.read(message, &text[range])).collect();
        self.batches().open(&mut members)?;
        Ok(members)
    }
}

/// The number of a stamp that counts calls.
fn serial(stamp: &Stamp) -> Option<u64> {
    match stamp {
        Stamp::Text(text) if text.starts_with(|first| matches!(first, '1'..='9')) => {
            text.parse().ok()
        }
        _ => None,
    }
}

/// A clone is for another connection: it has the same limit and no batches.
impl Clone for JsonRpc {
    fn clone(&self) -> Self {
        Self { max_batch: self.max_batch, ..Self::new() }
    }
}

impl Default for JsonRpc {
    fn default() -> Self {
        Self::new()
    }
}

const INFO: ProtocolInfo = ProtocolInfo::text("json-rpc")
    .no_subprotocol()
    .no_greeting()
    .one_namespace()
    .capabilities(Capabilities::NONE.error_reports());

impl Protocol for JsonRpc {
    type Format = JsonRpcFormat;

    fn info(&self) -> ProtocolInfo {
        INFO
    }

    fn format(&self) -> &Self::Format {
        &JsonRpcFormat
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
        // After everything that can fail.
        if let Head::Call { stamp, .. } = head
            && let Some(serial) = serial(stamp)
        {
            self.called.fetch_max(serial, Ordering::Relaxed);
        }
        if let Head::Reply { .. } | Head::Fault { .. } | Head::ErrorReport = head {
            self.batches().take_answer(head, start, out);
        }
        Ok(())
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let text = message.text()?;
        let read = self.read(text, text.as_str());
        match batch::call_of(&read) {
            Some(stamp) if self.batches().contains(stamp) => Err(batch::repeated()),
            _ => read,
        }
    }

    fn unpack_batch(&self, message: Packed<'_>) -> Option<Vec<Result<Envelope, CodecError>>> {
        // The white space of JSON, which excludes form feeds.
        let start =
            message.bytes().iter().find(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        if start != Some(&b'[') {
            return None;
        }
        let members = message.text().and_then(|text| self.members(text));
        Some(members.unwrap_or_else(|e| vec![Err(e)]))
    }
}
