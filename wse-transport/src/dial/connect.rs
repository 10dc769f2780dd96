//! From a URL to an open WebSocket.

use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::open::Opened;
use super::options::Dial;
use super::stream::NetStream;
use super::tcp::tcp;
use crate::frame::Role;
use crate::handshake::{ClientRequest, HandshakeError, ask};
use crate::random;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;
use crate::ws::{Config, WebSocket};

/// Connects to a `ws://` or `wss://` URL, and returns the WebSocket with the server's response.
///
/// `TCP_NODELAY` is set. `wss` needs the feature `tls`, and trusts the certificate authorities of the system.
/// [`connect_with`] takes header fields and subprotocols, [`connect_dial`] proxies and redirects,
/// [`connect_over`] a transport.
///
/// Cancel safe: dropping the future closes the connection.
///
/// # Errors
///
/// [`HandshakeError`]; [`HandshakeError::Timeout`] after [`Config::handshake_timeout`].
pub async fn connect(
    url: &str,
    config: Config,
) -> Result<(WebSocket<NetStream>, Response<()>), HandshakeError> {
    connect_with(&ClientRequest::new(url)?, config).await
}

/// [`connect`] with a request of the caller's, which has subprotocols, header fields and extensions.
///
/// Cancel safe: dropping the future closes the connection.
///
/// # Errors
///
/// [`HandshakeError`]; [`HandshakeError::Timeout`] after [`Config::handshake_timeout`].
pub async fn connect_with(
    request: &ClientRequest,
    config: Config,
) -> Result<(WebSocket<NetStream>, Response<()>), HandshakeError> {
    connect_dial(request, &Dial::default(), config).await
}

/// [`connect_with`] TLS settings of the caller's, for a `wss://` URL. Feature `tls`.
///
/// Cancel safe: dropping the future closes the connection.
///
/// # Errors
///
/// [`HandshakeError`]; [`HandshakeError::Timeout`] after [`Config::handshake_timeout`].
#[cfg(feature = "tls")]
pub async fn connect_with_tls(
    request: &ClientRequest,
    tls: &ClientTls,
    config: Config,
) -> Result<(WebSocket<NetStream>, Response<()>), HandshakeError> {
    connect_dial(request, &Dial::default().tls(tls.clone()), config).await
}

/// [`connect_with`] a [`Dial`]: proxies, redirects, TLS, and the deadline of each TCP connection.
///
/// Cancel safe: dropping the future closes the connection.
///
/// # Errors
///
/// [`HandshakeError`]; [`HandshakeError::Timeout`] after [`Config::handshake_timeout`], which covers all of
/// it.
pub async fn connect_dial(
    request: &ClientRequest,
    dial: &Dial,
    config: Config,
) -> Result<(WebSocket<NetStream>, Response<()>), HandshakeError> {
    let request = request.clone().or_deflate(config.deflate);
    let connect = |host: String, port| async move { tcp(&host, port).await };
    let opened = timeout(config.handshake_timeout, dial.open(&request, connect))
        .await
        .map_err(|_| HandshakeError::Timeout)??;
    let Opened { io, response, leftover, .. } = opened;
    let negotiated = request.negotiated(&response)?;
    let mut socket = WebSocket::with_leftover(io, leftover, Role::Client, config);
    socket.set_negotiated(negotiated);
    Ok((socket, response))
}

/// Does the opening handshake over a transport that is connected already, and returns the WebSocket with the
/// server's response. TLS is the caller's: `wss` and `ws` URLs are treated alike.
///
/// Cancel safe: dropping the future drops the transport.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wse_transport::handshake::ClientRequest;
/// use wse_transport::ws::Config;
/// use wse_transport::{accept, connect_over};
///
/// let (near, far) = tokio::io::duplex(1024);
/// let request = ClientRequest::new("ws://example.com/chat")?;
/// let (client, server) = tokio::join!(
///     connect_over(&request, near, Config::default()),
///     accept(far, Config::default()),
/// );
/// let ((_client, response), (_server, request)) = (client?, server?);
/// assert_eq!((response.status().as_u16(), request.uri().path()), (101, "/chat"));
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`HandshakeError`]; [`HandshakeError::Timeout`] after [`Config::handshake_timeout`].
pub async fn connect_over<T>(
    request: &ClientRequest,
    mut io: T,
    config: Config,
) -> Result<(WebSocket<T>, Response<()>), HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let request = request.clone().or_deflate(config.deflate);
    let asked = timeout(config.handshake_timeout, ask(&mut io, &request, random::key()));
    let (response, leftover, _) = asked.await.map_err(|_| HandshakeError::Timeout)??;
    let negotiated = request.negotiated(&response)?;
    let mut socket = WebSocket::with_leftover(io, leftover, Role::Client, config);
    socket.set_negotiated(negotiated);
    Ok((socket, response))
}

#[cfg(all(test, not(feature = "tls")))]
mod tests {
    use super::*;
    use crate::handshake::RequestError;

    #[tokio::test]
    async fn wss_without_the_feature_says_so() {
        let refused = connect("wss://127.0.0.1:1/", Config::default()).await;
        let Err(HandshakeError::Request(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error, RequestError::NoTls);
        assert!(error.to_string().contains("feature `tls`"));
    }
}
