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
//! # Where things are
//!
//! ```text
//! types       phase.rs, limits.rs, event.rs, close.rs, calls.rs, receipts.rs, duplicates.rs, heartbeat.rs
//! Session     machine.rs     the struct, its end, and the queues that are polled
//! methods     server.rs      the greeting at the server
//!             client.rs      the greeting at the client
//!             handle.rs      messages in any phase
//!             ready.rs       messages after the greeting
//!             pending.rs     calls and receipts that this side waits for
//!             time.rs        timeouts and the heartbeat
//! beside it   users.rs, retry.rs
//! ```

mod calls;
mod client;
mod close;
mod deadlines;
mod duplicates;
mod event;
mod handle;
mod heartbeat;
mod limits;
mod machine;
mod pending;
mod phase;
mod queue;
mod ready;
pub mod receipts;
mod retry;
mod server;
mod time;
mod users;

pub use calls::{CallFailure, CallId};
pub use close::Close;
pub use duplicates::Duplicates;
pub use event::{Dropped, Event, FastEvent, Output};
pub use heartbeat::{Heartbeat, Liveness, LivenessState, PingVia};
pub use limits::SessionLimits;
pub use machine::Session;
pub use receipts::ReceiptFailure;
pub use retry::{Backoff, reconnects};
pub use users::{Joined, Users};
