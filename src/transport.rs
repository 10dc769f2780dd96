//! [`Transport`]: a byte stream of any type.

use tokio::io::{AsyncRead, AsyncWrite};

/// Any byte stream that a WebSocket can run over.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}
