//! [`Session`]: the state machine of one connection, without its socket.
//!
//! # The contract
//!
//! Feed it, then drain it. There are three kinds of methods:
//!
//! - **handle**: [`handle_message`](Session::handle_message),
//!   [`handle_undecodable`](Session::handle_undecodable), [`handle_pong`](Session::handle_pong),
//!   [`handle_life`](Session::handle_life), [`handle_unread`](Session::handle_unread),
//!   [`handle_timeout`](Session::handle_timeout),
//!   [`handle_closed`](Session::handle_closed): what happened outside;
//! - **decide**: [`challenge`](Session::challenge), [`accept`](Session::accept),
//!   [`refuse`](Session::refuse), [`answer`](Session::answer), [`call`](Session::call),
//!   [`cancel`](Session::cancel), [`expect_receipt`](Session::expect_receipt),
//!   [`close`](Session::close): what the application wants;
//! - **poll**: [`poll_output`](Session::poll_output), [`poll_event`](Session::poll_event),
//!   [`poll_timeout`](Session::poll_timeout): what is to be sent, what happened, when to come back.
//!
//! After each handle or decide, poll outputs and events until both return `None`. Time is a `Duration` since a moment that
//! the caller chooses once for each session.
//!
//! The session does not send messages, calls, replies and faults of the application. When
//! [`check_ready`](Session::check_ready) allows it, the caller packs and sends them. The caller also limits how many
//! calls of the peer run at once.
//!
//! # Resume
//!
//! A session of a protocol with [`Capabilities::resume`](crate::Capabilities::resume) can outlive its socket: calls and
//! receipts stay pending, and messages that the peer has not processed are kept. A session without it does none of this.
//! `docs/wire.md` has the rules, which comments and tests cite as D1 to D30.
//!
//! **Sending.** When a message leaves the send queue to be written, and its head [is counted](crate::Head::is_counted), call
//! [`sent`](Session::sent) with the packed bytes. A client asks [`has_space`](Session::has_space) first.
//!
//! **Receiving.** [`handle_message`](Session::handle_message) and
//! [`handle_message_fast`](Session::handle_message_fast) count by themselves. A driver that holds messages back calls
//! [`count_held`](Session::count_held) when one has arrived, and [`handle_held`](Session::handle_held) later.
//!
//! **A new session at the server.**
//!
//! 1. [`Session::server`] with [`with_resume`](Session::with_resume). On [`Event::Greeted`], authenticate first.
//! 2. [`resume_request`](Session::resume_request) says what the client wants. `None`: [`admit`](Session::admit), as without resume.
//! 3. [`ResumeRequest::New`](crate::ResumeRequest::New): [`Sessions::create`] with a random name, then
//!    [`grant`](Session::grant) with [`Outcome::New`](crate::Outcome::New), then `admit`.
//!
//! **A resume at the server.** The new socket has a session of its own, which is used for the greeting only.
//!
//! 1. [`Sessions::find`] the connection by the name in the request, and ask its session for the
//!    [`refusal`](Session::refusal). When either gives a reason, continue as with a new session, with
//!    [`Outcome::None`](crate::Outcome::None).
//! 2. [`attach`](Session::attach) the old session to the new socket, and call [`Sessions::resume`]. From now on the socket
//!    is driven with the old session: write its outputs, and give it what is read. If it had a socket still, close that
//!    with 1000 `wse.session-taken`, and throw away what it reads.
//!
//! **The loss of a socket.** [`handle_closed`](Session::handle_closed), [`close`](Session::close) or the heartbeat suspends
//! the session if the code allows it. [`Event::Suspended`] says so.
//!
//! - A server calls [`Sessions::suspend`]. It passes all queued counted messages to `sent` at once, drops the others, and
//!   does the same with new ones. [`Sessions::expire`] says when a window is over: call
//!   [`end_suspended`](Session::end_suspended). Call [`handle_timeout`](Session::handle_timeout) as before; an
//!   [`Output::Close`] of a session that [is closed](Session::is_closed) means that it has ended meanwhile.
//! - A client keeps messages that are not written in its queue. It dials, and then [`reconnect`](Session::reconnect)s.
//!   [`Event::Resumed`] says how that ended. After [`Outcome::Full`](crate::Outcome::Full) and
//!   [`Partial`](crate::Outcome::Partial) write the outputs, then the queue. After [`None`](crate::Outcome::None), drop
//!   queued calls and answers: the new session does not know them.
//!
//! # Where things are
//!
//! ```text
//! types       phase.rs, limits.rs, event.rs, close.rs, calls.rs, receipts.rs, duplicates.rs, heartbeat.rs, resume/
//! Session     machine.rs     the struct, its end, and the queues that are polled
//! methods     server.rs      the greeting at the server
//!             client.rs      the greeting at the client
//!             handle.rs      messages in any phase
//!             ready.rs       messages after the greeting
//!             pending.rs     calls and receipts that this side waits for
//!             time.rs        timeouts and the heartbeat
//!             counting.rs    what was sent, what has arrived, and what the peer says of it
//!             suspension.rs  the loss of the socket
//!             resume_server.rs, resume_client.rs   another socket
//!             expiry.rs      credentials that expire, and drain
//! beside it   users.rs, retry.rs
//! ```

mod calls;
mod client;
mod close;
mod counting;
mod deadlines;
mod duplicates;
mod event;
mod expiry;
mod handle;
mod heartbeat;
mod limits;
mod machine;
mod pending;
mod phase;
mod queue;
mod ready;
pub mod receipts;
mod resume;
mod resume_client;
mod resume_server;
mod retry;
mod server;
mod suspension;
mod time;
mod users;

pub use calls::{CallFailure, CallId};
pub use close::Close;
pub use duplicates::Duplicates;
pub use event::{Dropped, Event, FastEvent, Output};
pub use expiry::Renewal;
pub use heartbeat::{Heartbeat, Liveness, LivenessState, PingVia};
pub use limits::SessionLimits;
pub use machine::Session;
pub use receipts::ReceiptFailure;
pub use resume::{Budget, ResumeLimits, Sessions, Token, Tracked};
pub use resume_client::Restored;
pub use resume_server::NotAttached;
pub use retry::{Backoff, reconnects};
pub use users::{Joined, Users};
