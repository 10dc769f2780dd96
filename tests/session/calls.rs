//! Calls that wait for their answers.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use wse_proto::session::{CallFailure, CallId, Close, Event, Output, Session, SessionLimits};
use wse_proto::{
    Body, Capabilities, CloseReason, CodecError, ErrorCode, Fault, Head, ReceiptOf, SessionMessage,
    Stamp, Unread, UsageError,
};

use crate::support::session::*;

/// A server's session that is ready and may have this many calls waiting.
fn limited(calls: usize) -> Session {
    let mut limits = SessionLimits::default();
    limits.calls = calls;
    let session = Session::server(SILENT, None, limits);
    quietly(session, |session| session.accept(T0, "".into()).unwrap())
}

fn dropped(answers: usize) -> Said {
    ended(&vec!["dropped Answer"; answers])
}

fn ended(outcomes: &[&str]) -> Said {
    Said::new(&[], outcomes)
}

#[test]
fn answers_find_their_calls_in_any_order() {
    for mut session in [server(), client()] {
        let calls: Vec<_> = (0..4).map(|_| session.call(T0, None).unwrap()).collect();
        let stamps: HashSet<_> = calls.iter().map(|call| call.stamp()).collect();
        assert_eq!(stamps.len(), 4, "stamps repeat");
        for at in [2, 0, 3, 1] {
            session.handle_message(T0, reply(calls[at].stamp(), "r"));
            let outcome = format!("ended #{} ok r", calls[at].stamp());
            assert_eq!(drain(&mut session), ended(&[&outcome]));
        }
        assert_eq!(session.calls_waiting(), 0);
    }
}

#[test]
fn a_fault_ends_its_call() {
    let mut session = client();
    let call = session.call(T0, None).unwrap();
    let fault = Fault::new("mine").message("no").details("{}".into());
    session.handle_message(T0, SessionMessage::fault(call.stamp(), fault.clone()));
    let Some(Event::CallEnded { call: seen, outcome }) = session.poll_event() else { panic!() };
    assert_eq!(seen, call);
    assert_eq!(outcome, Err(CallFailure::Fault(fault)));
    assert_eq!(session.calls_waiting(), 0);
}

/// What the message was decides who learns of it.
#[test]
fn a_message_that_cannot_be_read_ends_or_fails_its_call() {
    let reports = SILENT.capabilities(Capabilities::NONE.receipts().error_reports());
    let session = Session::server(reports, None, SessionLimits::default());
    let mut session = quietly(session, |session| session.accept(T0, "".into()).unwrap());
    let unreadable = |unread| {
        let error = CodecError::shape("the params", "not an array");
        match unread {
            Some(unread) => error.with_unread(unread),
            None => error,
        }
    };
    let seen = "unreadable not an envelope: the params: not an array";
    let text = "not an envelope: the params: not an array";

    session.handle_undecodable(unreadable(Some(Unread::Call("s".into()))));
    let Some(Output::Send(SessionMessage { head, body: Body::Fault(fault) })) =
        session.poll_output()
    else {
        panic!()
    };
    assert_eq!(head, Head::fault("s".into()));
    assert_eq!(fault, Fault::new(ErrorCode::ProtocolViolation).message(text));
    assert_eq!(drain(&mut session), ended(&[seen]));

    let call = session.call(T0, None).unwrap();
    session.expect_receipt(T0, ReceiptOf::Call, call.stamp(), None).unwrap();
    session.handle_undecodable(unreadable(Some(Unread::Answer(None))));
    session.handle_undecodable(unreadable(Some(Unread::Answer(Some("99".into())))));
    assert_eq!(drain(&mut session), ended(&[seen, seen]));
    session.handle_undecodable(unreadable(Some(Unread::Answer(Some(call.stamp())))));
    let receipt = format!("receipt of Call #{} unsupported", call.stamp());
    let Some(Event::ReceiptEnded { .. }) = session.poll_event() else { panic!("{receipt}") };
    let Some(Event::CallEnded { call: over, outcome }) = session.poll_event() else { panic!() };
    assert_eq!((over, outcome), (call, Err(CallFailure::Unreadable(text.to_owned()))));
    assert_eq!(drain(&mut session), ended(&[seen]));
    assert_eq!(session.calls_waiting(), 0);

    session.handle_undecodable(unreadable(None));
    let Some(Output::Send(message)) = session.poll_output() else { panic!() };
    assert_eq!(message.head, Head::ErrorReport);
    drain(&mut session);

    // Without error reports each of them closes the connection.
    for unread in [Unread::Call("s".into()), Unread::Answer(None)] {
        let mut session = limited(1);
        session.handle_undecodable(unreadable(Some(unread)));
        assert_eq!(drain(&mut session), Said::violation());
    }
}

#[test]
fn a_stamp_is_never_used_again() {
    let mut session = client();
    let mut seen = HashSet::new();
    for round in 0..100 {
        let call = session.call(T0, Some(ms(1))).unwrap();
        assert!(seen.insert(call.stamp()));
        match round % 3 {
            0 => session.cancel(call),
            1 => session.handle_timeout(T0 + ms(1)),
            _ => session.handle_message(T0, reply(call.stamp(), "")),
        }
    }
    assert_eq!(session.calls_waiting(), 0);
}

/// Two JavaScript peers answer one late answer without end.
#[test]
fn an_answer_to_no_call_is_dropped_without_a_word() {
    let other = client().call(T0, None).unwrap().stamp();
    let stamps =
        ["", "0", "01", "+1", " 1", "1 ", "1.0", "2", "x", "toString", "18446744073709551617"];
    let foreign = stamps.into_iter().map(Stamp::from).chain([Stamp::Int(1), Stamp::Int(-1)]);
    for stamp in foreign {
        let mut session = client();
        let call = session.call(T0, None).unwrap();
        session.handle_message(T0, reply(stamp.clone(), "r"));
        session.handle_message(T0, SessionMessage::fault(stamp.clone(), Fault::new("code")));
        assert_eq!(drain(&mut session), dropped(2), "{stamp:?}");
        assert_eq!(session.calls_waiting(), 1, "{stamp:?}");
        assert_eq!(call.stamp(), other, "sessions count alike");
    }
    // The stamp of another session's call means nothing where there is no such call.
    let mut session = client();
    session.handle_message(T0, reply(other, "r"));
    assert_eq!(drain(&mut session), dropped(1));
}

#[test]
fn only_the_first_answer_counts() {
    let mut session = client();
    let call = session.call(T0, Some(ms(10))).unwrap();
    session.handle_message(T0, reply(call.stamp(), "first"));
    session.handle_message(T0, reply(call.stamp(), "second"));
    session.handle_message(T0, SessionMessage::fault(call.stamp(), Fault::new("third")));
    assert_eq!(drain(&mut session), ended(&["ended #1 ok first"]).then(dropped(2)));
    session.handle_timeout(ms(10));
    assert_eq!(drain(&mut session), Said::nothing());
}

#[test]
fn a_late_answer_is_dropped_without_a_word() {
    let mut session = client();
    let call = session.call(T0, Some(ms(10))).unwrap();
    session.handle_timeout(ms(10));
    assert_eq!(drain(&mut session), ended(&["ended #1 timeout"]));
    session.handle_message(ms(10), reply(call.stamp(), "r"));
    assert_eq!(drain(&mut session), dropped(1));
}

#[test]
fn timeouts_come_in_the_order_of_their_deadlines() {
    let mut session = client();
    for timeout in [Some(30), Some(10), None, Some(20), Some(10)] {
        session.call(ms(100), timeout.map(ms)).unwrap();
    }
    assert_eq!(session.poll_timeout(), Some(ms(110)));
    session.handle_timeout(ms(109));
    assert_eq!(drain(&mut session), Said::nothing());
    session.handle_timeout(ms(110));
    assert_eq!(drain(&mut session), ended(&["ended #2 timeout", "ended #5 timeout"]));
    assert_eq!(session.poll_timeout(), Some(ms(120)));
    session.handle_timeout(ms(500));
    assert_eq!(drain(&mut session), ended(&["ended #4 timeout", "ended #1 timeout"]));
    assert_eq!(session.poll_timeout(), None);
    assert_eq!(session.calls_waiting(), 1);
}

#[test]
fn a_timeout_beyond_the_end_of_time_never_comes() {
    let mut session = client();
    session.call(ms(1), Some(Duration::MAX)).unwrap();
    session.handle_timeout(Duration::from_secs(u64::MAX));
    assert_eq!(drain(&mut session), Said::nothing());
    assert_eq!(session.calls_waiting(), 1);
}

#[test]
fn only_so_many_calls_wait_at_once() {
    let mut session = limited(2);
    let first = session.call(T0, None).unwrap();
    session.call(T0, Some(ms(1))).unwrap();
    assert_eq!(session.call(T0, None), Err(UsageError::TooManyCalls));
    assert_eq!(session.calls_waiting(), 2);
    session.cancel(first);
    assert!(session.call(T0, None).is_ok());
    assert_eq!(session.call(T0, None), Err(UsageError::TooManyCalls));
    session.handle_timeout(ms(1));
    assert!(session.call(T0, None).is_ok());
    assert_eq!(limited(0).call(T0, None), Err(UsageError::TooManyCalls));
}

#[test]
fn a_thousand_and_twenty_four_calls_wait_unless_said_otherwise() {
    let mut session = client();
    for _ in 0..1024 {
        session.call(T0, None).unwrap();
    }
    assert_eq!(session.call(T0, None), Err(UsageError::TooManyCalls));
}

#[test]
fn a_cancelled_call_is_forgotten() {
    let mut session = client();
    let call = session.call(T0, Some(ms(10))).unwrap();
    session.cancel(call);
    session.cancel(call);
    assert_eq!(drain(&mut session), Said::new(&["send ~wse:cancel #1"], &[]));
    assert_eq!(session.calls_waiting(), 0);
    assert_eq!(session.poll_timeout(), None);
    session.handle_message(T0, reply(call.stamp(), "r"));
    session.handle_timeout(ms(10));
    session.handle_closed(&Close::VANISHED);
    assert_eq!(drain(&mut session), dropped(1));
}

#[test]
fn calls_wait_for_the_welcome() {
    for mut session in [stranger(), validating(), challenged(), greeting(), solving()] {
        assert_eq!(session.call(T0, None), Err(UsageError::NotReady));
        assert_eq!(session.calls_waiting(), 0);
    }
}

#[test]
fn an_end_fails_all_calls_with_its_code_and_reason_oldest_first() {
    let failures = |close: &str| {
        (1..=3).map(|call| format!("ended #{call} disconnected {close}")).collect::<Vec<_>>()
    };
    let calling = || {
        quietly(server(), |session| {
            for timeout in [Some(ms(30)), None, Some(ms(10))] {
                session.call(T0, timeout).unwrap();
            }
        })
    };
    for close in [
        Close::VANISHED,
        Close::new(1005, CloseReason::None),
        Close::new(1012, "back soon"),
        Close::normal(CloseReason::ByClient),
    ] {
        let mut session = calling();
        session.handle_closed(&close);
        session.handle_closed(&Close::new(1011, "again"));
        let said = drain(&mut session);
        assert_eq!(said, Said { outputs: vec![], events: failures(&close.to_string()) });
        assert_eq!((session.calls_waiting(), session.poll_timeout()), (0, None));
    }

    let mut session = calling();
    session.close(Close::new(4000, CloseReason::Jump));
    session.close(Close::normal(CloseReason::ByServer));
    let said = Said { outputs: vec!["close 4000 jump".to_owned()], events: failures("4000 jump") };
    assert_eq!(drain(&mut session), said);
    session.handle_closed(&Close::VANISHED);
    assert_eq!(drain(&mut session), Said::nothing());

    let mut session = calling();
    session.handle_message(T0, hi("me"));
    let mut events = failures("1000 wse.protocol-error");
    events.insert(0, "violation wse.server.protocol-violation".to_owned());
    assert_eq!(drain(&mut session).events, events);
}

#[test]
fn failures_have_the_codes_of_the_javascript_package() {
    let fault = CallFailure::Fault(Fault::new("mine").message("no"));
    assert_eq!(fault.code(), ErrorCode::from("mine"));
    assert_eq!(fault.to_string(), "the peer answered with a fault: mine: no");
    assert_eq!(CallFailure::Timeout.code().as_str(), "wse.client.rp.timeout");
    let disconnected = CallFailure::Disconnected(Close::new(1012, "back soon"));
    assert_eq!(disconnected.code().as_str(), "wse.client.rp.disconnect");
    assert_eq!(disconnected.to_string(), "the connection ended first: 1012 back soon");
}

/// What can happen to calls. An `index` picks one of all calls ever made, waiting or not.
#[derive(Clone, Debug)]
enum Step {
    Call { timeout: Option<u64> },
    Reply { index: prop::sample::Index },
    Fault { index: prop::sample::Index },
    Foreign { stamp: String },
    Integer { stamp: i64 },
    Cancel { index: prop::sample::Index },
    Pass { time: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => prop::option::of(0..50_u64).prop_map(|timeout| Step::Call { timeout }),
        3 => index().prop_map(|index| Step::Reply { index }),
        1 => index().prop_map(|index| Step::Fault { index }),
        1 => "[0-9+ ~a]{0,4}x".prop_map(|stamp| Step::Foreign { stamp }),
        1 => any::<i64>().prop_map(|stamp| Step::Integer { stamp }),
        1 => index().prop_map(|index| Step::Cancel { index }),
        3 => (0..20_u64).prop_map(|time| Step::Pass { time }),
    ]
}

const LIMIT: usize = 16;

/// Runs the steps on a session and on a naive model, which must agree on every event and number.
fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut session = limited(LIMIT);
    let mut now = T0;
    let mut all: Vec<CallId> = Vec::new();
    let mut waiting: BTreeMap<CallId, Option<Duration>> = BTreeMap::new();
    for step in steps {
        let pick = |index: &prop::sample::Index| {
            if all.is_empty() { None } else { Some(all[index.index(all.len())]) }
        };
        let (mut expected, mut sent) = (Vec::new(), Vec::new());
        let dropped = || "dropped Answer".to_owned();
        match step {
            Step::Call { timeout } => {
                let timeout = timeout.map(ms);
                let call = session.call(now, timeout);
                prop_assert_eq!(call.is_ok(), waiting.len() < LIMIT);
                if let Ok(call) = call {
                    waiting.insert(call, timeout.map(|timeout| now + timeout));
                    all.push(call);
                }
            }
            Step::Reply { index } => {
                let Some(call) = pick(index) else { continue };
                session.handle_message(now, reply(call.stamp(), "r"));
                expected.push(match waiting.remove(&call) {
                    Some(_) => format!("ended #{} ok r", call.stamp()),
                    None => dropped(),
                });
            }
            Step::Fault { index } => {
                let Some(call) = pick(index) else { continue };
                session.handle_message(now, SessionMessage::fault(call.stamp(), Fault::new("f")));
                expected.push(match waiting.remove(&call) {
                    Some(_) => format!("ended #{} fault f", call.stamp()),
                    None => dropped(),
                });
            }
            Step::Foreign { stamp } => {
                session.handle_message(now, reply(stamp.as_str(), "r"));
                expected.push(dropped());
            }
            Step::Integer { stamp } => {
                let head = Head::reply(Stamp::Int(*stamp));
                session.handle_message(now, SessionMessage::raw(head, "r".into()));
                expected.push(dropped());
            }
            Step::Cancel { index } => {
                let Some(call) = pick(index) else { continue };
                session.cancel(call);
                if waiting.remove(&call).is_some() {
                    sent.push(format!("send ~wse:cancel #{}", call.stamp()));
                }
            }
            Step::Pass { time } => {
                now += ms(*time);
                session.handle_timeout(now);
                let mut due: Vec<_> = waiting
                    .iter()
                    .filter_map(|(call, deadline)| deadline.map(|deadline| (deadline, *call)))
                    .filter(|(deadline, _)| *deadline <= now)
                    .collect();
                due.sort();
                for (_, call) in due {
                    waiting.remove(&call);
                    expected.push(format!("ended #{} timeout", call.stamp()));
                }
            }
        }
        prop_assert_eq!(drain(&mut session), Said { outputs: sent, events: expected });
        prop_assert_eq!(session.calls_waiting(), waiting.len());
        // Early by what was cancelled or answered, never late.
        let soonest = waiting.values().flatten().min().copied();
        let due = session.poll_timeout();
        prop_assert_eq!(due.is_some(), soonest.is_some());
        prop_assert!(due <= soonest);
    }
    session.handle_closed(&Close::VANISHED);
    let expected: Vec<_> =
        waiting.keys().map(|call| format!("ended #{} disconnected 1006", call.stamp())).collect();
    prop_assert_eq!(drain(&mut session).events, expected);
    prop_assert_eq!(session.calls_waiting(), 0);
    prop_assert_eq!(session.poll_timeout(), None);
    Ok(())
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn calls_are_what_the_model_says(steps in vec(step(), 0..200)) {
        run(&steps)?;
    }
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn nothing_leaks_over_ten_thousand_steps(steps in vec(step(), 10_000)) {
        run(&steps)?;
    }
}
