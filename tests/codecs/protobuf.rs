//! The protobuf envelope: equal on the wire to what prost makes of `wse.proto`.

use bytes::{Bytes, BytesMut};
use prost::Message;
use wse_codecs::{Cbor, Protobuf, ProtobufFormat};
use wse_proto::{
    CodecError, CodecErrorKind, Decode, Encode, Envelope, Fault, Format, Head, Hi, Negotiate,
    Negotiated, Protocol, ReceiptOf, Stamp,
};

/// The messages of `wse-codecs/proto/wse.proto`, as prost-build writes them.
mod wse {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Envelope {
        #[prost(string, tag = "1")]
        pub r#type: String,
        #[prost(bytes = "bytes", tag = "2")]
        pub payload: bytes::Bytes,
        #[prost(string, tag = "3")]
        pub stamp: String,
        #[prost(uint32, tag = "4")]
        pub flags: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Hi {
        #[prost(bytes = "vec", optional, tag = "1")]
        pub identity: Option<Vec<u8>>,
        #[prost(bytes = "vec", tag = "2")]
        pub meta: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Fault {
        #[prost(string, tag = "1")]
        pub code: String,
        #[prost(string, tag = "2")]
        pub message: String,
        #[prost(bytes = "vec", tag = "3")]
        pub details: Vec<u8>,
    }
}

fn unpack(bytes: &[u8]) -> Result<Envelope, CodecError> {
    Protobuf.unpack((&Bytes::copy_from_slice(bytes)).into())
}

fn kind(bytes: &[u8]) -> CodecErrorKind {
    match unpack(bytes) {
        Err(error) => error.kind(),
        Ok(envelope) => panic!("{bytes:x?} is taken as {envelope:?}"),
    }
}

fn heads() -> Vec<Head> {
    let s1 = || Stamp::from("s1");
    vec![
        Head::message("t"),
        Head::message("a name of more than one hundred and twenty-seven bytes ".repeat(4)),
        Head::call("add", s1()),
        Head::call("", s1()),
        Head::Hi,
        Head::Welcome,
        Head::reply(s1()),
        Head::fault(s1()),
        Head::Message { name: "t".into(), receipt: Some(s1()), reliable: false },
        Head::Call { name: "t".into(), stamp: s1(), receipt: true, timeout: None },
        Head::Receipt { stamp: s1(), of: ReceiptOf::Call },
        Head::Pong,
    ]
}

/// Around every length at which the varint before a payload grows.
const LENGTHS: [usize; 9] = [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152];

#[test]
fn messages_equal_those_of_prost_both_ways() {
    for head in heads() {
        for length in LENGTHS {
            let payload: Bytes = (0..length).map(|i| i as u8).collect();
            let theirs = wse::Envelope {
                r#type: head.kind(Protobuf.info().types()).into(),
                payload: payload.clone(),
                stamp: head.stamp().map(ToString::to_string).unwrap_or_default(),
                flags: head.flags(),
            };
            let mut packed = BytesMut::from("before");
            Protobuf.pack(&head, &payload, &mut packed);
            let mut in_place = BytesMut::from("before");
            Protobuf
                .pack_with(&head, &mut in_place, |out| {
                    out.extend_from_slice(&payload);
                    Ok(())
                })
                .unwrap();
            assert_eq!(packed, in_place);
            assert!(packed[6..] == theirs.encode_to_vec(), "{head:?} with {length} bytes");
            assert_eq!(wse::Envelope::decode(&packed[6..]).unwrap(), theirs);
            assert_eq!(unpack(&packed[6..]).unwrap(), Envelope { head: head.clone(), payload });
        }
    }
}

#[test]
fn integer_stamps_are_decimal_text() {
    for int in [i64::MIN, -1, 1, i64::MAX] {
        let mut out = BytesMut::new();
        Protobuf.pack(&Head::call("t", Stamp::Int(int)), b"", &mut out);
        let read = Protobuf.unpack((&out.freeze()).into()).unwrap();
        assert_eq!(read.head, Head::call("t", Stamp::from(int.to_string().as_str())));
    }
}

#[test]
fn unknown_fields_are_skipped_and_the_last_of_a_known_one_counts() {
    let unknown: [&[u8]; 6] = [
        b"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // 10: the largest varint
        b"\x31\x01\x02\x03\x04\x05\x06\x07\x08",         // 6: 8 bytes
        b"\x3a\x03\xff\xff\xff",                         // 7: bytes
        b"\x45\x01\x02\x03\x04",                         // 8: 4 bytes
        b"\x4b\x08\x01\x53\x0a\x01\xff\x54\x4c",         // 9: a group with 1 and a group 10 in it
        b"\xf8\xff\xff\xff\x0f\x00",                     // 536870911: the largest number
    ];
    let known: [&[u8]; 3] = [b"\x0a\x01x\x0a\x01t", b"\x12\x01\x00\x12\x02\x08\x01", b"\x1a\x01s"];
    let expected =
        Envelope { head: Head::call("t", "s".into()), payload: Bytes::from_static(b"\x08\x01") };
    for skip in unknown {
        let message = [skip, known[2], skip, known[1], skip, known[0], skip].concat();
        assert_eq!(unpack(&message).unwrap(), expected, "{skip:x?}");
        assert!(wse::Envelope::decode(&message[..]).is_ok(), "prost agrees");
        for end in 1..skip.len() {
            let cut = [known[0], &skip[..end]].concat();
            assert_eq!(kind(&cut), CodecErrorKind::Malformed, "{cut:x?}");
        }
    }
    // Flags of more than 32 bits are cut, as everywhere in protobuf.
    let flags = unpack(b"\x0a\x01t\x1a\x01s\x20\x81\x80\x80\x80\x10").unwrap().head;
    assert_eq!(
        flags,
        Head::Call { name: "t".into(), stamp: "s".into(), receipt: true, timeout: None }
    );
}

/// Of a text that is there twice only the last counts, but the first has to be text too.
#[test]
fn every_text_is_to_be_utf8_even_if_another_one_follows() {
    for (wire, good) in [
        (&b"\x0a\x01\xf8\x0a\x01x"[..], &b"\x0a\x01a\x0a\x01x"[..]),
        (b"\x1a\x01\xf8\x0a\x01x\x1a\x01s", b"\x1a\x01a\x0a\x01x\x1a\x01s"),
    ] {
        let error = Protobuf.unpack((&Bytes::from(wire)).into()).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Malformed, "{wire:02x?}");
        assert!(Protobuf.unpack((&Bytes::from(good)).into()).is_ok());
    }
    for wire in [&b"\x0a\x01\xf8\x0a\x01x"[..], b"\x0a\x01x\x12\x01\xf8\x12\x01m"] {
        assert!(ProtobufFormat.decode_fault(&wire.into()).is_err(), "{wire:02x?}");
    }
}

#[test]
fn malformed_messages_are_refused_as_by_prost() {
    let table: &[&[u8]] = &[
        b"\x00",                                             // field number 0
        b"\x02\x00",                                         // field number 0
        b"\x0a",                                             // no length
        b"\x0a\x02t",                                        // too short
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01t",    // a length of 2^64 - 1
        b"\x0a\xff\xff\xff\xff\x07t",                        // a length of 2^31 - 1
        b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", // eleven bytes
        b"\x0a\x81\x80\x80\x80\x80\x80\x80\x80\x80\x02t",    // 65 bits
        b"\x80\x80\x80\x80\x10\x00",                         // a key of 33 bits
        b"\x08\x01",                                         // the type as a varint
        b"\x0d\x01\x02\x03\x04",                             // the type as 4 bytes
        b"\x10\x01",                                         // the payload as a varint
        b"\x18\x01",                                         // the stamp as a varint
        b"\x22\x01\x01",                                     // the flags as bytes
        b"\x0b\x0c",                                         // the type as a group
        b"\x0a\x01\xff",                                     // not UTF-8
        b"\x0a\x01t\x1a\x02\xc3(",                           // not UTF-8
        b"\x0a\x01t\x2e\x00",                                // wire type 6
        b"\x0a\x01t\x2f\x00",                                // wire type 7
        b"\x0a\x01t\x2c",                                    // the end of no group
        b"\x0a\x01t\x2b\x34",                                // the end of another group
        b"\x0a\x01t\x2b\x08\x01",                            // no end of the group
    ];
    for bytes in table {
        assert_eq!(kind(bytes), CodecErrorKind::Malformed, "{bytes:x?}");
        assert!(wse::Envelope::decode(*bytes).is_err(), "{bytes:x?}: prost takes it");
    }
    for bytes in [&b""[..], b"\x12\x01\x00", b"\x0a\x00", b"\x20\x01"] {
        assert_eq!(kind(bytes), CodecErrorKind::Shape, "{bytes:x?}");
    }
}

#[test]
fn groups_are_bounded() {
    let nested = |depth| {
        let mut message = b"\x0a\x01t".to_vec();
        message.extend(std::iter::repeat_n(0x53, depth));
        message.extend(std::iter::repeat_n(0x54, depth));
        message
    };
    assert!(unpack(&nested(128)).is_ok());
    assert_eq!(kind(&nested(129)), CodecErrorKind::Limit);
    assert_eq!(kind(&nested(1_000_000)), CodecErrorKind::Limit);
}

#[test]
fn names_and_payloads_are_slices_of_the_message() {
    let name = "a-name-that-is-too-long-to-be-kept-inline";
    let mut out = BytesMut::new();
    Protobuf.pack(&Head::message(name), b"payload", &mut out);
    let message = out.freeze();
    let envelope = Protobuf.unpack((&message).into()).unwrap();
    let Head::Message { name: read, .. } = &envelope.head else { panic!("{envelope:?}") };
    assert_eq!(read.as_str().as_ptr(), message[2..].as_ptr());
    assert_eq!(envelope.payload.as_ptr(), message[name.len() + 4..].as_ptr());

    // Also those that prost decodes.
    let inner: wse::Envelope = ProtobufFormat.decode(&message).unwrap();
    assert_eq!(inner.payload.as_ptr(), envelope.payload.as_ptr());
}

#[test]
fn values_are_prost_messages() {
    let value = wse::Hi { identity: Some(vec![1; 200]), meta: vec![] };
    let mut out = BytesMut::from("before");
    ProtobufFormat.encode(&value, &mut out).unwrap();
    assert_eq!(out[6..], value.encode_to_vec());
    assert_eq!(
        Decode::<wse::Hi>::decode(&ProtobufFormat, &out.split_off(6).freeze()).unwrap(),
        value
    );
    assert_eq!(
        Decode::<wse::Hi>::decode(&ProtobufFormat, &Bytes::new()).unwrap(),
        wse::Hi::default()
    );
    let wrong =
        Decode::<wse::Hi>::decode(&ProtobufFormat, &Bytes::from_static(b"\x08\x01")).unwrap_err();
    assert_eq!(wrong.kind(), CodecErrorKind::Value);
    assert!(std::error::Error::source(&wrong).is_some());
}

/// Generic handlers name these bounds, and senders give a `&str`.
#[test]
fn texts_and_nothing_are_values() {
    fn speaks<P: wse_proto::Speaks<()> + wse_proto::Speaks<String>>(_: P) {}
    speaks(Protobuf);
    speaks(Negotiated::new((Cbor, Protobuf)));
    fn sends<P: Protocol<Format: Encode<str>>>(_: &P) {}
    sends(&Protobuf);
    sends(&Negotiated::new((Cbor, Protobuf)).first());
    let mut out = BytesMut::new();
    for text in ["", "text", &"long".repeat(100)] {
        out.clear();
        ProtobufFormat.encode(text, &mut out).unwrap();
        assert_eq!(out, text.to_owned().encode_to_vec());
        let read: String = ProtobufFormat.decode(&out.clone().freeze()).unwrap();
        assert_eq!(read, text);
    }
    ProtobufFormat.encode(&(), &mut BytesMut::new()).unwrap();
    let () = ProtobufFormat.decode(&Bytes::new()).unwrap();
    let () = ProtobufFormat.decode(&Bytes::from_static(b"\x0a\x01x")).unwrap();
}

#[test]
fn a_failed_payload_is_taken_back() {
    let mut out = BytesMut::from("before");
    let failed = Protobuf.pack_with(&Head::message("t"), &mut out, |out| {
        out.extend_from_slice(b"half");
        Err(CodecError::value("x", "y"))
    });
    assert!(failed.is_err());
    assert_eq!(out, "before");
}

#[test]
fn greetings_and_faults_equal_those_of_prost() {
    // The third is what `identity("")` of a client is.
    for (identity, meta) in [(&b"\x0a\x01I"[..], &b""[..]), (b"x", b"\x08\x01"), (b"", b"x")] {
        let hi = Hi {
            identity: Bytes::from_static(identity),
            meta: Bytes::from_static(meta),
            resume: None,
        };
        let mut out = BytesMut::new();
        ProtobufFormat.encode_hi(&hi, &mut out);
        let theirs = wse::Hi { identity: Some(identity.into()), meta: meta.into() };
        assert_eq!(out, theirs.encode_to_vec());
        assert_eq!(ProtobufFormat.decode_hi(&out.freeze()).unwrap(), hi);
    }
    for anonymous in [&b""[..], b"\x12\x01\x00"] {
        let error = ProtobufFormat.decode_hi(&Bytes::from_static(anonymous)).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Shape);
    }

    let full = Fault::new("c").message("näh").details(Bytes::from_static(b"\x08\x01"));
    for fault in [Fault::new("wse.server.rp.not-registered"), full] {
        let mut out = BytesMut::new();
        ProtobufFormat.encode_fault(&fault, &mut out);
        let theirs = wse::Fault {
            code: fault.code.to_string(),
            message: fault.message.clone().unwrap_or_default(),
            details: fault.details.to_vec(),
        };
        assert_eq!(out, theirs.encode_to_vec());
        assert_eq!(ProtobufFormat.decode_fault(&out.freeze()).unwrap(), fault);
    }
    for broken in [&b""[..], b"\x0a\x01\xff", b"\x0a\x01c\x12\x01\xff", b"\x08\x01"] {
        assert!(ProtobufFormat.decode_fault(&Bytes::from_static(broken)).is_err(), "{broken:x?}");
    }
}
