//! How a client reaches its server: TCP, proxies, TLS and redirects.
//!
//! [`connect`](crate::connect) and its variants do all of it. [`Dial`] has the settings, and
//! [`Dial::open`] runs over transports of your own. [`NetStream`] is what the connection runs over.
//!
//! ```text
//! tcp.rs, race.rs: an address ─▶ tunnel.rs: a proxy ─▶ tls/ ─▶ open.rs: request, redirects ─▶ connect.rs: WebSocket
//! ```

pub(crate) mod connect;
mod open;
mod options;
mod race;
mod stream;
mod tcp;
mod tunnel;

pub use open::Opened;
pub use options::Dial;
pub use stream::NetStream;
pub use tcp::tcp;
