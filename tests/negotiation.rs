//! Several protocols on one port.

use bytes::{BufMut, Bytes, BytesMut};
use wse_proto::{
    Body, CodecError, Decode, Encode, Envelope, ErrorCode, Fault, Format, Head, Hi, InternalTypes,
    Message, Negotiated, Opcode, Protocol, Text, open, seal,
};

/// `<mark>type|stamp|payload`: as trivial as a protocol can be, and different for every mark.
#[derive(Clone, Debug)]
struct Marked<const MARK: char> {
    name: &'static str,
    opcode: Opcode,
    types: InternalTypes,
    greeting: bool,
}

type A = Marked<'a'>;
type B = Marked<'b'>;
type C = Marked<'c'>;

fn a() -> A {
    Marked { name: "a", opcode: Opcode::Text, types: InternalTypes::DEFAULT, greeting: true }
}

fn b() -> B {
    let types = InternalTypes { hi: "!hi", ..InternalTypes::DEFAULT };
    Marked { name: "b", opcode: Opcode::Binary, types, greeting: true }
}

fn c() -> C {
    Marked { name: "c", opcode: Opcode::Text, types: InternalTypes::DEFAULT, greeting: false }
}

fn three() -> Negotiated<(A, B, C)> {
    Negotiated::new((a(), b(), c()))
}

/// Writes numbers in decimal behind its mark; a greeting as `identity,meta`, a fault as its code.
#[derive(Clone, Debug)]
struct Decimal<const MARK: char>;

impl<const MARK: char> Protocol for Marked<MARK> {
    type Format = Decimal<MARK>;

    fn name(&self) -> &'static str {
        self.name
    }
    fn opcode(&self) -> Opcode {
        self.opcode
    }
    fn format(&self) -> Decimal<MARK> {
        Decimal
    }
    fn internal_types(&self) -> &InternalTypes {
        &self.types
    }
    fn has_greeting(&self) -> bool {
        self.greeting
    }
    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        let stamp = head.stamp().map(|stamp| stamp.to_text()).unwrap_or_default();
        out.put_slice(format!("{MARK}{}|{stamp}|", head.kind(&self.types)).as_bytes());
        out.put_slice(payload);
    }
    fn unpack(&self, message: Bytes) -> Result<Envelope, CodecError> {
        let text = std::str::from_utf8(&message).unwrap();
        let parts = text.strip_prefix(MARK).and_then(|rest| rest.split_once('|'));
        let parts = parts.and_then(|(kind, rest)| Some((kind, rest.split_once('|')?)));
        let Some((kind, (stamp, payload))) = parts else {
            return Err(CodecError::malformed("the message", "not of this protocol"));
        };
        let head = Head::from_parts(&self.types, kind.into(), Some(Text::from(stamp).into()), 0)?;
        Ok(Envelope { head, payload: message.slice_ref(payload.as_bytes()) })
    }
}

impl<const MARK: char> Format for Decimal<MARK> {
    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        out.put_slice(&[&[MARK as u8], &hi.identity[..], b",", &hi.meta].concat());
    }
    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        let members = payload.strip_prefix(&[MARK as u8]).unwrap();
        let at = members.iter().position(|byte| *byte == b',').unwrap();
        let (identity, meta) = (&members[..at], &members[at + 1..]);
        Ok(Hi { identity: payload.slice_ref(identity), meta: payload.slice_ref(meta) })
    }
    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        out.put_slice(format!("{MARK}{}", fault.code).as_bytes());
    }
    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        let text = std::str::from_utf8(payload).unwrap();
        let code = text.strip_prefix(MARK).ok_or(CodecError::value("the fault", "no code"))?;
        Ok(Fault::new(code))
    }
    fn empty_map(&self) -> Bytes {
        Bytes::from(format!("{MARK}{{}}"))
    }
}

impl<const MARK: char> Encode<i64> for Decimal<MARK> {
    fn encode(&self, value: &i64, out: &mut BytesMut) -> Result<(), CodecError> {
        out.put_slice(format!("{MARK}{value}").as_bytes());
        Ok(())
    }
}

impl<const MARK: char> Decode<i64> for Decimal<MARK> {
    fn decode(&self, payload: &Bytes) -> Result<i64, CodecError> {
        let text = std::str::from_utf8(payload).unwrap();
        let number = text.strip_prefix(MARK).and_then(|number| number.parse().ok());
        number.ok_or(CodecError::value("the payload", "not a number"))
    }
}

fn sealed<P: Protocol>(protocol: &P, message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    seal(protocol, message, &mut out);
    out.freeze()
}

#[test]
fn the_first_of_ours_that_is_offered_is_chosen() {
    let select = |offered: &[&str]| three().select(offered).map(|chosen| chosen.name());
    assert_eq!(select(&["a"]), Some("a"));
    assert_eq!(select(&["b"]), Some("b"));
    assert_eq!(select(&["c"]), Some("c"));
    assert_eq!(select(&["c", "b", "a"]), Some("a"), "our order counts, not the client's");
    assert_eq!(select(&["x", "c", "y", "b"]), Some("b"));
}

#[test]
fn what_nobody_speaks_is_not_chosen() {
    for offered in [&[][..], &["x"], &["A"], &["ab"], &["a "], &[""]] {
        assert!(three().select(offered).is_none(), "{offered:?}");
        assert!(a().select(offered).is_none(), "{offered:?}");
    }
}

#[test]
fn a_protocol_without_a_name_takes_what_the_others_leave() {
    let nameless = Marked { name: "", ..c() };
    for offered in [&[][..], &["x"]] {
        assert_eq!(nameless.select(offered).map(|chosen| chosen.name()), Some(""));
    }
    assert!(nameless.subprotocols().is_empty());
    let both = Negotiated::new((a(), nameless));
    assert_eq!(both.subprotocols(), ["a"]);
    for (offered, variant) in [(&["a"][..], 0), (&[], 1), (&["x"], 1), (&["x", "a"], 0)] {
        assert_eq!(both.select(offered).map(|chosen| chosen.variant()), Some(variant));
    }
}

#[test]
fn a_client_offers_all_and_speaks_what_the_server_selects() {
    let client = three();
    assert_eq!(client.subprotocols(), ["a", "b", "c"]);
    let server = Negotiated::new((c(), b()));
    let answer = server.select(&client.subprotocols()).unwrap().name();
    assert_eq!(client.select(&[answer]).unwrap().name(), "c");
}

// RFC 6455 §4.1: the subprotocols a client offers MUST all be unique.
#[test]
fn no_name_is_offered_twice() {
    let twice = Negotiated::new((a(), b(), Marked { name: "a", ..c() }));
    assert_eq!(twice.subprotocols(), ["a", "b"]);
    assert_eq!(twice.select(&["a"]).unwrap().variant(), 0);
}

#[test]
fn variants_are_numbered_in_the_order_of_the_tuple() {
    let variants = three();
    assert_eq!((variants.variants(), variants.variant()), (3, 0));
    for (variant, name) in ["a", "b", "c"].into_iter().enumerate() {
        let chosen = variants.select(&[name]).unwrap();
        assert_eq!((chosen.variants(), chosen.variant()), (3, variant));
        let again = chosen.select(&["a"]).unwrap();
        assert_eq!(again.variant(), 0, "what was chosen before does not stick");
    }
    assert_eq!((a().variants(), a().variant()), (1, 0));
}

/// A broadcast encodes once per variant: two protocols under one number would get each other's bytes.
#[test]
fn nested_choices_have_variants_of_their_own() {
    let nested = Negotiated::new((Negotiated::new((a(), b())), c()));
    assert_eq!(nested.subprotocols(), ["a", "b", "c"]);
    assert_eq!(nested.variants(), 3);
    for (variant, name) in ["a", "b", "c"].into_iter().enumerate() {
        let chosen = nested.select(&[name]).unwrap();
        assert_eq!((chosen.name(), chosen.variant()), (name, variant));
    }
    let nested = Negotiated::new((c(), Negotiated::new((a(), b()))));
    for (variant, name) in ["c", "a", "b"].into_iter().enumerate() {
        assert_eq!(nested.select(&[name]).unwrap().variant(), variant);
    }
}

#[test]
fn tuples_of_two_to_eight() {
    let two = Negotiated::new((a(), b()));
    let eight = Negotiated::new((a(), a(), a(), a(), a(), a(), a(), b()));
    assert_eq!((two.variants(), two.select(&["b"]).unwrap().variant()), (2, 1));
    assert_eq!((eight.variants(), eight.select(&["b"]).unwrap().variant()), (8, 7));
}

#[test]
fn everything_is_asked_of_the_chosen() {
    for (name, mark, opcode, hi, greeting) in [
        ("a", "a", Opcode::Text, "~wse:hi", true),
        ("b", "b", Opcode::Binary, "!hi", true),
        ("c", "c", Opcode::Text, "~wse:hi", false),
    ] {
        let chosen = three().select(&[name]).unwrap();
        assert_eq!(chosen.name(), name);
        assert_eq!(chosen.opcode(), opcode);
        assert_eq!(chosen.internal_types().hi, hi);
        assert_eq!(chosen.has_greeting(), greeting);
        assert_eq!(chosen.format().empty_map(), format!("{mark}{{}}"));
        let mut out = BytesMut::from("before ");
        let head = Head::call("add", "7".into());
        chosen.pack_with(&head, &mut out, |out| chosen.format().encode(&5, out)).unwrap();
        assert_eq!(out, format!("before {mark}add|7|{mark}5"));
    }
}

#[test]
fn messages_are_packed_and_unpacked_by_the_chosen() {
    let message = |head| Message::raw(head, "p".into());
    for name in ["a", "b", "c"] {
        let chosen = three().select(&[name]).unwrap();
        for message in [
            Message::hi(Hi { identity: "me".into(), meta: "m".into() }),
            Message::fault("s".into(), Fault::new(ErrorCode::NotRegistered)),
            message(Head::message("m")),
            message(Head::call("c", "s".into())),
            message(Head::reply("s".into())),
            message(Head::Welcome),
        ] {
            let bytes = sealed(&chosen, &message);
            assert!(bytes.starts_with(name.as_bytes()));
            assert_eq!(open(&chosen, bytes.clone()).unwrap(), message);
            for other in ["a", "b", "c"].into_iter().filter(|other| *other != name) {
                assert!(open(&three().select(&[other]).unwrap(), bytes.clone()).is_err());
            }
        }
        assert_eq!(chosen.format().decode(&format!("{name}-42").into()).unwrap(), -42);
        assert!(chosen.format().decode(&"x42".into()).is_err());
    }
}

#[test]
fn a_value_that_cannot_be_written_leaves_nothing_behind() {
    let chosen = three().select(&["b"]).unwrap();
    let mut out = BytesMut::from("before");
    let written = chosen.pack_with(&Head::message("m"), &mut out, |out| {
        out.put_slice(b"half of it");
        Err(CodecError::value("the payload", "no form"))
    });
    assert!(written.is_err());
    assert_eq!(out, "before");
}

#[test]
fn a_fault_that_cannot_be_read_is_still_a_failed_call() {
    let chosen = three().select(&["b"]).unwrap();
    let message = open(&chosen, "b~wse:response-err|s|nonsense".into()).unwrap();
    assert_eq!(message.head, Head::fault("s".into()));
    assert_eq!(message.body, Body::Fault(Fault::new(ErrorCode::Failed)));
}
