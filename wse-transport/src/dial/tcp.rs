//! Opening TCP connections.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};

use super::race::{interleave, race};

/// Opens a TCP connection with `TCP_NODELAY` to a host, which is a name or an address without brackets. Of
/// several addresses, the one that answers first is used (RFC 8305).
///
/// Cancel safe. It has no deadline of its own.
///
/// # Errors
///
/// Those of the look-up, and of the last attempt to connect.
pub async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = race(interleave(resolve(host, port).await?), TcpStream::connect).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The addresses of a host, in the order of the system's preference; at least one.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = lookup_host((host, port)).await?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}
