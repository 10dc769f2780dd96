//! Several protocols on one port.

use bytes::{BufMut, Bytes, BytesMut};
use wse_proto::{
    Body, Capabilities, CodecError, Decode, Encode, Envelope, ErrorCode, Fault, Format, Head, Hi,
    InternalTypes, MessageKind, Negotiate, Negotiated, Packed, Protocol, ProtocolInfo,
    SessionMessage, Text, open, seal,
};

/// `<mark>type|stamp|payload`: as trivial as a protocol can be, and different for every mark.
#[derive(Clone, Debug)]
struct Marked<const MARK: char> {
    info: ProtocolInfo,
}

type A = Marked<'a'>;
type B = Marked<'b'>;
type C = Marked<'c'>;

fn a() -> A {
    Marked { info: ProtocolInfo::text("a") }
}

fn b() -> B {
    const TYPES: InternalTypes = InternalTypes { hi: "!hi", ..InternalTypes::DEFAULT };
    let can = Capabilities::CONVENTION;
    Marked { info: ProtocolInfo::binary("b").internal_types(&TYPES).capabilities(can) }
}

fn c() -> C {
    Marked { info: ProtocolInfo::text("c").no_greeting() }
}

fn three() -> Negotiated<(A, B, C)> {
    Negotiated::new((a(), b(), c()))
}

/// Writes numbers in decimal behind its mark; a greeting as `identity,meta`, a fault as its code.
#[derive(Clone, Debug)]
struct Decimal<const MARK: char>;

impl<const MARK: char> Protocol for Marked<MARK> {
    type Format = Decimal<MARK>;

    fn info(&self) -> ProtocolInfo {
        self.info
    }
    fn format(&self) -> &Decimal<MARK> {
        &Decimal
    }
    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        let stamp = head.stamp().map(|stamp| stamp.to_text()).unwrap_or_default();
        out.put_slice(format!("{MARK}{}|{stamp}|", head.kind(self.info.types())).as_bytes());
        out.put_slice(payload);
    }
    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let text = message.text().unwrap();
        let parts = text.strip_prefix(MARK).and_then(|rest| rest.split_once('|'));
        let parts = parts.and_then(|(kind, rest)| Some((kind, rest.split_once('|')?)));
        let Some((kind, (stamp, payload))) = parts else {
            return Err(CodecError::malformed("the message", "not of this protocol"));
        };
        let head =
            Head::from_parts(self.info.types(), kind.into(), Some(Text::from(stamp).into()), 0)?;
        Ok(Envelope { head, payload: text.slice(payload) })
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
        Ok(Hi {
            identity: payload.slice_ref(identity),
            meta: payload.slice_ref(meta),
            resume: None,
        })
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

fn sealed<P: Protocol>(protocol: &P, message: &SessionMessage) -> Bytes {
    let mut out = BytesMut::new();
    seal(protocol, message, &mut out);
    out.freeze()
}

/// The subprotocol of what is selected from an offer, and its number among the protocols.
fn selected<P: Negotiate>(protocols: &P, offered: &[&str]) -> Option<(&'static str, usize)> {
    let chosen = protocols.select(offered)?;
    Some((chosen.info().name(), P::variant(&chosen)))
}

#[test]
fn the_first_protocol_that_is_offered_is_chosen() {
    let select = |offered: &[&str]| selected(&three(), offered).map(|(name, _)| name);
    assert_eq!(select(&["a"]), Some("a"));
    assert_eq!(select(&["b"]), Some("b"));
    assert_eq!(select(&["c"]), Some("c"));
    assert_eq!(select(&["c", "b", "a"]), Some("a"), "the order of the server counts");
    assert_eq!(select(&["x", "c", "y", "b"]), Some("b"));
}

#[test]
fn what_is_not_spoken_is_not_chosen() {
    for offered in [&[][..], &["x"], &["A"], &["ab"], &["a "], &[""]] {
        assert!(three().select(offered).is_none(), "{offered:?}");
        assert!(a().select(offered).is_none(), "{offered:?}");
    }
}

#[test]
fn a_protocol_without_a_subprotocol_takes_what_the_others_leave() {
    let nameless = C { info: c().info.no_subprotocol() };
    for offered in [&[][..], &["x"]] {
        assert_eq!(nameless.select(offered).map(|chosen| chosen.info().subprotocol()), Some(None));
    }
    assert!(nameless.subprotocols().is_empty());
    let both = Negotiated::new((a(), nameless));
    assert_eq!(both.subprotocols(), ["a"]);
    for (offered, expected) in
        [(&["a"][..], ("a", 0)), (&[], ("c", 1)), (&["x"], ("c", 1)), (&["x", "a"], ("a", 0))]
    {
        assert_eq!(selected(&both, offered), Some(expected));
    }
}

#[test]
fn a_client_offers_all_and_speaks_what_the_server_selects() {
    let client = three();
    assert_eq!(client.subprotocols(), ["a", "b", "c"]);
    let server = Negotiated::new((c(), b()));
    let (answer, _) = selected(&server, &client.subprotocols()).unwrap();
    assert_eq!(selected(&client, &[answer]), Some(("c", 2)));
}

// RFC 6455 §4.1: the subprotocols a client offers MUST all be unique.
#[test]
fn no_name_is_offered_twice() {
    let twice = Negotiated::new((a(), b(), C { info: a().info }));
    assert_eq!(twice.subprotocols(), ["a", "b"]);
    assert_eq!(selected(&twice, &["a"]), Some(("a", 0)));
}

/// A broadcast encodes once per variant: two protocols under one number would get each other's bytes.
#[test]
fn variants_are_numbered_in_the_order_of_the_tuple() {
    let variants = three();
    assert_eq!(variants.variants(), 3);
    for (variant, name) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(selected(&variants, &[name]), Some((name, variant)));
    }
    let again = selected(&variants, &["a"]);
    assert_eq!(again, Some(("a", 0)), "what was chosen before does not stick");
    let first = variants.first();
    assert_eq!((first.info().name(), variant_of(&variants, &first)), ("a", 0));
    assert_eq!((a().variants(), variant_of(&a(), &a())), (1, 0));
}

/// What was selected is a protocol by itself: it negotiates for no other.
#[test]
fn what_was_chosen_stays_chosen() {
    let chosen = three().select(&["b"]).unwrap();
    assert_eq!(chosen.subprotocols(), ["b"]);
    assert_eq!(selected(&chosen, &["a", "b"]), Some(("b", 0)));
    assert_eq!(selected(&chosen, &["a"]), None);
}

fn variant_of<P: Negotiate>(_: &P, chosen: &P::Protocol) -> usize {
    P::variant(chosen)
}

#[test]
fn tuples_of_two_to_eight() {
    let two = Negotiated::new((a(), b()));
    let eight = Negotiated::new((a(), a(), a(), a(), a(), a(), a(), b()));
    assert_eq!((two.variants(), selected(&two, &["b"])), (2, Some(("b", 1))));
    assert_eq!((eight.variants(), selected(&eight, &["b"])), (8, Some(("b", 7))));
}

#[test]
fn everything_is_asked_of_the_chosen() {
    for (name, mark, kind, hi, greeting, can) in [
        ("a", "a", MessageKind::Text, "~wse:hi", true, Capabilities::NONE),
        ("b", "b", MessageKind::Binary, "!hi", true, Capabilities::CONVENTION),
        ("c", "c", MessageKind::Text, "~wse:hi", false, Capabilities::NONE),
    ] {
        let chosen = three().select(&[name]).unwrap();
        let info = chosen.info();
        assert_eq!((info.name(), info.subprotocol()), (name, Some(name)));
        assert_eq!(info.kind(), kind);
        assert_eq!(info.types().hi, hi);
        assert_eq!(info.has_greeting(), greeting);
        assert_eq!(info.can(), can);
        assert_eq!(chosen.format().empty_map(), format!("{mark}{{}}"));
        let mut out = BytesMut::from("before ");
        let head = Head::call("add", "7".into());
        chosen.pack_with(&head, &mut out, |out| chosen.format().encode(&5, out)).unwrap();
        assert_eq!(out, format!("before {mark}add|7|{mark}5"));
    }
}

#[test]
fn messages_are_packed_and_unpacked_by_the_chosen() {
    let message = |head| SessionMessage::raw(head, "p".into());
    for name in ["a", "b", "c"] {
        let chosen = three().select(&[name]).unwrap();
        for message in [
            SessionMessage::hi(Hi { identity: "me".into(), meta: "m".into(), resume: None }),
            SessionMessage::fault("s".into(), Fault::new(ErrorCode::NotRegistered)),
            message(Head::message("m")),
            message(Head::call("c", "s".into())),
            message(Head::reply("s".into())),
            message(Head::Welcome),
        ] {
            let bytes = sealed(&chosen, &message);
            assert!(bytes.starts_with(name.as_bytes()));
            assert_eq!(open(&chosen, (&bytes).into()).unwrap(), message);
            for other in ["a", "b", "c"].into_iter().filter(|other| *other != name) {
                assert!(open(&three().select(&[other]).unwrap(), (&bytes).into()).is_err());
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
    let message = open(&chosen, (&Bytes::from("b~wse:response-err|s|nonsense")).into()).unwrap();
    assert_eq!(message.head, Head::fault("s".into()));
    assert_eq!(message.body, Body::Fault(Fault::new(ErrorCode::Failed)));
}
