//! Authentication: [`Unauthenticated`], [`Hello`], and the decision, [`Accept`] or [`Refuse`].

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Extensions, Request};
use tokio::sync::oneshot;
use wse_proto::session::Close;
use wse_proto::{
    CloseReason, CodecError, Decode, Encode, ErrorCode, Format, Hi, Negotiate, Text, excerpt,
};

use crate::auth;
use crate::chain::chain;
use crate::connection::Connection;
use crate::router::{BoxError, HandlerError};

/// A connection that has greeted and waits for the decision of `identify`.
pub struct Unauthenticated<P: Negotiate> {
    core: UnauthenticatedCore,
    protocol_type: PhantomData<fn() -> P>,
}

/// An [`Unauthenticated`] of any protocol.
pub(super) struct UnauthenticatedCore {
    pub(super) connection: Arc<Connection>,
    pub(super) request: Arc<Request<()>>,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) answer: AnswerSlot,
}

/// Where the answer to a pending challenge goes.
pub(super) type AnswerSlot = Arc<Mutex<Option<oneshot::Sender<Bytes>>>>;

impl<P: Negotiate> Unauthenticated<P> {
    /// Returns the address of the socket's other end, or the address that
    /// [`trusted_proxies`](crate::ServerBuilder::trusted_proxies) report in its place. `None` for a
    /// connection in memory.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.core.peer_addr
    }

    /// Returns the HTTP request that the connection began with.
    #[must_use]
    pub fn request(&self) -> &Request<()> {
        &self.core.request
    }

    /// Returns the protocol of this connection.
    #[must_use]
    pub fn protocol(&self) -> &P::Protocol {
        self.core.connection.wire.typed()
    }

    /// Sends a challenge to the client and waits for its answer. A connection can be challenged
    /// once.
    ///
    /// Any other message from the client closes the connection, and the future of `identify` is
    /// dropped.
    ///
    /// # Errors
    ///
    /// A [`Refuse`], to return with `?`: the answer is not an `A`, or a challenge was already sent.
    pub async fn challenge<Q: ?Sized, A>(&self, quest: &Q) -> Result<A, Refuse>
    where
        P::Format: Encode<Q> + Decode<A>,
    {
        let connection = &self.core.connection;
        let quest = connection.wire.encode::<P::Protocol, Q>(quest).map_err(Refuse::from_error)?;
        let answer = self.core.ask(quest).await?;
        connection.decode::<P::Protocol, A>(&answer).map_err(Refuse::from_error)
    }

    /// Makes the client prove that it knows `secret`: HMAC-SHA-256 over a random nonce and the
    /// identity. The nonce is used once, for this connection and identity, until the authentication
    /// deadline. See [`auth`](crate::auth) for the format.
    ///
    /// # Errors
    ///
    /// A [`Refuse`], to return with `?`, when the answer is wrong.
    pub async fn challenge_hmac(&self, identity: &str, secret: &[u8]) -> Result<(), Refuse>
    where
        P::Format: Encode<String> + Decode<String>,
    {
        let quest = auth::hmac_quest();
        let answer: String = self.challenge(&quest).await?;
        if auth::hmac_verify(secret, identity, &quest, &answer) {
            Ok(())
        } else {
            Err(Refuse::because("the answer to the challenge is wrong"))
        }
    }
}

impl UnauthenticatedCore {
    async fn ask(&self, quest: Bytes) -> Result<Bytes, Refuse> {
        let (answer, answered) = oneshot::channel();
        let old = self.answer.lock().unwrap_or_else(PoisonError::into_inner).replace(answer);
        // It wakes its receiver, without the lock.
        drop(old);
        self.connection
            .session(|session, _| session.challenge(quest))
            .map_err(Refuse::from_error)?;
        answered.await.map_err(Refuse::from_error)
    }
}

impl<P: Negotiate> fmt::Debug for Unauthenticated<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unauthenticated")
            .field("peer_addr", &self.core.peer_addr)
            .finish_non_exhaustive()
    }
}

/// A greeting: the identity that the client claims, and its meta.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello<I, M = ()> {
    /// The claimed identity. Nothing is proven yet.
    ///
    /// A greeting without an identity, or with null, is closed with `wse.protocol-error` before
    /// `identify` runs. Clients without an identity send an empty text.
    pub identity: I,
    /// Other data of the client. Absent meta counts as an empty map. `()` accepts any meta and
    /// ignores it.
    pub meta: M,
}

impl<I, M: fmt::Debug> fmt::Debug for Hello<I, M> {
    /// Omits the identity, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// The decision that a connection belongs to a user.
///
/// ```
/// use wse::Accept;
/// let accept = Accept::user("user-123").welcome("hi".to_owned()).state(42_u32);
/// ```
#[derive(Debug)]
#[must_use = "a decision takes effect when `identify` returns it"]
pub struct Accept<W = ()> {
    user: Text,
    welcome: W,
    state: Extensions,
    expires_in: Option<Duration>,
}

impl Accept {
    /// Accepts the connection as one of the user with this id.
    pub fn user(id: impl Into<Text>) -> Self {
        Self { user: id.into(), welcome: (), state: Extensions::new(), expires_in: None }
    }
}

impl<W> Accept<W> {
    /// Sets the payload of the welcome. Default: none.
    pub fn welcome<V>(self, welcome: V) -> Accept<V> {
        Accept { user: self.user, welcome, state: self.state, expires_in: self.expires_in }
    }

    /// Attaches state to the connection, one value per type. [`Conn::state`](crate::Conn::state)
    /// returns it.
    pub fn state<S: Any + Send + Sync>(mut self, state: S) -> Self {
        self.state.insert(Arc::new(state));
        self
    }

    /// Sets in which time, from the welcome, the credentials of the client expire. The connection is then closed with 4001
    /// `wse.credentials-expired`, also while it is suspended, and cannot be resumed. Default: never. See also
    /// [`Conn::expire_in`](crate::Conn::expire_in).
    ///
    /// A client whose greeting says something about resume, such as one of this crate with
    /// [`reconnect`](crate::ClientBuilder::reconnect), is told 30 s before, or in the middle of the time if that is later. It may send
    /// new credentials, which `identify` gets like a greeting:
    ///
    /// - If it accepts the same user, the new identity and meta replace those of the connection, and the new `expires_in`
    ///   counts from then on. State and welcome are ignored.
    /// - If it accepts another user, refuses, fails, or takes longer than
    ///   [`auth_timeout`](crate::ServerBuilder::auth_timeout), the client gets no answer, and the old deadline stands. There is an
    ///   [error event](crate::ServerEvent::Error).
    /// - A [challenge](Unauthenticated::challenge) refuses them.
    ///
    /// When a client resumes its connection, `identify` decides again, and the `expires_in` of that decision counts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wse::Accept;
    /// let accept = Accept::user("user-123").expires_in(Duration::from_secs(3600));
    /// ```
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(time);
        self
    }
}

/// The decision that a connection is refused. By default it is closed with 1000
/// `wse.not-authorized`, and the client does not learn the cause.
#[derive(Clone, Debug)]
#[must_use = "a decision takes effect when `identify` returns it"]
pub struct Refuse {
    pub(super) close: Close,
    pub(super) cause: Option<String>,
    /// The code of the error event, when there is one.
    pub(super) error: Option<ErrorCode>,
}

impl Refuse {
    /// Refuses without a cause.
    pub fn not_authorized() -> Self {
        Self { close: Close::normal(CloseReason::NotAuthorized), cause: None, error: None }
    }

    /// Refuses with a cause. The cause goes to the server's log and to [`Refused::cause`](crate::Refused),
    /// not to the client.
    pub fn because(cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..Self::not_authorized() }
    }

    /// Refuses with another close code and reason, such as 4003 "banned".
    pub fn with(close: Close) -> Self {
        Self { close, cause: None, error: None }
    }

    fn from_error(error: impl Error + 'static) -> Self {
        Self::because(chain(&error))
    }
}

impl fmt::Display for Refuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with {}", self.close)?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {}", excerpt(cause)))
    }
}

impl Error for Refuse {}

/// A decision with the types erased.
pub(super) struct Accepted {
    pub(super) user: Text,
    pub(super) welcome: Bytes,
    pub(super) state: Extensions,
    pub(super) expires_in: Option<Duration>,
}

pub(super) type DecisionFuture = BoxFuture<'static, Result<Accepted, BoxError>>;
pub(super) type Identify = dyn Fn(UnauthenticatedCore, &Hi) -> DecisionFuture + Send + Sync;

/// Erases the types of an `identify` function.
pub(super) fn erase<P, I, M, W, E, F, Fut>(identify: F) -> Arc<Identify>
where
    P: Negotiate,
    F: Fn(Unauthenticated<P>, Hello<I, M>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Accept<W>, E>> + Send + 'static,
    P::Format: Decode<I> + Decode<M> + Encode<W>,
    M: 'static,
    W: Send,
    E: HandlerError,
{
    Arc::new(move |core: UnauthenticatedCore, hi: &Hi| {
        let connection = Arc::clone(&core.connection);
        let format = connection.wire.format::<P::Protocol>();
        let hello = Decode::<I>::decode(format, &hi.identity)
            .and_then(|identity| Ok(Hello { identity, meta: meta(format, &hi.meta)? }));
        match hello {
            Ok(hello) => {
                let deciding =
                    identify(Unauthenticated { core, protocol_type: PhantomData }, hello);
                Box::pin(async move {
                    let accept = deciding.await.map_err(HandlerError::into_error)?;
                    let Accept { user, welcome, state, expires_in } = accept;
                    let welcome = connection.wire.encode::<P::Protocol, W>(&welcome)?;
                    Ok(Accepted { user, welcome, state, expires_in })
                })
            }
            Err(error) => {
                let cause = chain(&error);
                let cause = format!("the greeting is not of the type expected: {cause}");
                let refuse =
                    Refuse { error: Some(ErrorCode::MessageProcessing), ..Refuse::because(cause) };
                Box::pin(std::future::ready(Err(refuse.into())))
            }
        }
    })
}

/// Decodes meta. Absent meta and an empty map are equal: a type that expects null accepts both.
/// `()` accepts meta of any shape and ignores it.
pub(super) fn meta<F, M: 'static>(format: &F, meta: &Bytes) -> Result<M, CodecError>
where
    F: Format + Decode<M>,
{
    let mut ignored = None::<M>;
    if let Some(unit) = (&mut ignored as &mut dyn Any).downcast_mut::<Option<()>>() {
        *unit = Some(());
    }
    let empty = format.empty_map();
    match ignored {
        Some(unit) => Ok(unit),
        None if meta.is_empty() || *meta == empty => {
            format.decode(&empty).or_else(|error| format.decode(&Bytes::new()).map_err(|_| error))
        }
        None => format.decode(meta),
    }
}
