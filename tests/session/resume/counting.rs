//! What counts, when the peer is told, and what it says in return.

use bytes::Bytes;
use wse_proto::session::{Session, Tracked};
use wse_proto::{Body, Head, ReceiptOf, SessionMessage, Stamp};

use super::sides::*;
use crate::support::session::{Said, T0, drain, message, messages, ms, quietly};

/// The number that the session would tell.
fn counted(session: &Session) -> u64 {
    session.stored(0).unwrap().seen
}

#[test]
fn d1_what_counts_is_decided_by_what_a_message_is() {
    let kinds = ["message", "call", "reply", "fault", "cancel", "note"];
    for (kind, message) in messages() {
        if ["hi", "challenge", "welcome"].contains(&kind) {
            // They end the connection.
            continue;
        }
        let mut session = server();
        assert_eq!(message.head.is_counted(), kinds.contains(&kind), "{kind}");
        session.handle_message(T0, message);
        assert_eq!(counted(&session), u64::from(kinds.contains(&kind)), "{kind}");
    }
    for head in [Head::Session, Head::Seen, Head::Drain, Head::Expires, Head::Renew, Head::Renewed]
    {
        assert!(!head.is_counted(), "{head:?}");
    }
}

#[test]
fn d1_duplicates_answers_to_nobody_and_unknown_types_count() {
    let mut session = server();
    for kind in ["note", "note", "reply", "fault"] {
        session.handle_message(T0, message(kind));
    }
    session.handle_message(T0, SessionMessage::raw(Head::message("~wse:later"), "p".into()));
    assert_eq!(counted(&session), 5);
}

#[test]
fn the_fast_path_counts_as_the_slow_one_does() {
    let [mut fast, mut slow] = [server(), server()];
    for number in 0..300_u64 {
        let now = ms(number * 10);
        if fast.handle_message_fast(&Head::message("m")).is_none() {
            fast.handle_message(now, message("message"));
            let said = drain(&mut fast);
            slow.handle_message(now, message("message"));
            assert_eq!(said, drain(&mut slow));
        } else {
            slow.handle_message(now, message("message"));
            assert_eq!(drain(&mut slow).outputs.len(), 0);
        }
        assert_eq!(fast.poll_timeout(), slow.poll_timeout());
        assert_eq!(counted(&fast), counted(&slow));
    }
    assert_eq!(counted(&fast), 300);
}

#[test]
fn d23_seen_is_sent_at_64_untold_messages_or_5_s_after_the_first() {
    let mut session = server();
    for number in 1..=64 {
        session.handle_message(ms(number), message("message"));
        let sent = drain(&mut session).outputs;
        assert_eq!(sent.is_empty(), number < 64, "{number}");
    }
    assert_eq!(session.poll_timeout(), None, "nothing is new");
    session.handle_message(ms(100), message("message"));
    session.handle_message(ms(200), message("message"));
    drain(&mut session);
    assert_eq!(session.poll_timeout(), Some(ms(5100)));
    session.handle_timeout(ms(5099));
    assert_eq!(drain(&mut session), Said::nothing());
    session.handle_timeout(ms(5100));
    assert_eq!(drain(&mut session), Said::new(&["send ~wse:seen 66"], &[]));
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn d7_messages_that_are_held_back_count_when_they_arrive() {
    let mut session = server();
    let held = message("call");
    session.count_held(T0, &held.head);
    session.handle_message(T0, message("cancel"));
    assert_eq!(counted(&session), 2);
    drain(&mut session);
    session.handle_closed(&LOST);
    // It was taken from the socket, so it is handled after its end. What is read later is thrown away, uncounted.
    session.handle_held(T0, held);
    session.handle_message(T0, message("call"));
    session.count_held(T0, &Head::message("m"));
    let events = ["suspended 1006", "call c #s p"];
    assert_eq!(drain(&mut session), Said::new(&[], &events));
    assert_eq!(counted(&session), 2);
}

#[test]
fn d9_a_number_beyond_what_was_sent_breaks_the_protocol() {
    let wrong = [
        seen(4),
        SessionMessage::raw(Head::Seen, "-1".into()),
        SessionMessage::raw(Head::Seen, Bytes::new()),
    ];
    for wrong in wrong {
        let mut session = server();
        send(&mut session, 1, 3);
        session.handle_message(T0, wrong);
        assert_eq!(drain(&mut session), Said::violation());
    }
}

#[test]
fn d9_a_number_that_is_not_larger_than_before_is_ignored() {
    let mut session = server();
    send(&mut session, 1, 3);
    for number in [2, 2, 1, 0] {
        session.handle_message(T0, seen(number));
        assert_eq!(session.unacknowledged(), 1, "number 3 is held");
    }
    assert_eq!(drain(&mut session), Said::nothing());
}

#[test]
fn d14_seen_settles_receipts_that_did_not_come() {
    let mut session = server();
    let stamp = Stamp::from("r");
    session.expect_receipt(T0, ReceiptOf::Message, stamp.clone(), None).unwrap();
    send(&mut session, 1, 1);
    let tracked = Tracked::Receipt(ReceiptOf::Message, stamp.clone());
    session.sent(Bytes::from("2"), Some(tracked));
    session.handle_message(T0, seen(1));
    assert_eq!(drain(&mut session), Said::nothing());
    session.handle_message(T0, seen(2));
    let received = Said::new(&[], &["receipt of Message #r received"]);
    assert_eq!(drain(&mut session), received);
    // The receipt itself is late.
    let receipt = Head::Receipt { stamp, of: ReceiptOf::Message };
    session.handle_message(T0, SessionMessage::raw(receipt, Bytes::new()));
    assert_eq!(drain(&mut session), Said::new(&[], &["dropped Receipt"]));
}

#[test]
fn d14_the_receipt_of_a_call_is_settled_and_its_answer_still_expected() {
    let mut session = server();
    let call = session.call(T0, None).unwrap();
    session.expect_receipt(T0, ReceiptOf::Call, call.stamp(), None).unwrap();
    session.sent(Bytes::from("call"), Some(Tracked::Call(call)));
    session.handle_message(T0, seen(1));
    assert_eq!(drain(&mut session), Said::new(&[], &["receipt of Call #1 received"]));
    assert_eq!(session.calls_waiting(), 1);
}

#[test]
fn d14_no_receipt_is_given_without_a_socket() {
    let mut session = quietly(server(), |session| {
        session.count_held(T0, &message("note").head);
        session.handle_closed(&LOST);
    });
    session.handle_held(T0, message("note"));
    assert_eq!(drain(&mut session), Said::new(&[], &["message m p"]));
}

#[test]
fn what_waits_for_a_peer_that_never_acknowledges_is_limited() {
    let mut session = server();
    for _ in 0..10_000 {
        let stamp = send_call(&mut session, None);
        let reply = SessionMessage::raw(Head::reply(stamp.as_str().into()), "r".into());
        session.handle_message(T0, reply);
        drain(&mut session);
    }
    assert!(session.tracked() <= 66, "{}", session.tracked());
}

#[test]
fn d10_a_client_has_no_space_when_its_ring_is_full() {
    let mut session = client();
    assert!(session.has_space(usize::MAX), "one large message, when there is no other");
    session.sent(Bytes::from(vec![b'x'; 256 << 10]), None);
    assert!(!session.has_space(1));
    session.handle_message(T0, seen(1));
    assert!(session.has_space(1));
    let body = Body::Serial(1);
    assert!(!SessionMessage { head: Head::Ping, body }.head.is_counted());
}
