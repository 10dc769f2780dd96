//! The opening handshake and what follows it, in one call.

use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    agreed::Agreed,
    codec::Role,
    compression::{offer, wanted},
    config::Config,
    dial::Dial,
    extension::Extension,
    net::{NetStream, tcp},
    reach::{Reached, reach},
    websocket::WebSocket,
};
use crate::handshake::{
    ClientRequest, HandshakeError, HeadLimits, OriginPolicy, Rejection, Upgrade, read_request,
    write_rejection, write_response,
};
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// Accepts a WebSocket on a fresh connection, and returns it with the request that asked for it.
///
/// A browser page of another host is refused ([`OriginPolicy::SameHost`]), and no subprotocol is
/// selected; [`accept_with`] decides otherwise. A refused peer gets an HTTP answer. The TCP options
/// are the caller's: set `TCP_NODELAY`.
///
/// # Errors
///
/// [`HandshakeError`], also after [`Config::handshake_timeout`].
///
/// Not cancel safe: drop the transport with the future.
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

/// [`accept`] with a decision of the caller's: `decide` gets what was asked for, and returns the
/// subprotocol to select, which must be one that was offered, or a [`Rejection`].
///
/// # Errors
///
/// [`HandshakeError`], also after [`Config::handshake_timeout`].
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

/// [`accept_with`] extensions of the caller's, best first: those that the client offers are agreed upon.
///
/// # Errors
///
/// [`HandshakeError`], also after [`Config::handshake_timeout`].
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
    // Boxed: a task is as large as its largest moment, for as long as it lives.
    let handshake = Box::pin(async {
        let answer = match read_request(&mut io, &HeadLimits::default()).await {
            Ok((request, leftover)) => Upgrade::from_request(&request).and_then(|mut upgrade| {
                let selected = decide(&upgrade, &request)?;
                let wanted = wanted(&config);
                let agreed = Agreed::by_server(&mut upgrade, &request, wanted, extensions)?;
                Ok((upgrade, selected, agreed, request, leftover))
            }),
            Err(HandshakeError::Rejected(rejection)) => Err(rejection),
            Err(error) => return Err(error),
        };
        match answer {
            Ok((upgrade, selected, agreed, request, leftover)) => {
                let response = upgrade.response(selected.as_deref(), &HeaderMap::new())?;
                write_response(&mut io, &response).await?;
                Ok((agreed, request, leftover))
            }
            Err(rejection) => {
                write_rejection(&mut io, &rejection).await?;
                Err(HandshakeError::Rejected(rejection))
            }
        }
    });
    let (agreed, request, leftover) = timeout(config.handshake_timeout, handshake)
        .await
        .map_err(|_| HandshakeError::Timeout)??;
    let mut socket = WebSocket::with_leftover(io, leftover, Role::Server, config);
    socket.agree(agreed);
    Ok((socket, request))
}

/// Connects to a `ws://` or `wss://` URL, with `TCP_NODELAY` on, and returns the WebSocket with the
/// server's response. `wss` needs the feature `tls`, and trusts what the system trusts.
///
/// # Errors
///
/// [`HandshakeError`], also after [`Config::handshake_timeout`].
pub async fn connect(
    url: &str,
    config: Config,
) -> Result<(WebSocket<NetStream>, Response<()>), HandshakeError> {
    connect_with(&ClientRequest::new(url)?, config).await
}

/// [`connect`] with subprotocols and headers of the caller's.
///
/// # Errors
///
/// [`HandshakeError`], also after [`Config::handshake_timeout`].
pub async fn connect_with(
    request: &ClientRequest,
    config: Config,
) -> Result<(WebSocket<NetStream>, Response<()>), HandshakeError> {
    connect_dial(request, &Dial::default(), config).await
}

/// [`connect_with`] a trust and an identity of the caller's, for a `wss://` URL.
///
/// # Errors
///
/// [`HandshakeError`], also after [`Config::handshake_timeout`].
#[cfg(feature = "tls")]
pub async fn connect_with_tls(
    request: &ClientRequest,
    tls: &ClientTls,
    config: Config,
) -> Result<(WebSocket<NetStream>, Response<()>), HandshakeError> {
    connect_dial(request, &Dial::default().tls(tls.clone()), config).await
}

/// [`connect_with`] a way of the caller's: through proxies, along redirects, with a trust and identity for
/// TLS.
///
/// # Errors
///
/// [`HandshakeError`], also after [`Config::handshake_timeout`], which covers all of it.
///
/// Cancel safe, in that a dropped future closes what it has opened.
pub async fn connect_dial(
    request: &ClientRequest,
    dial: &Dial,
    config: Config,
) -> Result<(WebSocket<NetStream>, Response<()>), HandshakeError> {
    let request = offer(request.clone(), wanted(&config));
    let connect = |host: String, port| async move { tcp(&host, port).await };
    let reached = timeout(config.handshake_timeout, reach(&request, dial, connect))
        .await
        .map_err(|_| HandshakeError::Timeout)??;
    let Reached { io, response, leftover, .. } = reached;
    let agreed = Agreed::by_client(&request, &response)?;
    let mut socket = WebSocket::with_leftover(io, leftover, Role::Client, config);
    socket.agree(agreed);
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
