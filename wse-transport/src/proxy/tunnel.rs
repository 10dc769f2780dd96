//! The way to a proxy and through it, over any transport.

use std::future::Future;
use std::time::Duration;
use std::{fmt, io};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::address::{Kind, Proxy};
use super::connect::Connect;
use super::error::{ProxyError, ProxyFailure};
use super::socks::Socks5;
#[cfg(feature = "tls")]
use crate::handshake::HandshakeError;
use crate::handshake::read_body;
use crate::ws::{NetStream, Tunnel, resolve};

/// What is next for a [`Connect`] or a [`Socks5`].
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes to the proxy. They may hold the login.
    Send(Bytes),
    /// Receive more.
    Receive,
    /// The tunnel is open, and what is received from now on comes from its other end.
    Open,
}

impl fmt::Debug for Step {
    /// Without what is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Self::Receive => f.write_str("Receive"),
            Self::Open => f.write_str("Open"),
        }
    }
}

impl Proxy {
    /// Opens a tunnel to `host` and `port` over `connection`, which leads to the proxy. Either takes at most
    /// `patience`.
    pub(crate) async fn tunnel<T>(
        &self,
        (host, port): (&str, u16),
        patience: Duration,
        connection: impl Future<Output = io::Result<T>>,
    ) -> Result<Tunnel<T>, ProxyError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let failed = |failure| ProxyError::new(self.to_string(), failure);
        let tunnelling = async {
            let asking = self.asking(host, port).await?;
            let io = connection.await.map_err(ProxyFailure::Unreachable)?;
            let negotiating = async {
                let mut io = self.secured(io).await?;
                let ahead = asking.over(&mut io).await?;
                Ok(Tunnel::new(io, ahead))
            };
            timeout(patience, negotiating).await.unwrap_or(Err(ProxyFailure::Timeout))
        };
        tunnelling.await.map_err(failed)
    }

    async fn asking(&self, host: &str, port: u16) -> Result<Asking, ProxyFailure> {
        let address = match self.kind {
            Kind::Http | Kind::Https => {
                return Ok(Asking::Connect(Connect::new(host, port, &self.headers)));
            }
            Kind::Socks5h => None,
            Kind::Socks5 => {
                let found = resolve(host, port).await.map_err(ProxyFailure::Unresolved)?;
                found.first().map(|address| address.ip().to_string())
            }
        };
        let host = address.as_deref().unwrap_or(host);
        let asking = Socks5::new(host, port, self.login.clone()).map_err(ProxyFailure::Socks)?;
        Ok(Asking::Socks5(asking))
    }

    #[cfg(feature = "tls")]
    async fn secured<T>(&self, io: T) -> Result<NetStream<T>, ProxyFailure>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        if self.kind != Kind::Https {
            return Ok(io.into());
        }
        let tls = crate::tls::or_system(self.tls.as_ref()).await.map_err(from_tls)?;
        Ok(tls.connect(&self.host, io).await.map_err(from_tls)?.into())
    }

    #[cfg(not(feature = "tls"))]
    async fn secured<T>(&self, io: T) -> Result<NetStream<T>, ProxyFailure> {
        Ok(io.into())
    }
}

/// What is being said to a proxy.
enum Asking {
    Connect(Connect),
    Socks5(Socks5),
}

impl Asking {
    /// Says it, and returns what has come of the tunnel already.
    async fn over<T>(mut self, io: &mut T) -> Result<BytesMut, ProxyFailure>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let mut received = BytesMut::new();
        loop {
            let step = match &mut self {
                Self::Connect(connect) => connect.step(&mut received),
                Self::Socks5(socks) => socks.step(&mut received).map_err(ProxyFailure::Socks),
            };
            match step {
                Ok(Step::Send(bytes)) => {
                    io.write_all(&bytes).await.map_err(from_io)?;
                    io.flush().await.map_err(from_io)?;
                }
                Ok(Step::Receive) => {
                    if io.read_buf(&mut received).await.map_err(from_io)? == 0 {
                        return Err(ProxyFailure::Io(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
                Ok(Step::Open) => return Ok(received),
                Err(ProxyFailure::Refused(response)) => {
                    let body = read_body(io, received, &response).await;
                    return Err(ProxyFailure::Refused(Box::new(response.map(|_| body))));
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// A proxy judges a client's certificate only when the client is through with TLS.
fn from_io(error: io::Error) -> ProxyFailure {
    #[cfg(feature = "tls")]
    return from_tls(crate::tls::handshake_error(error, false));
    #[cfg(not(feature = "tls"))]
    ProxyFailure::Io(error)
}

#[cfg(feature = "tls")]
fn from_tls(error: HandshakeError) -> ProxyFailure {
    match error {
        HandshakeError::Tls(error) => ProxyFailure::Tls(error),
        HandshakeError::Io(error) => ProxyFailure::Io(error),
        // Nothing else comes of TLS.
        other => ProxyFailure::Io(io::Error::other(other)),
    }
}
