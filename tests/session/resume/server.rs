//! Resume at the server: the greeting, the loss of the socket, and another socket.

use bytes::Bytes;
use wse_proto::session::{
    Budget, Close, Event, Heartbeat, NotAttached, ResumeLimits, Session, SessionLimits, Tracked,
};
use wse_proto::{Hi, Outcome, ReceiptOf, ResumeRequest, SessionMessage, Stamp, UsageError, Value};

use super::sides::*;
use crate::support::session::{Said, T0, drain, hi, message, ms, quietly};

/// What a server makes of this member of a greeting.
fn asks(resume: Option<Value>) -> (Option<ResumeRequest>, Said) {
    let mut session = Session::server(RESUMABLE, None, SessionLimits::default()).with_resume();
    let hi = Hi { resume: resume.map(Box::new), ..Hi::new("me", "meta") };
    session.handle_message(T0, SessionMessage::hi(hi));
    (session.resume_request().cloned(), drain(&mut session))
}

#[test]
fn d4_a_greeting_asks_for_nothing_a_new_session_or_an_old_one() {
    let greeted = Said::new(&[], &["greeted me meta"]);
    let old = request(token_text(1), 7);
    let table = [
        (None, Some(None)),
        (Some(Value::Null), Some(None)),
        (Some(Value::Bool(false)), Some(None)),
        (Some(Value::Bool(true)), Some(Some(ResumeRequest::New))),
        (Some(old.to_value()), Some(Some(old))),
        (Some(Value::Integer(1)), None),
        (Some(Value::Text("true".into())), None),
        (Some(Value::List(Vec::new())), None),
        (Some(Value::Map(vec![("session".into(), Value::Text("s".into()))])), None),
    ];
    for (resume, expected) in table {
        let (request, said) = asks(resume.clone());
        match expected {
            Some(expected) => {
                assert_eq!((request, said), (expected, greeted.clone()), "{resume:?}")
            }
            None => assert_eq!((request, said), (None, Said::violation()), "{resume:?}"),
        }
    }
}

#[test]
fn d4_a_server_without_resume_ignores_what_a_greeting_says_of_it() {
    for resume in [Value::Bool(true), Value::Integer(1), request("t", 1).to_value()] {
        let mut session = Session::server(RESUMABLE, None, SessionLimits::default());
        let hi = Hi { resume: Some(Box::new(resume)), ..Hi::new("me", "meta") };
        session.handle_message(T0, SessionMessage::hi(hi));
        assert_eq!(drain(&mut session), Said::new(&[], &["greeted me meta"]));
        let outcome = Outcome::New;
        let refused = session.grant(&budget(), NAME.into(), token(1), outcome);
        assert_eq!(refused, Err(UsageError::NotAsked));
        session.accept(T0, "welcome".into()).unwrap();
        receive(&mut session, 64);
        assert_eq!(drain(&mut session).outputs, ["send ~wse:welcome welcome"]);
    }
}

#[test]
fn d6_a_session_comes_before_the_welcome_and_replay_behind_it() {
    let mut session = socket(&ResumeRequest::New);
    session.challenge("quest".into()).unwrap();
    session.handle_message(T0, message("challenge"));
    session.grant(&budget(), NAME.into(), token(1), Outcome::New).unwrap();
    session.accept(T0, "welcome".into()).unwrap();
    let outputs =
        ["send ~wse:challenge quest", "send ~wse:session new seen 0", "send ~wse:welcome welcome"];
    assert_eq!(drain(&mut session).outputs, outputs);
    send(&mut session, 1, 2);
    session.handle_closed(&LOST);
    send(&mut session, 3, 3);
    let call = session.call(T0, None).unwrap();
    session.cancel(call);
    let outputs = [
        "send ~wse:session full seen 0",
        "send ~wse:welcome welcome",
        "replay 2",
        "replay 3",
        // Not sent yet, so it has no number.
        "send ~wse:cancel #1",
    ];
    assert_eq!(attach(&mut session, 1, 1).outputs, outputs);
}

#[test]
fn d6_a_client_that_resumes_sends_nothing_before_the_welcome() {
    for kind in ["message", "ping", "call"] {
        let mut socket = socket(&request(token_text(1), 0));
        socket.handle_message(T0, message(kind));
        assert_eq!(drain(&mut socket), Said::violation(), "{kind}");
    }
    // A new session has no messages that could be counted twice.
    let mut session = socket(&ResumeRequest::New);
    session.handle_message(T0, message("message"));
    session.grant(&budget(), NAME.into(), token(1), Outcome::New).unwrap();
    session.accept(T0, "welcome".into()).unwrap();
    assert_eq!(session.stored(0).unwrap().seen, 1);
}

#[test]
fn d2_a_session_survives_the_ends_after_which_clients_come_back() {
    for code in 1000..5000 {
        let survives = matches!(code, 1005 | 1006 | 1011..=1014 | 4000);
        for by_this_side in [false, true] {
            let mut session = server();
            match by_this_side {
                true => session.close(Close::new(code, "")),
                false => session.handle_closed(&Close::new(code, "")),
            }
            assert_eq!(session.is_suspended(), survives, "{code}");
            assert_eq!(session.is_closed(), !survives, "{code}");
            let said = drain(&mut session);
            let closes = [format!("close {code}")];
            assert_eq!(said.outputs, if by_this_side { &closes[..] } else { &[] });
            let suspended = [format!("suspended {code}")];
            assert_eq!(said.events, if survives { &suspended[..] } else { &[] });
        }
    }
}

#[test]
fn d2_a_peer_that_is_not_heard_any_more_is_suspended() {
    let beat = Heartbeat::fixed(ms(10), ms(30));
    let mut session = server().with_heartbeat(beat, None, T0, 0.0);
    while !session.is_suspended() {
        let now = session.poll_heartbeat().unwrap();
        session.handle_timeout(now);
    }
    let said = drain(&mut session);
    assert_eq!(said.outputs.last().unwrap(), "abort 1006 wse.heartbeat-timeout");
    assert_eq!(said.events.last().unwrap(), "suspended 1006 wse.heartbeat-timeout");
    assert_eq!(session.poll_heartbeat(), None);
    // The next socket has a heartbeat of its own.
    let mut socket = socket(&request(token_text(1), 0)).with_heartbeat(beat, None, ms(100), 0.0);
    session.attach(&mut socket, token(2), Bytes::new()).unwrap();
    assert_eq!(session.poll_heartbeat(), Some(ms(100)));
}

#[test]
fn d22_what_ends_the_old_socket_later_belongs_to_no_session() {
    let mut session = quietly(server(), |session| session.handle_closed(&LOST));
    session.handle_closed(&Close::normal(wse_proto::CloseReason::SessionTaken));
    session.handle_closed(&Close::new(1011, ""));
    session.close(Close::new(1013, ""));
    assert_eq!(drain(&mut session), Said::nothing());
    assert!(session.is_suspended());
    assert_eq!(session.end_suspended(), Some(LOST));
}

#[test]
fn d13_calls_and_receipts_fail_with_the_last_close_at_the_end_of_the_window() {
    let mut session = server();
    send_call(&mut session, None);
    session.expect_receipt(T0, ReceiptOf::Message, "r".into(), None).unwrap();
    session.handle_closed(&Close::new(1011, "oops"));
    assert_eq!(drain(&mut session), Said::new(&[], &["suspended 1011 oops"]));
    assert_eq!(session.end_suspended(), Some(Close::new(1011, "oops")));
    let events = ["receipt of Message #r closed 1011 oops", "ended #1 disconnected 1011 oops"];
    assert_eq!(drain(&mut session), Said::new(&[], &events));
    assert_eq!(session.end_suspended(), None, "once");
}

#[test]
fn d13_deadlines_run_while_a_device_is_away() {
    let mut session = server();
    send_call(&mut session, Some(10));
    session.handle_closed(&LOST);
    let receipt = session.expect_receipt(T0, ReceiptOf::Message, "r".into(), Some(ms(20)));
    assert_eq!(receipt, Ok(()), "what is sent now waits for the device");
    drain(&mut session);
    assert_eq!(session.poll_timeout(), Some(ms(10)));
    session.handle_timeout(ms(20));
    let events = ["receipt of Message #r timeout", "ended #1 timeout"];
    assert_eq!(drain(&mut session), Said::new(&[], &events));
}

#[test]
fn d11_a_gap_is_named_from_behind_what_was_seen_to_before_what_is_held() {
    // A ring of three messages, how many are sent, what the client has seen, and what is lost.
    let table = [
        (3, 3, 0, "full", vec!["replay 1", "replay 2", "replay 3"]),
        (3, 3, 3, "full", vec![]),
        (3, 5, 2, "full", vec!["replay 3", "replay 4", "replay 5"]),
        (3, 5, 1, "partial 2 to 2", vec!["replay 3", "replay 4", "replay 5"]),
        (3, 5, 0, "partial 1 to 2", vec!["replay 3", "replay 4", "replay 5"]),
        (3, 5, 4, "full", vec!["replay 5"]),
        (0, 5, 2, "partial 3 to 5", vec![]),
        (0, 5, 5, "full", vec![]),
    ];
    for (ring, sent, seen, outcome, replay) in table {
        let limits = ResumeLimits::default().ring_messages(ring);
        let mut session = server_with(&Budget::new(limits));
        send(&mut session, 1, sent);
        session.handle_closed(&LOST);
        drain(&mut session);
        let said = attach(&mut session, 1, seen);
        assert_eq!(said.outputs[0], format!("send ~wse:session {outcome} seen 0"));
        assert_eq!(said.outputs[2..], replay, "{ring} {sent} {seen}");
        // Numbers are never used again.
        send(&mut session, sent + 1, sent + 1);
        session.handle_message(T0, super::sides::seen(sent + 1));
        assert!(!session.is_closed());
    }
}

#[test]
fn d13_what_is_known_to_be_in_the_gap_ends_at_once() {
    let limits = ResumeLimits::default().ring_messages(1);
    let mut session = server_with(&Budget::new(limits));
    let receipt = |session: &mut Session, stamp: &str| {
        let stamp = Stamp::from(stamp);
        session.expect_receipt(T0, ReceiptOf::Message, stamp.clone(), None).unwrap();
        let tracked = Tracked::Receipt(ReceiptOf::Message, stamp);
        session.sent(Bytes::from("receipt"), Some(tracked));
    };
    send_call(&mut session, None);
    receipt(&mut session, "r2");
    send_call(&mut session, None);
    receipt(&mut session, "r4");
    receipt(&mut session, "r5");
    session.handle_closed(&LOST);
    drain(&mut session);
    // The client has processed two, and only the fifth is held.
    let events = [
        "receipt of Message #r2 received",
        "ended #2 disconnected 1006",
        "receipt of Message #r4 closed 1006",
    ];
    assert_eq!(attach(&mut session, 1, 2).events, events);
    assert_eq!((session.calls_waiting(), session.receipts_waiting()), (1, 1));
}

#[test]
fn d9_a_resume_that_is_ahead_leaves_session_and_token_untouched() {
    let mut session = server();
    send(&mut session, 1, 2);
    let mut socket = socket(&request(token_text(1), 3));
    let attached = session.attach(&mut socket, token(2), Bytes::new());
    assert_eq!(attached, Err(NotAttached::Violation));
    assert_eq!(drain(&mut socket), Said::violation());
    assert_eq!(drain(&mut session), Said::nothing());
    assert!(session.is_attached(), "its own socket is as before");
    assert_eq!(session.refusal(&request(token_text(1), 2), true, true), None);
}

#[test]
fn d9_a_number_below_what_was_acknowledged_is_taken_at_its_word() {
    let mut session = server();
    send(&mut session, 1, 5);
    session.handle_message(T0, seen(3));
    session.handle_closed(&LOST);
    drain(&mut session);
    let outputs = attach(&mut session, 1, 1).outputs;
    assert_eq!(outputs[0], "send ~wse:session partial 2 to 3 seen 0");
    assert_eq!(outputs[2..], ["replay 4", "replay 5"]);
}

#[test]
fn d27_a_connected_session_gives_up_its_own_messages_when_the_budget_is_exceeded() {
    let budget = Budget::new(ResumeLimits::default().total_bytes(8192));
    let [mut connected, mut suspended] = [server_with(&budget), server_with(&budget)];
    suspended.handle_closed(&LOST);
    let large = Bytes::from(vec![b'x'; 5000]);
    assert!(!suspended.sent(large.clone(), None));
    assert!(!connected.sent(large.clone(), None));
    assert_eq!((connected.unacknowledged(), suspended.unacknowledged()), (0, 5000));
    assert!(suspended.sent(large.clone(), None), "the caller has to make room");
    assert_eq!(suspended.unacknowledged(), 10_000);
}

#[test]
fn d30_a_server_that_stops_ends_suspended_sessions_too() {
    for suspended in [false, true] {
        let mut session = server();
        send_call(&mut session, None);
        if suspended {
            session.handle_closed(&LOST);
        }
        drain(&mut session);
        session.end_session(&Close::new(1012, ""));
        assert_eq!(drain(&mut session), Said::new(&[], &["ended #1 disconnected 1012"]));
        assert!(session.is_closed());
    }
}

#[test]
fn a_greeting_without_resume_gets_a_session_that_ends_with_its_socket() {
    let mut session = Session::server(RESUMABLE, None, SessionLimits::default()).with_resume();
    session.handle_message(T0, hi("me"));
    assert!(matches!(session.poll_event(), Some(Event::Greeted { .. })));
    session.accept(T0, "welcome".into()).unwrap();
    session.handle_closed(&LOST);
    assert!(session.is_closed() && !session.is_counting());
}
