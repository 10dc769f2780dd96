//! Credentials that expire, and drain.

use bytes::Bytes;
use wse_proto::session::{Renewal, Session};
use wse_proto::{Body, DrainNotice, Head, Hi, SessionMessage};

use super::sides::*;
use crate::support::session::{Said, T0, drain, message, ms, quietly, reply};

const EXPIRED: &str = "close 4001 wse.credentials-expired";

fn renew(identity: &'static str) -> SessionMessage {
    let body = Body::Hi(Hi::new(identity, Bytes::new()));
    SessionMessage { head: Head::Renew, body }
}

fn expires(head: Head, time: Option<u64>) -> SessionMessage {
    SessionMessage { head, body: Body::Expires(time.map(ms)) }
}

#[test]
fn d16_a_client_is_told_before_its_credentials_expire() {
    let mut session = server();
    session.expire_in(T0, Some(ms(100_000)));
    assert_eq!(session.poll_timeout(), Some(ms(70_000)));
    session.handle_timeout(ms(70_000));
    assert_eq!(drain(&mut session).outputs, ["send ~wse:expires 30s"]);
    session.handle_timeout(ms(99_999));
    assert_eq!(drain(&mut session), Said::nothing());
    session.handle_timeout(ms(100_000));
    assert_eq!(drain(&mut session).outputs, [EXPIRED]);
    assert!(session.is_closed(), "it ends the session");
}

#[test]
fn d16_a_client_that_said_nothing_about_resume_gets_only_the_close() {
    let mut session = crate::support::session::server();
    session.expire_in(T0, Some(ms(1000)));
    session.handle_timeout(ms(600));
    assert_eq!(drain(&mut session), Said::nothing());
    session.handle_timeout(ms(1000));
    assert_eq!(drain(&mut session).outputs, [EXPIRED]);
}

#[test]
fn d16_the_deadline_runs_while_the_session_is_suspended() {
    let mut session = server();
    session.expire_in(T0, Some(ms(1000)));
    send_call(&mut session, None);
    session.handle_closed(&LOST);
    drain(&mut session);
    session.handle_timeout(ms(500));
    assert_eq!(drain(&mut session), Said::nothing());
    session.handle_timeout(ms(1000));
    let events = ["ended #1 disconnected 4001 wse.credentials-expired"];
    assert_eq!(drain(&mut session), Said::new(&[EXPIRED], &events));
    assert!(session.is_closed());
}

#[test]
fn d16_new_credentials_are_decided_one_at_a_time() {
    let mut session = server();
    session.expire_in(T0, Some(ms(1000)));
    session.handle_message(T0, renew("new"));
    session.handle_message(T0, renew("newer"));
    assert_eq!(drain(&mut session), Said::new(&[], &["renew new"]));
    session.decide_renewal(T0, Renewal::Refused);
    assert_eq!(drain(&mut session), Said::nothing(), "no answer, and the deadline stands");
    assert_eq!(session.poll_timeout(), Some(ms(500)));
    session.handle_message(T0, renew("newest"));
    session.decide_renewal(ms(100), Renewal::Accepted(Some(ms(2000))));
    let said = Said::new(&["send ~wse:renewed 2s"], &["renew newest"]);
    assert_eq!(drain(&mut session), said);
    assert_eq!(session.poll_timeout(), Some(ms(1100)));
    session.handle_message(T0, renew("last"));
    session.decide_renewal(ms(100), Renewal::Accepted(None));
    assert_eq!(drain(&mut session).outputs, ["send ~wse:renewed never"]);
    assert_eq!(session.poll_timeout(), None);
    session.decide_renewal(ms(100), Renewal::Accepted(None));
    assert_eq!(drain(&mut session), Said::nothing(), "nothing waits for a decision");
}

#[test]
fn a_client_hears_of_its_credentials_and_sends_new_ones() {
    let mut session = client();
    session.handle_message(T0, expires(Head::Expires, Some(30_000)));
    session.renew(Hi::new("new", "meta")).unwrap();
    session.handle_message(T0, expires(Head::Renewed, Some(60_000)));
    session.handle_message(T0, expires(Head::Renewed, None));
    let events = ["expires 30s", "renewed Some(60s)", "renewed None"];
    assert_eq!(drain(&mut session), Said::new(&["send ~wse:renew new meta"], &events));
    let mut unaware = crate::support::session::client();
    assert!(unaware.renew(Hi::new("new", "meta")).is_err());
}

#[test]
fn messages_of_the_other_side_break_the_protocol() {
    let drain_now = Body::Drain(DrainNotice { after: ms(1), spread: ms(1) });
    let drain_now = SessionMessage { head: Head::Drain, body: drain_now };
    let raw = |head| SessionMessage::raw(head, "true".into());
    let wrong: [(fn() -> Session, SessionMessage); 8] = [
        (server, drain_now),
        (server, expires(Head::Expires, Some(1))),
        (server, expires(Head::Renewed, None)),
        (server, raw(Head::Renew)),
        (client, renew("me")),
        (client, raw(Head::Drain)),
        (client, raw(Head::Expires)),
        (client, raw(Head::Renewed)),
    ];
    for (side, message) in wrong {
        let mut session = side();
        session.handle_message(T0, message.clone());
        assert_eq!(drain(&mut session), Said::violation(), "{message:?}");
    }
}

fn draining(random: f64) -> Session {
    let notice = DrainNotice { after: ms(1000), spread: ms(500) };
    let mut session = client();
    let head = Head::Drain;
    session.handle_message(T0, SessionMessage { head, body: Body::Drain(notice) });
    assert_eq!(drain(&mut session), Said::new(&[], &["drain 1s 500ms"]));
    session.follow_drain(T0, &notice, random);
    session
}

const GONE: &str = "close 4000 wse.drain";

#[test]
fn d17_a_client_goes_at_its_time_and_can_be_resumed() {
    for (random, at) in [(0.0, 1000), (0.5, 1250), (1.0, 1500)] {
        let mut session = draining(random);
        assert_eq!(session.poll_timeout(), Some(ms(at)));
        session.handle_timeout(ms(at - 1));
        assert_eq!(drain(&mut session), Said::nothing());
        session.handle_timeout(ms(at));
        let said = Said::new(&[GONE], &["suspended 4000 wse.drain"]);
        assert_eq!(drain(&mut session), said);
        session.reconnect(Hi::new("me", "meta")).unwrap();
        assert_eq!(session.poll_deadline(), None);
    }
}

#[test]
fn d17_a_client_waits_for_its_calls_until_the_end_of_the_interval() {
    for answered in [true, false] {
        let mut session = draining(0.0);
        session.call(T0, None).unwrap();
        session.handle_timeout(ms(1100));
        assert_eq!(drain(&mut session), Said::nothing());
        assert_eq!(session.poll_timeout(), Some(ms(1500)));
        if answered {
            // The fast path leaves it to the slow one, after which what is due is asked again.
            let answer = reply(1, "r");
            assert!(session.handle_message_fast(&answer.head).is_none());
            session.handle_message(ms(1200), answer);
            drain(&mut session);
            assert_eq!(session.poll_timeout(), Some(ms(1000)));
            session.handle_timeout(ms(1200));
        } else {
            session.handle_timeout(ms(1500));
        }
        assert_eq!(drain(&mut session).outputs, [GONE]);
    }
}

#[test]
fn d17_only_peers_that_said_resume_are_asked_to_come_back() {
    let notice = DrainNotice { after: ms(1), spread: ms(2) };
    let mut session = server();
    session.send_drain(notice);
    assert_eq!(drain(&mut session).outputs, ["send ~wse:drain 1ms 2ms"]);
    let mut plain = crate::support::session::server();
    plain.send_drain(notice);
    let mut suspended = quietly(server(), |session| session.handle_closed(&LOST));
    suspended.send_drain(notice);
    for session in [&mut plain, &mut suspended] {
        assert_eq!(drain(session), Said::nothing());
    }
}

#[test]
fn a_new_socket_forgets_the_drain_of_the_old_one() {
    let mut session = draining(0.5);
    session.handle_closed(&LOST);
    session.reconnect(Hi::new("me", "meta")).unwrap();
    session.handle_message(T0, info(wse_proto::Outcome::Full, 0));
    session.handle_message(T0, welcome());
    session.handle_message(T0, message("message"));
    drain(&mut session);
    session.handle_timeout(ms(1500));
    assert_eq!(drain(&mut session), Said::nothing());
}
