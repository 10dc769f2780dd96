//! [`accept_tcp`].

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// How long to wait after a failed accept.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts the next TCP connection, sets `TCP_NODELAY`, and returns it with the address of its peer.
///
/// An error is not the end of a server: the peer was gone already, or the process has no more file descriptors, which
/// passes. It is a `warn` of `tracing`, and after 50 ms the next connection is tried.
///
/// Cancel safe.
///
/// ```no_run
/// use futures::StreamExt;
/// use wse_transport::ws::Config;
///
/// # async fn example(listener: tokio::net::TcpListener) {
/// loop {
///     let (io, peer) = wse_transport::accept_tcp(&listener).await;
///     tokio::spawn(async move {
///         match wse_transport::accept(io, Config::default()).await {
///             Ok((mut socket, _)) => while let Some(Ok(message)) = socket.next().await {},
///             Err(error) => eprintln!("{peer}: {error:#}"),
///         }
///     });
/// }
/// # }
/// ```
pub async fn accept_tcp(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((io, peer)) => {
                // Otherwise small messages wait for the acknowledgement of earlier ones.
                let _ = io.set_nodelay(true);
                return (io, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(PAUSE).await;
            }
        }
    }
}
