//! From a request to a verified response: connections, proxies, TLS and redirects, over any transport.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::options::Dial;
use super::stream::NetStream;
use super::tunnel::tunnel;
#[cfg(not(feature = "tls"))]
use crate::handshake::RequestError;
use crate::handshake::{ClientRequest, HandshakeError, RedirectError, ask, is_redirect};
use crate::random;
#[cfg(feature = "tls")]
use crate::tls::{ClientTls, TlsStream};

/// A connection whose opening handshake is done: what [`Dial::open`] returns.
///
/// For a WebSocket over it, use [`WebSocket::with_leftover`](crate::ws::WebSocket::with_leftover) and
/// [`ClientRequest::negotiated`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<T> {
    /// The connection.
    pub io: NetStream<T>,
    /// The response, with status 101.
    pub response: Response<()>,
    /// The bytes behind the response, which are the server's first frames.
    pub leftover: BytesMut,
    /// The subprotocol that the server selected.
    pub subprotocol: Option<String>,
}

impl Dial {
    /// Connects to the server of a request, or to those that it redirects to, and does the opening handshake:
    /// [`connect_dial`](crate::connect_dial) over transports of the caller's. `connect` opens a transport to a host and
    /// port, which are those of the server or of a proxy.
    ///
    /// Each connection has the deadline [`timeout`](Self::timeout); the whole has none.
    ///
    /// Cancel safe: dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`].
    pub async fn open<T, Fut>(
        &self,
        request: &ClientRequest,
        connect: impl Fn(String, u16) -> Fut,
    ) -> Result<Opened<T>, HandshakeError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
        Fut: Future<Output = io::Result<T>>,
    {
        let mut request = request.clone();
        let mut redirects = 0;
        loop {
            let mut io = open(&request, self, &connect).await?;
            match ask(&mut io, &request, random::key()).await {
                Ok((response, leftover, subprotocol)) => {
                    return Ok(Opened { io, response, leftover, subprotocol });
                }
                Err(HandshakeError::Refused(response))
                    if self.redirects > 0 && is_redirect(&response) =>
                {
                    if redirects == self.redirects {
                        return Err(RedirectError::TooMany(redirects).into());
                    }
                    redirects += 1;
                    request = request.redirected(&response)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Opens a connection to the server: direct or through a proxy, with TLS over it for a `wss` URL.
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
            let io = tunnel(proxy, (host, port), dial.timeout, connecting).await?;
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
