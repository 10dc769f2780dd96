//! What holds for every codec: messages survive, bytes of an untrusted peer do no harm, clients choose.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use wse_codecs::{
    Cbor, CborFormat, JsonArray, JsonFormat, JsonRpc, JsonRpcFormat, MessagePack,
    MessagePackFormat, Protobuf, ProtobufFormat,
};
use wse_proto::{
    Body, CodecError, Decode, Encode, Envelope, Fault, Format, Head, Hi, Negotiate, Negotiated,
    Packed, Protocol, ProtocolInfo, ReceiptOf, SessionMessage, Stamp, Text, open, seal,
};

use super::plain;

/// A head whose stamp, if any, is one: neither empty nor 0. Integers become text in protobuf.
fn heads(ints: bool) -> impl Strategy<Value = Head> {
    let text = "\\PC{1,40}|[\\x00-\\x7f]{1,8}".prop_map(|text| Stamp::from(Text::from(text)));
    let int = any::<i64>().prop_filter("0 is no stamp", |int| *int != 0).prop_map(Stamp::Int);
    let stamp = if ints { prop_oneof![text, int].boxed() } else { text.boxed() };
    // Names of the session's own are for it alone.
    let name = ".{1,40}".prop_filter("internal", |name: &String| !name.starts_with("~wse:"));
    let of = prop_oneof![Just(ReceiptOf::Message), Just(ReceiptOf::Call), Just(ReceiptOf::Answer)];
    (0..12, name.prop_map(Text::from), stamp, any::<bool>(), any::<u32>(), of).prop_map(
        |(which, name, stamp, receipt, millis, of)| match which {
            0 => Head::Hi,
            1 => Head::Challenge,
            2 => Head::Welcome,
            3 => Head::Ping,
            4 => Head::Pong,
            5 => Head::Message { name, receipt: receipt.then_some(stamp), reliable: false },
            6 => Head::Call { name, stamp, receipt, timeout: None }.with_timeout(millis),
            7 => Head::Reply { stamp, receipt },
            8 => Head::Fault { stamp, receipt },
            9 => Head::Receipt { stamp, of },
            10 => Head::Cancel { stamp },
            _ => Head::Message { name, receipt: Some(stamp), reliable: true },
        },
    )
}

/// Any JSON but a bare null, which means absent.
fn values() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let inner = prop_oneof![4 => inner, 1 => Just(Value::Null)];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((".{0,8}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Packs both ways, unpacks, decodes, and cuts the message off everywhere.
fn survives<P, T>(protocol: &P, head: &Head, value: &T, read: &T) -> Result<(), TestCaseError>
where
    P: Protocol<Format: Encode<T> + Decode<T>>,
    T: PartialEq + std::fmt::Debug,
{
    let format = protocol.format();
    let mut payload = BytesMut::new();
    format.encode(value, &mut payload).unwrap();
    let mut packed = BytesMut::new();
    protocol.pack(head, &payload, &mut packed);
    let mut in_place = BytesMut::new();
    protocol.pack_with(head, &mut in_place, |out| format.encode(value, out)).unwrap();
    prop_assert_eq!(&packed, &in_place);

    let message = packed.freeze();
    let envelope = protocol.unpack((&message).into()).unwrap();
    prop_assert_eq!(&envelope, &Envelope { head: head.clone(), payload: payload.freeze() });
    prop_assert_eq!(&format.decode(&envelope.payload).unwrap(), read);
    for end in 0..message.len() {
        // Protobuf may end between two fields; the head or the payload is another one then.
        if let Ok(cut) = protocol.unpack((&message.slice(..end)).into()) {
            prop_assert_ne!(&cut, &envelope);
            prop_assert_eq!(protocol.info(), Protobuf.info());
        }
    }
    Ok(())
}

/// Every reader of every codec, on bytes that may be anything.
fn is_harmless(bytes: &Bytes) {
    fn by<P>(protocol: &P, bytes: &Bytes)
    where
        P: Protocol<Format: Decode<String>>,
    {
        if let Ok(envelope) = protocol.unpack(bytes.into()) {
            let mut out = BytesMut::new();
            protocol.pack(&envelope.head, &envelope.payload, &mut out);
            let again =
                protocol.unpack((&out.freeze()).into()).expect("what was taken can be written");
            assert_eq!(again, envelope);
        }
        let format = protocol.format();
        let _ = format.decode(bytes);
        if let Ok(hi) = format.decode_hi(bytes) {
            let mut out = BytesMut::new();
            format.encode_hi(&hi, &mut out);
            assert_eq!(format.decode_hi(&out.freeze()).expect("a greeting"), hi);
        }
        if let Ok(fault) = format.decode_fault(bytes) {
            let mut out = BytesMut::new();
            format.encode_fault(&fault, &mut out);
            assert_eq!(format.decode_fault(&out.freeze()).expect("a fault"), fault);
        }
    }
    by(&JsonArray, bytes);
    by(&Cbor, bytes);
    by(&MessagePack, bytes);
    by(&Protobuf, bytes);
    let _ = Decode::<serde_json::Value>::decode(&JsonFormat, bytes);
    let _ = Decode::<ciborium::value::Value>::decode(&CborFormat, bytes);
    let _ = Decode::<serde_json::Value>::decode(&CborFormat, bytes);
    let _ = Decode::<Vec<(u8, Option<i64>, f32, char)>>::decode(&CborFormat, bytes);
    let _ = Decode::<serde_json::Value>::decode(&MessagePackFormat, bytes);
    let _ = Decode::<serde::de::IgnoredAny>::decode(&MessagePackFormat, bytes);
    let _ = Decode::<Vec<(u8, Option<i64>, f32, char)>>::decode(&MessagePackFormat, bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn messages_survive(head in heads(true), value in values()) {
        survives(&JsonArray, &head, &value, &value)?;
        let plain = plain(value.clone());
        survives(&Cbor, &head, &value, &plain)?;
        survives(&MessagePack, &head, &value, &plain)?;
    }

    #[test]
    fn messages_survive_in_protobuf(head in heads(false), value in ".{1,300}") {
        survives(&Protobuf, &head, &value, &value)?;
    }

    /// It says neither receipts nor times, and takes structured params only.
    #[test]
    fn messages_survive_in_json_rpc(head in heads(true), value in values()) {
        let head = match head {
            Head::Message { name, .. } => Head::message(name),
            Head::Call { name, stamp, .. } => Head::call(name, stamp),
            Head::Reply { stamp, .. } => Head::reply(stamp),
            Head::Fault { stamp, .. } => Head::fault(stamp),
            _ => Head::ErrorReport,
        };
        let request = matches!(head, Head::Message { .. } | Head::Call { .. });
        let value = if request && !value.is_array() && !value.is_object() {
            serde_json::json!({ "value": value })
        } else {
            value
        };
        survives(&JsonRpc::new(), &head, &value, &value)?;
    }

    /// JSON has a fast way for what peers send, and it must see nothing else than the slow one, which a
    /// space in front leads to: neither in messages nor in what is nearly one.
    #[test]
    fn json_reads_the_same_both_ways(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "[", "]", "{", "}", ",", ",", ":", "null", "1", "-0.5e3", "\"", "\"a\"", "\"~wse:hi\"",
                "\"s1\"", "\"\"", "\"\\n\"", " ", "\n", "\"\u{7f}\u{e9}\"", "{\"a\":[1]}", "\u{1}",
            ]),
            0..8,
        ),
        frame in any::<bool>(),
    ) {
        let parts = parts.concat();
        let text = if frame { format!("[\"add\",{parts},\"s1\"]") } else { format!("[\"add\",{parts}") };
        let read = |text: String| JsonArray.unpack((&Bytes::from(text)).into()).map_err(|e| e.to_string());
        prop_assert_eq!(read(text.clone()), read(format!(" {text}")));
    }

    /// MessagePack is walked through before rmp-serde reads it, and that must refuse nothing that it takes.
    #[test]
    fn msgpack_is_taken_when_rmp_serde_takes_it(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                &b"\x90"[..], b"\x91", b"\x92", b"\x80", b"\x81", b"\xc0", b"\xc1", b"\x05", b"\xff", b"\xc2",
                b"\xa0", b"\xa1a", b"\xa1\xff", b"\xd9\x01a", b"\xda\0\x01a", b"\xc4\x01a", b"\xd4\x01a",
                b"\xc7\x02\x01ab", b"\xca\0\0\0\0", b"\xcd\x01\0", b"\xd1\xff\0", b"\xdc\0\x01", b"\xde\0\x01",
                b"\xdd\0\0\0\x02", b"\xdf\0\0\0\x01", b"\xdd\xff\xff\xff\xff", b"\0",
            ]),
            1..8,
        ),
    ) {
        let bytes = Bytes::from(parts.concat());
        let mut theirs = rmp_serde::Deserializer::new(&bytes[..]);
        let ignored = <serde::de::IgnoredAny as serde::Deserialize>::deserialize(&mut theirs);
        let whole = ignored.is_ok() && theirs.get_ref().is_empty();
        prop_assert_eq!(Decode::<serde::de::IgnoredAny>::decode(&MessagePackFormat, &bytes).is_ok(), whole);
        let theirs = rmp_serde::from_slice::<serde_json::Value>(&bytes).ok().filter(|_| whole);
        let ours = Decode::<serde_json::Value>::decode(&MessagePackFormat, &bytes).ok();
        // rmp-serde has no `Value` for bins, and for keys that are no text.
        if theirs.is_some() || !whole {
            prop_assert_eq!(ours, theirs.map(plain));
        }
    }

    #[test]
    fn any_bytes_are_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        is_harmless(&bytes.into());
    }

    #[test]
    fn almost_messages_are_harmless(
        head in heads(true),
        value in values(),
        at in any::<prop::sample::Index>(),
        new in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        let damage = |out: BytesMut| {
            let mut bytes = out.to_vec();
            let at = at.index(bytes.len());
            bytes.splice(at..=at, new.iter().copied());
            is_harmless(&bytes.into());
        };
        let mut out = BytesMut::new();
        JsonArray.pack_with(&head, &mut out, |out| JsonFormat.encode(&value, out)).unwrap();
        damage(out);
        let mut out = BytesMut::new();
        Cbor.pack_with(&head, &mut out, |out| CborFormat.encode(&value, out)).unwrap();
        damage(out);
        let mut out = BytesMut::new();
        MessagePack.pack_with(&head, &mut out, |out| MessagePackFormat.encode(&value, out)).unwrap();
        damage(out);
        let mut out = BytesMut::new();
        Protobuf.pack_with(&head, &mut out, |out| ProtobufFormat.encode(&value.to_string(), out)).unwrap();
        damage(out);
    }

    #[test]
    fn json_is_taken_exactly_when_serde_takes_it(
        text in "[\\[\\]{},:\" \\\\untrefalsd0-9.+eE-]{0,12}",
    ) {
        let message = format!("[\"t\",null,null,0,{text}]");
        let ours = JsonArray.unpack((&Bytes::from(message.clone())).into()).is_ok();
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&message).is_ok();
        prop_assert_eq!(ours, theirs, "{}", message);
    }
}

fn variant_of<P: Negotiate>(_: &P, chosen: &P::Protocol) -> usize {
    P::variant(chosen)
}

#[test]
fn the_client_s_offer_chooses_the_codec() {
    let server = Negotiated::new((JsonArray, Cbor, Protobuf, MessagePack));
    let head = Head::call("add", Stamp::from("s1"));
    for (offered, variant, wire) in [
        (&["wse-protobuf"][..], 2, &b"\x0a\x03add\x12\x04\x0a\x02hi\x1a\x02s1"[..]),
        (&["other", "wse-cbor"], 1, b"\x83\x63add\x62hi\x62s1"),
        (&["wse-msgpack"], 3, b"\x93\xa3add\xa2hi\xa2s1"),
        (&["wse-cbor", "wse-default-json"], 0, b"[\"add\",\"hi\",\"s1\"]"),
    ] {
        let chosen = server.select(offered).expect("one of them is spoken");
        assert_eq!(variant_of(&server, &chosen), variant);
        let mut out = BytesMut::new();
        let value = "hi".to_owned();
        chosen.pack_with(&head, &mut out, |out| chosen.format().encode(&value, out)).unwrap();
        assert_eq!(out, wire);
        let envelope = chosen.unpack((&out.freeze()).into()).unwrap();
        assert_eq!(envelope.head, head);
        let read: String = chosen.format().decode(&envelope.payload).unwrap();
        assert_eq!(read, value);
    }
    assert!(server.select(&["wse-other"]).is_none());
    assert_eq!(
        server.subprotocols(),
        ["wse-default-json", "wse-cbor", "wse-protobuf", "wse-msgpack"]
    );
}

/// Formats serve protocols of one's own: greetings and faults come with them.
#[test]
fn greetings_and_faults_survive_in_every_format() {
    fn check<F: Format>(format: &F, value: &[u8]) {
        let value = Bytes::copy_from_slice(value);
        let mut out = BytesMut::new();
        let hi = Hi { identity: value.clone(), meta: value.clone(), resume: None };
        format.encode_hi(&hi, &mut out);
        assert_eq!(format.decode_hi(&out.split().freeze()).unwrap(), hi);
        let fault = Fault::new("c").message("m").details(value);
        format.encode_fault(&fault, &mut out);
        assert_eq!(format.decode_fault(&out.freeze()).unwrap(), fault);
    }
    check(&JsonFormat, b"[1]");
    check(&JsonRpcFormat, b"[1]");
    check(&CborFormat, b"\x81\x01");
    check(&MessagePackFormat, b"\x91\x01");
    check(&ProtobufFormat, b"\x08\x01");
}

/// A protocol that does not know the greeting of a client that gives receipts.
#[derive(Clone)]
struct Older;

impl Protocol for Older {
    type Format = JsonFormat;

    fn info(&self) -> ProtocolInfo {
        JsonArray.info()
    }

    fn format(&self) -> &JsonFormat {
        &JsonFormat
    }

    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        if *head != Head::HiWithReceipts {
            JsonArray.pack(head, payload, out);
        }
    }

    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        JsonArray.unpack(message)
    }
}

#[test]
fn a_client_greets_also_where_it_cannot_say_that_it_gives_receipts() {
    let greeting = || SessionMessage {
        head: Head::HiWithReceipts,
        body: Body::Hi(Hi { identity: "\"me\"".into(), meta: "{}".into(), resume: None }),
    };
    let mut out = BytesMut::new();
    seal(&Older, &greeting(), &mut out);
    assert_eq!(out, r#"["~wse:hi",{"identity":"me","meta":{}},null]"#);
    out.clear();
    seal(&JsonArray, &greeting(), &mut out);
    assert_eq!(out, r#"["~wse:hi",{"identity":"me","meta":{}},null,1]"#);
    assert_eq!(open(&JsonArray, (&out.freeze()).into()).unwrap(), greeting());
    for protocol in [&Cbor as &dyn Greets, &MessagePack, &Protobuf] {
        protocol.greets();
    }
}

/// What is written for both greetings is read back as them.
trait Greets {
    fn greets(&self);
}

impl<P: Protocol> Greets for P {
    fn greets(&self) {
        for head in [Head::Hi, Head::HiWithReceipts] {
            let mut payload = BytesMut::new();
            let hi = Hi { identity: Bytes::new(), meta: Bytes::new(), resume: None };
            self.format().encode_hi(&hi, &mut payload);
            let mut out = BytesMut::new();
            self.pack(&head, &payload, &mut out);
            assert_eq!(self.unpack((&out.freeze()).into()).unwrap().head, head);
        }
    }
}
