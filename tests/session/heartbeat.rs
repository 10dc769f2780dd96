//! The heartbeat of a session, in virtual time: what it asks, when, and when it gives up.

use std::time::Duration;

use crate::support::session::*;
use bytes::Bytes;
use wse_proto::session::{
    Close, Heartbeat, LivenessState, Output, PingVia, Session, SessionLimits,
};
use wse_proto::{Body, Capabilities, CloseReason, Head, Pings, ReceiptOf, SessionMessage};

/// Each second, and no more than three without a sign of life.
const HEARTBEAT: Heartbeat = Heartbeat::fixed(ms(1000), ms(3000));

/// A server's session past the welcome that pings from the start.
fn watching(heartbeat: Heartbeat) -> Session {
    server().with_heartbeat(heartbeat, None, T0, 0.0)
}

/// Something that is done to a session.
#[derive(Clone, Copy, Debug)]
enum Do {
    Time,
    Life,
    Pong(&'static str),
    Hears(&'static str),
}
use Do::{Hears, Life, Pong, Time};
use LivenessState::{Late, Live};

fn act(session: &mut Session, at: Duration, step: Do) -> Said {
    match step {
        Time => session.handle_timeout(at),
        Life => session.handle_life(at),
        Pong(payload) => session.handle_pong(at, payload.as_bytes()),
        Hears(kind) => session.handle_message(at, message(kind)),
    }
    drain(session)
}

/// When, what is done, what is sent, what is told, and what the peer counts as then.
type Row = (u64, Do, &'static [&'static str], &'static [&'static str], LivenessState);

#[track_caller]
fn follows(session: &mut Session, rows: &[Row]) {
    for (number, (at, step, outputs, events, state)) in rows.iter().enumerate() {
        let context = format!("row {number}: {step:?} at {at} ms");
        let said = act(session, ms(*at), *step);
        assert_eq!(said, Said::new(outputs, events), "{context}");
        assert_eq!(session.liveness().unwrap().state, *state, "{context}");
    }
}

#[test]
fn a_peer_that_says_nothing_is_late_and_then_dead() {
    let rows: &[Row] = &[
        (0, Time, &["ping 1"], &[], Live),
        (0, Time, &[], &[], Live),
        (999, Time, &[], &[], Live),
        (1000, Time, &["ping 2"], &["Late"], Late),
        (1999, Time, &[], &[], Late),
        (2000, Time, &["ping 3"], &[], Late),
        (2999, Time, &[], &[], Late),
        (3000, Time, &[DEAD], &[], Late),
        (9000, Time, &[], &[], Late),
        (9000, Life, &[], &[], Late),
        (9000, Pong("3"), &[], &[], Late),
        (9000, Hears("message"), &[], &[], Late),
    ];
    let mut session = watching(HEARTBEAT);
    follows(&mut session, rows);
    assert!(session.is_closed());
}

#[test]
fn a_peer_that_answers_is_live_for_ever() {
    let mut session = watching(HEARTBEAT);
    for second in 0..1000_u64 {
        let ping = (second + 1).to_string();
        let now = ms(second * 1000);
        assert_eq!(session.poll_heartbeat(), Some(now));
        assert_eq!(act(&mut session, now, Time), Said::new(&[&format!("ping {ping}")], &[]));
        session.handle_pong(now + ms(40), ping.as_bytes());
        assert_eq!(drain(&mut session), Said::nothing());
        let liveness = session.liveness().unwrap();
        assert_eq!((liveness.state, liveness.rtt), (Live, Some(ms(40))));
        assert_eq!((liveness.pings, liveness.pongs), (second as u32 + 1, second as u32 + 1));
    }
}

#[test]
fn whatever_is_heard_while_a_ping_waits_begins_anew() {
    let rows: &[Row] = &[
        (0, Time, &["ping 1"], &[], Live),
        (900, Life, &[], &[], Live),
        // Nothing waits any more: the next ping is no sign that it is late.
        (1000, Time, &["ping 2"], &[], Live),
        (2000, Time, &["ping 3"], &["Late"], Late),
        (3999, Time, &["ping 4"], &[], Late),
        // Three seconds from the second ping, not from the first.
        (4000, Time, &[DEAD], &[], Late),
    ];
    follows(&mut watching(HEARTBEAT), rows);
}

#[test]
fn a_late_peer_that_is_heard_is_live_and_told_once() {
    let rows: &[Row] = &[
        (0, Time, &["ping 1"], &[], Live),
        (1000, Time, &["ping 2"], &["Late"], Late),
        (2999, Life, &[], &["Live"], Live),
        (2999, Life, &[], &[], Live),
        // Long after the time of the first silence.
        (3500, Time, &["ping 3"], &[], Live),
        (4500, Time, &["ping 4"], &["Late"], Late),
        (4600, Pong("4"), &[], &["Live"], Live),
        (5500, Time, &["ping 5"], &[], Live),
        (8499, Time, &["ping 6"], &["Late"], Late),
        (8500, Time, &[DEAD], &[], Late),
    ];
    follows(&mut watching(HEARTBEAT), rows);
}

/// A driver tells only at the timeout when it last heard something: that may be long ago.
#[test]
fn what_was_heard_before_the_ping_says_nothing_about_it() {
    let rows: &[Row] = &[
        (0, Time, &["ping 1"], &[], Live),
        (0, Life, &[], &[], Live),
        (1000, Time, &["ping 2"], &[], Live),
        (999, Life, &[], &[], Live),
        (2000, Time, &["ping 3"], &["Late"], Late),
        (999, Life, &[], &[], Late),
        (1000, Life, &[], &["Live"], Live),
        (3000, Time, &["ping 4"], &[], Live),
        (2999, Life, &[], &[], Live),
        (6000, Time, &[DEAD], &[], Live),
    ];
    follows(&mut watching(HEARTBEAT), rows);
}

/// A machine that slept: what has arrived meanwhile is told before the time is.
#[test]
fn time_that_jumps_kills_nobody_who_was_heard() {
    let mut session = watching(HEARTBEAT);
    act(&mut session, T0, Time);
    act(&mut session, ms(3_600_000), Life);
    assert_eq!(act(&mut session, ms(3_600_000), Time), Said::new(&["ping 2"], &[]));
    // It is asked once, not once for each second that was missed.
    assert_eq!(act(&mut session, ms(3_600_000), Time), Said::nothing());
    assert_eq!(session.poll_heartbeat(), Some(ms(3_601_000)));
}

#[test]
fn every_kind_of_message_is_a_sign_of_life() {
    for (kind, _) in messages() {
        let mut session = watching(HEARTBEAT);
        act(&mut session, T0, Time);
        act(&mut session, ms(1000), Time);
        let said = act(&mut session, ms(1500), Hears(kind));
        assert_eq!(said.events[0], "Live", "{kind}");
        assert_eq!(session.liveness().unwrap().state, Live, "{kind}");
    }
}

#[test]
fn pongs_that_answer_nothing_are_dropped_but_heard() {
    let rows: &[Row] = &[
        (0, Pong("1"), &[], &["dropped Pong"], Live),
        (0, Time, &["ping 1"], &[], Live),
        (1000, Time, &["ping 2"], &["Late"], Late),
        // One from the future.
        (1100, Pong("3"), &[], &["Live", "dropped Pong"], Live),
        (2000, Time, &["ping 3"], &[], Live),
        (3000, Time, &["ping 4"], &["Late"], Late),
        (3100, Pong("no number"), &[], &["Live", "dropped Pong"], Live),
        (3100, Pong(""), &[], &["dropped Pong"], Live),
        (3100, Pong("0"), &[], &["dropped Pong"], Live),
        (3100, Pong("-4"), &[], &["dropped Pong"], Live),
        (3100, Pong("4.0"), &[], &["dropped Pong"], Live),
        // What a number of 32 bits would take for 4.
        (3100, Pong("4294967300"), &[], &["dropped Pong"], Live),
        (3100, Pong("18446744073709551620"), &[], &["dropped Pong"], Live),
        (3200, Pong("3"), &[], &[], Live),
        // Twice, and an older one.
        (3200, Pong("3"), &[], &["dropped Pong"], Live),
        (3200, Pong("2"), &[], &["dropped Pong"], Live),
        (3200, Hears("pong"), &[], &["dropped Pong"], Live),
        (3300, Pong("4"), &[], &[], Live),
        (3300, Pong("4"), &[], &["dropped Pong"], Live),
    ];
    let mut session = watching(HEARTBEAT);
    follows(&mut session, rows);
    let liveness = session.liveness().unwrap();
    assert_eq!((liveness.pings, liveness.pongs), (4, 2));
    // Of these only the last ping's own pong says how far away the peer is.
    assert_eq!(liveness.rtt, Some(ms(300)));
    session.handle_pong(ms(3300), &[0xff, 0xfe]);
    assert_eq!(drain(&mut session), Said::new(&[], &["dropped Pong"]));
}

#[test]
fn a_pong_to_an_earlier_ping_is_no_sample() {
    let mut session = watching(HEARTBEAT);
    act(&mut session, T0, Time);
    act(&mut session, ms(1000), Time);
    act(&mut session, ms(1500), Pong("1"));
    let liveness = session.liveness().unwrap();
    assert_eq!((liveness.rtt, liveness.pongs, liveness.state), (None, 1, Live));
    act(&mut session, ms(1700), Pong("2"));
    assert_eq!(session.liveness().unwrap().rtt, Some(ms(700)));
}

#[test]
fn a_pong_that_was_not_read_for_a_while_is_no_sample() {
    let mut session = watching(HEARTBEAT);
    act(&mut session, T0, Time);
    session.handle_unread();
    act(&mut session, ms(900), Pong("1"));
    let liveness = session.liveness().unwrap();
    assert_eq!((liveness.rtt, liveness.pongs, liveness.state), (None, 1, Live));
    act(&mut session, ms(1000), Time);
    act(&mut session, ms(1200), Pong("2"));
    assert_eq!(session.liveness().unwrap().rtt, Some(ms(200)));
}

#[test]
fn without_a_heartbeat_nothing_is_asked_and_every_pong_dropped() {
    let mut session = server();
    assert_eq!((session.liveness(), session.poll_heartbeat()), (None, None));
    assert_eq!(session.poll_timeout(), None);
    assert_eq!(act(&mut session, ms(1_000_000_000), Time), Said::nothing());
    assert_eq!(act(&mut session, T0, Life), Said::nothing());
    assert_eq!(act(&mut session, T0, Pong("1")), Said::new(&[], &["dropped Pong"]));
    assert_eq!(act(&mut session, T0, Hears("ping")), Said::new(&["send ~wse:pong p"], &[]));
}

#[test]
fn pings_go_the_way_that_the_protocol_and_the_driver_allow() {
    use PingVia::{Session as Own, WebSocket};
    let table = [
        (Pings::Never, None, WebSocket),
        (Pings::Never, Some(WebSocket), WebSocket),
        (Pings::Never, Some(Own), WebSocket),
        (Pings::Possible, None, WebSocket),
        (Pings::Possible, Some(WebSocket), WebSocket),
        (Pings::Possible, Some(Own), Own),
        (Pings::Always, None, Own),
        (Pings::Always, Some(WebSocket), Own),
        (Pings::Always, Some(Own), Own),
    ];
    for (pings, wanted, via) in table {
        for side in [server_of, client_of] {
            let session = side(PROTOCOL.capabilities(Capabilities::CONVENTION.pings(pings)));
            let mut session = session.with_heartbeat(HEARTBEAT, wanted, T0, 0.0);
            assert_eq!(session.liveness().unwrap().via, via, "{pings:?} {wanted:?}");
            let ping = if via == Own { "send ~wse:ping 1" } else { "ping 1" };
            assert_eq!(act(&mut session, T0, Time), Said::new(&[ping], &[]));
            match via {
                Own => {
                    let pong = SessionMessage { head: Head::Pong, body: Body::Serial(1) };
                    session.handle_message(ms(30), pong);
                }
                WebSocket => session.handle_pong(ms(30), b"1"),
            }
            assert_eq!(drain(&mut session), Said::nothing(), "{pings:?} {wanted:?}");
            assert_eq!(session.liveness().unwrap().rtt, Some(ms(30)));
            // The peer's own are answered, whatever ours are.
            let said = act(&mut session, ms(40), Hears("ping"));
            assert_eq!(said, Said::new(&["send ~wse:pong p"], &[]));
        }
    }
}

/// Before the welcome the other side's session answers no pings, and may take them for a breach.
#[test]
fn the_sessions_own_pings_wait_for_the_welcome() {
    for begin in [greeting, solving, stranger, validating, challenged, answered] {
        let own = begin().with_heartbeat(HEARTBEAT, Some(PingVia::Session), T0, 0.0);
        let mut own = quietly(own, |_| ());
        assert_eq!(own.poll_timeout(), None);
        assert_eq!(act(&mut own, ms(60_000), Time), Said::nothing());
        // Those of WebSocket do not.
        let mut plain = begin().with_heartbeat(HEARTBEAT, None, T0, 0.0);
        assert_eq!(act(&mut plain, T0, Time), Said::new(&["ping 1"], &[]));
    }
    let late = ms(60_000);
    let own = |session: Session| session.with_heartbeat(HEARTBEAT, Some(PingVia::Session), T0, 0.0);
    let ready = [
        quietly(own(greeting()), |session| session.handle_message(late, message("welcome"))),
        quietly(own(validating()), |session| session.accept(late, "welcome".into()).unwrap()),
    ];
    for mut session in ready {
        assert!(session.poll_timeout().unwrap() <= late, "it is due at once");
        assert_eq!(act(&mut session, late, Time), Said::new(&["send ~wse:ping 1"], &[]));
        assert_eq!(session.poll_timeout(), Some(late + ms(1000)));
    }
}

/// Both sides over their own pings, with a challenge: nothing that a heartbeat says disturbs the greeting.
#[test]
fn pings_of_the_session_do_not_disturb_a_challenge() {
    let own = |session: Session| session.with_heartbeat(HEARTBEAT, Some(PingVia::Session), T0, 0.0);
    let [mut server, mut client] = [
        own(stranger()),
        own(Session::client(
            PROTOCOL,
            Some(wse_proto::Hi { identity: "me".into(), meta: "meta".into(), resume: None }),
            SessionLimits::default(),
        )),
    ];
    let exchange = |now, from: &mut Session, to: &mut Session| {
        from.handle_timeout(now);
        while let Some(Output::Send(message)) = from.poll_output() {
            // As a protocol would: the serial of a ping travels as a payload.
            to.handle_message(
                now,
                match message {
                    SessionMessage { head: head @ Head::Ping, .. } => {
                        SessionMessage::raw(head, "1".into())
                    }
                    other => other,
                },
            );
        }
    };
    exchange(T0, &mut client, &mut server);
    server.challenge("quest".into()).unwrap();
    exchange(ms(5000), &mut server, &mut client);
    client.answer("answer".into()).unwrap();
    exchange(ms(10_000), &mut client, &mut server);
    server.accept(ms(15_000), "welcome".into()).unwrap();
    exchange(ms(15_000), &mut server, &mut client);
    exchange(ms(15_000), &mut client, &mut server);
    assert!(server.check_ready().is_ok() && client.check_ready().is_ok());
}

#[test]
fn what_waits_for_a_dead_peer_fails_as_disconnected() {
    let mut session = watching(HEARTBEAT);
    act(&mut session, T0, Time);
    let [forever, in_time, received] =
        [None, Some(ms(60_000)), None].map(|timeout| session.call(T0, timeout).unwrap());
    // It falls due with the peer's death, and comes before it.
    let due = session.call(T0, Some(ms(3000))).unwrap();
    for call in [received, in_time] {
        session.expect_receipt(T0, ReceiptOf::Call, call.stamp(), None).unwrap();
    }
    let stamp = session.next_stamp();
    session.expect_receipt(T0, ReceiptOf::Message, stamp, Some(ms(50_000))).unwrap();
    session.expect_receipt(T0, ReceiptOf::Answer, "theirs".into(), Some(ms(70_000))).unwrap();
    let receipt = Head::Receipt { stamp: received.stamp(), of: ReceiptOf::Call };
    session.handle_message(T0, SessionMessage::raw(receipt, Bytes::new()));
    // It was heard: the next ping is the first that is not.
    assert_eq!(drain(&mut session).events, ["receipt of Call #3 received"]);
    assert_eq!((forever.stamp(), due.stamp()), (1.into(), 4.into()));
    session.cancel(due);
    let due = session.call(T0, Some(ms(4000))).unwrap();
    drain(&mut session);
    assert_eq!(due.stamp(), 6.into());

    act(&mut session, ms(1000), Time);
    act(&mut session, ms(2000), Time);
    let said = act(&mut session, ms(4000), Time);
    assert_eq!(said.outputs, [DEAD]);
    let dead = "1006 wse.heartbeat-timeout";
    assert_eq!(
        said.events,
        [
            "ended #6 timeout".to_owned(),
            format!("receipt of Message #5 closed {dead}"),
            format!("receipt of Answer #theirs closed {dead}"),
            format!("receipt of Call #2 closed {dead}"),
            format!("ended #1 disconnected {dead}"),
            format!("ended #2 disconnected {dead}"),
            format!("ended #3 disconnected {dead}"),
        ]
    );
    assert_eq!((session.calls_waiting(), session.receipts_waiting()), (0, 0));
    assert!(session.call(ms(4000), None).is_err());
}

#[test]
fn nothing_beats_after_the_end() {
    type End = fn(&mut Session);
    let ends: [(&str, End); 5] = [
        ("close", |session| session.close(Close::normal(CloseReason::ByServer))),
        ("closed", |session| session.handle_closed(&Close::VANISHED)),
        ("refuse", |session| session.refuse()),
        ("violation", |session| session.handle_message(T0, message("hi"))),
        ("dead", |session| {
            dies(session);
        }),
    ];
    for (name, end) in ends {
        // Whether a ping waits for its pong or not.
        for waits in [false, true] {
            let mut session = watching(HEARTBEAT);
            if waits {
                act(&mut session, T0, Time);
            }
            end(&mut session);
            drain(&mut session);
            assert!(session.is_closed(), "{name}");
            assert_eq!(session.poll_timeout(), None, "{name}");
            assert_eq!(session.poll_heartbeat(), None, "{name}");
            for step in [Time, Life, Pong("1"), Hears("ping"), Hears("message"), Time] {
                assert_eq!(act(&mut session, ms(100_000), step), Said::nothing(), "{name}");
            }
        }
    }
}

/// A silent unauthenticated connection is watched too, but the deadline of the greeting comes first.
#[test]
fn a_stranger_is_watched_while_the_greeting_lasts() {
    let session = Session::server(PROTOCOL, Some(ms(2500)), SessionLimits::default());
    let rows: &[Row] = &[
        (0, Time, &["ping 1"], &[], Live),
        (1000, Time, &["ping 2"], &["Late"], Late),
        (1500, Pong("2"), &[], &["Live"], Live),
        (2500, Time, &["close 1000 wse.not-authorized"], &[], Live),
        (9000, Time, &[], &[], Live),
    ];
    follows(&mut session.with_heartbeat(HEARTBEAT, None, T0, 0.0), rows);
    let session = Session::server(PROTOCOL, Some(ms(9000)), SessionLimits::default());
    let mut session = session.with_heartbeat(HEARTBEAT, None, T0, 0.0);
    assert_eq!(dies(&mut session), ms(3000));
}

#[test]
fn a_check_pings_at_once_and_waits_for_less_time() {
    let mut session = watching(Heartbeat::fixed(ms(20_000), ms(60_000)));
    follows(&mut session, &[(0, Time, &["ping 1"], &[], Live), (40, Pong("1"), &[], &[], Live)]);
    session.check_now(ms(5000));
    assert_eq!(session.poll_heartbeat(), Some(ms(5000)));
    let rows: &[Row] = &[
        (5000, Time, &["ping 2"], &[], Live),
        (7999, Time, &[], &[], Live),
        // It is there: the usual times apply again.
        (7999, Life, &[], &[], Live),
        (24_999, Time, &[], &[], Live),
        (25_000, Time, &["ping 3"], &[], Live),
        (45_000, Time, &["ping 4"], &["Late"], Late),
    ];
    follows(&mut session, rows);
    // The silence before a check does not count.
    session.check_now(ms(84_000));
    let rows: &[Row] = &[
        (84_000, Time, &["ping 5"], &[], Late),
        (86_999, Time, &[], &[], Late),
        (87_000, Time, &[DEAD], &[], Late),
    ];
    follows(&mut session, rows);
    session.check_now(ms(88_000));
    assert_eq!(act(&mut session, ms(88_000), Time), Said::nothing());
}

#[test]
fn a_check_is_no_slower_than_the_heartbeat_and_allows_for_slow_links() {
    // Round-trip time, timeout of the heartbeat, how long the check waits.
    for (rtt, timeout, waits) in [(40, 2000, 2000), (40, 3001, 3000), (700, 60_000, 7000)] {
        let mut session = watching(Heartbeat::fixed(ms(20_000), ms(timeout)));
        session.handle_timeout(T0);
        session.handle_pong(ms(rtt), b"1");
        session.check_now(ms(5000));
        session.handle_timeout(ms(5000));
        drain(&mut session);
        let end = 5000 + waits;
        assert_eq!(act(&mut session, ms(end - 1), Time), Said::nothing(), "{rtt} {timeout}");
        assert_eq!(act(&mut session, ms(end), Time), Said::new(&[DEAD], &[]), "{rtt} {timeout}");
    }
    // Without a heartbeat there is nothing to send.
    let mut session = server();
    session.check_now(T0);
    assert_eq!(act(&mut session, ms(99_000), Time), Said::nothing());
}

#[test]
fn checks_in_a_row_put_nothing_off_and_keep_to_the_rate_of_pings() {
    let mut session = watching(Heartbeat::fixed(ms(20_000), ms(60_000)));
    follows(&mut session, &[(0, Time, &["ping 1"], &[], Live), (10, Pong("1"), &[], &[], Live)]);
    // Answered at once each time: one ping in 50 ms.
    let mut pings = 0;
    for at in (20..1020).step_by(5) {
        session.check_now(ms(at));
        let said = act(&mut session, ms(at), Time);
        pings += said.outputs.len();
        act(&mut session, ms(at), Life);
    }
    assert_eq!(pings, 20);
    // Nothing is heard any more.
    for at in (1100..4100).step_by(100) {
        session.check_now(ms(at));
        assert!(!act(&mut session, ms(at), Time).outputs.contains(&DEAD.to_owned()), "{at}");
    }
    assert_eq!(act(&mut session, ms(4100), Time).outputs, [DEAD]);
}

#[test]
fn a_check_of_a_late_peer_is_told_once_when_it_is_heard() {
    let mut session = watching(Heartbeat::fixed(ms(1000), ms(60_000)));
    follows(
        &mut session,
        &[(0, Time, &["ping 1"], &[], Live), (1000, Time, &["ping 2"], &["Late"], Late)],
    );
    session.check_now(ms(1500));
    follows(
        &mut session,
        &[
            (1500, Time, &["ping 3"], &[], Late),
            (2500, Time, &["ping 4"], &[], Late),
            (2600, Life, &[], &["Live"], Live),
        ],
    );
}
