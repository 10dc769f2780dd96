//! What a client greets with, and how it solves challenges, with the types erased.

use std::future::Future;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use wse_proto::{CodecError, Decode, Encode, Fault, Format, Hi};

use super::error::ConnectError;

type Value<F> = Arc<dyn Fn(&F) -> Result<Bytes, CodecError> + Send + Sync>;
type Ask<F> = Arc<dyn Fn(F) -> BoxFuture<'static, Result<Hi, ConnectError>> + Send + Sync>;
pub(super) type Solver<F> =
    Arc<dyn Fn(F, &Bytes) -> BoxFuture<'static, Result<Bytes, Fault>> + Send + Sync>;

/// Who the client says it is.
pub(super) enum Credentials<F> {
    Fixed { identity: Option<Value<F>>, meta: Option<Value<F>> },
    Asked(Ask<F>),
}

impl<F> Clone for Credentials<F> {
    fn clone(&self) -> Self {
        match self {
            Self::Fixed { identity, meta } => {
                Self::Fixed { identity: identity.clone(), meta: meta.clone() }
            }
            Self::Asked(ask) => Self::Asked(Arc::clone(ask)),
        }
    }
}

impl<F: Format> Credentials<F> {
    pub(super) const NONE: Self = Self::Fixed { identity: None, meta: None };

    pub(super) fn fixed<I, M>(identity: I, meta: M) -> Self
    where
        F: Encode<I> + Encode<M>,
        I: Send + Sync + 'static,
        M: Send + Sync + 'static,
    {
        Self::Fixed { identity: Some(value(identity)), meta: Some(value(meta)) }
    }

    pub(super) fn asked<I, M, A, Fut>(ask: A) -> Self
    where
        A: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(I, M), Fault>> + Send + 'static,
        F: Encode<I> + Encode<M>,
        I: Send,
        M: Send,
    {
        Self::Asked(Arc::new(move |format: F| {
            let asked = ask();
            Box::pin(async move {
                let (identity, meta) = asked.await.map_err(ConnectError::Credentials)?;
                let encoded = encode(&format, &identity)
                    .and_then(|identity| Ok(Hi { identity, meta: encode(&format, &meta)? }));
                encoded.map_err(ConnectError::Encode)
            })
        }))
    }

    pub(super) fn set_identity<I: Send + Sync + 'static>(&mut self, new: I)
    where
        F: Encode<I>,
    {
        let kept = match self {
            Self::Fixed { meta, .. } => meta.take(),
            Self::Asked(_) => None,
        };
        *self = Self::Fixed { identity: Some(value(new)), meta: kept };
    }

    pub(super) fn set_meta<M: Send + Sync + 'static>(&mut self, new: M)
    where
        F: Encode<M>,
    {
        let kept = match self {
            Self::Fixed { identity, .. } => identity.take(),
            Self::Asked(_) => None,
        };
        *self = Self::Fixed { identity: kept, meta: Some(value(new)) };
    }

    /// The greeting for a connection with this format.
    pub(super) async fn hi(&self, format: F) -> Result<Hi, ConnectError> {
        match self {
            Self::Fixed { identity, meta } => {
                let identity = identity.as_ref().ok_or(ConnectError::NoIdentity)?;
                let identity = identity(&format).map_err(ConnectError::Encode)?;
                let meta = match meta {
                    Some(meta) => meta(&format).map_err(ConnectError::Encode)?,
                    None => format.empty_map(),
                };
                Ok(Hi { identity, meta })
            }
            Self::Asked(ask) => ask(format).await,
        }
    }
}

/// Erases the types of a solver.
pub(super) fn solver<F, Q, A, S, Fut>(solve: S) -> Solver<F>
where
    F: Format + Decode<Q> + Encode<A>,
    S: Fn(Q) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<A, Fault>> + Send + 'static,
    A: Send,
{
    Arc::new(move |format: F, quest: &Bytes| match format.decode(quest) {
        Ok(quest) => {
            let solving = solve(quest);
            Box::pin(async move { Ok(encode(&format, &solving.await?)?) })
        }
        Err(error) => Box::pin(std::future::ready(Err(error.into()))),
    })
}

fn value<F, T>(value: T) -> Value<F>
where
    F: Encode<T>,
    T: Send + Sync + 'static,
{
    Arc::new(move |format: &F| encode(format, &value))
}

fn encode<F: Encode<T>, T>(format: &F, value: &T) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::new();
    format.encode(value, &mut out)?;
    Ok(out.freeze())
}
