//! Peers that say nothing about resume, and sides that have none: they say what they always said.

use bytes::{Bytes, BytesMut};
use wse_codecs::{Cbor, JsonArray, MessagePack, Protobuf};
use wse_proto::session::{Output, Session, SessionLimits};
use wse_proto::{Format, Head, Hi, Packed, Protocol, SessionMessage, open, seal};

use super::sides::{LOST, budget};
use crate::support::session::{T0, ms};

/// What a session sends in a long exchange with a peer, packed.
fn exchange<P: Protocol>(protocol: &P, mut session: Session) -> Vec<Bytes> {
    let mut sent = Vec::new();
    let mut all = |session: &mut Session| {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Send(message) => {
                    let mut out = BytesMut::new();
                    seal(protocol, &message, &mut out);
                    sent.push(out.freeze());
                }
                other => sent.push(format!("{other:?}").into()),
            }
        }
        while session.poll_event().is_some() {}
    };
    all(&mut session);
    let hi = Hi::new(identity(protocol), protocol.format().empty_map());
    session.handle_message(T0, SessionMessage::hi(hi));
    all(&mut session);
    if session.accept(T0, Bytes::new()).is_err() {
        // A client, which has dropped the greeting.
        session.handle_message(T0, SessionMessage::raw(Head::Welcome, Bytes::new()));
    }
    all(&mut session);
    for number in 0..200 {
        let now = ms(100 * number);
        let names = ["m", "~wse:later"];
        let head = Head::message(names[number as usize % 2]);
        session.handle_message(now, SessionMessage::raw(head, Bytes::new()));
        let receipt = Some(format!("r{number}").as_str().into());
        let head = Head::Message { name: "m".into(), receipt, reliable: true };
        session.handle_message(now, SessionMessage::raw(head, Bytes::new()));
        // To a client that has said something about resume, these would be wrong.
        let heads = [Head::Seen, Head::Drain, Head::Expires, Head::Renew, Head::Renewed];
        let heads = if session.has_announced_resume() { &[] } else { &heads[..] };
        for head in heads.iter().cloned() {
            session.handle_message(now, SessionMessage::raw(head, Bytes::new()));
        }
        let call = session.call(now, Some(ms(1000))).unwrap();
        session.cancel(call);
        assert!(!session.sent(Bytes::from_static(b"x"), None));
        session.handle_timeout(now);
        all(&mut session);
    }
    session.handle_closed(&LOST);
    assert!(session.is_closed() && session.unacknowledged() == 0);
    sent
}

/// An encoded text.
fn identity<P: Protocol>(protocol: &P) -> Bytes {
    let mut out = BytesMut::new();
    protocol.format().encode_serial(7, &mut out);
    out.freeze()
}

fn check<P: Protocol>(protocol: &P) {
    let limits = SessionLimits::default();
    let info = protocol.info();
    let without = info.capabilities(wse_proto::Capabilities::CONVENTION);
    let plain = exchange(protocol, Session::server(without, None, limits));
    let receipts = plain.iter().filter(|it| it.windows(7).any(|part| part == b"receipt")).count();
    assert_eq!((plain.len(), receipts), (1 + 2 * 200, 200), "a welcome, receipts, cancellations");
    assert_eq!(exchange(protocol, Session::server(info, None, limits)), plain);
    assert_eq!(exchange(protocol, Session::server(info, None, limits).with_resume()), plain);
    // A client without resume greets as ever.
    let hi = || Hi::new(identity(protocol), protocol.format().empty_map());
    let client = exchange(protocol, Session::client(without, Some(hi()), limits));
    assert_eq!(exchange(protocol, Session::client(info, Some(hi()), limits)), client);
    // One with resume only says so in its greeting, if the server does not answer.
    let asked = exchange(protocol, Session::resumable_client(info, hi(), limits, &budget()));
    assert_eq!(asked[1..], client[1..]);
    let packed = Packed::of(info.kind(), &asked[0]).unwrap();
    let wse_proto::Body::Hi(read) = open(protocol, packed).unwrap().body else { panic!() };
    assert!(read.resume.is_some());
    assert_eq!(Hi { resume: None, ..read }, hi());
}

#[test]
fn a_peer_that_says_nothing_about_resume_sees_no_difference() {
    check(&JsonArray);
    check(&Cbor);
    check(&MessagePack);
    check(&Protobuf);
}

#[test]
fn greetings_have_these_bytes() {
    let greet = |session: &mut Session| {
        let Some(Output::Send(message)) = session.poll_output() else { panic!() };
        let mut out = BytesMut::new();
        seal(&JsonArray, &message, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    let (info, limits) = (JsonArray.info(), SessionLimits::default());
    let hi = Hi::new("\"me\"", "{}");
    let mut plain = Session::client(info, Some(hi.clone()), limits);
    assert_eq!(greet(&mut plain), r#"["~wse:hi",{"identity":"me","meta":{}},null,1]"#);
    let mut resumable = Session::resumable_client(info, hi, limits, &budget());
    let expected = r#"["~wse:hi",{"identity":"me","meta":{},"resume":true},null,1]"#;
    assert_eq!(greet(&mut resumable), expected);
}
