//! What the handles of a client, its manager and its connection share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use wse_proto::session::{Backoff, Close, Duplicates, Heartbeat, SessionLimits, reconnects};
use wse_proto::{Encode, ErrorCode, Head, Protocol, Text};

use super::Client;
use super::connector::Connector;
use super::credentials::{Credentials, Solver};
use super::error::ConnectError;
use super::manager::{Command, manage};
use super::status::{ClientEvent, Status};
use crate::connection::{
    Attempt, Class, Counts, GaveUp, Link, ReceiptError, Reliable, SendError, SendQueue, Tasks,
    pack, reliably,
};
use crate::router::Router;
use crate::ws;

/// Events that a slow reader may fall behind.
const EVENTS: usize = 256;

/// What a client was built with.
pub(super) struct Settings<P: Protocol> {
    pub(super) protocol: P,
    pub(super) headers: Vec<(String, String)>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) dial: ws::Dial,
    pub(super) solver: Option<Solver<P::Format>>,
    pub(super) reconnect: Option<Backoff>,
    pub(super) connect_timeout: Duration,
    pub(super) close_timeout: Duration,
    pub(super) call_timeout: Option<Duration>,
    pub(super) session: SessionLimits,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) cancel_handlers: bool,
    pub(super) handlers: usize,
    pub(super) limits: ws::Limits,
    pub(super) deflate: ws::compression::Wanted,
    pub(super) extensions: Vec<Arc<dyn ws::Extension>>,
    pub(super) queue: SendQueue,
    pub(super) offline_queue: usize,
}

/// Where to connect, and as whom.
pub(super) struct Target<P: Protocol> {
    pub(super) url: String,
    pub(super) credentials: Credentials<P::Format>,
}

impl<P: Protocol> Clone for Target<P> {
    fn clone(&self) -> Self {
        Self { url: self.url.clone(), credentials: self.credentials.clone() }
    }
}

pub(super) struct Shared<P: Protocol> {
    pub(super) settings: Settings<P>,
    pub(super) router: Router<P, Client<P>>,
    pub(super) tasks: Tasks,
    pub(super) counts: Arc<Counts>,
    /// What the server has sent that may come again, over all connections.
    pub(super) duplicates: Duplicates,
    pub(super) status: watch::Sender<Status>,
    /// Connections that are driven, those in their closing handshake included.
    pub(super) driven: watch::Sender<usize>,
    pub(super) events: broadcast::Sender<ClientEvent>,
    /// Told when the application has dropped its last handle, and how handlers get theirs.
    pub(super) gone: OnceLock<(CancellationToken, Weak<DropGuard>)>,
    state: Mutex<State<P>>,
}

struct State<P: Protocol> {
    target: Target<P>,
    commands: Option<mpsc::UnboundedSender<Command<P>>>,
    link: Option<Arc<Link<P>>>,
    /// What was sent while there was no connection, with the variant it is packed for.
    waiting: VecDeque<(usize, ws::Message)>,
    /// The protocol of the last connection.
    protocol: P,
    welcome: Bytes,
    last_close: Option<Close>,
}

impl<P: Protocol> Shared<P> {
    pub(super) fn new(
        settings: Settings<P>,
        router: Router<P, Client<P>>,
        target: Target<P>,
    ) -> Self {
        let state = State {
            target,
            commands: None,
            link: None,
            waiting: VecDeque::new(),
            protocol: settings.protocol.clone(),
            welcome: Bytes::new(),
            last_close: None,
        };
        Self {
            settings,
            router,
            tasks: Tasks::default(),
            counts: Arc::default(),
            duplicates: Duplicates::default(),
            status: watch::Sender::new(Status::Idle),
            driven: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENTS),
            gone: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    /// Starts the manager; what it tells of the first welcome.
    pub(super) fn start(
        self: &Arc<Self>,
    ) -> Result<oneshot::Receiver<Result<(), ConnectError>>, ConnectError> {
        let mut state = self.state();
        if state.commands.as_ref().is_some_and(|commands| !commands.is_closed()) {
            return Err(ConnectError::AlreadyConnected);
        }
        let (sender, commands) = mpsc::unbounded_channel();
        let (done, connected) = oneshot::channel();
        state.commands = Some(sender);
        state.last_close = None;
        let target = state.target.clone();
        self.set_status(Status::Connecting);
        drop(state);
        self.tasks.spawn(manage(Arc::clone(self), target, commands, done));
        Ok(connected)
    }

    pub(super) async fn jump(
        self: &Arc<Self>,
        url: String,
        credentials: Option<Credentials<P::Format>>,
    ) -> Result<(), ConnectError> {
        let target = {
            let mut state = self.state();
            state.target.url = url;
            if let Some(credentials) = credentials {
                state.target.credentials = credentials;
            }
            state.target.clone()
        };
        let (done, connected) = oneshot::channel();
        let connected = match self.command(Command::Jump { target, done }) {
            true => connected,
            // Not connected: a jump is then a connect.
            false => self.start()?,
        };
        connected.await.unwrap_or(Err(ConnectError::Closed))
    }

    /// Tells the manager; whether there is one.
    pub(super) fn command(&self, command: Command<P>) -> bool {
        let state = self.state();
        state.commands.as_ref().is_some_and(|commands| commands.send(command).is_ok())
    }

    pub(super) fn send<T: ?Sized>(&self, name: Text, payload: &T) -> Result<(), SendError>
    where
        P::Format: Encode<T>,
    {
        if self.settings.offline_queue == 0 {
            return self.link().ok_or(SendError::NotReady)?.send(name, payload);
        }
        // Under the lock, so that what waits is not overtaken.
        let mut state = self.state();
        let message = pack::message(&state.protocol, &Head::message(name), payload)?;
        let sent = match &state.link {
            Some(link) => link.push(Class::Message, message.clone()),
            None => Err(SendError::NotReady),
        };
        match sent {
            Err(SendError::NotReady) if state.waiting.len() < self.settings.offline_queue => {
                let variant = state.protocol.variant();
                state.waiting.push_back((variant, message));
                Ok(())
            }
            Err(SendError::NotReady) => Err(SendError::QueueFull),
            sent => sent,
        }
    }

    pub(super) async fn send_reliable<T: ?Sized>(
        &self,
        options: Reliable,
        name: Text,
        payload: &T,
    ) -> Result<(), GaveUp>
    where
        P::Format: Encode<T>,
    {
        let name = &name;
        reliably(options, |stamp| async move {
            let Some(link) = self.next_link().await else { return Attempt::Hopeless };
            let timeout = Some(options.receipt_timeout);
            let error = match link.send_under(stamp, true, name.clone(), payload, timeout) {
                Ok(expected) => match expected.await {
                    Ok(()) => return Attempt::Delivered,
                    Err(error) => return Attempt::Failed { sent: true, error },
                },
                Err(error) => error,
            };
            if let ReceiptError::QueueFull = error {
                link.room().await;
            }
            Attempt::Failed { sent: false, error }
        })
        .await
    }

    /// The connection, as soon as there is one; `None` when none is sought.
    async fn next_link(&self) -> Option<Arc<Link<P>>> {
        let mut status = self.status.subscribe();
        loop {
            // First: what changes from now on is waited for below.
            let now = *status.borrow_and_update();
            if let Some(link) = self.link().filter(|link| link.is_ready()) {
                return Some(link);
            }
            if matches!(now, Status::Idle | Status::Offline) {
                return None;
            }
            status.changed().await.ok()?;
        }
    }

    /// A connection is ready: what waited goes first.
    pub(super) fn ready(&self, link: Arc<Link<P>>, welcome: Bytes) {
        let mut state = self.state();
        state.protocol = link.protocol().clone();
        state.welcome = Bytes::copy_from_slice(&welcome);
        let mut lost = 0;
        for (variant, message) in std::mem::take(&mut state.waiting) {
            let fits = variant == link.protocol().variant();
            if !fits || link.push(Class::Message, message).is_err() {
                lost += 1;
            }
        }
        state.link = Some(link);
        drop(state);
        if lost > 0 {
            let message = format!("{lost} messages from the offline queue could not be sent");
            self.error(ErrorCode::NotReady, None, message);
        }
        self.set_status(Status::Ready);
        let _ = self.events.send(ClientEvent::Ready(welcome));
    }

    /// The connection has ended. Whoever is told of it, such as by a failed call, finds the client
    /// no longer ready.
    pub(super) fn ended(&self, close: &Close) {
        let mut state = self.state();
        state.link = None;
        state.last_close = Some(close.clone());
        if self.settings.reconnect.is_some() && reconnects(close.code) {
            self.set_status(Status::Reconnecting);
        }
        drop(state);
        let _ = self.events.send(ClientEvent::Closed(close.clone()));
    }

    /// The manager goes elsewhere, wherever it was.
    pub(super) fn jumping(&self) {
        let mut state = self.state();
        state.link = None;
        self.set_status(Status::Reconnecting);
    }

    /// The manager stops: nothing is sent any more.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.commands = None;
        state.link = None;
        state.waiting.clear();
        // Under the lock, lest it overtake that of a manager which is started meanwhile.
        self.set_status(Status::Offline);
    }

    /// Counts a connection until it is dropped.
    pub(super) fn driving(self: &Arc<Self>) -> Driving<P> {
        self.driven.send_modify(|count| *count += 1);
        Driving(Arc::clone(self))
    }

    /// Waits until a message may be sent, or kept.
    pub(super) async fn room(&self) {
        let mut status = self.status.subscribe();
        loop {
            if let Some(link) = self.link().filter(|link| link.is_ready()) {
                return link.room().await;
            }
            let most = self.settings.offline_queue;
            let full = most > 0 && self.state().waiting.len() >= most;
            if !full || status.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) fn error(&self, code: ErrorCode, name: Option<Text>, message: String) {
        tracing::debug!(%code, name = name.as_deref(), message, "error event");
        let _ = self.events.send(ClientEvent::Error { code, name, message });
    }

    pub(super) fn link(&self) -> Option<Arc<Link<P>>> {
        self.state().link.clone()
    }

    pub(super) fn protocol(&self) -> P {
        self.state().protocol.clone()
    }

    pub(super) fn welcome(&self) -> Bytes {
        self.state().welcome.clone()
    }

    pub(super) fn last_close(&self) -> Option<Close> {
        self.state().last_close.clone()
    }

    pub(super) fn status(&self) -> Status {
        *self.status.borrow()
    }

    pub(super) fn set_status(&self, status: Status) {
        self.status.send_if_modified(|old| std::mem::replace(old, status) != status);
    }

    fn state(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Shared::driving`].
pub(super) struct Driving<P: Protocol>(Arc<Shared<P>>);

impl<P: Protocol> Drop for Driving<P> {
    fn drop(&mut self) {
        self.0.driven.send_modify(|count| *count -= 1);
    }
}
