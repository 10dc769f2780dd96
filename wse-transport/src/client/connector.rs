//! [`Connector`]: how a client gets its transport.

use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::ws;

/// Anything a WebSocket can travel over.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// How a client gets its transport: TCP by default, memory in tests, or whatever you tunnel through.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Opens a transport to this host and port: the server's, or those of the proxy to it. It may be dropped
    /// at any time.
    ///
    /// # Errors
    ///
    /// Whatever the network says.
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>>;
}

/// TCP, with `TCP_NODELAY` on. Of several addresses of a host the first that answers is taken (RFC 8305).
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

#[async_trait]
impl Connector for TcpConnector {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>> {
        Ok(Box::new(ws::tcp(host, port).await?))
    }
}
