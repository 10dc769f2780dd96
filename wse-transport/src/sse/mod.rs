//! EventSource: server-sent events (WHATWG HTML §9.2). A stream of text from a server to a web page over plain HTTP, where a
//! WebSocket is not needed or a proxy blocks it.
//!
//! [`accept`] and [`respond`] answer a request on a connection, and [`response`] inside an HTTP server. All return an
//! [`EventStream`] to send [`Event`]s on. Its other end is an [`EventBody`], from which the task of the connection or the
//! HTTP server takes bytes; [`channel`] creates both without a request. [`Event`], [`is_event_source`] and [`Wanted`] have
//! no I/O.
//!
//! ```text
//! Event ─▶ event.rs: lines ─▶ shared.rs: bounded queue ─▶ body.rs: pings ─▶ connection.rs: chunks ─▶ bytes
//! ```
//!
//! ```no_run
//! use wse_transport::handshake::{HeadLimits, read_request};
//! use wse_transport::sse::{self, Config, Event, Wanted};
//!
//! # async fn example(mut io: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! // One port for event streams, WebSockets and pages. Put a deadline around reading the request.
//! let (request, leftover) = read_request(&mut io, &HeadLimits::default()).await?;
//! match Wanted::of(&request) {
//!     Wanted::EventSource => {
//!         let stream = sse::respond(io, leftover, &request, &Config::default()).await?;
//!         stream.send(Event::new("several\nlines").name("news")?.id("7")?).await?;
//!         stream.send("more").await?;
//!     }
//!     Wanted::WebSocket => { /* handshake::Upgrade::from_request */ }
//!     Wanted::Other => { /* a page */ }
//! }
//! # Ok(()) }
//! ```
//!
//! A browser reconnects whenever a stream ends, after [`Config::retry`], and sends the id of the last event that it got
//! ([`last_event_id`]). To stop it, reject it with the status 204.

mod body;
mod config;
mod connection;
mod error;
mod event;
mod open;
mod request;
mod shared;
mod stream;

pub use body::EventBody;
pub use config::Config;
pub use error::{End, EventError, OpenError, TrySendError};
pub use event::{EncodedEvent, Event};
pub use open::{accept, accept_with, channel, respond, response};
pub use request::{Wanted, is_event_source, last_event_id};
pub use stream::EventStream;
