//! Sessions that can be resumed, in known phases.

use std::sync::Arc;

use bytes::Bytes;
use wse_proto::session::{Budget, Close, ResumeLimits, Session, SessionLimits, Token, Tracked};
use wse_proto::{
    Body, Capabilities, Head, Hi, Outcome, ProtocolInfo, ResumeRequest, SessionInfo, SessionMessage,
};

use crate::support::session::*;

pub(super) const RESUMABLE: ProtocolInfo = PROTOCOL.capabilities(Capabilities::CONVENTION.resume());

pub(super) const LOST: Close = Close::VANISHED;

pub(super) const NAME: &str = "s1";

pub(super) fn token(number: u8) -> Token {
    Token::new([number; 16])
}

/// The text of [`token`].
pub(super) fn token_text(number: u8) -> &'static str {
    match number {
        1 => "AQEBAQEBAQEBAQEBAQEBAQ",
        2 => "AgICAgICAgICAgICAgICAg",
        3 => "AwMDAwMDAwMDAwMDAwMDAw",
        _ => panic!("no such token"),
    }
}

pub(super) fn budget() -> Arc<Budget> {
    Budget::new(ResumeLimits::default())
}

pub(super) fn greeting(request: &ResumeRequest) -> SessionMessage {
    let hi = Hi { resume: Some(Box::new(request.to_value())), ..Hi::new("me", "meta") };
    SessionMessage { head: Head::HiWithReceipts, body: Body::Hi(hi) }
}

pub(super) fn request(token: &str, seen: u64) -> ResumeRequest {
    ResumeRequest::Resume { session: NAME.into(), token: token.into(), seen }
}

/// A server's session of a socket whose client has sent this greeting.
pub(super) fn socket(request: &ResumeRequest) -> Session {
    let session = Session::server(RESUMABLE, None, SessionLimits::default()).with_resume();
    quietly(session, |session| session.handle_message(T0, greeting(request)))
}

/// A server's session past the welcome, with token 1.
pub(super) fn server_with(budget: &Arc<Budget>) -> Session {
    quietly(socket(&ResumeRequest::New), |session| {
        session.grant(budget, NAME.into(), token(1), Outcome::New).unwrap();
        session.accept(T0, "welcome".into()).unwrap();
    })
}

pub(super) fn server() -> Session {
    server_with(&budget())
}

/// A client's session that has sent its greeting.
pub(super) fn greeted() -> Session {
    let hi = Hi::new("me", "meta");
    let session = Session::resumable_client(RESUMABLE, hi, SessionLimits::default(), &budget());
    quietly(session, |_| ())
}

pub(super) fn info(outcome: Outcome, seen: u64) -> SessionMessage {
    let window = std::time::Duration::from_secs(60);
    let (session, token) = (NAME.into(), token_text(2).into());
    let info = SessionInfo { session, token, window, outcome, seen };
    SessionMessage { head: Head::Session, body: Body::Session(Box::new(info)) }
}

pub(super) fn welcome() -> SessionMessage {
    SessionMessage::raw(Head::Welcome, "welcome".into())
}

/// A client's session past the welcome.
pub(super) fn client() -> Session {
    quietly(greeted(), |session| {
        session.handle_message(T0, info(Outcome::New, 0));
        session.handle_message(T0, welcome());
    })
}

/// A client that has lost its socket and greets over another one.
pub(super) fn reconnecting(session: Session) -> Session {
    quietly(session, |session| {
        session.handle_closed(&LOST);
        session.reconnect(Hi::new("me", "meta")).unwrap();
    })
}

/// Messages with the numbers from `first` to `last` leave the queue.
pub(super) fn send(session: &mut Session, first: u64, last: u64) {
    for number in first..=last {
        session.sent(Bytes::from(number.to_string()), None);
    }
}

/// A call leaves the queue.
pub(super) fn send_call(session: &mut Session, timeout: Option<u64>) -> String {
    let call = session.call(T0, timeout.map(ms)).unwrap();
    session.sent(Bytes::from("call"), Some(Tracked::Call(call)));
    call.stamp().to_string()
}

pub(super) fn seen(number: u64) -> SessionMessage {
    SessionMessage { head: Head::Seen, body: Body::Seen(number) }
}

/// So many messages of the application arrive.
pub(super) fn receive(session: &mut Session, count: u64) {
    for _ in 0..count {
        session.handle_message(T0, message("message"));
    }
}

/// The server's session resumes over a new socket, with token 2.
pub(super) fn attach(session: &mut Session, token_number: u8, seen: u64) -> Said {
    let mut socket = socket(&request(token_text(token_number), seen));
    session.attach(&mut socket, token(2), "welcome".into()).unwrap();
    assert!(socket.is_closed());
    drain(session)
}
