//! Stamps, and other parts of envelopes, as packages of other languages write them.

use bytes::{Bytes, BytesMut};
use wse_codecs::{Cbor, JsonArray, JsonRpc, MessagePack, Protobuf, WsProcessor};
use wse_proto::{CodecError, CodecErrorKind, Envelope, Head, Protocol, Stamp};

/// Bytes written in hex, with spaces anywhere.
fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn cbor(text: &str) -> Result<Envelope, CodecError> {
    Cbor.unpack((&hex(text)).into())
}

fn msgpack(text: &str) -> Result<Envelope, CodecError> {
    MessagePack.unpack((&hex(text)).into())
}

fn json(text: &str) -> Result<Envelope, CodecError> {
    JsonArray.unpack((&Bytes::copy_from_slice(text.as_bytes())).into())
}

/// The answer to a call: its stamp is the one of the call.
fn answer<P: Protocol>(protocol: &P, call: &Envelope) -> Bytes {
    let stamp = call.head.stamp().unwrap().clone();
    let mut out = BytesMut::new();
    protocol.pack(&Head::reply(stamp), &[], &mut out);
    out.freeze()
}

const NOW: i64 = 1_764_250_000_000;

#[test]
fn whole_floats_and_bignums_are_integers_and_come_back_as_they_came() {
    for (stamp, int) in [
        ("fb4279ac57e9a80000", NOW),
        ("fa5a000000", 1 << 53),
        ("f94500", 5),
        ("f9c500", -5),
        ("f97bff", 65_504),
        ("f9fbff", -65_504),
        ("f93c00", 1),
        ("fbc3e0000000000000", i64::MIN),
        ("c24105", 5),
        ("c34104", -5),
        ("c248 7fffffffffffffff", i64::MAX),
        ("c348 7fffffffffffffff", i64::MIN),
        ("1b0000019ac57e9a80", NOW),
    ] {
        let call = cbor(&format!("83 6174 01 {stamp}")).unwrap();
        assert_eq!(call.head, Head::call("t", Stamp::Int(int)), "{stamp}");
        let expected = format!("83 6d7e7773653a726573706f6e7365 f6 {stamp}");
        assert_eq!(answer(&Cbor, &call), hex(&expected), "{stamp}");
    }
    for (stamp, int) in [
        ("cb4279ac57e9a80000", NOW),
        ("ca5a000000", 1 << 53),
        ("cbc3e0000000000000", i64::MIN),
        ("ca40a00000", 5),
        ("cf0000019ac57e9a80", NOW),
    ] {
        let call = msgpack(&format!("93 a174 01 {stamp}")).unwrap();
        assert_eq!(call.head, Head::call("t", Stamp::Int(int)), "{stamp}");
        let expected = format!("93 ad7e7773653a726573706f6e7365 c0 {stamp}");
        assert_eq!(answer(&MessagePack, &call), hex(&expected), "{stamp}");
    }
    for (stamp, int, written) in [
        ("1764250000000.0", NOW, "1764250000000.0"),
        ("5.00", 5, "5.0"),
        ("-1e3", -1000, "-1000.0"),
        ("1.5E+1", 15, "15.0"),
    ] {
        let call = json(&format!("[\"t\",1,{stamp}]")).unwrap();
        assert_eq!(call.head, Head::call("t", Stamp::Int(int)), "{stamp}");
        let expected = format!("[\"~wse:response\",null,{written}]");
        assert_eq!(answer(&JsonArray, &call), expected, "{stamp}");
    }
    for (stamp, int, written) in
        [("1764250000000.0", NOW, "1764250000000.0"), ("-1e3", -1000, "-1000.0"), ("0.0", 0, "0.0")]
    {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"t","id":{stamp}}}"#);
        let rpc = JsonRpc::new();
        let call = rpc.unpack((&Bytes::from(text)).into()).unwrap();
        assert_eq!(call.head, Head::call("t", Stamp::Int(int)), "{stamp}");
        let expected = format!(r#"{{"jsonrpc":"2.0","result":null,"id":{written}}}"#);
        assert_eq!(answer(&rpc, &call), expected, "{stamp}");
        let text = format!(r#"{{"type":"request","stamp":{stamp},"data":1}}"#);
        let call = WsProcessor::new().unpack((&Bytes::from(text)).into()).unwrap();
        assert_eq!(call.head, Head::call("request", Stamp::Int(int)), "{stamp}");
        let written = format!(r#""stamp":{written},"data":{{}}"#);
        let answer = answer(&WsProcessor::new(), &call);
        assert!(std::str::from_utf8(&answer).unwrap().contains(&written), "{answer:?}");
    }
    // Through a codec that has texts only.
    let call = cbor("83 6174 01 f94500").unwrap();
    assert_eq!(answer(&Protobuf, &call), &b"\x0a\x0d~wse:response\x1a\x015"[..]);
    // Longer forms of a bignum.
    let call = cbor("83 6174 01 c2 5f 42 0000 41 05 ff").unwrap();
    assert_eq!(call.head, Head::call("t", Stamp::Int(5)));
}

#[test]
fn other_numbers_are_no_stamps() {
    for stamp in [
        "f93e00",
        "f97e00",
        "f97c00",
        "fb43e0000000000000",
        "c248 8000000000000000",
        "c251 01",
        "c2 01",
        "d840 41 05",
    ] {
        let error = cbor(&format!("83 6174 01 {stamp}")).map(|it| panic!("{it:?}")).unwrap_err();
        let cut_off = stamp == "c251 01";
        let kind = if cut_off { CodecErrorKind::Malformed } else { CodecErrorKind::Shape };
        assert_eq!(error.kind(), kind, "{stamp}");
    }
    for stamp in [
        "cb3ff8000000000000",
        "cb7ff8000000000000",
        "ca7f800000",
        "cb43e0000000000000",
        "c3",
        "d40001",
        "d6ff 00000001",
    ] {
        let error = msgpack(&format!("93 a174 01 {stamp}")).map(|it| panic!("{it:?}")).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Shape, "{stamp}");
    }
    for stamp in ["1.5", "1e-1", "1e400", "9223372036854775808.0", "9223372036854775808", "1e19"] {
        let error = json(&format!("[\"t\",1,{stamp}]")).map(|it| panic!("{it:?}")).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Shape, "{stamp}");
    }
}

#[test]
fn zero_and_undefined_are_no_stamp_in_any_form() {
    let message = Envelope { head: Head::message("t"), payload: Bytes::new() };
    for stamp in [
        "f7",
        "f6",
        "f90000",
        "f98000",
        "fb0000000000000000",
        "c240",
        "c24100",
        "d864 f6",
        "d8 1c f7",
        "d864 60",
    ] {
        assert_eq!(cbor(&format!("83 6174 f6 {stamp}")).unwrap(), message, "{stamp}");
    }
    for stamp in ["d40000", "ca00000000", "cb8000000000000000"] {
        assert_eq!(msgpack(&format!("93 a174 c0 {stamp}")).unwrap(), message, "{stamp}");
    }
    for stamp in ["0.0", "-0.0", "0e5", "-0"] {
        assert_eq!(json(&format!("[\"t\",null,{stamp}]")).unwrap(), message, "{stamp}");
    }
    // Undefined elsewhere.
    assert_eq!(msgpack("95 a174 d40000 d40000 d40000 d40000").unwrap(), message);
    assert_eq!(msgpack("93 d40000 01 a173").unwrap().head, Head::call("", "s".into()));
    assert_eq!(cbor("85 6174 f7 f7 f7 f7").unwrap(), message);
}

/// Peers write them as integers: they have at most 32 bits.
#[test]
fn flags_and_timeouts_are_integers() {
    let call = Head::Call { name: "t".into(), stamp: "s".into(), receipt: true, timeout: None }
        .with_timeout(750);
    for text in ["85 6174 f6 6173 01 1902ee", "85 6174 f6 6173 d864 01 d864 1902ee"] {
        assert_eq!(cbor(text).unwrap().head, call, "{text}");
    }
    let plain = Head::call("t", "s".into());
    assert_eq!(cbor("85 6174 f6 6173 f93c00 fa443b8000").unwrap().head, plain);
    assert_eq!(msgpack("95 a174 c0 a173 ca3f800000 cb4087700000000000").unwrap().head, plain);
    assert_eq!(json(r#"["t",null,"s",1.0,7.5e2]"#).unwrap().head, plain);
}

/// The tag of self-described CBOR, and those of shared values, which encoders add to any array.
#[test]
fn tags_before_and_in_an_envelope_are_passed_over() {
    let call = Envelope { head: Head::call("add", "s1".into()), payload: hex("d864 05") };
    for text in [
        "83 63616464 d86405 627331",
        "d9d9f7 83 63616464 d86405 627331",
        "d81c 83 63616464 d86405 627331",
        "d9d9f7 d81c d9d9f7 9f 63616464 d86405 627331 ff",
        "83 d864 63616464 d86405 d864 627331",
        "d81c 83 d81c 7f 6161 626464 ff d86405 d9d9f7 d81c 627331",
        "c1 83 63616464 d86405 627331",
    ] {
        assert_eq!(cbor(text).unwrap(), call, "{text}");
    }
    assert_eq!(cbor("d81c 82 d864 6174 d864 f6").unwrap().payload, Bytes::new());
    // Also in a greeting and in a fault.
    use wse_codecs::CborFormat;
    use wse_proto::{Fault, Format, Hi};
    let hi = CborFormat.decode_hi(&hex("d9d9f7 a2 d864 686964656e74697479 6149 646d657461 d864f6"));
    assert_eq!(hi.unwrap(), Hi { identity: hex("6149"), meta: Bytes::new(), resume: None });
    let fault = CborFormat.decode_fault(&hex("d81c a1 d81c 64636f6465 d81c 6163")).unwrap();
    assert_eq!(fault, Fault::new("c"));
    for text in ["d9d9f7", "d81c 80", "d81c 00", "d864 a0", "d81c 83 d864 01 f6 f6"] {
        assert!(cbor(text).is_err(), "{text}");
    }
}
