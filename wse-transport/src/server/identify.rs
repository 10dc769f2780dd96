//! Who is it: [`Stranger`], [`Hello`], and the verdict, [`Accept`] or [`Refuse`].

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Extensions, Request};
use tokio::sync::oneshot;
use wse_proto::session::Close;
use wse_proto::{CloseReason, CodecError, Decode, Encode, ErrorCode, Format, Hi, Protocol, Text};

use crate::auth;
use crate::connection::Link;

/// A connection that has greeted and waits for the verdict.
pub struct Stranger<P: Protocol> {
    pub(super) link: Arc<Link<P>>,
    pub(super) request: Arc<Request<()>>,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) answer: AnswerSlot,
}

/// Where the answer to a challenge goes that is waited for.
pub(super) type AnswerSlot = Arc<Mutex<Option<oneshot::Sender<Bytes>>>>;

impl<P: Protocol> Stranger<P> {
    /// The address of the socket's other end, or what
    /// [`trusted_proxies`](crate::ServerBuilder::trusted_proxies) say in its place; `None` for a
    /// connection in memory.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// The HTTP request that the connection began with.
    pub fn request(&self) -> &Request<()> {
        &self.request
    }

    /// The protocol of this connection.
    pub fn protocol(&self) -> &P {
        self.link.protocol()
    }

    /// Asks the client a question, once, and waits for its answer. Anything else that the client
    /// sends meanwhile closes the connection, and the decision is dropped where it waits.
    ///
    /// # Errors
    ///
    /// A [`Refuse`] to pass on with `?`: the answer is not an `A`, or the challenge was already asked.
    pub async fn challenge<Q: ?Sized, A>(&self, quest: &Q) -> Result<A, Refuse>
    where
        P::Format: Encode<Q> + Decode<A>,
    {
        let quest = self.link.encode(quest)?;
        let (answer, answered) = oneshot::channel();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.link.session(|session, _| session.challenge(quest))?;
        let answer = answered.await?;
        Ok(self.link.decode(&answer)?)
    }

    /// Makes the client prove that it knows `secret`, with HMAC-SHA-256 over a nonce that is used
    /// once, on this connection, for this identity; it expires with the authentication deadline. See
    /// [`auth`](crate::auth) for what travels.
    ///
    /// # Errors
    ///
    /// A [`Refuse`] to pass on with `?` when the answer is wrong.
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

impl<P: Protocol> fmt::Debug for Stranger<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stranger").field("peer_addr", &self.peer_addr).finish_non_exhaustive()
    }
}

/// A greeting: who the client says it is, and what else it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello<I, M = ()> {
    /// Who it says it is. Nothing is proven yet. A greeting without an identity, or with null, never gets
    /// here: it closes with `wse.protocol-error`; clients that have nothing to say send an empty text.
    pub identity: I,
    /// What else it tells. Absent counts as an empty map; `()` takes any and ignores it.
    pub meta: M,
}

/// The verdict: it is this user.
///
/// ```
/// use wse_transport::Accept;
/// let accept = Accept::user("user-123").welcome("hi".to_owned()).state(42_u32);
/// ```
#[derive(Debug)]
pub struct Accept<W = ()> {
    user: Text,
    welcome: W,
    state: Extensions,
}

impl Accept {
    /// It is the user with this id.
    pub fn user(id: impl Into<Text>) -> Self {
        Self { user: id.into(), welcome: (), state: Extensions::new() }
    }
}

impl<W> Accept<W> {
    /// Sets the payload of the welcome. Default: none.
    #[must_use]
    pub fn welcome<V>(self, welcome: V) -> Accept<V> {
        Accept { user: self.user, welcome, state: self.state }
    }

    /// Attaches state to the connection: [`Conn::state`](crate::Conn::state) gives it back. One value per type.
    #[must_use]
    pub fn state<S: Any + Send + Sync>(mut self, state: S) -> Self {
        self.state.insert(Arc::new(state));
        self
    }
}

/// The verdict: it does not come in. Any [`Error`] turns into one with `?`; what is no `Error` itself,
/// such as a `Box<dyn Error>`, with [`Refuse::because`].
///
/// The client is closed with 1000 `wse.not-authorized`; the cause stays on the server.
#[derive(Debug)]
pub struct Refuse {
    pub(super) close: Close,
    pub(super) cause: Option<String>,
    /// What the server is told of an error event, when it is one.
    pub(super) error: Option<ErrorCode>,
}

impl Refuse {
    /// Not authorized, and there is no more to say.
    pub fn not_authorized() -> Self {
        Self { close: Close::normal(CloseReason::NotAuthorized), cause: None, error: None }
    }

    /// Not authorized; the cause goes to the server's log, at debug level, not to the client.
    pub fn because(cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..Self::not_authorized() }
    }

    /// Closes with another code and reason, such as 4003 "banned".
    pub fn with(close: Close) -> Self {
        Self { close, cause: None, error: None }
    }
}

// `Refuse` is no `Error` itself, so that this covers every error that a `?` meets.
impl<E: Error> From<E> for Refuse {
    fn from(error: E) -> Self {
        Self::because(error.to_string())
    }
}

/// A verdict with the types erased.
pub(super) struct Accepted {
    pub(super) user: Text,
    pub(super) welcome: Bytes,
    pub(super) state: Extensions,
}

pub(super) type Deciding = BoxFuture<'static, Result<Accepted, Refuse>>;
pub(super) type Identify<P> = dyn Fn(Stranger<P>, &Hi) -> Deciding + Send + Sync;

/// Erases the types of an `identify` function.
pub(super) fn erase<P, I, M, W, F, Fut>(identify: F) -> Arc<Identify<P>>
where
    P: Protocol,
    F: Fn(Stranger<P>, Hello<I, M>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Accept<W>, Refuse>> + Send + 'static,
    P::Format: Decode<I> + Decode<M> + Encode<W>,
    M: 'static,
    W: Send,
{
    Arc::new(move |stranger: Stranger<P>, hi: &Hi| {
        let link = Arc::clone(&stranger.link);
        let hello = link
            .decode(&hi.identity)
            .and_then(|identity| Ok(Hello { identity, meta: meta(link.format(), &hi.meta)? }));
        match hello {
            Ok(hello) => {
                let deciding = identify(stranger, hello);
                Box::pin(async move {
                    let Accept { user, welcome, state } = deciding.await?;
                    Ok(Accepted { user, welcome: link.encode(&welcome)?, state })
                })
            }
            Err(error) => {
                let cause = format!("the greeting is not of the type expected: {error}");
                let refuse =
                    Refuse { error: Some(ErrorCode::MessageProcessing), ..Refuse::because(cause) };
                Box::pin(std::future::ready(Err(refuse)))
            }
        }
    })
}

/// Reads meta. Absent and an empty map are the same: what a client says that has none. A type that
/// wants null takes both too, and `()` stands for meta of any shape that nobody wants to know.
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
