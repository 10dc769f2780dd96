//! Endpoints in memory, for tests: real client, real server, real handshake, no sockets. Under a
//! paused tokio clock time is virtual.
//!
//! ```
//! # async fn example<P: wse::Speaks<String> + wse::Speaks<()>>(protocol: P)
//! #     -> Result<(), wse::ConnectError> {
//! use wse::{Accept, Client, Hello, Server, memory};
//!
//! let server = Server::builder(protocol.clone())
//!     .identify(|hello: Hello<String, String>| async move {
//!         wse::Ok(Accept::user(hello.identity).welcome("hi".to_owned()))
//!     })
//!     .build();
//! let client = Client::builder(protocol, memory::URL)
//!     .connector(memory::connector(&server))
//!     .identity("ann".to_owned())
//!     .connect()
//!     .await?;
//! # Ok(()) }
//! ```

use std::fmt;
use std::io;

use async_trait::async_trait;
use wse_proto::Negotiate;

use crate::client::Connector;
use crate::server::Server;
use crate::transport::Transport;

/// A URL for clients whose connector ignores the address.
pub const URL: &str = "ws://memory/";

/// The size of the pipe in each direction, in bytes.
const BUFFER: usize = 64 * 1024;

/// Returns a connector that opens connections to `server` in memory.
#[must_use]
pub fn connector<P: Negotiate>(server: &Server<P>) -> MemoryConnector<P> {
    MemoryConnector(server.clone())
}

/// A connector in memory: see [`connector`].
#[derive(Clone)]
pub struct MemoryConnector<P: Negotiate>(Server<P>);

#[async_trait]
impl<P: Negotiate> Connector for MemoryConnector<P> {
    async fn connect(&self, _host: &str, _port: u16) -> io::Result<Box<dyn Transport>> {
        let (near, far) = tokio::io::duplex(BUFFER);
        self.0.spawn_accept(Box::new(far));
        Ok(Box::new(near))
    }
}

impl<P: Negotiate> fmt::Debug for MemoryConnector<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryConnector").finish()
    }
}
