//! Messages that a stranger sends, in every codec.

use bytes::{Bytes, BytesMut};
use wse_codecs::{Cbor, CborFormat, Json, JsonArray, MessagePack, MsgPack, Protobuf};
use wse_proto::{Decode, Format, Head, Protocol, Stamp};

/// `codec, the message`
pub fn run(data: &[u8]) {
    let [codec, message @ ..] = data else { return };
    let message = Bytes::copy_from_slice(message);
    match codec % 4 {
        0 => json(&message),
        1 => cbor(&message),
        2 => protobuf(&message),
        _ => msgpack(&message),
    }
}

fn json(message: &Bytes) {
    let envelope = read(&JsonArray, message);
    if envelope.is_some() {
        let known = serde_json::from_slice::<serde::de::IgnoredAny>(message);
        known.expect("what is taken is JSON");
    }
    let _ = Decode::<serde_json::Value>::decode(&Json, message);
}

fn cbor(message: &Bytes) {
    read(&Cbor, message);
    let _ = Decode::<serde_json::Value>::decode(&CborFormat, message);
    let _ = Decode::<Vec<(u8, Option<i64>, f32, char)>>::decode(&CborFormat, message);
}

fn msgpack(message: &Bytes) {
    read(&MessagePack, message);
    let _ = Decode::<serde_json::Value>::decode(&MsgPack, message);
    let _ = Decode::<Vec<(u8, Option<i64>, f32, char)>>::decode(&MsgPack, message);
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
        assert_eq!(known.kind, head.kind(Protobuf.internal_types()));
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
    let mut out = BytesMut::new();
    if let Ok(hi) = format.decode_hi(message) {
        format.encode_hi(&hi, &mut out);
        assert_eq!(format.decode_hi(&out.split().freeze()).expect("a greeting"), hi);
    }
    if let Ok(fault) = format.decode_fault(message) {
        format.encode_fault(&fault, &mut out);
        assert_eq!(format.decode_fault(&out.split().freeze()).expect("a fault"), fault);
    }
    let envelope = protocol.unpack(message.clone()).ok()?;
    protocol.pack(&envelope.head, &envelope.payload, &mut out);
    let again = protocol.unpack(out.freeze()).expect("what was taken can be written");
    assert_eq!(again, envelope);
    Some((envelope.head, envelope.payload))
}
