//! [`Admission`]: a connection that `identify` has accepted becomes a user's, or resumes another one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Request;
use wse_proto::session::{Close, Renewal};
use wse_proto::{Hi, NotResumed, Outcome, SessionMessage, Text, UsageError};

use super::cluster::{Admitted, ClusterLink};
use super::core::{ConnCore, Parts, ServerCore};
use super::identify::Accepted;
use super::request::CompactRequest;
use super::resuming;
use crate::connection::Connection;

/// A connection that `identify` has accepted.
pub(super) struct Admission {
    accepted: Accepted,
    hi: Hi,
    request: Arc<Request<()>>,
    resumption: Resuming,
    place: Option<Placing>,
}

/// What becomes of the session that a client wants to resume.
enum Resuming {
    /// Not known yet.
    Undecided,
    /// Its connection is to be asked for.
    Found(Arc<Connection>),
    /// Its connection is asked for.
    Asked,
    /// The client breaks the protocol.
    Violated,
    /// There is a new session; with the outcome that its client is told, if it has asked.
    New(Option<Outcome>),
}

impl Admission {
    pub(super) fn new(accepted: Accepted, hi: Hi, request: Arc<Request<()>>) -> Self {
        Self { accepted, hi, request, resumption: Resuming::Undecided, place: None }
    }

    pub(super) fn user(&self) -> &Text {
        &self.accepted.user
    }

    /// Whether the connection is a new one of its user.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.resumption, Resuming::New(_))
    }

    /// Decides whether the connection resumes another one. Once.
    pub(super) fn decide(&mut self, server: &ServerCore, connection: &Arc<Connection>) {
        if !matches!(self.resumption, Resuming::Undecided) {
            return;
        }
        self.resumption = Resuming::New(None);
        if server.resumption.is_none() {
            return;
        }
        let request = connection.session(|session, _| session.resume_request().cloned());
        let Some(request) = request else { return };
        self.resumption = match server.resumed_by(&request, &self.accepted.user, connection) {
            Ok(conn) if conn.connection().is_ahead(&request) => {
                connection.session(|session, _| session.refuse_ahead());
                Resuming::Violated
            }
            Ok(conn) => Resuming::Found(Arc::clone(conn.connection())),
            Err(outcome) => Resuming::New(Some(outcome)),
        };
    }

    /// The connection that is to be resumed. Returned once.
    pub(super) fn take_resumed(&mut self) -> Option<Arc<Connection>> {
        let Resuming::Found(connection) = &self.resumption else { return None };
        let connection = Arc::clone(connection);
        self.resumption = Resuming::Asked;
        Some(connection)
    }

    /// The connection that was to be resumed has ended meanwhile.
    pub(super) fn not_resumed(&mut self) {
        self.resumption = Resuming::New(Some(Outcome::None(NotResumed::Unknown)));
    }

    /// Asks the cluster for a place for a new connection, if the server is one of several. The error is what the connection is
    /// closed with.
    pub(super) fn poll_place(
        &mut self,
        server: &Arc<ServerCore>,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Close>> {
        let Some(cluster) = &server.cluster else { return Poll::Ready(Ok(())) };
        let user = &self.accepted.user;
        let place = self.place.get_or_insert_with(|| Placing::Asked(cluster.admit(user, id)));
        if let Placing::Asked(asked) = place {
            let Admitted { first } = ready!(asked.poll_unpin(cx))?;
            let (cluster, user) = (Arc::clone(cluster), user.clone());
            *place = Placing::Given(Place { cluster, user, id, first, taken: false });
        }
        Poll::Ready(Ok(()))
    }

    /// Resumes `conn` over the channel of `greeted`. Returns false when either has ended.
    pub(super) fn attach(&self, conn: &ConnCore, greeted: &Connection) -> bool {
        let (server, connection) = (&conn.0.server, conn.connection());
        // Its window does not end from here on, unless it has ended.
        if !server.keep_session(conn) {
            return false;
        }
        let welcome = self.accepted.welcome.clone();
        if connection.attach(greeted, resuming::token(), welcome).is_err() {
            server.begin_window(conn);
            return false;
        }
        connection.session(|session, now| {
            // The credentials of this greeting are newer than those that are being decided about.
            session.decide_renewal(now, Renewal::Refused);
            session.expire_in(now, self.accepted.expires_in);
        });
        conn.set_hi(&self.hi);
        true
    }

    /// Makes it a connection of its user, in the user's turn. Returns the messages that the session held, and before them
    /// whether the cluster says that it is the user's first. `None` when the
    /// client has disconnected meanwhile; the turn is over then.
    pub(super) fn admit(
        self,
        server: &Arc<ServerCore>,
        connection: &Arc<Connection>,
        (id, peer_addr): (u64, Option<SocketAddr>),
    ) -> Option<(ConnCore, Option<bool>, Vec<SessionMessage>)> {
        let Self { accepted, hi, request, resumption, place } = self;
        let Accepted { user, welcome, mut state, expires_in } = accepted;
        if let Resuming::New(Some(Outcome::None(reason))) = &resumption {
            // For `Conn::not_resumed`. There, most connections need no space for it.
            state.insert(reason.clone());
        }
        let granted = match (resumption, &server.resumption) {
            (Resuming::New(Some(outcome)), Some(resumption)) => {
                Some((resumption, resuming::name(), outcome))
            }
            _ => None,
        };
        let conn = ConnCore::new(Parts {
            id,
            user,
            hi,
            peer_addr,
            request: CompactRequest::new(&request),
            state,
            server: Arc::clone(server),
            connection: Arc::clone(connection),
        });
        let admitted = connection.session(|session, now| {
            if let Some((resumption, name, outcome)) = &granted {
                let (name, outcome) = (name.clone(), outcome.clone());
                session.grant(&resumption.budget, name, resuming::token(), outcome)?;
            }
            let held = session.admit(welcome)?;
            session.expire_in(now, expires_in);
            Ok::<_, UsageError>(held)
        });
        let Ok(held) = admitted else {
            server.announce(conn.user());
            return None;
        };
        if let Some((resumption, name, _)) = granted {
            resumption.create(&name, conn.clone());
        }
        let first = place.and_then(Placing::take);
        Some((conn, first, held))
    }
}

/// The place of a connection in its cluster.
enum Placing {
    Asked(BoxFuture<'static, Result<Admitted, Close>>),
    Given(Place),
}

/// A place, which is given back when it is dropped before the connection has become its user's.
struct Place {
    cluster: Arc<dyn ClusterLink>,
    user: Text,
    id: u64,
    first: bool,
    taken: bool,
}

impl Placing {
    /// Takes the place for good. Returns whether the user had no other connection on any node.
    fn take(self) -> Option<bool> {
        let Self::Given(mut place) = self else { return None };
        place.taken = true;
        Some(place.first)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.taken {
            self.cluster.release(&self.user, self.id, None);
        }
    }
}
