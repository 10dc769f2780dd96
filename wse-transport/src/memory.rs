//! Endpoints in memory, for tests: real client, real server, real handshake, no sockets. Under a
//! paused tokio clock time is virtual.
//!
//! ```
//! # async fn example<P: wse_proto::Protocol + wse_proto::Speaks<String>>(protocol: P)
//! #     -> Result<(), wse_transport::ConnectError> {
//! use wse_transport::{Accept, Client, Hello, Server, memory};
//!
//! let server = Server::builder(protocol.clone())
//!     .identify(|_, hello: Hello<String, String>| async move {
//!         Ok(Accept::user(hello.identity).welcome("hi".to_owned()))
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
use wse_proto::Protocol;

use crate::client::{Connector, Transport};
use crate::server::Server;

/// A URL for clients whose connector does not look at it.
pub const URL: &str = "ws://memory/";

/// Bytes that each direction holds.
const BUFFER: usize = 64 * 1024;

/// Gives clients transports to `server`, as many as they ask for.
pub fn connector<P: Protocol>(server: &Server<P>) -> MemoryConnector<P> {
    MemoryConnector(server.clone())
}

/// See [`connector`].
#[derive(Clone)]
pub struct MemoryConnector<P: Protocol>(Server<P>);

#[async_trait]
impl<P: Protocol> Connector for MemoryConnector<P> {
    async fn connect(&self, _host: &str, _port: u16) -> io::Result<Box<dyn Transport>> {
        let (near, far) = tokio::io::duplex(BUFFER);
        self.0.spawn_accept(far);
        Ok(Box::new(near))
    }
}

impl<P: Protocol> fmt::Debug for MemoryConnector<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryConnector").finish()
    }
}
