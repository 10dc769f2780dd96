//! Accepting a WebSocket on a fresh connection.

use std::sync::Arc;

use http::{HeaderMap, Request};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::extension::Extension;
use crate::frame::Role;
use crate::handshake::{
    HandshakeError, OriginPolicy, Rejection, Upgrade, read_request, write_rejection, write_response,
};
use crate::head::HeadLimits;
use crate::ws::{Config, WebSocket};

/// Accepts a WebSocket on a fresh connection, and returns it with the request.
///
/// A browser page of another host is rejected ([`OriginPolicy::SameHost`]), and no subprotocol is selected; see
/// [`accept_with`] for other policies. A rejected client gets an HTTP response. The caller sets the options of TCP:
/// set `TCP_NODELAY`.
///
/// Not cancel safe: drop the transport with the future.
///
/// # Errors
///
/// [`HandshakeError`]; [`HandshakeError::Timeout`] after [`Config::handshake_timeout`].
pub async fn accept<T>(io: T, config: Config) -> Result<(WebSocket<T>, Request<()>), HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    accept_with(io, config, |_, request| {
        OriginPolicy::SameHost.check(request)?;
        Ok(None)
    })
    .await
}

/// [`accept`] with a decision of the caller's: `decide` gets the request, and returns the subprotocol to select, which
/// must be one of the offered ones, or a [`Rejection`].
///
/// Not cancel safe: drop the transport with the future.
///
/// ```
/// # async fn example(io: tokio::net::TcpStream) -> Result<(), wse_transport::handshake::HandshakeError> {
/// use http::StatusCode;
/// use wse_transport::accept_with;
/// use wse_transport::handshake::Rejection;
/// use wse_transport::ws::Config;
///
/// let (socket, request) = accept_with(io, Config::default(), |upgrade, request| {
///     if request.uri().path() != "/chat" {
///         return Err(Rejection::new(StatusCode::NOT_FOUND, "no such path"));
///     }
///     Ok(upgrade.subprotocols().iter().find(|name| *name == "chat.v2").cloned())
/// })
/// .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`HandshakeError`]; [`HandshakeError::Timeout`] after [`Config::handshake_timeout`].
pub async fn accept_with<T, F>(
    io: T,
    config: Config,
    decide: F,
) -> Result<(WebSocket<T>, Request<()>), HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce(&Upgrade, &Request<()>) -> Result<Option<String>, Rejection>,
{
    accept_extended(io, config, &[], decide).await
}

/// [`accept_with`] extensions, best first. Those that the client offers are agreed on.
///
/// Not cancel safe: drop the transport with the future.
///
/// # Errors
///
/// [`HandshakeError`]; [`HandshakeError::Timeout`] after [`Config::handshake_timeout`].
pub async fn accept_extended<T, F>(
    mut io: T,
    config: Config,
    extensions: &[Arc<dyn Extension>],
    decide: F,
) -> Result<(WebSocket<T>, Request<()>), HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce(&Upgrade, &Request<()>) -> Result<Option<String>, Rejection>,
{
    // Boxed: otherwise the task of the connection is as large as its handshake for its whole life.
    let handshake = Box::pin(async {
        let answer = match read_request(&mut io, &HeadLimits::default()).await {
            Ok((request, leftover)) => Upgrade::from_request(&request).and_then(|mut upgrade| {
                let selected = decide(&upgrade, &request)?;
                let negotiated = upgrade.negotiate(&request, config.deflate, extensions)?;
                Ok((upgrade, selected, negotiated, request, leftover))
            }),
            Err(HandshakeError::Rejected(rejection)) => Err(rejection),
            Err(error) => return Err(error),
        };
        match answer {
            Ok((upgrade, selected, negotiated, request, leftover)) => {
                let response = upgrade.response(selected.as_deref(), &HeaderMap::new())?;
                write_response(&mut io, &response).await?;
                Ok((negotiated, request, leftover))
            }
            Err(rejection) => {
                write_rejection(&mut io, &rejection).await?;
                Err(HandshakeError::Rejected(rejection))
            }
        }
    });
    let (negotiated, request, leftover) = timeout(config.handshake_timeout, handshake)
        .await
        .map_err(|_| HandshakeError::Timeout)??;
    let mut socket = WebSocket::with_leftover(io, leftover, Role::Server, config);
    socket.set_negotiated(negotiated);
    Ok((socket, request))
}
