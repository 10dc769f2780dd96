//! Greeting, authentication and dialogue of both sides: every phase against every message.

use std::time::Duration;

use wse_proto::session::{Close, Event, FastEvent, Session, SessionLimits};
use wse_proto::{
    Body, CloseReason, CodecError, CodecErrorKind, ErrorCode, FLAG_NOTE, FLAG_RECEIPT, Fault, Head,
    Hi, InternalTypes, SessionMessage, Stamp, UsageError,
};

use crate::support::session::*;

/// What each phase does with each message.
///
/// `-` drops it; `held` keeps it until the application has decided; `violation` closes;
/// anything else is the event or output of that name.
const TABLE: &str = "
               hi        challenge  welcome   message   call      reply     fault     receipt   ping      pong      cancel    note      report
stranger   greeted   violation  violation violation violation violation violation violation violation violation violation violation violation
    validating held      held       held      held      held      held      held      held      held      held      held      held      held
    challenged violation answered   violation violation violation violation violation violation violation violation violation violation violation
    answered   held      held       held      held      held      held      held      held      held      held      held      held      held
    server     violation violation  violation message   call      answer    answer    unasked   pong      unpinged  cancelled received  report
    dropped    -         -          -         -         -         -         -         -         -         -         -         -         -
    gone       -         -          -         -         -         -         -         -         -         -         -         -         -
    greeting   -         challenged ready     -         -         -         -         -         -         -         -         -         -
    solving    -         violation  violation -         -         -         -         -         -         -         -         -         -
    client     violation violation  violation message   call      answer    answer    unasked   pong      unpinged  cancelled received  report
    nobody     held      held       held      held      held      held      held      held      held      held      held      held      held
    open       violation violation  violation message   call      answer    answer    unasked   pong      unpinged  cancelled received  report
";

fn phase(name: &str) -> Session {
    match name {
        "stranger" => stranger(),
        "validating" => validating(),
        "challenged" => challenged(),
        "answered" => answered(),
        "server" => server(),
        "dropped" => quietly(server(), |s| s.close(Close::normal(CloseReason::ByServer))),
        "gone" => quietly(client(), |s| s.handle_closed(&Close::VANISHED)),
        "greeting" => greeting(),
        "solving" => solving(),
        "client" => client(),
        "nobody" => quietly(Session::server(SILENT, None, SessionLimits::default()), |_| ()),
        "open" => quietly(Session::client(SILENT, None, SessionLimits::default()), |_| ()),
        other => panic!("no phase {other}"),
    }
}

fn outcome(cell: &str) -> Said {
    match cell {
        "-" | "held" => Said::nothing(),
        "violation" => Said::violation(),
        "greeted" => Said::new(&[], &["greeted me meta"]),
        "answered" => Said::new(&[], &["answered p"]),
        "challenged" => Said::new(&[], &["challenged p"]),
        "ready" => Said::new(&[], &["ready p"]),
        "message" => Said::new(&[], &["message m p"]),
        "call" => Said::new(&[], &["call c #s p"]),
        "pong" => Said::new(&["send ~wse:pong p"], &[]),
        "answer" => Said::new(&[], &["dropped Answer"]),
        "unasked" => Said::new(&[], &["dropped Receipt"]),
        "unpinged" => Said::new(&[], &["dropped Pong"]),
        "cancelled" => Said::new(&[], &["cancelled #s"]),
        "received" => Said::new(&["send ~wse:receipt #s"], &["message m p"]),
        "report" => Said::new(&[], &["report wse.server.rp.failed"]),
        other => panic!("no outcome {other}"),
    }
}

#[test]
fn every_phase_against_every_message() {
    let mut rows = TABLE.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let header = rows.by_ref().find(|row| !row.is_empty()).unwrap();
    assert_eq!(header, messages().map(|(name, _)| name));
    for row in rows.filter(|row| !row.is_empty()) {
        assert_eq!(row.len(), 1 + header.len(), "{row:?}");
        for (cell, (name, message)) in row[1..].iter().zip(messages()) {
            let case = format!("{} × {name}", row[0]);
            let mut session = phase(row[0]);
            let (ready, closed) = (session.check_ready().is_ok(), session.is_closed());
            session.handle_message(T0, message);
            assert_eq!(drain(&mut session), outcome(cell), "{case}");
            assert_eq!(session.is_closed(), closed || *cell == "violation", "{case}");
            let ready = (ready && *cell != "violation") || *cell == "ready";
            assert_eq!(session.check_ready().is_ok(), ready, "{case}");
        }
    }
}

/// What has passed, as the event that it stands for.
fn event(passed: FastEvent, message: SessionMessage) -> Event {
    let Body::Raw(payload) = message.body else { panic!("the session's own passed") };
    match (passed, message.head) {
        (FastEvent::CallEnded(call), _) => Event::CallEnded { call, outcome: Ok(payload) },
        (FastEvent::Dropped(what), _) => Event::Dropped(what),
        (_, Head::Message { name, .. }) => Event::Message { name, payload },
        (_, Head::Call { name, stamp, timeout, .. }) => {
            Event::Call { name, stamp, timeout, payload }
        }
        (passed, head) => panic!("{passed:?} of {head:?}"),
    }
}

/// The short way says what the long way says, or leaves the message to it.
#[test]
fn passing_a_message_is_handling_it() {
    let with_calls = |mut session: Session| {
        let stamps = [(); 2].map(|()| session.call(T0, None).unwrap().stamp());
        (session, stamps)
    };
    // The first row names the messages.
    for name in TABLE.lines().filter_map(|row| row.split_whitespace().next()).skip(1) {
        let ready = phase(name).check_ready().is_ok();
        let mut all: Vec<SessionMessage> =
            messages().into_iter().map(|(_, message)| message).collect();
        if ready {
            let (_, [_, second]) = with_calls(phase(name));
            all.push(SessionMessage::raw(Head::reply(second.clone()), "p".into()));
            all.push(SessionMessage::fault(second, Fault::new(ErrorCode::Failed)));
        }
        for message in all {
            let begin = || if ready { with_calls(phase(name)).0 } else { phase(name) };
            let (mut short, mut long) = (begin(), begin());
            long.handle_message(T0, message.clone());
            let passed = match short.handle_message_fast(&message.head) {
                Some(passed) => Said {
                    events: vec![event_line(event(passed, message.clone()))],
                    ..Said::nothing()
                },
                None => {
                    short.handle_message(T0, message.clone());
                    Said::nothing()
                }
            };
            let case = format!("{name} × {message:?}");
            assert_eq!(passed.then(drain(&mut short)), drain(&mut long), "{case}");
            assert_eq!(short.calls_waiting(), long.calls_waiting(), "{case}");
        }
    }
}

/// What waits to be polled came first.
#[test]
fn nothing_passes_what_waits() {
    let (_, message) = messages().into_iter().find(|(name, _)| *name == "message").unwrap();
    let mut session = server();
    session.handle_message(T0, message.clone());
    assert_eq!(session.handle_message_fast(&message.head), None);
}

#[test]
fn what_was_held_is_handled_as_if_it_came_behind_the_welcome() {
    for (phase, begin, welcome) in [
        ("validating", validating as fn() -> Session, &["send ~wse:welcome hello"][..]),
        ("answered", answered, &["send ~wse:welcome hello"]),
        ("nobody", || phase("nobody"), &[]),
    ] {
        for (name, message) in messages() {
            let case = format!("{phase} × {name}");
            let mut late = server();
            late.handle_message(T0, message.clone());
            let expected = Said::new(welcome, &[]).then(drain(&mut late));

            let mut early = begin();
            early.handle_message(T0, message);
            assert_eq!(early.accept(T0, "hello".into()), Ok(()), "{case}");
            assert_eq!(drain(&mut early), expected, "{case}");
            assert_eq!(early.is_closed(), late.is_closed(), "{case}");
        }
    }
}

#[test]
fn a_head_with_the_body_of_another_is_a_violation() {
    let fault = || Body::Fault(Fault::new(ErrorCode::Failed));
    let raw = || Body::Raw("p".into());
    for (session, head, body) in [
        (stranger(), Head::Hi, raw()),
        (challenged(), Head::Challenge, Body::Hi(Hi::default())),
        (server(), Head::message("m"), Body::Hi(Hi::default())),
        (server(), Head::call("c", "s".into()), fault()),
        (client(), Head::reply("s".into()), fault()),
        (client(), Head::fault("s".into()), raw()),
        (client(), Head::Ping, fault()),
    ] {
        let mut session = session;
        session.handle_message(T0, SessionMessage { head: head.clone(), body });
        assert_eq!(drain(&mut session), Said::violation(), "{head:?}");
    }
}

#[test]
fn the_greeting_of_both_sides_end_to_end() {
    let hello = Hi { identity: "me".into(), meta: "".into(), resume: None };
    let mut client = Session::client(PROTOCOL, Some(hello), SessionLimits::default());
    assert_eq!(client.check_ready(), Err(UsageError::NotReady));
    assert_eq!(drain(&mut client), Said::new(&["send ~wse:hi me "], &[]));

    let mut server = stranger();
    server.handle_message(T0, hi("me"));
    assert_eq!(drain(&mut server), Said::new(&[], &["greeted me meta"]));
    assert_eq!(server.check_ready(), Err(UsageError::NotReady));
    server.challenge("1+2".into()).unwrap();
    assert_eq!(drain(&mut server), Said::new(&["send ~wse:challenge 1+2"], &[]));

    client.handle_message(T0, SessionMessage::raw(Head::Challenge, "1+2".into()));
    assert_eq!(drain(&mut client), Said::new(&[], &["challenged 1+2"]));
    client.answer("3".into()).unwrap();
    assert_eq!(drain(&mut client), Said::new(&["send ~wse:challenge 3"], &[]));
    assert_eq!(client.answer("4".into()), Err(UsageError::NotAsked));

    server.handle_message(T0, SessionMessage::raw(Head::Challenge, "3".into()));
    assert_eq!(drain(&mut server), Said::new(&[], &["answered 3"]));
    server.accept(T0, "in".into()).unwrap();
    assert_eq!(drain(&mut server), Said::new(&["send ~wse:welcome in"], &[]));
    assert_eq!(server.check_ready(), Ok(()));

    client.handle_message(T0, SessionMessage::raw(Head::Welcome, "in".into()));
    assert_eq!(drain(&mut client), Said::new(&[], &["ready in"]));
    assert_eq!(client.check_ready(), Ok(()));
}

#[test]
fn a_protocol_without_greeting_asks_at_once_and_sends_no_welcome() {
    let mut server = Session::server(SILENT, None, SessionLimits::default());
    assert_eq!(drain(&mut server), Said::new(&[], &["greeted  "]));
    assert_eq!(server.challenge("quest".into()), Err(UsageError::NotAsked));
    server.handle_message(T0, message("message"));
    assert_eq!(drain(&mut server), Said::nothing());
    server.accept(T0, "unseen".into()).unwrap();
    assert_eq!(drain(&mut server), Said::new(&[], &["message m p"]));

    let mut client = Session::client(SILENT, None, SessionLimits::default());
    assert_eq!(drain(&mut client), Said::new(&[], &["ready "]));
    assert_eq!(client.check_ready(), Ok(()));
}

#[test]
fn pipelined_messages_come_in_order_behind_the_welcome() {
    let mut session = validating();
    for name in ["a", "b", "c"] {
        session.handle_message(T0, SessionMessage::raw(Head::message(name), "".into()));
    }
    session.handle_message(T0, message("ping"));
    assert_eq!(drain(&mut session), Said::nothing());
    session.accept(T0, "w".into()).unwrap();
    assert_eq!(
        drain(&mut session),
        Said::new(
            &["send ~wse:welcome w", "send ~wse:pong p"],
            &["message a ", "message b ", "message c "]
        )
    );
}

#[test]
fn eight_messages_are_held_and_the_ninth_closes() {
    for begin in [validating, answered] {
        let mut session = begin();
        for _ in 0..8 {
            session.handle_message(T0, message("message"));
        }
        assert_eq!(drain(&mut session), Said::nothing());
        assert_eq!(session.accept(T0, "w".into()), Ok(()));
        assert_eq!(drain(&mut session).events, ["message m p"; 8]);

        let mut session = begin();
        for _ in 0..9 {
            session.handle_message(T0, message("message"));
        }
        assert_eq!(drain(&mut session), Said::violation());
        assert_eq!(session.accept(T0, "w".into()), Err(UsageError::NotAsked));
        assert_eq!(drain(&mut session), Said::nothing());
    }
}

/// Without a greeting a client cannot know that it is waited for: an honest one may send at once.
#[test]
fn the_application_says_how_many_messages_are_held() {
    for held in [0, 1, 100] {
        let mut limits = SessionLimits::default();
        limits.held = held;
        let mut session = quietly(Session::server(SILENT, None, limits), |_| ());
        for _ in 0..held {
            session.handle_message(T0, message("message"));
        }
        assert_eq!(drain(&mut session), Said::nothing(), "{held}");
        session.handle_message(T0, message("message"));
        assert_eq!(drain(&mut session), Said::violation(), "{held}");
    }
}

#[test]
fn a_second_greeting_behind_the_first_lets_nobody_change_who_it_is() {
    let mut session = validating();
    session.handle_message(T0, hi("somebody else"));
    session.accept(T0, "w".into()).unwrap();
    let said = Said::new(&["send ~wse:welcome w"], &[]).then(Said::violation());
    assert_eq!(drain(&mut session), said);
}

#[test]
fn what_is_pipelined_behind_a_greeting_cannot_answer_a_challenge() {
    for early in ["challenge", "hi", "message"] {
        let mut session = validating();
        session.handle_message(T0, message(early));
        session.challenge("quest".into()).unwrap();
        // The quest is not even told.
        assert_eq!(drain(&mut session), Said::violation(), "{early}");
        session.handle_message(T0, message("challenge"));
        assert_eq!(session.accept(T0, "w".into()), Err(UsageError::NotAsked));
        assert_eq!(drain(&mut session), Said::nothing(), "{early}");
    }
}

/// In the JavaScript original a good answer behind a bad one let the peer in.
#[test]
fn a_wrong_message_during_a_challenge_ends_it_whatever_follows() {
    for (name, wrong) in messages() {
        if name == "challenge" {
            continue;
        }
        let mut session = challenged();
        session.handle_message(T0, wrong);
        session.handle_message(T0, message("challenge"));
        session.handle_message(T0, hi("me"));
        assert_eq!(drain(&mut session), Said::violation(), "{name}");
        assert_no_decision(&mut session);
    }
}

#[test]
fn a_wrong_message_before_the_greeting_ends_it_whatever_follows() {
    for (name, wrong) in messages() {
        if name == "hi" {
            continue;
        }
        let mut session = stranger();
        session.handle_message(T0, wrong);
        session.handle_message(T0, hi("me"));
        assert_eq!(drain(&mut session), Said::violation(), "{name}");
        assert_no_decision(&mut session);
    }
}

/// Whatever the application decides about an ended session, nobody joins and nothing is said.
fn assert_no_decision(session: &mut Session) {
    assert!(session.is_closed());
    assert_eq!(session.challenge("q".into()), Err(UsageError::NotAsked));
    assert_eq!(session.accept(T0, "w".into()), Err(UsageError::NotAsked));
    assert_eq!(session.answer("a".into()), Err(UsageError::NotAsked));
    session.refuse();
    session.close(Close::normal(CloseReason::ByServer));
    assert_eq!(session.check_ready(), Err(UsageError::NotReady));
    assert_eq!(session.call(T0, None), Err(UsageError::NotReady));
    assert_eq!(session.poll_timeout(), None);
    assert_eq!(drain(session), Said::nothing());
}

#[test]
fn decisions_are_taken_only_when_they_are_asked_for() {
    let not_asked = Err(UsageError::NotAsked);
    for (name, challenge, accept, answer) in [
        ("stranger", not_asked, not_asked, not_asked),
        ("validating", Ok(()), Ok(()), not_asked),
        ("challenged", not_asked, not_asked, not_asked),
        ("answered", not_asked, Ok(()), not_asked),
        ("server", not_asked, not_asked, not_asked),
        ("dropped", not_asked, not_asked, not_asked),
        ("gone", not_asked, not_asked, not_asked),
        ("greeting", not_asked, not_asked, not_asked),
        ("solving", not_asked, not_asked, Ok(())),
        ("client", not_asked, not_asked, not_asked),
        ("nobody", not_asked, Ok(()), not_asked),
        ("open", not_asked, not_asked, not_asked),
    ] {
        let decide = |step: &dyn Fn(&mut Session) -> Result<(), UsageError>| {
            let mut session = phase(name);
            let result = step(&mut session);
            if result.is_err() {
                assert_eq!(drain(&mut session), Said::nothing(), "{name}");
            }
            result
        };
        assert_eq!(decide(&|s| s.challenge("q".into())), challenge, "challenge, {name}");
        assert_eq!(decide(&|s| s.accept(T0, "w".into())), accept, "accept, {name}");
        assert_eq!(decide(&|s| s.answer("a".into())), answer, "answer, {name}");
    }
}

#[test]
fn accepting_twice_welcomes_once() {
    let mut session = validating();
    session.accept(T0, "w".into()).unwrap();
    assert_eq!(session.accept(T0, "w".into()), Err(UsageError::NotAsked));
    assert_eq!(drain(&mut session), Said::new(&["send ~wse:welcome w"], &[]));
}

#[test]
fn a_refused_stranger_is_closed_and_what_it_pipelined_is_forgotten() {
    for begin in [validating, answered] {
        let mut session = begin();
        session.handle_message(T0, message("call"));
        session.refuse();
        session.refuse();
        assert_eq!(drain(&mut session), Said::new(&["close 1000 wse.not-authorized"], &[]));
        assert_no_decision(&mut session);
    }
}

#[test]
fn nobody_joins_after_the_end() {
    for begin in [stranger, validating, challenged, answered] {
        let mut session = begin();
        session.handle_closed(&Close::VANISHED);
        assert_eq!(drain(&mut session), Said::nothing());
        assert_no_decision(&mut session);
    }
}

#[test]
fn the_deadline_runs_until_the_stranger_is_accepted() {
    let deadline = Duration::from_secs(10);
    let begin = || Session::server(PROTOCOL, Some(deadline), SessionLimits::default());
    let greeted = || quietly(begin(), |s| s.handle_message(T0, hi("me")));
    let challenged = || quietly(greeted(), |s| s.challenge("q".into()).unwrap());
    let answered = || quietly(challenged(), |s| s.handle_message(T0, message("challenge")));
    let bare =
        || quietly(Session::server(SILENT, Some(deadline), SessionLimits::default()), |_| ());
    let waiting: [&dyn Fn() -> Session; 5] = [&begin, &greeted, &challenged, &answered, &bare];
    for (i, begin) in waiting.into_iter().enumerate() {
        let mut session = begin();
        assert_eq!(session.poll_timeout(), Some(deadline), "{i}");
        session.handle_timeout(deadline - ms(1));
        assert_eq!(drain(&mut session), Said::nothing(), "{i}");
        session.handle_timeout(deadline);
        assert_eq!(drain(&mut session), Said::new(&["close 1000 wse.not-authorized"], &[]), "{i}");
        assert_no_decision(&mut session);
    }

    let mut session = quietly(greeted(), |s| s.accept(T0, "w".into()).unwrap());
    assert_eq!(session.poll_timeout(), None);
    session.handle_timeout(Duration::MAX);
    assert_eq!(drain(&mut session), Said::nothing());
    assert_eq!(session.check_ready(), Ok(()));
}

#[test]
fn without_a_deadline_there_is_nothing_to_wait_for() {
    for name in ["stranger", "validating", "challenged", "answered", "server", "client"] {
        let mut session = phase(name);
        assert_eq!(session.poll_timeout(), None);
        session.handle_timeout(Duration::MAX);
        assert_eq!(drain(&mut session), Said::nothing(), "{name}");
    }
}

#[test]
fn what_cannot_be_read_closes_and_the_event_says_which_kind_it_was() {
    let shape = || CodecError::shape("the type", "missing");
    let malformed = || CodecError::malformed("the message", "not JSON");
    let value = || CodecError::value("the greeting", "no identity");
    for name in ["stranger", "validating", "challenged", "server", "greeting", "solving", "client"]
    {
        for (error, code) in [
            (shape(), "wse.server.protocol-violation"),
            (malformed(), "wse.server.msg-processing-error"),
            (value(), "wse.server.msg-processing-error"),
            (CodecError::limit("the message", "too deep"), "wse.server.msg-processing-error"),
        ] {
            let mut session = phase(name);
            session.handle_undecodable(error);
            let violation = format!("violation {code}");
            assert_eq!(
                drain(&mut session),
                Said::new(&["close 1000 wse.protocol-error"], &[&violation]),
                "{name}"
            );
            assert!(session.is_closed());
        }
    }
    for name in ["dropped", "gone"] {
        let mut session = phase(name);
        session.handle_undecodable(shape());
        assert_eq!(drain(&mut session), Said::nothing(), "{name}");
    }
}

#[test]
fn the_event_carries_why_a_message_could_not_be_read() {
    let mut session = server();
    session.handle_undecodable(CodecError::shape("the type", "missing"));
    let Some(Event::Violation { error: Some(error), .. }) = session.poll_event() else {
        panic!("no violation")
    };
    assert_eq!(error.to_string(), "not an envelope: the type: missing");
}

#[test]
fn a_pong_repeats_its_ping() {
    for mut session in [server(), client()] {
        session.handle_message(T0, SessionMessage::raw(Head::Ping, "17".into()));
        assert_eq!(drain(&mut session), Said::new(&["send ~wse:pong 17"], &[]));
        session.handle_message(T0, SessionMessage::raw(Head::Ping, "".into()));
        assert_eq!(drain(&mut session), Said::new(&["send ~wse:pong"], &[]));
    }
}

#[test]
fn a_note_without_a_name_is_no_message() {
    let read = |kind: &str, stamp: &str, flags| {
        Head::from_parts(&InternalTypes::DEFAULT, kind.into(), Some(stamp.into()), flags)
    };
    let note = FLAG_NOTE | FLAG_RECEIPT;
    for (kind, stamp, flags) in [("", "", 0), ("", "", note), ("", "s", note), ("", "s", FLAG_NOTE)]
    {
        let error = read(kind, stamp, flags).unwrap_err();
        assert_eq!(error.kind(), CodecErrorKind::Shape, "{stamp:?} {flags}");
    }
    let receipt = Some("s".into());
    assert_eq!(
        read("m", "s", note).unwrap(),
        Head::Message { name: "m".into(), receipt, reliable: false }
    );
    assert_eq!(read("m", "s", FLAG_NOTE).unwrap(), Head::message("m"));
}

#[test]
fn the_stamp_of_a_call_arrives_as_it_came() {
    for stamp in [Stamp::from("0"), "007".into(), "é~".into(), Stamp::Int(-7), Stamp::Int(7)] {
        let mut session = server();
        session.handle_message(T0, SessionMessage::raw(Head::call("c", stamp.clone()), "".into()));
        let Some(Event::Call { stamp: seen, .. }) = session.poll_event() else { panic!("no call") };
        assert_eq!(seen, stamp);
    }
}

#[test]
fn an_end_is_told_once_and_nothing_is_sent_after_it() {
    for name in ["stranger", "validating", "challenged", "server", "greeting", "solving", "client"]
    {
        let mut session = phase(name);
        session.close(Close::new(4000, CloseReason::Jump));
        session.close(Close::normal(CloseReason::ByClient));
        session.handle_message(T0, message("ping"));
        assert_eq!(drain(&mut session), Said::new(&["close 4000 jump"], &[]), "{name}");
        session.handle_closed(&Close::VANISHED);
        assert_eq!(drain(&mut session), Said::nothing(), "{name}");
    }
}

#[test]
fn what_was_to_be_sent_goes_out_before_our_close() {
    let mut session = validating();
    session.accept(T0, "w".into()).unwrap();
    session.handle_message(T0, message("ping"));
    session.close(Close::normal(CloseReason::ByServer));
    let outputs = ["send ~wse:welcome w", "send ~wse:pong p", "close 1000 wse.by-server"];
    assert_eq!(drain(&mut session), Said::new(&outputs, &[]));
}

#[test]
fn what_was_to_be_sent_dies_with_the_connection() {
    let mut session = server();
    session.handle_message(T0, message("ping"));
    session.handle_closed(&Close::VANISHED);
    assert_eq!(drain(&mut session), Said::nothing());
}
