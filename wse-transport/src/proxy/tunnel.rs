//! The way to a proxy and through it, over any transport.

use std::future::Future;
use std::time::Duration;
use std::{fmt, io};

use bytes::{Bytes, BytesMut};
use http::Response;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::address::{Kind, Proxy};
use super::connect::Connect;
use super::error::{ProxyError, ProxyFailure};
use super::socks::Socks5;
#[cfg(feature = "tls")]
use crate::handshake::HandshakeError;
use crate::handshake::{ClientRequest, read_body};
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
    /// Opens a tunnel to the server over `connection`, which leads to the proxy. What comes before and behind
    /// the connection takes at most `patience` each.
    pub(crate) async fn tunnel<T>(
        &self,
        request: &ClientRequest,
        patience: Duration,
        connection: impl Future<Output = io::Result<T>>,
    ) -> Result<Tunnel<T>, ProxyError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let failed = |failure| ProxyError::new(self.to_string(), failure);
        let tunnelling = async {
            let mut asking = self.asking(request, patience).await?;
            let io = connection.await.map_err(ProxyFailure::Unreachable)?;
            let negotiating = async {
                let mut io = self.secured(io).await?;
                let mut received = BytesMut::with_capacity(512);
                let refused = asking.over(&mut io, &mut received).await?;
                Ok((io, received, refused))
            };
            let (mut io, received, refused) =
                timeout(patience, negotiating).await.unwrap_or(Err(ProxyFailure::Timeout))?;
            // A refusal's body has a deadline of its own.
            if let Some(response) = refused {
                let body = read_body(&mut io, received, &response).await;
                return Err(ProxyFailure::Refused(Box::new(response.map(|_| body))));
            }
            Ok(Tunnel::new(io, received))
        };
        tunnelling.await.map_err(failed)
    }

    async fn asking(
        &self,
        request: &ClientRequest,
        patience: Duration,
    ) -> Result<Asking, ProxyFailure> {
        let (host, port) = (request.host(), request.port());
        let address = match self.kind {
            Kind::Http | Kind::Https => return Ok(Asking::Connect(Connect::new(self, request))),
            Kind::Socks5h => None,
            Kind::Socks5 => {
                let found = timeout(patience, resolve(host, port)).await;
                let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                let found = found.map_err(ProxyFailure::Unresolved)?;
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
    /// Says it, and leaves in `received` what has come of the tunnel already, or of the body of a response that
    /// opens none.
    async fn over<T>(
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
