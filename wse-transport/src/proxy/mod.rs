//! Proxies for clients: HTTP proxies with CONNECT (RFC 9110 §9.3.6) and SOCKS 5 (RFC 1928). Never used
//! unless asked for.
//!
//! [`Proxy`] is one proxy. [`Proxies`] selects one by URL, and can read the environment.
//! [`Dial::proxy`](crate::dial::Dial::proxy) takes either. TLS to a `wss://` server runs through the tunnel:
//! the proxy sees the server's name and port only.
//!
//! ```no_run
//! use wse_transport::connect_dial;
//! use wse_transport::dial::Dial;
//! use wse_transport::handshake::ClientRequest;
//! use wse_transport::proxy::Proxy;
//! use wse_transport::ws::Config;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let dial = Dial::default().proxy(Proxy::new("socks5h://me:secret@127.0.0.1:1080")?);
//! let request = ClientRequest::new("ws://example.com/chat")?;
//! let (socket, _response) = connect_dial(&request, &dial, Config::default()).await?;
//! # Ok(()) }
//! ```
//!
//! The dialogues with a proxy have no I/O: [`Connect`] and [`Socks5`] take the bytes that were received and
//! return the next [`Step`]. [`dial`](crate::dial) runs them over a transport.

mod address;
mod choice;
mod connect;
mod error;
mod exempt;
mod socks;
mod step;

pub(crate) use address::Kind;
pub use address::Proxy;
pub use choice::Proxies;
pub use connect::Connect;
pub use error::{ProxyConfigError, ProxyError, ProxyFailure, SocksError};
pub use socks::{Login, Socks5};
pub use step::Step;
