//! The task of one client: connects, waits for the end, and connects again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use wse_proto::session::{Close, Session, reconnects};
use wse_proto::{CloseReason, Fault, Protocol};

use super::error::ConnectError;
use super::guest::Guest;
use super::shared::{Shared, Target};
use super::status::{ClientEvent, Status};
use crate::connection::{Clock, Link, Traits, drive};
use crate::handshake::{ClientRequest, HandshakeError, RequestError, ResponseError};
use crate::luck;
use crate::ws::{self, Reached, Role, WebSocket, compression, reach};

/// What the application asks of the manager.
pub(super) enum Command<P: Protocol> {
    Close(Close),
    Jump { target: Target<P>, done: Done },
}

type Done = oneshot::Sender<Result<(), ConnectError>>;

/// What ended a wait.
enum Woken<P: Protocol> {
    Close(Close),
    Jump(Target<P>, Done),
}

/// Who waits for the outcome of the current attempts.
struct Waiting(Option<Done>);

impl Waiting {
    fn tell(&mut self, outcome: Result<(), ConnectError>) {
        if let Some(done) = self.0.take() {
            let _ = done.send(outcome);
        }
    }
}

pub(super) async fn manage<P: Protocol>(
    shared: Arc<Shared<P>>,
    mut target: Target<P>,
    mut commands: mpsc::UnboundedReceiver<Command<P>>,
    done: Done,
) {
    let mut waiting = Waiting(Some(done));
    let stop = Stop(&shared);
    // In a row: attempts that failed, and waits before another.
    let (mut failed, mut waits) = (0, 0);
    let outcome = loop {
        let attempted = tokio::select! {
            biased;
            woken = next(&shared, &mut commands) => Err(woken),
            connected = connect(&shared, &target) => Ok(connected),
        };
        let (why, error) = match attempted {
            Ok(Ok(connection)) => {
                (failed, waits) = (0, 0);
                waiting.tell(Ok(()));
                match live(&shared, connection, &mut commands).await {
                    Ended::Closed => break Ok(()),
                    Ended::Jumped(to, done) => {
                        target = to;
                        waiting = Waiting(Some(done));
                        shared.jumping();
                        continue;
                    }
                    Ended::Lost(close) if reconnects(close.code) => {
                        (format!("the connection was lost: {close}"), None)
                    }
                    Ended::Lost(_) => break Ok(()),
                }
            }
            Ok(Err(error)) => {
                failed += 1;
                if !error.is_transient() {
                    break Err(error);
                }
                (error.chain(), Some(error))
            }
            Err(Woken::Close(_)) => break Err(ConnectError::Closed),
            Err(Woken::Jump(to, done)) => {
                target = to;
                (failed, waits) = (0, 0);
                waiting.tell(Err(ConnectError::Closed));
                waiting = Waiting(Some(done));
                shared.jumping();
                continue;
            }
        };
        let Some(after) = retry_after(&shared, failed, waits) else {
            break error.map_or(Ok(()), Err);
        };
        waits += 1;
        if waiting.0.is_none() {
            shared.set_status(Status::Reconnecting);
        }
        let _ = shared.events.send(ClientEvent::Retrying { error: why, after });
        tokio::select! {
            biased;
            woken = next(&shared, &mut commands) => match woken {
                Woken::Close(_) => break Err(ConnectError::Closed),
                Woken::Jump(to, done) => {
                    target = to;
                    (failed, waits) = (0, 0);
                    waiting.tell(Err(ConnectError::Closed));
                    waiting = Waiting(Some(done));
                    shared.jumping();
                }
            },
            () = tokio::time::sleep(after) => {}
        }
    };
    // First, so that whoever is told may connect again at once.
    drop(stop);
    waiting.tell(outcome);
}

/// A client stops when its manager ends, however it ends.
struct Stop<'a, P: Protocol>(&'a Shared<P>);

impl<P: Protocol> Drop for Stop<'_, P> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// How long to wait before the next attempt; `None` to give up.
fn retry_after<P: Protocol>(shared: &Shared<P>, failed: u32, waits: u32) -> Option<Duration> {
    let backoff = shared.settings.reconnect?;
    let gives_up = backoff.attempts.is_some_and(|most| failed >= most);
    (!gives_up).then(|| backoff.delay(waits, luck::unit()))
}

/// The next command; the end of the last handle counts as one.
async fn next<P: Protocol>(
    shared: &Shared<P>,
    commands: &mut mpsc::UnboundedReceiver<Command<P>>,
) -> Woken<P> {
    let gone = async {
        match shared.gone.get() {
            Some((gone, _)) => gone.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        command = commands.recv() => match command {
            Some(Command::Close(close)) => Woken::Close(close),
            Some(Command::Jump { target, done }) => Woken::Jump(target, done),
            None => Woken::Close(Close::normal(CloseReason::ByClient)),
        },
        () = gone => Woken::Close(Close::normal(CloseReason::ByClient)),
    }
}

enum Ended<P: Protocol> {
    /// By us, for good.
    Closed,
    Jumped(Target<P>, Done),
    Lost(Close),
}

struct Connection<P: Protocol> {
    link: Arc<Link<P>>,
    ended: oneshot::Receiver<Close>,
}

/// Waits for the end of a connection that is ready.
async fn live<P: Protocol>(
    shared: &Arc<Shared<P>>,
    connection: Connection<P>,
    commands: &mut mpsc::UnboundedReceiver<Command<P>>,
) -> Ended<P> {
    let Connection { link, mut ended } = connection;
    let woken = tokio::select! {
        biased;
        close = &mut ended => {
            return Ended::Lost(close.unwrap_or_else(|_| {
                // Its task did not come to its own end.
                shared.ended(&Close::VANISHED);
                Close::VANISHED
            }));
        }
        woken = next(shared, commands) => woken,
    };
    let (close, then) = match woken {
        Woken::Close(close) => (close, Ended::Closed),
        Woken::Jump(target, done) => {
            (Close::new(4000, CloseReason::Jump), Ended::Jumped(target, done))
        }
    };
    link.close(close);
    // Departs when the closing handshake begins; the rest is the connection's own affair.
    let _ = ended.await;
    then
}

/// One attempt, from the URL to the welcome.
async fn connect<P: Protocol>(
    shared: &Arc<Shared<P>>,
    target: &Target<P>,
) -> Result<Connection<P>, ConnectError> {
    tokio::time::timeout(shared.settings.connect_timeout, open(shared, target))
        .await
        .unwrap_or(Err(ConnectError::Timeout))
}

async fn open<P: Protocol>(
    shared: &Arc<Shared<P>>,
    target: &Target<P>,
) -> Result<Connection<P>, ConnectError> {
    let settings = &shared.settings;
    let clock = Clock::start();
    let request = request(shared, &target.url).map_err(HandshakeError::Request)?;
    let connect = |host: String, port| {
        let connector = Arc::clone(&settings.connector);
        async move { connector.connect(&host, port).await }
    };
    let Reached { io, response, leftover, subprotocol } =
        reach(&request, &settings.dial, connect).await?;
    let agreed = ws::Agreed::by_client(&request, &response).map_err(HandshakeError::Response)?;
    let offered: Vec<&str> = subprotocol.as_deref().into_iter().collect();
    let protocol = settings
        .protocol
        .select(&offered)
        .ok_or(HandshakeError::Response(ResponseError::SubprotocolMissing))?;
    let hi = match protocol.has_greeting() {
        true => {
            let hi = AssertUnwindSafe(target.credentials.hi(protocol.format())).catch_unwind();
            let panicked = |_| Err(ConnectError::Credentials(Fault::failed("they panicked")));
            Some(hi.await.unwrap_or_else(panicked)?)
        }
        false => None,
    };

    let config =
        ws::Config::default().limits(settings.limits).close_timeout(settings.close_timeout);
    let mut socket = WebSocket::with_leftover(io, leftover, Role::Client, config);
    socket.agree(agreed);
    let mut session = Session::client(hi, settings.session).with_abilities(protocol.abilities());
    if let Some(heartbeat) = settings.heartbeat {
        // One client needs no jitter; its protocol's own pings are known to begin at once.
        session = session.with_heartbeat(heartbeat, None, clock.now(), 0.0);
    }
    let traits = Traits { ticked: false, cancels_handlers: settings.cancel_handlers };
    let counts = Arc::clone(&shared.counts);
    let link = Link::new(protocol, session, settings.queue, clock, counts, traits);
    let (welcomed, welcome) = oneshot::channel();
    let (ends, ended) = oneshot::channel();
    let guest = Guest::new(Arc::clone(shared), welcomed, ends);
    let driving = shared.driving();
    let drive = drive(socket, Arc::clone(&link), guest);
    shared.tasks.spawn(async move {
        let _driving = driving;
        drive.await;
    });
    let mut greeting = Greeting(Some(Arc::clone(&link)));
    welcome.await.unwrap_or(Err(ConnectError::Closed))?;
    greeting.0 = None;
    Ok(Connection { link, ended })
}

fn request<P: Protocol>(shared: &Shared<P>, url: &str) -> Result<ClientRequest, RequestError> {
    let mut request = compression::offer(ClientRequest::new(url)?, shared.settings.deflate);
    for name in shared.settings.protocol.subprotocols() {
        request = request.subprotocol(name)?;
    }
    for extension in &shared.settings.extensions {
        request = request.extension(Arc::clone(extension))?;
    }
    for (name, value) in &shared.settings.headers {
        request = request.header(name, value)?;
    }
    Ok(request)
}

/// Closes a connection whose greeting is given up.
struct Greeting<P: Protocol>(Option<Arc<Link<P>>>);

impl<P: Protocol> Drop for Greeting<P> {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.close(Close::normal(CloseReason::ByClient));
        }
    }
}
