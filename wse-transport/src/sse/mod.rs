//! EventSource: server-sent events (WHATWG HTML §9.2), a stream of text from a server to a browser page
//! over plain HTTP, for where a WebSocket is too much or a proxy lets none through.
//!
//! From the outside in: [`accept`] and [`respond`] answer a request on a connection of our own, and
//! [`response`] inside an HTTP server; all give an [`EventStream`] to send [`Event`]s on. Its other end
//! is an [`EventBody`], which the task of a connection or the HTTP server draws bytes from; [`channel`]
//! makes the two by themselves. [`Event`], [`is_event_source`] and [`Wanted`] are pure.
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
//! // One port for both, and for pages. Put a deadline around the reading.
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
//! A browser comes back by itself whenever a stream ends, after [`Config::retry`], and says in
//! [`last_event_id`] where it was. To keep it away, refuse it with the status 204.

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
