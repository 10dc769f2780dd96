//! From a request to the response that makes a WebSocket: dialling, proxies, TLS and redirects, over any
//! transport. Both [`connect`](super::connect) and the high-level client come this way.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::dial::Dial;
use super::net::NetStream;
use super::stream::random_key;
#[cfg(not(feature = "tls"))]
use crate::handshake::RequestError;
use crate::handshake::{ClientRequest, HandshakeError, RedirectError, ask, is_redirect};
#[cfg(feature = "tls")]
use crate::tls::{ClientTls, TlsStream};

/// A server that has switched protocols.
pub(crate) struct Reached<T> {
    pub(crate) io: NetStream<T>,
    pub(crate) response: Response<()>,
    /// The server's first frames.
    pub(crate) leftover: BytesMut,
    pub(crate) subprotocol: Option<String>,
}

/// Asks the server, and those to which it redirects. `connect` opens a transport to a host and port. It has no
/// deadline but those of [`Dial::timeout`].
pub(crate) async fn reach<T, Fut>(
    request: &ClientRequest,
    dial: &Dial,
    connect: impl Fn(String, u16) -> Fut,
) -> Result<Reached<T>, HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    Fut: Future<Output = io::Result<T>>,
{
    let mut request = request.clone();
    let mut redirects = 0;
    loop {
        let mut io = open(&request, dial, &connect).await?;
        match ask(&mut io, &request, random_key()).await {
            Ok((response, leftover, subprotocol)) => {
                return Ok(Reached { io, response, leftover, subprotocol });
            }
            Err(HandshakeError::Refused(response))
                if dial.redirects > 0 && is_redirect(&response) =>
            {
                if redirects == dial.redirects {
                    return Err(RedirectError::TooMany(redirects).into());
                }
                redirects += 1;
                request = request.redirected(&response)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A transport to the server: direct or through a proxy, and TLS over it if the URL says so.
async fn open<T, Fut>(
    request: &ClientRequest,
    dial: &Dial,
    connect: impl Fn(String, u16) -> Fut,
) -> Result<NetStream<T>, HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    Fut: Future<Output = io::Result<T>>,
{
    #[cfg(not(feature = "tls"))]
    if request.is_secure() {
        return Err(RequestError::NoTls.into());
    }
    #[cfg(feature = "tls")]
    let tls = match request.is_secure() {
        true => Some(crate::tls::or_system(dial.tls.as_ref()).await?),
        false => None,
    };
    let (host, port) = (request.host(), request.port());
    let connect = |host: &str, port| within(dial.timeout, connect(host.to_owned(), port));
    match dial.proxies.choose(request.is_secure(), host, port) {
        None => {
            let io = connect(host, port).await?;
            #[cfg(feature = "tls")]
            return secured(io, tls.as_ref(), host).await;
            #[cfg(not(feature = "tls"))]
            Ok(io.into())
        }
        Some(proxy) => {
            let connecting = connect(proxy.host(), proxy.port());
            let io = proxy.tunnel(request, dial.timeout, connecting).await?;
            #[cfg(feature = "tls")]
            return secured(io, tls.as_ref(), host).await;
            #[cfg(not(feature = "tls"))]
            Ok(io.into())
        }
    }
}

#[cfg(feature = "tls")]
async fn secured<T, S>(
    io: S,
    tls: Option<&ClientTls>,
    host: &str,
) -> Result<NetStream<T>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    NetStream<T>: From<S> + From<TlsStream<S>>,
{
    match tls {
        Some(tls) => Ok(tls.connect(host, io).await?.into()),
        None => Ok(io.into()),
    }
}

async fn within<T>(
    patience: Duration,
    connecting: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    timeout(patience, connecting).await.unwrap_or_else(|_| {
        let why = format!("no connection within {patience:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    })
}
