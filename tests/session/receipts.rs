//! Receipts: the table of outcomes row by row, exchanges that are cut at any point, and many promises at once.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use wse_codecs::JsonArray;
use wse_proto::session::{
    CallFailure, CallId, Close, Event, Output, ReceiptFailure, Session, SessionLimits,
};
use wse_proto::{
    Body, Capabilities, Fault, Head, ReceiptOf, SessionMessage, Stamp, UsageError, open, seal,
};

use crate::support::session::*;

const GONE: Close = Close::VANISHED;

/// What is waited for, and under which stamp.
fn expect(session: &mut Session, of: ReceiptOf, stamp: &Stamp, timeout: Option<u64>) {
    session.expect_receipt(T0, of, stamp.clone(), timeout.map(ms)).unwrap();
}

fn receipt(of: ReceiptOf, stamp: &Stamp) -> SessionMessage {
    SessionMessage::raw(Head::Receipt { stamp: stamp.clone(), of }, Bytes::new())
}

fn reply(stamp: &Stamp) -> SessionMessage {
    SessionMessage::raw(Head::reply(stamp.clone()), "r".into())
}

fn fault(stamp: &Stamp) -> SessionMessage {
    SessionMessage::fault(stamp.clone(), Fault::new("mine"))
}

/// The rows of the table in the docs, by their first cell, and what shows them. A row without a test, or a test
/// without a row, fails.
#[test]
fn every_row_of_the_table_of_outcomes_is_true() {
    type Row = (&'static str, fn());
    let rows: [Row; 17] = [
        ("the receipt arrived", || {
            for (of, stamp) in promises() {
                let mut session = client();
                expect(&mut session, of, &stamp, Some(5));
                session.handle_message(T0, receipt(of, &stamp));
                ends(&mut session, &[&format!("receipt of {of:?} #{stamp} received")]);
                session.handle_timeout(ms(5));
                ends(&mut session, &[]);
            }
        }),
        ("the connection ended first", || {
            for (of, stamp) in promises() {
                let mut session = client();
                expect(&mut session, of, &stamp, Some(5));
                session.handle_closed(&GONE);
                ends(&mut session, &[&format!("receipt of {of:?} #{stamp} closed 1006")]);
            }
            assert_eq!(ReceiptFailure::Closed(GONE).status_code(), Some("1"));
        }),
        ("the receipt did not arrive in time (default 5 s)", || {
            for (of, stamp) in promises() {
                let mut session = client();
                expect(&mut session, of, &stamp, Some(5));
                session.handle_timeout(ms(4));
                ends(&mut session, &[]);
                session.handle_timeout(ms(5));
                ends(&mut session, &[&format!("receipt of {of:?} #{stamp} timeout")]);
                session.handle_message(ms(5), receipt(of, &stamp));
                ends(&mut session, &["dropped Receipt"]);
            }
            assert_eq!(ReceiptFailure::TimedOut.status_code(), Some("2"));
        }),
        ("the connection had ended before it was sent", || {
            for mut session in [greeting(), quietly(client(), |s| s.handle_closed(&GONE))] {
                let outcome = session.expect_receipt(T0, ReceiptOf::Message, "s".into(), None);
                assert_eq!(outcome, Err(UsageError::NotReady));
            }
        }),
        ("the peer answered the message as if it were a call", || {
            for answer in [reply, fault] {
                let mut session = client();
                let stamp = session.next_stamp();
                expect(&mut session, ReceiptOf::Message, &stamp, Some(5));
                session.handle_message(T0, answer(&stamp));
                ends(&mut session, &["receipt of Message #1 unsupported"]);
            }
        }),
        ("the protocol has no receipts", || {
            let plain = SILENT.capabilities(Capabilities::NONE);
            let mut session = Session::client(plain, None, SessionLimits::default());
            let outcome = session.expect_receipt(T0, ReceiptOf::Message, "s".into(), None);
            assert_eq!(outcome, Err(UsageError::NoReceipts));
            // Nor does it give any.
            let name = "m".into();
            let head = Head::Message { name, receipt: Some("s".into()), reliable: false };
            drain(&mut session);
            session.handle_message(T0, SessionMessage::raw(head, "p".into()));
            assert_eq!(drain(&mut session), Said::new(&[], &["message m p"]));
        }),
        ("answered after its receipt", || {
            let (mut session, call) = calling(Some(9), Some(None));
            session.handle_message(T0, receipt(ReceiptOf::Call, &call.stamp()));
            ends(&mut session, &["receipt of Call #1 received"]);
            session.handle_message(T0, reply(&call.stamp()));
            ends(&mut session, &["ended #1 ok r"]);
        }),
        ("answered without a receipt", || {
            let (mut session, call) = calling(Some(9), Some(Some(5)));
            session.handle_message(T0, reply(&call.stamp()));
            ends(&mut session, &["receipt of Call #1 unsupported", "ended #1 ok r"]);
            session.handle_timeout(ms(9));
            ends(&mut session, &[]);
        }),
        ("the connection ended, no receipt asked for", || {
            let (mut session, _) = calling(Some(9), None);
            session.handle_closed(&GONE);
            ends(&mut session, &["ended #1 disconnected 1006"]);
            assert_eq!(CallFailure::Disconnected(GONE).status_code(None), Some("1"));
        }),
        ("the connection ended after the receipt", || {
            let (mut session, call) = calling(Some(9), Some(None));
            session.handle_message(T0, receipt(ReceiptOf::Call, &call.stamp()));
            session.handle_closed(&GONE);
            let expected = ["receipt of Call #1 received", "ended #1 disconnected 1006"];
            ends(&mut session, &expected);
            code(CallFailure::Disconnected(GONE), Ok(()), "1.1");
        }),
        ("the connection ended before the receipt", || {
            let (mut session, _) = calling(Some(9), Some(None));
            session.handle_closed(&GONE);
            let expected = ["receipt of Call #1 closed 1006", "ended #1 disconnected 1006"];
            ends(&mut session, &expected);
            let failure = ReceiptFailure::Closed(GONE);
            code(CallFailure::Disconnected(GONE), Err(failure), "1.2");
        }),
        ("the connection ended, the receipt was late already", || {
            let (mut session, _) = calling(Some(9), Some(Some(5)));
            session.handle_timeout(ms(5));
            ends(&mut session, &["receipt of Call #1 timeout"]);
            assert_eq!(session.calls_waiting(), 1, "it never ends its call");
            session.handle_closed(&GONE);
            ends(&mut session, &["ended #1 disconnected 1006"]);
            code(CallFailure::Disconnected(GONE), Err(ReceiptFailure::TimedOut), "1.3");
        }),
        ("no answer in time, no receipt asked for", || {
            let (mut session, _) = calling(Some(9), None);
            session.handle_timeout(ms(9));
            ends(&mut session, &["ended #1 timeout"]);
            assert_eq!(CallFailure::Timeout.status_code(None), Some("2"));
        }),
        ("no answer in time after the receipt", || {
            let (mut session, call) = calling(Some(9), Some(None));
            session.handle_message(T0, receipt(ReceiptOf::Call, &call.stamp()));
            session.handle_timeout(ms(9));
            ends(&mut session, &["receipt of Call #1 received", "ended #1 timeout"]);
            code(CallFailure::Timeout, Ok(()), "2.1");
        }),
        ("no answer in time, nor a receipt", || {
            let (mut session, _) = calling(Some(9), Some(None));
            session.handle_timeout(ms(9));
            ends(&mut session, &["receipt of Call #1 outstanding", "ended #1 timeout"]);
            code(CallFailure::Timeout, Err(ReceiptFailure::Outstanding), "2.2");
        }),
        ("no answer in time, the receipt was late already", || {
            let (mut session, _) = calling(Some(9), Some(Some(5)));
            session.handle_timeout(ms(9));
            ends(&mut session, &["receipt of Call #1 timeout", "ended #1 timeout"]);
            code(CallFailure::Timeout, Err(ReceiptFailure::TimedOut), "2.3");
        }),
        ("the procedure failed", || {
            let (mut session, call) = calling(Some(9), Some(None));
            session.handle_message(T0, receipt(ReceiptOf::Call, &call.stamp()));
            session.handle_message(T0, fault(&call.stamp()));
            ends(&mut session, &["receipt of Call #1 received", "ended #1 fault mine"]);
            let (mut session, call) = calling(Some(9), Some(None));
            session.handle_message(T0, fault(&call.stamp()));
            ends(&mut session, &["receipt of Call #1 unsupported", "ended #1 fault mine"]);
            assert_eq!(CallFailure::Fault(Fault::new("mine")).status_code(Some(&Ok(()))), None);
        }),
    ];
    let docs = include_str!("../../wse-proto/src/session/receipts.rs");
    let documented = docs.lines().filter_map(|line| {
        let row = line.strip_prefix("//! | ")?;
        let first = row.split(" | ").next()?;
        (!first.starts_with("what happened") && !first.starts_with("---")).then_some(first)
    });
    assert!(documented.eq(rows.iter().map(|(name, _)| *name)), "docs and tests differ");
    for (_, check) in rows {
        check();
    }
}

/// One of each.
fn promises() -> [(ReceiptOf, Stamp); 2] {
    [(ReceiptOf::Message, "mine".into()), (ReceiptOf::Answer, "theirs".into())]
}

/// A call, and maybe a receipt that is waited for, maybe with a time limit.
fn calling(timeout: Option<u64>, receipt: Option<Option<u64>>) -> (Session, CallId) {
    let mut session = client();
    let call = session.call(T0, timeout.map(ms)).unwrap();
    if let Some(limit) = receipt {
        expect(&mut session, ReceiptOf::Call, &call.stamp(), limit);
    }
    (session, call)
}

fn ends(session: &mut Session, events: &[&str]) {
    assert_eq!(drain(session), Said::new(&[], events));
}

fn code(failure: CallFailure, receipt: Result<(), ReceiptFailure>, expected: &str) {
    assert_eq!(failure.status_code(Some(&receipt)), Some(expected));
}

#[test]
fn a_receipt_is_given_before_what_it_is_for_is_handled() {
    let call = |receipt| Head::Call { name: "c".into(), stamp: "s".into(), receipt, timeout: None };
    let table = [
        (
            Head::Message { name: "m".into(), receipt: Some("s".into()), reliable: false },
            Said::new(&["send ~wse:receipt #s"], &["message m p"]),
        ),
        (call(true), Said::new(&["send ~wse:receipt #s"], &["call c #s p"])),
        (call(false), Said::new(&[], &["call c #s p"])),
        // Of an answer that nobody waits for there is none: its sender shall not think that it was of use.
        (Head::Reply { stamp: "s".into(), receipt: true }, Said::new(&[], &["dropped Answer"])),
    ];
    for (head, expected) in table {
        let mut session = server();
        session.handle_message(T0, SessionMessage::raw(head.clone(), "p".into()));
        assert_eq!(drain(&mut session), expected, "{head:?}");
    }
    let (mut session, call) = calling(None, None);
    let head = Head::Reply { stamp: call.stamp(), receipt: true };
    session.handle_message(T0, SessionMessage::raw(head, "r".into()));
    assert_eq!(drain(&mut session), Said::new(&["send ~wse:receipt #1"], &["ended #1 ok r"]));
}

/// A peer that tells nothing but the stamp means a message or a call: ours never have the same.
#[test]
fn a_receipt_may_leave_open_whether_it_is_of_a_message_or_a_call() {
    let mut session = client();
    let message = session.next_stamp();
    expect(&mut session, ReceiptOf::Message, &message, None);
    let call = session.call(T0, None).unwrap();
    expect(&mut session, ReceiptOf::Call, &call.stamp(), None);
    assert_ne!(message, call.stamp());
    session.handle_message(T0, receipt(ReceiptOf::Call, &message));
    ends(&mut session, &["receipt of Message #1 received"]);
    session.handle_message(T0, receipt(ReceiptOf::Message, &call.stamp()));
    ends(&mut session, &["receipt of Call #2 received"]);
    // But the peer's stamps are another matter.
    expect(&mut session, ReceiptOf::Answer, &"7".into(), None);
    session.handle_message(T0, receipt(ReceiptOf::Call, &"7".into()));
    ends(&mut session, &["dropped Receipt"]);
}

#[test]
fn what_was_never_sent_comes_twice_or_belongs_elsewhere_is_dropped() {
    let mut session = client();
    expect(&mut session, ReceiptOf::Message, &"m".into(), None);
    for stamp in ["never", "", "0", "toString"] {
        for of in [ReceiptOf::Message, ReceiptOf::Call, ReceiptOf::Answer] {
            session.handle_message(T0, receipt(of, &stamp.into()));
            ends(&mut session, &["dropped Receipt"]);
        }
    }
    session.handle_message(T0, receipt(ReceiptOf::Message, &"m".into()));
    session.handle_message(T0, receipt(ReceiptOf::Message, &"m".into()));
    ends(&mut session, &["receipt of Message #m received", "dropped Receipt"]);
    // The same stamp on another connection.
    let mut other = client();
    other.handle_message(T0, receipt(ReceiptOf::Message, &"m".into()));
    ends(&mut other, &["dropped Receipt"]);
    assert_eq!((session.receipts_waiting(), session.poll_timeout()), (0, None));
}

#[test]
fn receipts_are_bounded_and_their_stamps_are_their_own() {
    let mut limits = SessionLimits::default();
    limits.receipts = 2;
    let mut session = Session::client(SILENT, None, limits);
    let mut expect =
        |stamp: &str| session.expect_receipt(T0, ReceiptOf::Message, stamp.into(), None);
    assert_eq!(expect("a"), Ok(()));
    assert_eq!(expect("a"), Err(UsageError::StampInUse));
    assert_eq!(expect("b"), Ok(()));
    assert_eq!(expect("c"), Err(UsageError::TooManyReceipts));
    session.forget_receipt(ReceiptOf::Message, "a".into());
    assert_eq!(session.expect_receipt(T0, ReceiptOf::Message, "c".into(), None), Ok(()));
}

#[test]
fn what_may_come_again_is_handled_once_and_receipted_each_time() {
    let again = |stamp: &str| {
        let head = Head::Message { name: "m".into(), receipt: Some(stamp.into()), reliable: true };
        SessionMessage::raw(head, "p".into())
    };
    let mut first = server();
    first.handle_message(T0, again("a"));
    first.handle_message(T0, again("a"));
    first.handle_message(T0, again("b"));
    let receipts = ["send ~wse:receipt #a", "send ~wse:receipt #a", "send ~wse:receipt #b"];
    let events = ["message m p", "dropped Duplicate", "message m p"];
    assert_eq!(drain(&mut first), Said::new(&receipts, &events));
    // Another connection of the same peer, and one of another.
    let window = wse_proto::session::Duplicates::default();
    for (mut session, expected) in [(server(), "message m p"), (server(), "dropped Duplicate")] {
        session.share_duplicates(window.clone());
        session.handle_message(T0, again("a"));
        assert_eq!(drain(&mut session), Said::new(&["send ~wse:receipt #a"], &[expected]));
    }
    let mut other = server();
    other.handle_message(T0, again("a"));
    assert_eq!(drain(&mut other).events, ["message m p"]);
}

/// What either side of an exchange may do.
#[derive(Clone, Debug)]
enum Step {
    Message {
        receipt: Option<u64>,
    },
    Call {
        timeout: Option<u64>,
        receipt: Option<Option<u64>>,
    },
    /// Answers the oldest call of the other side that waits for it here.
    Answer {
        fault: bool,
        receipt: Option<u64>,
    },
    Cancel,
    /// Hands over the oldest message that is under way.
    Deliver,
    Pass {
        time: u64,
    },
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let limit = || 1..30_u64;
    let step = prop_oneof![
        2 => prop::option::of(limit()).prop_map(|receipt| Step::Message { receipt }),
        3 => (prop::option::of(limit()), prop::option::of(prop::option::of(limit())))
            .prop_map(|(timeout, receipt)| Step::Call { timeout, receipt }),
        3 => (any::<bool>(), prop::option::of(limit()))
            .prop_map(|(fault, receipt)| Step::Answer { fault, receipt }),
        1 => Just(Step::Cancel),
        8 => Just(Step::Deliver),
        1 => (1..10_u64).prop_map(|time| Step::Pass { time }),
    ];
    (any::<bool>(), step)
}

/// One side: its session, what it promised somebody, and what it has to answer.
struct Side {
    session: Session,
    /// What is under way to it.
    inbox: Vec<Bytes>,
    promised: BTreeMap<String, u32>,
    to_answer: Vec<Stamp>,
    last_call: Option<CallId>,
}

impl Side {
    fn new() -> Self {
        let mut session = Session::client(SILENT, None, SessionLimits::default());
        drain(&mut session);
        Self {
            session,
            inbox: Vec::new(),
            promised: BTreeMap::new(),
            to_answer: Vec::new(),
            last_call: None,
        }
    }

    fn send(&self, head: Head, wire: &mut Vec<Bytes>) {
        put(&SessionMessage::raw(head, "1".into()), wire);
    }

    /// Takes what the session wants and tells. Each promise ends once, in a way that the table knows.
    fn settle(&mut self, wire: &mut Vec<Bytes>) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(message) => put(&message, wire),
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = self.session.poll_event() {
            let ended = match event {
                Event::CallEnded { call, outcome } => {
                    assert!(matches!(
                        outcome,
                        Ok(_)
                            | Err(CallFailure::Fault(_)
                                | CallFailure::Timeout
                                | CallFailure::Disconnected(_))
                    ));
                    format!("call {}", call.stamp())
                }
                Event::ReceiptEnded { of, stamp, outcome } => {
                    // Both sides give receipts: nobody is found not to, unless its receipt was for a message
                    // that was answered, which no step does, or a call whose receipt had come.
                    assert!(!matches!(outcome, Err(ReceiptFailure::Unsupported)), "{of:?} {stamp}");
                    format!("receipt {of:?} {stamp}")
                }
                Event::Call { stamp, .. } => {
                    self.to_answer.push(stamp);
                    continue;
                }
                Event::Cancelled { stamp } => {
                    self.to_answer.retain(|waiting| *waiting != stamp);
                    continue;
                }
                _ => continue,
            };
            *self.promised.get_mut(&ended).expect("promised") += 1;
        }
    }

    fn promise(&mut self, what: String) {
        assert_eq!(self.promised.insert(what, 0), None);
    }

    /// Forgotten by choice: it must not end any more.
    fn forget(&mut self, call: CallId) {
        for what in [format!("call {}", call.stamp()), format!("receipt Call {}", call.stamp())] {
            if self.promised.get(&what) == Some(&0) {
                self.promised.remove(&what);
            }
        }
    }
}

fn put(message: &SessionMessage, wire: &mut Vec<Bytes>) {
    let mut out = BytesMut::new();
    seal(&JsonArray, message, &mut out);
    wire.push(out.freeze());
}

fn act(step: &Step, side: &mut Side, other: &mut Side, now: &mut Duration) {
    let wire = &mut other.inbox;
    match step {
        Step::Message { receipt } => {
            let stamp = receipt.map(|limit| {
                let stamp = side.session.next_stamp();
                let limit = Some(ms(limit));
                let of = ReceiptOf::Message;
                side.session.expect_receipt(*now, of, stamp.clone(), limit).unwrap();
                side.promise(format!("receipt {of:?} {stamp}"));
                stamp
            });
            let head = Head::Message { name: "m".into(), receipt: stamp, reliable: false };
            side.send(head, wire);
        }
        Step::Call { timeout, receipt } => {
            let call = side.session.call(*now, timeout.map(ms)).unwrap();
            side.promise(format!("call {}", call.stamp()));
            if let Some(limit) = receipt {
                let of = ReceiptOf::Call;
                let limit = limit.map(ms);
                side.session.expect_receipt(*now, of, call.stamp(), limit).unwrap();
                side.promise(format!("receipt {of:?} {}", call.stamp()));
            }
            side.last_call = Some(call);
            let receipt = receipt.is_some();
            let (name, stamp) = ("c".into(), call.stamp());
            side.send(Head::Call { name, stamp, receipt, timeout: None }, wire);
        }
        Step::Answer { fault, receipt } => {
            if side.to_answer.is_empty() {
                return;
            }
            let stamp = side.to_answer.remove(0);
            if let Some(limit) = receipt {
                let of = ReceiptOf::Answer;
                let limit = Some(ms(*limit));
                side.session.expect_receipt(*now, of, stamp.clone(), limit).unwrap();
                side.promise(format!("receipt {of:?} {stamp}"));
            }
            let receipt = receipt.is_some();
            if *fault {
                let body = Body::Fault(Fault::new("mine"));
                put(&SessionMessage { head: Head::Fault { stamp, receipt }, body }, wire);
            } else {
                side.send(Head::Reply { stamp, receipt }, wire);
            }
        }
        Step::Cancel => {
            if let Some(call) = side.last_call.take() {
                side.session.cancel(call);
                side.forget(call);
                side.settle(wire);
            }
        }
        Step::Deliver => {
            if !side.inbox.is_empty() {
                let message = side.inbox.remove(0);
                side.session.handle_message(*now, open(&JsonArray, (&message).into()).unwrap());
                side.settle(wire);
            }
        }
        Step::Pass { time } => {
            *now += ms(*time);
            side.session.handle_timeout(*now);
            side.settle(wire);
            other.session.handle_timeout(*now);
            other.settle(&mut side.inbox);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The exchange is cut behind each of its steps in turn, either by an end that both sides learn of, or by
    /// silence until all time is over.
    #[test]
    fn a_link_cut_anywhere_ends_every_promise_exactly_once(
        steps in vec(step(), 1..60),
        silent: bool,
    ) {
        for cut in 0..=steps.len() {
            let (mut left, mut right, mut now) = (Side::new(), Side::new(), T0);
            for (leftwards, step) in &steps[..cut] {
                match leftwards {
                    true => act(step, &mut left, &mut right, &mut now),
                    false => act(step, &mut right, &mut left, &mut now),
                }
            }
            for side in [&mut left, &mut right] {
                if silent {
                    side.session.handle_timeout(now + ms(1000));
                    side.settle(&mut Vec::new());
                }
                side.session.handle_closed(&GONE);
                side.settle(&mut Vec::new());
                for (what, ended) in &side.promised {
                    prop_assert_eq!(*ended, 1, "{} of {:?}", what, &steps[..cut]);
                }
                prop_assert_eq!(side.session.calls_waiting(), 0);
                prop_assert_eq!(side.session.receipts_waiting(), 0);
                prop_assert_eq!(side.session.poll_timeout(), None);
            }
        }
    }
}

/// Ten thousand calls, each with a receipt, end in every way there is, in no order.
#[test]
fn ten_thousand_pending_calls_leave_nothing_behind() {
    const COUNT: usize = 10_000;
    let mut limits = SessionLimits::default();
    (limits.calls, limits.receipts) = (COUNT, COUNT);
    let mut session = Session::client(SILENT, None, limits);
    drain(&mut session);
    let mut seed = 1_u64;
    let mut luck = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut calls: Vec<CallId> = (0..COUNT)
        .map(|_| {
            let timeout = ms(luck(10_000) as u64 + 1);
            let call = session.call(T0, Some(timeout)).unwrap();
            let limit = Some(ms(luck(10_000) as u64 + 1));
            session.expect_receipt(T0, ReceiptOf::Call, call.stamp(), limit).unwrap();
            call
        })
        .collect();
    assert_eq!((session.calls_waiting(), session.receipts_waiting()), (COUNT, COUNT));
    let (mut ended, mut cancelled) = (0, 0);
    let mut now = T0;
    while !calls.is_empty() {
        let call = calls.swap_remove(luck(calls.len()));
        let waiting = session.calls_waiting();
        match luck(4) {
            0 => {
                session.cancel(call);
                cancelled += waiting - session.calls_waiting();
            }
            1 => session.handle_message(now, reply(&call.stamp())),
            2 => {
                session.handle_message(now, receipt(ReceiptOf::Call, &call.stamp()));
                session.handle_message(now, fault(&call.stamp()));
            }
            _ => {
                now += ms(1);
                session.handle_timeout(now);
            }
        }
        let said = drain(&mut session);
        ended += said.events.iter().filter(|event| event.starts_with("ended")).count();
    }
    session.handle_timeout(ms(10_000));
    let said = drain(&mut session);
    ended += said.events.iter().filter(|event| event.starts_with("ended")).count();
    assert_eq!(ended + cancelled, COUNT, "each once");
    assert_eq!((session.calls_waiting(), session.receipts_waiting()), (0, 0));
    assert_eq!(session.poll_timeout(), None);
}
