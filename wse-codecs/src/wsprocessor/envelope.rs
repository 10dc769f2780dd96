//! [`WsProcessor`]: the protocol of the npm package wsprocessor.

use std::num::ParseIntError;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use wse_proto::{
    Capabilities, CodecError, Envelope, Head, Packed, Pings, Protocol, ProtocolInfo, ReceiptOf,
    Stamp, Text,
};

use super::format::{WsProcessorFormat, failure, is_null, put_failure, put_text, report};
use super::note_stamp::NoteStamp;
use crate::json::scan::{is_key, members};
use crate::json::text::{self, float_stamp, put_string, string};

/// The messages of the npm package wsprocessor: text frames, no subprotocol, no greeting.
///
/// ```text
/// {"type":"note","sendAck":false,"stamp":"s0","data":D}               a message
/// {"type":"note","sendAck":true,"stamp":"s1","data":D}                one that wants a receipt
/// {"type":"noteAck","stamp":"s1"}                                     its receipt; also requestAck, responseAck
/// {"type":"request","sendAck":false,"stamp":"s2","data":D}            a call
/// {"type":"response","sendAck":false,"stamp":"s2","data":D,"failureCode":0}            its reply
/// {"type":"response","sendAck":false,"stamp":"s2","data":"no","failureCode":400}       or its failure
/// {"type":"ping","data":1}   {"type":"pong","data":1}
/// {"type":"error","data":"why"}                                       a message could not be processed
/// ```
///
/// wsprocessor has no names. With [`new`](Self::new), every message is received under the name `note` and every call under
/// the name `request`, and names are not written. [`named`](Self::named) puts names into the data. The stamp of a note is
/// a UUID, so every note that wants a receipt is a reliable message: a repetition has the same stamp.
///
/// A note that wants no receipt has a stamp too, as those of the package have. It is made from the name and the data, so
/// equal notes have equal stamps. No receiver needs it, and a note without a stamp is read as well. A stamp that is a
/// float without a fraction, such as `5.0`, is that integer, and its answer carries it as a float again.
///
/// Requests and responses always have data. An absent payload or null is written as `{}`, which [`WsProcessorFormat`]
/// reads as null if the expected type allows nothing else. The data of a failure may be any value, also null. Members may have any order. Unknown members are ignored. Of
/// repeated members the last counts.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use wse_codecs::WsProcessor;
/// use wse_proto::{Head, Packed, Protocol, Stamp};
///
/// let mut out = BytesMut::new();
/// WsProcessor::new().pack(&Head::call("request", Stamp::from("s1")), b"[1,2]", &mut out);
/// assert_eq!(out, r#"{"type":"request","sendAck":false,"stamp":"s1","data":[1,2]}"#);
///
/// let note = Bytes::from_static(br#"{"type":"note","data":{"a":1}}"#);
/// let envelope = WsProcessor::new().unpack(Packed::Binary(&note))?;
/// assert_eq!(envelope.head, Head::message("note"));
/// assert_eq!(envelope.payload, r#"{"a":1}"#);
/// # Ok::<(), wse_proto::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WsProcessor {
    named: bool,
}

impl WsProcessor {
    /// The protocol as wsprocessor has it, without names: messages are received as `note`, calls as `request`, and names are
    /// not written.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use wse_codecs::WsProcessor;
    /// use wse_proto::{Head, Protocol};
    ///
    /// let mut out = BytesMut::new();
    /// WsProcessor::new().pack(&Head::message("news"), b"1", &mut out);
    /// assert!(out.starts_with(br#"{"type":"note","sendAck":false,"stamp":""#));
    /// assert!(out.ends_with(br#","data":1}"#));
    /// ```
    pub const fn new() -> Self {
        Self { named: false }
    }

    /// The protocol with names, so that there can be several handlers: the data of notes and requests is
    /// `{"name":…,"data":…}`. The peer must do the same.
    ///
    /// ```
    /// use bytes::{Bytes, BytesMut};
    /// use wse_codecs::WsProcessor;
    /// use wse_proto::{Head, Packed, Protocol};
    ///
    /// let mut out = BytesMut::new();
    /// WsProcessor::named().pack(&Head::message("news"), b"1", &mut out);
    /// assert!(out.ends_with(br#","data":{"name":"news","data":1}}"#));
    /// let message = out.freeze();
    /// assert_eq!(WsProcessor::named().unpack(Packed::Binary(&message))?.head, Head::message("news"));
    /// # Ok::<(), wse_proto::CodecError>(())
    /// ```
    pub const fn named() -> Self {
        Self { named: true }
    }
}

const INFO: ProtocolInfo = ProtocolInfo::text("wsprocessor")
    .no_subprotocol()
    .no_greeting()
    .capabilities(Capabilities::NONE.receipts().pings(Pings::Always).error_reports());

impl Protocol for WsProcessor {
    type Format = WsProcessorFormat;

    fn info(&self) -> ProtocolInfo {
        INFO
    }

    fn format(&self) -> &Self::Format {
        &WsProcessorFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        match head {
            Head::Fault { stamp, receipt } => {
                put_request("response", Some(stamp), *receipt, out);
                put_failure(payload, out);
                out.extend_from_slice(b"}");
            }
            Head::ErrorReport => {
                out.extend_from_slice(b"{\"type\":\"error\",\"data\":");
                put_text(payload, out);
                out.extend_from_slice(b"}");
            }
            _ => {
                let written = self.put(head, out, |out| {
                    out.extend_from_slice(payload);
                    Ok(())
                });
                debug_assert!(written.is_ok(), "{written:?}");
            }
        }
    }

    fn pack_with<F>(&self, head: &Head, out: &mut BytesMut, write: F) -> Result<(), CodecError>
    where
        F: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    {
        // The parts of such a payload are written in another order, so it is needed as a whole.
        if let Head::Fault { .. } | Head::ErrorReport = head {
            let mut payload = BytesMut::new();
            write(&mut payload)?;
            self.pack(head, &payload, out);
            return Ok(());
        }
        let start = out.len();
        self.put(head, out, write).inspect_err(|_| out.truncate(start))
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let message = message.text()?;
        let text = message.as_str();
        let names = ["type", "sendAck", "stamp", "data", "failureCode"];
        let [kind, receipt, stamp, data, code] = members(text, names)?;
        let member = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let kind = member(&kind);
        if !kind.starts_with('"') {
            return Err(CodecError::shape("the type", "missing, or not a string"));
        }
        let is = |name| is_key(kind, name);
        let stamp = || read_stamp(message.bytes(), member(&stamp));
        let required = || stamp()?.ok_or(CodecError::shape("the stamp", "missing"));
        let acknowledged = |of| {
            Ok(Envelope { head: Head::Receipt { stamp: required()?, of }, payload: Bytes::new() })
        };
        let receipt = !is_falsy(member(&receipt));
        let absent = matches!(member(&data), "" | "null");
        let missing = || CodecError::shape("the data", "missing, or null");
        let head = if is("note") {
            // Without a stamp there can be no receipt.
            let receipt = if receipt { stamp()? } else { None };
            let reliable = receipt.is_some();
            Head::Message { name: Text::from_static("note"), receipt, reliable }
        } else if is("request") {
            if absent {
                return Err(missing());
            }
            let name = Text::from_static("request");
            Head::Call { name, stamp: required()?, receipt, timeout: None }
        } else if is("response") {
            let (stamp, code) = (required()?, member(&code));
            if !is_falsy(code) {
                let payload = failure(code, member(&data));
                return Ok(Envelope { head: Head::Fault { stamp, receipt }, payload });
            }
            if absent {
                // As the package does: an error report, and the call runs into its time limit.
                return Err(missing());
            }
            Head::Reply { stamp, receipt }
        } else if is("noteAck") {
            return acknowledged(ReceiptOf::Message);
        } else if is("requestAck") {
            return acknowledged(ReceiptOf::Call);
        } else if is("responseAck") {
            return acknowledged(ReceiptOf::Answer);
        } else if is("ping") {
            Head::Ping
        } else if is("pong") {
            Head::Pong
        } else if is("error") {
            return Ok(Envelope { head: Head::ErrorReport, payload: report(member(&data)) });
        } else {
            return Err(CodecError::shape("the type", "unknown"));
        };
        if self.named && matches!(head, Head::Message { .. } | Head::Call { .. }) {
            return extract_name(head, message.range(data));
        }
        let payload = if absent { Bytes::new() } else { message.range(data) };
        Ok(Envelope { head, payload })
    }
}

impl WsProcessor {
    /// Writes all messages but failures and error reports.
    #[inline]
    fn put(
        self,
        head: &Head,
        out: &mut BytesMut,
        write: impl FnOnce(&mut BytesMut) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let mut own_stamp = None;
        let name = match head {
            Head::Message { name, receipt, .. } => {
                put_request("note", receipt.as_ref(), receipt.is_some(), out);
                if receipt.is_none() {
                    own_stamp = Some(NoteStamp::reserve(out));
                }
                Some(name)
            }
            Head::Call { name, stamp, receipt, .. } => {
                put_request("request", Some(stamp), *receipt, out);
                Some(name)
            }
            Head::Reply { stamp, receipt } => {
                put_request("response", Some(stamp), *receipt, out);
                None
            }
            Head::Ping => {
                put_kind("ping", out);
                None
            }
            Head::Pong => {
                put_kind("pong", out);
                None
            }
            Head::Receipt { stamp, of } => {
                put_kind(
                    match of {
                        ReceiptOf::Message => "noteAck",
                        ReceiptOf::Call => "requestAck",
                        ReceiptOf::Answer => "responseAck",
                    },
                    out,
                );
                put_stamp(stamp, out);
                out.extend_from_slice(b"}");
                return Ok(());
            }
            // wsprocessor has no greetings and no cancellations.
            _ => return Ok(()),
        };
        out.extend_from_slice(b",\"data\":");
        let wrapped = name.filter(|_| self.named);
        if let Some(name) = wrapped {
            out.extend_from_slice(b"{\"name\":");
            put_string(name, out);
            out.extend_from_slice(b",\"data\":");
        }
        let start = out.len();
        write(out)?;
        if is_null(&out[start..]) {
            out.truncate(start);
            // Peers refuse requests and responses whose data is null.
            let bare = matches!(head, Head::Call { .. } | Head::Reply { .. }) && wrapped.is_none();
            out.extend_from_slice(if bare { b"{}" } else { b"null" });
        }
        if let Some(own_stamp) = own_stamp {
            own_stamp.fill(name.map_or("", |name| name), out);
        }
        if wrapped.is_some() {
            out.extend_from_slice(b"}");
        }
        if let Head::Reply { .. } = head {
            out.extend_from_slice(b",\"failureCode\":0");
        }
        out.extend_from_slice(b"}");
        Ok(())
    }
}

/// Extracts the name from the data of a note or request.
fn extract_name(mut head: Head, data: Bytes) -> Result<Envelope, CodecError> {
    let unnamed = || CodecError::shape("the data", "not an object with a name");
    let text = std::str::from_utf8(&data).unwrap_or_default();
    // It is known to be JSON, so the error can only be that it is absent or not an object.
    let [name, inner] = members(text, ["name", "data"]).map_err(|_| unnamed())?;
    let written = text.get(name).filter(|name| name.starts_with('"')).ok_or_else(unnamed)?;
    if let Head::Message { name, .. } | Head::Call { name, .. } = &mut head {
        *name = string(&data, written, "the name")?;
    }
    let payload = match text.get(inner.clone()) {
        None | Some("" | "null") => Bytes::new(),
        Some(_) => data.slice(inner),
    };
    Ok(Envelope { head, payload })
}

/// Reads a stamp. An empty text counts as none.
fn read_stamp(message: &Bytes, stamp: &str) -> Result<Option<Stamp>, CodecError> {
    Ok(match stamp.as_bytes() {
        b"" | b"null" | b"\"\"" => None,
        [b'"', ..] => Some(Stamp::Text(string(message, stamp, "the stamp")?)),
        _ => Some(stamp.parse().map(Stamp::Int).or_else(|e: ParseIntError| {
            float_stamp(stamp).ok_or_else(|| {
                CodecError::shape("the stamp", "not a string or an integer").with_source(e)
            })
        })?),
    })
}

/// Whether a value is falsy in JavaScript: absent, `null`, `false`, `""`, or any zero.
fn is_falsy(value: &str) -> bool {
    matches!(value, "" | "null" | "false" | "\"\"") || value.parse() == Ok(0.0)
}

/// Writes the start of the object and the type.
fn put_kind(kind: &str, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\"");
}

/// Writes the part before the data of notes, requests and responses.
fn put_request(kind: &str, stamp: Option<&Stamp>, receipt: bool, out: &mut BytesMut) {
    put_kind(kind, out);
    let receipt: &[u8] = if receipt { b",\"sendAck\":true" } else { b",\"sendAck\":false" };
    out.extend_from_slice(receipt);
    if let Some(stamp) = stamp {
        put_stamp(stamp, out);
    }
}

fn put_stamp(stamp: &Stamp, out: &mut BytesMut) {
    out.extend_from_slice(b",\"stamp\":");
    text::put_stamp(stamp, out);
}
