//! From a socket to its request: [`Acceptor`] and [`arrive`].

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
#[cfg(feature = "tls")]
use http::StatusCode;
use http::{Extensions, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wse_transport::dial::NetStream;
use wse_transport::handshake::{
    HandshakeError, HeadLimits, Rejection, read_request, write_rejection,
};
#[cfg(feature = "tls")]
use wse_transport::tls::{PeerCertificates, ServerTls, TlsError, TlsStream};

use super::refused::{Refused, RefusedAt, RefusedWith};
#[cfg(feature = "tls")]
use crate::chain::chain;
use crate::connection::Clock;

/// A transport, and the extensions for the request that arrives over it.
pub(super) type NewTransport<T> = (T, Extensions);

/// A request, its transport, and what has arrived after it.
pub(super) type Arrived<T> = (T, Request<()>, BytesMut);

/// Why a connection has no request.
pub(super) enum NoRequest<T> {
    /// The peer has left.
    Gone,
    /// The transport is dropped, for this cause.
    Dropped(RefusedAt, String),
    /// The transport is still to be answered with this rejection.
    Rejected(RefusedAt, T, Rejection),
}

impl<T: AsyncRead + AsyncWrite + Unpin> NoRequest<T> {
    /// Reports the refusal, unless the peer has left by itself, and answers it in the given time.
    pub(super) async fn refuse(
        self,
        peer_addr: Option<SocketAddr>,
        within: Duration,
        report: impl FnOnce(Refused),
    ) {
        match self {
            Self::Gone => tracing::debug!(?peer_addr, "no request was received"),
            Self::Dropped(stage, cause) => {
                report(Refused::new(peer_addr, stage, RefusedWith::Dropped, &cause));
            }
            Self::Rejected(stage, mut io, rejection) => {
                report(Refused::rejected(peer_addr, stage, &rejection));
                let _ = timeout(within, write_rejection(&mut io, &rejection)).await;
            }
        }
    }
}

/// Reads the request once `transport` is ready. Both take at most `within` since the start of the clock.
pub(super) async fn arrive<T>(
    transport: impl Future<Output = Result<NewTransport<T>, NoRequest<T>>>,
    limits: &HeadLimits,
    clock: Clock,
    within: Duration,
) -> Result<Arrived<T>, NoRequest<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let late = |stage, what| NoRequest::Dropped(stage, format!("no {what} within {within:?}"));
    let (mut io, extensions) =
        timeout(within, transport).await.map_err(|_| late(RefusedAt::Tls, "TLS handshake"))??;
    let left = within.saturating_sub(clock.now());
    match timeout(left, read_request(&mut io, limits)).await {
        Err(_) => Err(late(RefusedAt::Request, "request")),
        Ok(Ok((mut request, leftover))) => {
            request.extensions_mut().extend(extensions);
            Ok((io, request, leftover))
        }
        Ok(Err(HandshakeError::Rejected(rejection))) => {
            Err(NoRequest::Rejected(RefusedAt::Request, io, rejection))
        }
        Ok(Err(_)) => Err(NoRequest::Gone),
    }
}

/// Does the TLS handshake.
#[cfg(feature = "tls")]
pub(super) async fn tls_handshake<T>(
    tls: &ServerTls,
    io: T,
) -> Result<NewTransport<TlsStream<T>>, NoRequest<TlsStream<T>>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match tls.accept(io).await {
        Ok(io) => {
            let mut extensions = Extensions::new();
            if let Some(certificates) = PeerCertificates::of(&io) {
                extensions.insert(certificates);
            }
            Ok((io, extensions))
        }
        Err(TlsError::Io(_)) => Err(NoRequest::Gone),
        Err(error) => Err(NoRequest::Dropped(RefusedAt::Tls, chain(&error))),
    }
}

/// How connections are accepted: plain, or over TLS.
#[derive(Clone, Default)]
pub(super) struct Acceptor {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<ServerTls>,
}

impl Acceptor {
    /// The scheme of its URLs.
    #[cfg(feature = "tls")]
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "wss" } else { "ws" }
    }

    #[cfg(not(feature = "tls"))]
    pub(super) fn scheme(&self) -> &'static str {
        "ws"
    }

    /// Turns a TCP connection into a transport.
    #[cfg(feature = "tls")]
    pub(super) async fn open(
        self,
        io: TcpStream,
    ) -> Result<NewTransport<NetStream>, NoRequest<NetStream>> {
        let Some(tls) = self.tls else { return Ok((io.into(), Extensions::new())) };
        // A TLS record begins with a control character. A letter begins an HTTP request, which can be answered.
        let mut first = [0];
        let read = io.peek(&mut first).await.map_err(|_| NoRequest::Gone)?;
        if read == 1 && first[0].is_ascii_alphabetic() {
            let rejection = Rejection::new(
                StatusCode::BAD_REQUEST,
                "this port uses TLS: connect with a wss URL",
            );
            return Err(NoRequest::Rejected(RefusedAt::Tls, io.into(), rejection));
        }
        // Boxed: otherwise every connection would keep space for the handshake.
        match Box::pin(tls_handshake(&tls, io)).await {
            Ok((io, extensions)) => Ok((io.into(), extensions)),
            Err(NoRequest::Gone) => Err(NoRequest::Gone),
            Err(NoRequest::Dropped(stage, cause)) => Err(NoRequest::Dropped(stage, cause)),
            Err(NoRequest::Rejected(stage, io, rejection)) => {
                Err(NoRequest::Rejected(stage, io.into(), rejection))
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    pub(super) async fn open(
        self,
        io: TcpStream,
    ) -> Result<NewTransport<NetStream>, NoRequest<NetStream>> {
        Ok((io.into(), Extensions::new()))
    }
}
