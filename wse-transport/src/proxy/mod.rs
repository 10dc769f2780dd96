//! Proxies for clients: HTTP ones by CONNECT (RFC 9110 §9.3.6), SOCKS 5 (RFC 1928). Never used unasked.
//!
//! [`Proxy`] is one, [`Proxies`] choose among them by URL, if you like as the environment says;
//! [`ws::Dial`](crate::ws::Dial) and [`ClientBuilder::proxy`](crate::ClientBuilder::proxy) take either.
//! TLS to a `wss://` server goes through the tunnel: the proxy sees its name and port, no more.
//!
//! ```no_run
//! use wse_transport::handshake::ClientRequest;
//! use wse_transport::proxy::Proxy;
//! use wse_transport::ws::{self, Config, Dial};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let dial = Dial::default().proxy(Proxy::new("socks5h://me:secret@127.0.0.1:1080")?);
//! let request = ClientRequest::new("ws://example.com/chat")?;
//! let (socket, _response) = ws::connect_dial(&request, &dial, Config::default()).await?;
//! # Ok(()) }
//! ```
//!
//! What is said to a proxy is pure, without sockets: [`Connect`] and [`Socks5`] take what has arrived and
//! say the next [`Step`].

mod address;
mod choice;
mod connect;
mod error;
mod exempt;
mod socks;
mod tunnel;

pub use address::Proxy;
pub use choice::Proxies;
pub use connect::Connect;
pub use error::{ProxyConfigError, ProxyError, ProxyFailure, SocksError};
pub use socks::{Login, Socks5};
pub use tunnel::Step;
