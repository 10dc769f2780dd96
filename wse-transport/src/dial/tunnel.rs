//! Tunnels through proxies, over any transport.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Response;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::stream::{NetStream, Tunnel};
use super::tcp::resolve;
use crate::head::read_body;
use crate::proxy::{Connect, Kind, Proxy, ProxyError, ProxyFailure, Socks5, Step};
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// Opens a tunnel to the server over `connection`, which leads to the proxy. The steps before and behind the
/// connection have the deadline `patience` each.
pub(super) async fn tunnel<T>(
    proxy: &Proxy,
    (host, port): (&str, u16),
    patience: Duration,
    connection: impl Future<Output = io::Result<T>>,
) -> Result<Tunnel<T>, ProxyError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |failure| ProxyError::new(proxy.to_string(), failure);
    let tunnelling = async {
        let mut dialogue = dialogue(proxy, host, port, patience).await?;
        let io = connection.await.map_err(ProxyFailure::Unreachable)?;
        let negotiating = async {
            let mut io = secured(proxy, io).await?;
            let mut received = BytesMut::with_capacity(512);
            let refused = dialogue.run(&mut io, &mut received).await?;
            Ok((io, received, refused))
        };
        let (mut io, received, refused) =
            timeout(patience, negotiating).await.unwrap_or(Err(ProxyFailure::Timeout))?;
        // Reading the body of a refusal has a deadline of its own.
        if let Some(response) = refused {
            let body = read_body(&mut io, received, &response).await;
            return Err(ProxyFailure::Refused(Box::new(response.map(|_| body))));
        }
        Ok(Tunnel::new(io, received))
    };
    tunnelling.await.map_err(failed)
}

async fn dialogue(
    proxy: &Proxy,
    host: &str,
    port: u16,
    patience: Duration,
) -> Result<Dialogue, ProxyFailure> {
    let address = match proxy.kind {
        Kind::Http | Kind::Https => return Ok(Dialogue::Connect(Connect::new(proxy, host, port)?)),
        Kind::Socks5h => None,
        Kind::Socks5 => {
            let found = timeout(patience, resolve(host, port)).await;
            let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let found = found.map_err(ProxyFailure::Unresolved)?;
            found.first().map(|address| address.ip().to_string())
        }
    };
    let host = address.as_deref().unwrap_or(host);
    let dialogue = Socks5::new(host, port, proxy.login.clone()).map_err(ProxyFailure::Socks)?;
    Ok(Dialogue::Socks5(dialogue))
}

#[cfg(feature = "tls")]
async fn secured<T>(proxy: &Proxy, io: T) -> Result<NetStream<T>, ProxyFailure>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if proxy.kind != Kind::Https {
        return Ok(io.into());
    }
    let tls = crate::tls::or_system(proxy.tls.as_ref()).await.map_err(from_tls)?;
    Ok(tls.connect(proxy.host(), io).await.map_err(from_tls)?.into())
}

#[cfg(not(feature = "tls"))]
async fn secured<T>(_: &Proxy, io: T) -> Result<NetStream<T>, ProxyFailure> {
    Ok(io.into())
}

/// The dialogue with a proxy.
enum Dialogue {
    Connect(Connect),
    Socks5(Socks5),
}

impl Dialogue {
    /// Runs the dialogue. Returns the response of a proxy that refuses. `received` then contains the beginning of its
    /// body, and otherwise the first bytes from the tunnel.
    async fn run<T>(
        &mut self,
        io: &mut T,
        received: &mut BytesMut,
    ) -> Result<Option<Response<Bytes>>, ProxyFailure>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let step = match self {
                Self::Connect(connect) => connect.step(received),
                Self::Socks5(socks) => socks.step(received).map_err(ProxyFailure::Socks),
            };
            match step {
                Ok(Step::Send(bytes)) => {
                    io.write_all(&bytes).await.map_err(from_io)?;
                    io.flush().await.map_err(from_io)?;
                }
                Ok(Step::Receive) => {
                    if io.read_buf(received).await.map_err(from_io)? == 0 {
                        return Err(ProxyFailure::Io(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
                Ok(Step::Open) => return Ok(None),
                Err(ProxyFailure::Refused(response)) => return Ok(Some(*response)),
                Err(failure) => return Err(failure),
            }
        }
    }
}

// With TLS 1.3, the proxy judges a client's certificate after the handshake is done on the client's side.
fn from_io(error: io::Error) -> ProxyFailure {
    #[cfg(feature = "tls")]
    return from_tls(TlsError::from_io(error, false));
    #[cfg(not(feature = "tls"))]
    ProxyFailure::Io(error)
}

#[cfg(feature = "tls")]
fn from_tls(error: TlsError) -> ProxyFailure {
    match error {
        TlsError::Io(error) => ProxyFailure::Io(error),
        error => ProxyFailure::Tls(error),
    }
}
