//! [`Connector`]: how a client opens its transport.

use std::io;

use async_trait::async_trait;
use wse_transport::dial;

use crate::transport::Transport;

/// Opens the transport of a client: TCP by default, memory in tests, or a tunnel of your own.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Opens a transport to this host and port: the server's, or the proxy's. The future may be
    /// dropped at any time.
    ///
    /// # Errors
    ///
    /// Any error of the network.
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>>;
}

/// TCP with `TCP_NODELAY`. Tries the addresses of a host in parallel and takes the first that
/// connects (RFC 8305).
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

#[async_trait]
impl Connector for TcpConnector {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>> {
        Ok(Box::new(dial::tcp(host, port).await?))
    }
}
