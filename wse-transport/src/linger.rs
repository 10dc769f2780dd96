//! Closes a connection so that the peer receives the last bytes.

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long to wait for the peer's end of the connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shuts the write side down, then reads and discards, for a second at most: closing a socket with unread bytes
/// resets it, which can destroy the bytes written last.
pub(crate) async fn linger<T: AsyncRead + AsyncWrite + Unpin>(io: &mut T) -> io::Result<()> {
    io.shutdown().await?;
    let _ = timeout(PATIENCE, tokio::io::copy(io, &mut tokio::io::sink())).await;
    Ok(())
}
