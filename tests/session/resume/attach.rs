//! Another socket at the server: who may resume a session, tokens, and takeover.

use bytes::Bytes;
use wse_proto::session::{Close, NotAttached, Session, SessionLimits};
use wse_proto::{Body, Head, NotResumed, Outcome, ResumeRequest, SessionMessage};

use super::sides::*;
use crate::support::session::{Said, T0, drain, message, quietly};

#[test]
fn d3_a_refusal_names_the_first_reason_in_order() {
    let session = server();
    let wrong = request(token_text(2), 0);
    let right = request(token_text(1), 0);
    let other =
        ResumeRequest::Resume { session: "s2".into(), token: token_text(1).into(), seen: 0 };
    let table = [
        (&other, false, false, Some(NotResumed::Unknown)),
        (&wrong, false, false, Some(NotResumed::Token)),
        (&right, false, false, Some(NotResumed::User)),
        (&right, true, false, Some(NotResumed::Protocol)),
        (&right, true, true, None),
    ];
    for (request, user, protocol, reason) in table {
        assert_eq!(session.refusal(request, user, protocol), reason);
    }
    let ended = quietly(session, |session| session.close(Close::new(1000, "")));
    assert_eq!(ended.refusal(&right, true, true), Some(NotResumed::Unknown));
}

#[test]
fn d5_the_used_token_is_valid_until_a_message_arrives_behind_the_welcome() {
    let is_valid = |session: &Session, number| {
        session.refusal(&request(token_text(number), 0), true, true).is_none()
    };
    for first in [seen(0), message("ping"), message("message")] {
        let mut session = quietly(server(), |session| session.handle_closed(&LOST));
        attach(&mut session, 1, 0);
        assert!(is_valid(&session, 1) && is_valid(&session, 2));
        // The welcome was lost: the client uses the token again.
        session.handle_closed(&LOST);
        let mut socket = socket(&request(token_text(1), 0));
        session.attach(&mut socket, token(3), Bytes::new()).unwrap();
        assert!(is_valid(&session, 1) && !is_valid(&session, 2) && is_valid(&session, 3));
        session.handle_message(T0, first);
        assert!(!is_valid(&session, 1) && is_valid(&session, 3));
    }
}

#[test]
fn d5_the_fast_path_leaves_the_first_message_to_the_slow_one() {
    let mut session = quietly(server(), |session| receive(session, 2));
    attach(&mut session, 1, 0);
    assert!(session.handle_message_fast(&Head::message("m")).is_none());
    session.handle_message(T0, message("message"));
    drain(&mut session);
    assert!(session.handle_message_fast(&Head::message("m")).is_some());
}

#[test]
fn d8_a_session_with_a_socket_is_taken_over() {
    let mut session = server();
    receive(&mut session, 3);
    send(&mut session, 1, 1);
    drain(&mut session);
    let said = attach(&mut session, 1, 0);
    let outputs = ["send ~wse:session full seen 3", "send ~wse:welcome welcome", "replay 1"];
    assert_eq!(said, Said::new(&outputs, &[]), "nobody is disconnected");
    // Twice at once: the later one wins.
    session.handle_message(T0, seen(0));
    assert_eq!(attach(&mut session, 2, 1).outputs.len(), 2);
    assert_eq!(session.stored(0).unwrap().seen, 3);
}

#[test]
fn d18_a_refused_client_leaves_the_session_untouched() {
    let mut session = quietly(server(), |session| session.handle_closed(&LOST));
    let mut socket = socket(&request(token_text(1), 0));
    socket.refuse();
    assert_eq!(drain(&mut socket).outputs, ["close 1000 wse.not-authorized"]);
    let attached = session.attach(&mut socket, token(2), Bytes::new());
    assert_eq!(attached, Err(NotAttached::NotAsked));
    assert!(session.is_suspended());
    assert_eq!(session.refusal(&request(token_text(1), 0), true, true), None);
}

#[test]
fn an_ended_session_is_not_attached() {
    let mut session = quietly(server(), |session| session.close(Close::new(1000, "")));
    let mut socket = socket(&request(token_text(1), 0));
    let attached = session.attach(&mut socket, token(2), Bytes::new());
    assert_eq!(attached, Err(NotAttached::Ended));
    // The client gets a new session then.
    socket.grant(&budget(), "s2".into(), token(2), Outcome::None(NotResumed::Unknown)).unwrap();
    socket.accept(T0, "welcome".into()).unwrap();
    let outputs = ["send ~wse:session none unknown seen 0", "send ~wse:welcome welcome"];
    assert_eq!(drain(&mut socket).outputs, outputs);
}

#[test]
fn d19_what_the_last_greeting_says_of_receipts_counts() {
    let mut session = quietly(server(), |session| session.handle_closed(&LOST));
    assert!(session.peer_gives_receipts());
    let SessionMessage { body: Body::Hi(plain), .. } = greeting(&request(token_text(1), 0)) else {
        panic!()
    };
    let mut socket = Session::server(RESUMABLE, None, SessionLimits::default()).with_resume();
    socket.handle_message(T0, SessionMessage::hi(plain));
    session.attach(&mut socket, token(2), Bytes::new()).unwrap();
    assert!(!session.peer_gives_receipts());
}
