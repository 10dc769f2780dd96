//! The URL and the header fields of an attempt, which the application may provide by functions.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::error::ConnectError;
use crate::router::{BoxError, HandlerError};

type Ask<T> = Arc<dyn Fn() -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync>;

/// Where to connect.
#[derive(Clone)]
pub(super) enum Url {
    Fixed(String),
    Asked(Ask<String>),
}

/// Header fields of the application, with their names.
pub(super) type Headers = Vec<(String, String)>;

/// What provides header fields at each attempt.
#[derive(Clone)]
pub(super) struct AskHeaders(Ask<Headers>);

impl Url {
    pub(super) fn asked<E, F, Fut>(ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: HandlerError,
    {
        Self::Asked(asking(ask, |url| url))
    }

    pub(super) async fn get(&self) -> Result<String, ConnectError> {
        match self {
            Self::Fixed(url) => Ok(url.clone()),
            Self::Asked(ask) => provided("URL", ask).await,
        }
    }
}

impl AskHeaders {
    pub(super) fn new<N, V, I, E, F, Fut>(ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (N, V)>,
        N: Into<String>,
        V: Into<String>,
        E: HandlerError,
    {
        let owned = |(name, value): (N, V)| (name.into(), value.into());
        Self(asking(ask, move |headers: I| headers.into_iter().map(owned).collect()))
    }

    pub(super) async fn get(&self) -> Result<Headers, ConnectError> {
        provided("header fields", &self.0).await
    }
}

/// Erases the types of a function of the application.
fn asking<T, U, E, F, Fut>(ask: F, make: impl Fn(T) -> U + Copy + Send + Sync + 'static) -> Ask<U>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    E: HandlerError,
{
    Arc::new(move || {
        let asked = ask();
        async move { asked.await.map(make).map_err(HandlerError::into_error) }.boxed()
    })
}

/// What the application provides. A panic of its function is an error.
async fn provided<T>(what: &'static str, ask: &Ask<T>) -> Result<T, ConnectError> {
    let asked = AssertUnwindSafe(async { ask().await }).catch_unwind().await;
    let asked =
        asked.unwrap_or_else(|_| Err(format!("the function of the {what} panicked").into()));
    asked.map_err(ConnectError::Provided)
}
