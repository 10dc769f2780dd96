//! The greeting of a client and its challenge solver, with the types erased.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;
use wse_proto::{CodecError, Decode, Encode, Hi, Protocol};

use super::error::ConnectError;
use super::place::Url;
use crate::connection::{Connection, Wire};
use crate::router::{BoxError, HandlerError};

type Value = Arc<dyn Fn(&Wire) -> Result<Bytes, CodecError> + Send + Sync>;
type Ask = Arc<dyn Fn(&Wire) -> BoxFuture<'static, Result<Hi, ConnectError>> + Send + Sync>;
pub(super) type Solver = Arc<
    dyn Fn(Arc<Connection>, &Bytes) -> BoxFuture<'static, Result<Bytes, BoxError>> + Send + Sync,
>;

/// Where to connect, and with which identity.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) credentials: Credentials,
}

/// The identity and meta that the client claims.
#[derive(Clone)]
pub(super) enum Credentials {
    Fixed { identity: Option<Value>, meta: Option<Value> },
    Asked(Ask),
}

impl Credentials {
    pub(super) const NONE: Self = Self::Fixed { identity: None, meta: None };

    pub(super) fn fixed<P: Protocol, I, M>(identity: I, meta: M) -> Self
    where
        P::Format: Encode<I> + Encode<M>,
        I: Send + Sync + 'static,
        M: Send + Sync + 'static,
    {
        Self::Fixed { identity: Some(value::<P, I>(identity)), meta: Some(value::<P, M>(meta)) }
    }

    pub(super) fn asked<P: Protocol, I, M, E, A, Fut>(ask: A) -> Self
    where
        A: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(I, M), E>> + Send + 'static,
        P::Format: Encode<I> + Encode<M>,
        I: Send,
        M: Send,
        E: HandlerError,
    {
        Self::Asked(Arc::new(move |wire: &Wire| {
            let asked = ask();
            let format = wire.format::<P>().clone();
            Box::pin(async move {
                let asked = asked.await.map_err(HandlerError::into_error);
                let (identity, meta) = asked.map_err(ConnectError::Credentials)?;
                let encoded = encode(&format, &identity).and_then(|identity| {
                    Ok(Hi { identity, meta: encode(&format, &meta)?, resume: None })
                });
                encoded.map_err(ConnectError::Encode)
            })
        }))
    }

    pub(super) fn set_identity<P: Protocol, I: Send + Sync + 'static>(&mut self, new: I)
    where
        P::Format: Encode<I>,
    {
        let kept = match self {
            Self::Fixed { meta, .. } => meta.take(),
            Self::Asked(_) => None,
        };
        *self = Self::Fixed { identity: Some(value::<P, I>(new)), meta: kept };
    }

    pub(super) fn set_meta<P: Protocol, M: Send + Sync + 'static>(&mut self, new: M)
    where
        P::Format: Encode<M>,
    {
        let kept = match self {
            Self::Fixed { identity, .. } => identity.take(),
            Self::Asked(_) => None,
        };
        *self = Self::Fixed { identity: kept, meta: Some(value::<P, M>(new)) };
    }

    /// Whether a function provides them, so that they may be others the next time.
    pub(super) const fn may_change(&self) -> bool {
        matches!(self, Self::Asked(_))
    }

    /// Returns the greeting for a connection of this protocol. A panic of the application's function is an error.
    pub(super) async fn hi(&self, wire: &Wire) -> Result<Hi, ConnectError> {
        let panicked = |_| Err(ConnectError::Credentials("they panicked".into()));
        AssertUnwindSafe(self.ask(wire)).catch_unwind().await.unwrap_or_else(panicked)
    }

    async fn ask(&self, wire: &Wire) -> Result<Hi, ConnectError> {
        match self {
            Self::Fixed { identity, meta } => {
                let identity = identity.as_ref().ok_or(ConnectError::NoIdentity)?;
                let identity = identity(wire).map_err(ConnectError::Encode)?;
                let meta = match meta {
                    Some(meta) => meta(wire).map_err(ConnectError::Encode)?,
                    None => wire.empty_map(),
                };
                Ok(Hi { identity, meta, resume: None })
            }
            Self::Asked(ask) => ask(wire).await,
        }
    }
}

/// Erases the types of a solver.
pub(super) fn solver<P: Protocol, Q, A, E, S, Fut>(solve: S) -> Solver
where
    P::Format: Decode<Q> + Encode<A>,
    S: Fn(Q) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<A, E>> + Send + 'static,
    A: Send,
    E: HandlerError,
{
    Arc::new(move |connection: Arc<Connection>, quest: &Bytes| {
        match connection.decode::<P, Q>(quest) {
            Ok(quest) => {
                let solving = solve(quest);
                Box::pin(async move {
                    let answer = solving.await.map_err(HandlerError::into_error)?;
                    Ok(connection.wire.encode::<P, A>(&answer)?)
                })
            }
            Err(error) => Box::pin(std::future::ready(Err(error.into()))),
        }
    })
}

fn value<P: Protocol, T>(value: T) -> Value
where
    P::Format: Encode<T>,
    T: Send + Sync + 'static,
{
    Arc::new(move |wire: &Wire| encode(wire.format::<P>(), &value))
}

fn encode<F: Encode<T>, T>(format: &F, value: &T) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::new();
    format.encode(value, &mut out)?;
    Ok(out.freeze())
}
