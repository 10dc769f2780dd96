//! Resume at the client.

use bytes::Bytes;
use wse_proto::session::{Close, Restored, Session, SessionLimits, Tracked};
use wse_proto::{Body, Head, Hi, NotResumed, Outcome, ReceiptOf, SessionMessage, UsageError};

use super::sides::*;
use crate::support::session::{Said, T0, drain, message, ms, quietly, reply};

/// A client that has processed two messages and sent three, of which the second is a call, and that greets again.
fn away() -> Session {
    let session = quietly(client(), |session| {
        receive(session, 2);
        send(session, 1, 1);
        send_call(session, None);
        send(session, 3, 3);
    });
    reconnecting(session)
}

/// The server answers the greeting.
fn answered(mut session: Session, outcome: Outcome, seen: u64) -> (Session, Said) {
    session.handle_message(T0, info(outcome, seen));
    session.handle_message(T0, welcome());
    let said = drain(&mut session);
    (session, said)
}

#[test]
fn a_client_asks_for_a_session_and_then_for_that_session() {
    let hi = || Hi::new("me", "meta");
    let mut session =
        Session::resumable_client(RESUMABLE, hi(), SessionLimits::default(), &budget());
    assert_eq!(drain(&mut session).outputs, ["send ~wse:hi me meta resume"]);
    assert_eq!(session.reconnect(hi()), Err(UsageError::NotAsked));
    session.handle_message(T0, info(Outcome::New, 0));
    session.handle_message(T0, welcome());
    assert_eq!(drain(&mut session), Said::new(&[], &["ready welcome"]));
    receive(&mut session, 2);
    session.handle_closed(&LOST);
    drain(&mut session);
    session.reconnect(hi()).unwrap();
    assert_eq!(drain(&mut session).outputs, ["send ~wse:hi me meta resume s1 seen 2"]);
}

#[test]
fn d6_d10_a_client_says_what_it_has_seen_and_sends_the_rest_again() {
    let (_, said) = answered(away(), Outcome::Full, 1);
    let outputs = ["send ~wse:seen 2", "replay call", "replay 3"];
    assert_eq!(said, Said::new(&outputs, &["resumed full", "ready welcome"]));
}

#[test]
fn d6_what_waits_is_sent_behind_the_welcome_and_the_replay() {
    let mut session = away();
    let call = session.call(T0, None).unwrap();
    session.cancel(call);
    session.handle_message(T0, message("challenge"));
    session.answer("answer".into()).unwrap();
    assert_eq!(drain(&mut session).outputs, ["send ~wse:challenge answer"]);
    let (_, said) = answered(session, Outcome::Full, 3);
    assert_eq!(said.outputs, ["send ~wse:seen 2", "send ~wse:cancel #2"]);
}

#[test]
fn d11_the_gap_is_told_first_and_counted_as_processed() {
    let (mut session, said) = answered(away(), Outcome::Partial { first: 3, last: 5 }, 3);
    assert_eq!(said.events, ["resumed partial 3 to 5", "ready welcome"]);
    assert_eq!(said.outputs, ["send ~wse:seen 5"]);
    assert_eq!(session.calls_waiting(), 1, "d12: others wait for their deadline");
    receive(&mut session, 1);
    assert_eq!(session.stored(0).unwrap().seen, 6);
}

#[test]
fn d12_after_none_both_counts_are_0_and_promises_end() {
    let mut session = quietly(client(), |session| {
        receive(session, 2);
        send_call(session, None);
        session.expect_receipt(T0, ReceiptOf::Message, "r".into(), None).unwrap();
        let tracked = Tracked::Receipt(ReceiptOf::Message, "r".into());
        session.sent(Bytes::from("r"), Some(tracked));
    });
    session = reconnecting(session);
    let expired = Outcome::None(NotResumed::Expired);
    let (mut session, said) = answered(session, expired, 0);
    let events = [
        "resumed none expired",
        "receipt of Message #r closed 1006",
        "ended #1 disconnected 1006",
        "ready welcome",
    ];
    assert_eq!(said, Said::new(&[], &events));
    assert_eq!((session.stored(0).unwrap().seen, session.unacknowledged()), (0, 0));
    session.handle_message(T0, seen(1));
    assert_eq!(drain(&mut session), Said::violation(), "nothing was sent in this session");
}

#[test]
fn d12_calls_that_were_never_written_are_made_in_the_next_session() {
    let mut session = quietly(client(), |session| {
        session.expect_receipt(T0, ReceiptOf::Message, "r".into(), None).unwrap();
        let tracked = Tracked::Receipt(ReceiptOf::Message, "r".into());
        session.sent(Bytes::from("r"), Some(tracked));
        let written = send_call(session, None);
        session.expect_receipt(T0, ReceiptOf::Call, written.as_str().into(), None).unwrap();
    });
    session = reconnecting(session);
    // The first is late, since its deadline runs on.
    let late = session.call(T0, Some(ms(500))).unwrap();
    let call = session.call(T0, None).unwrap();
    session.expect_receipt(T0, ReceiptOf::Call, call.stamp(), None).unwrap();
    session.expect_receipt(T0, ReceiptOf::Message, "s".into(), None).unwrap();
    let expired = Outcome::None(NotResumed::Expired);
    let (mut session, said) = answered(session, expired, 0);
    let ended: Vec<_> = said.events.iter().filter(|it| !it.starts_with("receipt")).collect();
    assert_eq!(ended, ["resumed none expired", "ended #1 disconnected 1006", "ready welcome"]);
    assert_eq!(said.events.len(), 5, "both receipts of what was written: {:?}", said.events);
    assert_eq!((session.calls_waiting(), session.receipts_waiting()), (2, 2));
    assert!(session.is_waiting(call) && session.is_waiting(late));
    session.handle_timeout(ms(500));
    assert_eq!(drain(&mut session).events.len(), 1);
    session.sent(Bytes::from("call"), Some(Tracked::Call(call)));
    session.handle_message(T0, seen(1));
    let receipt = drain(&mut session).events;
    assert_eq!(receipt, [format!("receipt of Call #{} received", call.stamp())]);
    assert_eq!((session.calls_waiting(), session.receipts_waiting()), (1, 1));
}

#[test]
fn d12_what_waits_in_a_lost_session_is_not_sent_in_the_next_one() {
    let mut session = away();
    let call = session.call(T0, None).unwrap();
    session.cancel(call);
    let (_, said) = answered(session, Outcome::None(NotResumed::Expired), 0);
    assert_eq!(said.outputs, [""; 0], "the server knows no call");
}

#[test]
fn d29_a_server_without_resume_answers_with_the_welcome_alone() {
    let mut session = away();
    session.handle_message(T0, welcome());
    let events = ["resumed none unknown", "ended #1 disconnected 1006", "ready welcome"];
    assert_eq!(drain(&mut session), Said::new(&[], &events));
    assert!(!session.is_counting());
    session.handle_closed(&LOST);
    assert!(session.is_closed());
    // As with a first greeting.
    let mut session = quietly(greeted(), |session| session.handle_message(T0, welcome()));
    receive(&mut session, 100);
    assert!(drain(&mut session).outputs.is_empty());
}

#[test]
fn d9_a_client_closes_on_what_a_server_cannot_say() {
    let partial = |first, last| Outcome::Partial { first, last };
    let table = [
        (Outcome::Full, 4),
        (partial(3, 5), 4),
        (partial(2, 5), 3),
        (partial(4, 5), 3),
        (Outcome::None(NotResumed::Unknown), 1),
    ];
    for (outcome, seen) in table {
        let mut session = away();
        session.handle_message(T0, info(outcome.clone(), seen));
        let said = drain(&mut session);
        assert_eq!(said.outputs, ["close 1000 wse.protocol-error"], "{outcome:?} {seen}");
        assert_eq!(said.events[0], "violation wse.server.protocol-violation");
    }
    let mut other = info(Outcome::Full, 3);
    if let Body::Session(info) = &mut other.body {
        info.session = "s2".into();
    }
    let mut session = away();
    session.handle_message(T0, other);
    let outputs = drain(&mut session).outputs;
    assert_eq!(outputs, ["close 1000 wse.protocol-error"], "another session");
    // Below what was acknowledged: the client does not hold that any more.
    let acknowledged = quietly(client(), |session| {
        send(session, 1, 3);
        session.handle_message(T0, seen(2));
    });
    let mut session = reconnecting(acknowledged);
    session.handle_message(T0, info(Outcome::Full, 1));
    assert_eq!(drain(&mut session), Said::violation());
}

#[test]
fn a_session_is_told_once_and_only_as_it_was_asked_for() {
    let raw = SessionMessage::raw(Head::Session, "5".into());
    for (before, wrong) in [
        (None, info(Outcome::Full, 0)),
        (None, info(Outcome::Partial { first: 1, last: 1 }, 0)),
        (Some(info(Outcome::New, 0)), info(Outcome::New, 0)),
        (Some(message("challenge")), info(Outcome::New, 0)),
        (None, raw),
    ] {
        let mut session = quietly(greeted(), |session| {
            before.into_iter().for_each(|message| session.handle_message(T0, message));
        });
        session.handle_message(T0, wrong);
        assert_eq!(drain(&mut session), Said::violation());
    }
    let mut session = client();
    session.handle_message(T0, info(Outcome::New, 0));
    assert_eq!(drain(&mut session), Said::violation(), "behind the welcome");
}

#[test]
fn an_attempt_that_fails_changes_nothing() {
    let mut session = away();
    session.handle_message(T0, info(Outcome::Partial { first: 3, last: 5 }, 1));
    // The welcome is lost, and so is the new token.
    session.handle_closed(&LOST);
    assert_eq!(drain(&mut session), Said::nothing());
    let stored = session.stored(0).unwrap();
    assert_eq!((stored.seen, &*stored.token), (2, token_text(2)));
    session.reconnect(Hi::new("me", "meta")).unwrap();
    assert_eq!(drain(&mut session).outputs, ["send ~wse:hi me meta resume s1 seen 2"]);
    // A code after which clients do not come back ends it.
    session.handle_closed(&Close::new(1000, "wse.not-authorized"));
    let events = ["ended #1 disconnected 1000 wse.not-authorized"];
    assert_eq!(drain(&mut session), Said::new(&[], &events));
}

#[test]
fn calls_may_be_made_while_the_client_is_away() {
    let mut session = away();
    for _ in 0..2 {
        assert!(session.check_ready().is_ok() && !session.is_attached());
        assert!(session.call(T0, None).is_ok());
        session.handle_closed(&LOST);
    }
}

#[test]
fn d25_a_client_that_was_started_again_takes_its_count_from_the_server() {
    let restored = Restored {
        session: NAME.into(),
        token: token_text(1).into(),
        seen: 7,
        stamps_from: 1 << 40,
    };
    let limits = SessionLimits::default();
    let hi = Hi::new("me", "meta");
    let mut session = Session::restored_client(RESUMABLE, hi, limits, &budget(), restored);
    assert_eq!(drain(&mut session).outputs, ["send ~wse:hi me meta resume s1 seen 7"]);
    let (mut session, said) = answered(session, Outcome::Full, 40);
    assert_eq!(said, Said::new(&["send ~wse:seen 7"], &["resumed full", "ready welcome"]));
    send(&mut session, 41, 41);
    session.handle_message(T0, seen(41));
    // An answer to a call that it does not know.
    session.handle_message(T0, reply(1, "r"));
    assert_eq!(drain(&mut session), Said::new(&[], &["dropped Answer"]));
    let call = session.call(T0, None).unwrap().stamp().to_string();
    assert!(call.parse::<u64>().unwrap() > 1 << 38, "{call}");
}

#[test]
fn a_protocol_without_resume_has_none() {
    let hi = Hi::new("me", "meta");
    let protocol = crate::support::session::PROTOCOL;
    let mut session = Session::resumable_client(protocol, hi, SessionLimits::default(), &budget());
    assert_eq!(drain(&mut session).outputs, ["send ~wse:hi me meta"]);
    assert!(!session.is_counting());
}
