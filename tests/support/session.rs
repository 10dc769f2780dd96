//! Sessions in known phases, and what they say as text.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::time::Duration;

use bytes::Bytes;
use wse_proto::session::{CallFailure, Event, Output, ReceiptFailure, Session, SessionLimits};
use wse_proto::{
    Body, Capabilities, ErrorCode, Fault, Head, Hi, InternalTypes, Outcome, ProtocolInfo,
    ReceiptOf, ResumeRequest, SessionMessage, Stamp,
};

pub const T0: Duration = Duration::ZERO;

/// A protocol with a greeting that can carry all that the convention can.
pub const PROTOCOL: ProtocolInfo =
    ProtocolInfo::text("tests").capabilities(Capabilities::CONVENTION);

/// The same without a greeting.
pub const SILENT: ProtocolInfo = PROTOCOL.no_greeting();

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a session wants sent and what it tells, one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub outputs: Vec<String>,
    pub events: Vec<String>,
}

impl Said {
    pub fn nothing() -> Self {
        Self::default()
    }

    pub fn new(outputs: &[&str], events: &[&str]) -> Self {
        let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
        Self { outputs: lines(outputs), events: lines(events) }
    }

    /// A peer that broke the protocol.
    pub fn violation() -> Self {
        Self::new(&["close 1000 wse.protocol-error"], &["violation wse.server.protocol-violation"])
    }

    pub fn then(mut self, later: Self) -> Self {
        self.outputs.extend(later.outputs);
        self.events.extend(later.events);
        self
    }
}

/// Polls a session until it has nothing more to say.
pub fn drain(session: &mut Session) -> Said {
    let mut said = Said::nothing();
    while let Some(output) = session.poll_output() {
        said.outputs.push(match output {
            Output::Send(message) => format!("send {}", message_line(&message)),
            Output::Close(close) => format!("close {close}"),
            Output::Abort(close) => format!("abort {close}"),
            Output::Ping(payload) => format!("ping {}", text(&payload)),
            Output::Replay(message) => format!("replay {}", text(&message)),
            other => panic!("unknown {other:?}"),
        });
    }
    while let Some(event) = session.poll_event() {
        said.events.push(event_line(event));
    }
    said
}

fn message_line(message: &SessionMessage) -> String {
    let mut line = message.head.kind(&InternalTypes::DEFAULT).to_owned();
    if let Some(stamp) = message.head.stamp() {
        line += &format!(" #{stamp}");
    }
    line + &match &message.body {
        Body::Raw(payload) if payload.is_empty() => String::new(),
        Body::Raw(payload) => format!(" {}", text(payload)),
        Body::Hi(hi) => {
            let resume = hi.resume.as_deref().map(ResumeRequest::from_value);
            let resume = match resume {
                None => String::new(),
                Some(Ok(Some(ResumeRequest::New))) => " resume".to_owned(),
                Some(Ok(Some(ResumeRequest::Resume { session, seen, .. }))) => {
                    format!(" resume {session} seen {seen}")
                }
                Some(other) => panic!("unknown {other:?}"),
            };
            format!(" {} {}{resume}", text(&hi.identity), text(&hi.meta))
        }
        Body::Session(info) => format!(" {} seen {}", outcome_line(&info.outcome), info.seen),
        Body::Seen(seen) => format!(" {seen}"),
        Body::Drain(notice) => format!(" {:?} {:?}", notice.after, notice.spread),
        Body::Expires(Some(time)) => format!(" {time:?}"),
        Body::Expires(None) => " never".to_owned(),
        Body::Fault(fault) => format!(" {fault}"),
        Body::Serial(serial) => format!(" {serial}"),
        other => panic!("unknown {other:?}"),
    }
}

pub fn outcome_line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::New => "new".to_owned(),
        Outcome::Full => "full".to_owned(),
        Outcome::Partial { first, last } => format!("partial {first} to {last}"),
        Outcome::None(reason) => format!("none {reason}"),
        other => panic!("unknown {other:?}"),
    }
}

pub fn event_line(event: Event) -> String {
    match event {
        Event::Greeted { hi } => format!("greeted {} {}", text(&hi.identity), text(&hi.meta)),
        Event::Answered { answer } => format!("answered {}", text(&answer)),
        Event::Challenged { quest } => format!("challenged {}", text(&quest)),
        Event::Ready { welcome } => format!("ready {}", text(&welcome)),
        Event::Message { name, payload } => format!("message {name} {}", text(&payload)),
        Event::Call { name, stamp, timeout, payload } => {
            let within = timeout.map(|timeout| format!(" within {timeout}")).unwrap_or_default();
            format!("call {name} #{stamp} {}{within}", text(&payload))
        }
        Event::Cancelled { stamp } => format!("cancelled #{stamp}"),
        Event::ReceiptEnded { of, stamp, outcome } => {
            let outcome = match outcome {
                Ok(()) => "received".to_owned(),
                Err(ReceiptFailure::TimedOut) => "timeout".to_owned(),
                Err(ReceiptFailure::Closed(close)) => format!("closed {close}"),
                Err(ReceiptFailure::Outstanding) => "outstanding".to_owned(),
                Err(ReceiptFailure::Unsupported) => "unsupported".to_owned(),
                Err(other) => panic!("unknown {other:?}"),
            };
            format!("receipt of {of:?} #{stamp} {outcome}")
        }
        Event::Liveness(state) => format!("{state:?}"),
        Event::ErrorReport { fault } => format!("report {fault}"),
        Event::Unreadable { error } => format!("unreadable {error}"),
        Event::Suspended { close } => format!("suspended {close}"),
        Event::Resumed { outcome } => format!("resumed {}", outcome_line(&outcome)),
        Event::Drain { notice } => format!("drain {:?} {:?}", notice.after, notice.spread),
        Event::Expires { time } => format!("expires {time:?}"),
        Event::Renew { hi } => format!("renew {}", text(&hi.identity)),
        Event::Renewed { time } => format!("renewed {time:?}"),
        Event::Dropped(what) => format!("dropped {what:?}"),
        Event::CallEnded { call, outcome } => {
            let stamp = call.stamp();
            match outcome {
                Ok(result) => format!("ended #{stamp} ok {}", text(&result)),
                Err(CallFailure::Fault(fault)) => format!("ended #{stamp} fault {fault}"),
                Err(CallFailure::Timeout) => format!("ended #{stamp} timeout"),
                Err(CallFailure::Disconnected(close)) => {
                    format!("ended #{stamp} disconnected {close}")
                }
                Err(other) => panic!("unknown {other:?}"),
            }
        }
        Event::Violation { code, .. } => format!("violation {code}"),
        other => panic!("unknown {other:?}"),
    }
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// One message of every kind, each with the payload `p` where it has one of its own.
pub fn messages() -> [(&'static str, SessionMessage); 13] {
    let raw = |head| SessionMessage::raw(head, "p".into());
    [
        ("hi", hi("me")),
        ("challenge", raw(Head::Challenge)),
        ("welcome", raw(Head::Welcome)),
        ("message", raw(Head::message("m"))),
        ("call", raw(Head::call("c", "s".into()))),
        ("reply", raw(Head::reply("s".into()))),
        ("fault", SessionMessage::fault("s".into(), Fault::new(ErrorCode::Failed))),
        ("receipt", raw(Head::Receipt { stamp: "s".into(), of: ReceiptOf::Call })),
        ("ping", raw(Head::Ping)),
        ("pong", raw(Head::Pong)),
        ("cancel", raw(Head::Cancel { stamp: "s".into() })),
        (
            "note",
            raw(Head::Message { name: "m".into(), receipt: Some("s".into()), reliable: true }),
        ),
        (
            "report",
            SessionMessage {
                head: Head::ErrorReport,
                body: Body::Fault(Fault::new(ErrorCode::Failed)),
            },
        ),
    ]
}

/// The message of this kind from [`messages`].
pub fn message(kind: &str) -> SessionMessage {
    let (_, message) = messages().into_iter().find(|(name, _)| *name == kind).unwrap();
    message
}

pub fn hi(identity: &'static str) -> SessionMessage {
    SessionMessage::hi(Hi { identity: identity.into(), meta: "meta".into(), resume: None })
}

pub fn reply(stamp: impl Into<Stamp>, result: &'static str) -> SessionMessage {
    SessionMessage::raw(Head::reply(stamp.into()), result.into())
}

/// A server's session that nobody has greeted.
pub fn stranger() -> Session {
    Session::server(PROTOCOL, None, SessionLimits::default())
}

/// A server's session that waits for the application's decision.
pub fn validating() -> Session {
    quietly(stranger(), |session| session.handle_message(T0, hi("me")))
}

/// A server's session whose client has a quest to solve.
pub fn challenged() -> Session {
    quietly(validating(), |session| session.challenge("quest".into()).unwrap())
}

/// A server's session that waits for the decision about an answer.
pub fn answered() -> Session {
    quietly(challenged(), |session| session.handle_message(T0, message("challenge")))
}

/// A server's session past the welcome.
pub fn server() -> Session {
    server_of(PROTOCOL)
}

/// The same, over this protocol.
pub fn server_of(protocol: ProtocolInfo) -> Session {
    let session = Session::server(protocol, None, SessionLimits::default());
    let session = quietly(session, |session| session.handle_message(T0, hi("me")));
    quietly(session, |session| session.accept(T0, "welcome".into()).unwrap())
}

/// A client's session that has sent its greeting.
pub fn greeting() -> Session {
    greeting_of(PROTOCOL)
}

fn greeting_of(protocol: ProtocolInfo) -> Session {
    let hi = Hi { identity: "me".into(), meta: "meta".into(), resume: None };
    quietly(Session::client(protocol, Some(hi), SessionLimits::default()), |_| ())
}

/// A client's session that has a quest to solve.
pub fn solving() -> Session {
    quietly(greeting(), |session| session.handle_message(T0, message("challenge")))
}

/// A client's session past the welcome.
pub fn client() -> Session {
    client_of(PROTOCOL)
}

/// The same, over this protocol.
pub fn client_of(protocol: ProtocolInfo) -> Session {
    quietly(greeting_of(protocol), |session| session.handle_message(T0, message("welcome")))
}

/// Takes a step and throws away what the session says about it.
pub fn quietly(mut session: Session, step: impl FnOnce(&mut Session)) -> Session {
    step(&mut session);
    drain(&mut session);
    session
}

/// What a heartbeat does to the peer in the end.
pub const DEAD: &str = "abort 1006 wse.heartbeat-timeout";

/// The moment at which a peer that is not heard any more is dead.
pub fn dies(session: &mut Session) -> Duration {
    for _ in 0..1000 {
        let now = session.poll_heartbeat().unwrap();
        session.handle_timeout(now);
        if drain(session).outputs == [DEAD] {
            return now;
        }
    }
    panic!("it never dies");
}
