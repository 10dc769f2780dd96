//! Messages of an untrusted peer, in every codec.

use bytes::{Bytes, BytesMut};
use wse_codecs::{
    Cbor, CborFormat, JsonArray, JsonFormat, JsonRpc, JsonRpcFormat, MessagePack,
    MessagePackFormat, Protobuf, WsProcessor,
};
use wse_proto::{
    CodecError, Decode, Envelope, ErrorCode, Fault, Format, Head, Protocol, SessionMessage, Stamp,
    Unread, excerpt, open_batch, seal,
};

use super::payloads;

/// `codec, the message`
pub fn run(data: &[u8]) {
    let [codec, message @ ..] = data else { return };
    if let Ok(text) = std::str::from_utf8(message) {
        shown(text);
    }
    let message = Bytes::copy_from_slice(message);
    match codec % 6 {
        0 => json(&message),
        1 => cbor(&message),
        2 => protobuf(&message),
        3 => msgpack(&message),
        4 => json_rpc(&message),
        _ => wsprocessor(&message),
    }
}

/// A text of the peer is shown in one line of bounded length.
fn shown(text: &str) {
    let once = excerpt(text).to_string();
    assert!(once.len() <= 1024);
    assert!(!once.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}')));
    assert_eq!(excerpt(&once).to_string(), once, "shown again, it stays");
}

fn json(message: &Bytes) {
    let envelope = read(&JsonArray, message);
    if envelope.is_some() {
        let known = serde_json::from_slice::<serde::de::IgnoredAny>(message);
        known.expect("what is taken is JSON");
    }
    let _ = Decode::<serde_json::Value>::decode(&JsonFormat, message);
    payloads::run(JsonFormat, message);
}

fn cbor(message: &Bytes) {
    read(&Cbor, message);
    let _ = Decode::<serde_json::Value>::decode(&CborFormat, message);
    let _ = Decode::<Vec<(u8, Option<i64>, f32, char)>>::decode(&CborFormat, message);
    payloads::run(CborFormat, message);
}

fn msgpack(message: &Bytes) {
    read(&MessagePack, message);
    let _ = Decode::<serde_json::Value>::decode(&MessagePackFormat, message);
    let _ = Decode::<Vec<(u8, Option<i64>, f32, char)>>::decode(&MessagePackFormat, message);
    payloads::run(MessagePackFormat, message);
}

fn json_rpc(message: &Bytes) {
    if read(&JsonRpc::new(), message).is_some() {
        let known = serde_json::from_slice::<serde::de::IgnoredAny>(message);
        known.expect("what is taken is JSON");
    }
    let _ = Decode::<serde_json::Value>::decode(&JsonRpcFormat, message);
    let rpc = JsonRpc::new();
    if let Some(members) = open_batch(&rpc, message.into()) {
        batch(&rpc, members);
    }
}

/// Each member of a batch is answered, all of them by one array.
fn batch(rpc: &JsonRpc, members: Vec<Result<SessionMessage, CodecError>>) {
    let alone = members.len() == 1;
    let answers = members.into_iter().filter_map(|member| match member.map(|it| it.head) {
        Ok(Head::Call { stamp, .. }) => {
            Some(SessionMessage::raw(Head::reply(stamp), Bytes::from("1")))
        }
        Ok(_) => None,
        Err(error) => {
            let fault = |stamp| SessionMessage::fault(stamp, Fault::new(ErrorCode::ErrorReport));
            match error.unread() {
                Some(Unread::Call(stamp)) => Some(fault(stamp.clone())),
                None => {
                    let mut report = fault(Stamp::Int(0));
                    report.head = Head::ErrorReport;
                    Some(report)
                }
                // An answer is not answered.
                Some(_) => None,
            }
        }
    });
    let answers: Vec<_> = answers.collect();
    let mut out = BytesMut::new();
    for answer in &answers {
        assert!(out.is_empty(), "it is said once it is complete");
        seal(rpc, answer, &mut out);
    }
    if answers.is_empty() {
        return;
    }
    match serde_json::from_slice(&out).expect("JSON") {
        serde_json::Value::Array(said) => assert_eq!(said.len(), answers.len()),
        // It was refused as a whole.
        said => assert!(alone && said["id"].is_null(), "{said}"),
    }
}

fn wsprocessor(message: &Bytes) {
    for protocol in [WsProcessor::new(), WsProcessor::named()] {
        if read(&protocol, message).is_some() {
            let known = serde_json::from_slice::<serde::de::IgnoredAny>(message);
            known.expect("what is taken is JSON");
        }
    }
}

/// The envelope as prost knows it.
#[derive(prost::Message)]
struct Known {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
    #[prost(string, tag = "3")]
    stamp: String,
    #[prost(uint32, tag = "4")]
    flags: u32,
}

fn protobuf(message: &Bytes) {
    if let Some((head, payload)) = read(&Protobuf, message) {
        let known = <Known as prost::Message>::decode(message.clone());
        let known = known.expect("what is taken is protobuf");
        assert_eq!(known.payload, payload);
        assert_eq!(known.kind, head.kind(Protobuf.info().types()));
        let stamp = head.stamp().map(Stamp::to_text);
        assert!(stamp.is_none_or(|stamp| known.stamp == stamp.as_str()));
        assert_eq!(known.flags & head.flags(), head.flags());
    }
}

/// Unpacks a message, which then packs and unpacks to the same; and reads it as if it were a payload.
fn read<P>(protocol: &P, message: &Bytes) -> Option<(Head, Bytes)>
where
    P: Protocol<Format: Decode<String>>,
{
    let format = protocol.format();
    let _ = format.decode(message);
    if let Ok(hi) = format.decode_hi(message) {
        let again = rewrite(&hi, |hi, out| format.encode_hi(hi, out), |hi| format.decode_hi(hi));
        assert_eq!(again, hi);
    }
    let refault = |fault: &Fault| {
        rewrite(fault, |it, out| format.encode_fault(it, out), |it| format.decode_fault(it))
    };
    let repack = |envelope: &Envelope| {
        let pack = |it: &Envelope, out: &mut _| protocol.pack(&it.head, &it.payload, out);
        rewrite(envelope, pack, |message| protocol.unpack(message.into()))
    };
    let fault = format.decode_fault(message).ok();
    let envelope = protocol.unpack(message.into()).ok();
    if protocol.info().has_greeting() {
        assert_eq!(fault.as_ref().map(refault), fault);
        assert_eq!(envelope.as_ref().map(repack), envelope);
    } else {
        // The formats of other projects cannot write everything, or need more: the second round must be the same.
        let fault = fault.as_ref().map(refault);
        assert_eq!(fault.as_ref().map(refault), fault);
        let again = envelope.as_ref().map(repack);
        assert_eq!(again.as_ref().map(repack), again);
        assert_eq!(again.map(|it| it.head), envelope.as_ref().map(|it| it.head.clone()));
    }
    if let Some(envelope) = &envelope
        && protocol.info().has_greeting()
    {
        // Stamps are equal in any form. The peer gets the one that it wrote.
        let written = |it: &Envelope| format!("{:?}", it.head.stamp());
        assert_eq!(written(&repack(envelope)), written(envelope));
    }
    envelope.map(|it| (it.head, it.payload))
}

fn rewrite<T>(
    value: &T,
    write: impl Fn(&T, &mut BytesMut),
    read: impl Fn(&Bytes) -> Result<T, CodecError>,
) -> T {
    let mut out = BytesMut::new();
    write(value, &mut out);
    read(&out.freeze()).expect("what was taken can be written")
}
