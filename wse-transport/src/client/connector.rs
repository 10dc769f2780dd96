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
    /// Opens a transport to this host and port.
    ///
    /// # Errors
    ///
    /// Whatever the network says.
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>>;
}

/// TCP, with `TCP_NODELAY` on.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

#[async_trait]
impl Connector for TcpConnector {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Transport>> {
        Ok(Box::new(ws::dial(host, port).await?))
    }
}
