//! The task of one client: connects, waits for the end of the connection, and reconnects.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use wse_proto::CloseReason;
use wse_proto::session::Close;

use super::command::{Command, Done};
use super::credentials::{Credentials, Target};
use super::error::ConnectError;
use super::place::Url;
use super::shared::{Shared, Welcomed};
use super::status::{ClientEvent, Status};
use crate::chain::chain;
use crate::connection::{Clock, deadline};
use crate::random;

/// The longest `Retry-After` that is heeded, unless the cap of the backoff is longer.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What interrupts a wait of the manager.
enum Interrupt {
    Close(Close),
    Migrate(Target, Done),
}

/// The caller that waits for the outcome of the current attempts.
struct PendingResult(Option<Done>);

impl PendingResult {
    fn complete(&mut self, outcome: Result<(), ConnectError>) {
        if let Some(done) = self.0.take() {
            let _ = done.send(outcome);
        }
    }
}

impl Shared {
    /// Starts the manager. Returns the receiver of the first result.
    pub(super) fn start(
        self: &Arc<Self>,
    ) -> Result<oneshot::Receiver<Result<(), ConnectError>>, ConnectError> {
        let mut state = self.state();
        if state.commands.as_ref().is_some_and(|commands| !commands.is_closed()) {
            return Err(ConnectError::AlreadyConnected);
        }
        let (sender, commands) = mpsc::unbounded_channel();
        let (done, connected) = oneshot::channel();
        let old = state.commands.replace(sender);
        state.last_close = None;
        let target = state.target.clone();
        state.status = Status::Connecting;
        drop(state);
        drop(old);
        self.publish_status();
        self.tasks.spawn(manage(Arc::clone(self), target, commands, done));
        Ok(connected)
    }

    pub(super) async fn migrate(
        self: &Arc<Self>,
        url: String,
        credentials: Option<Credentials>,
    ) -> Result<(), ConnectError> {
        let target = {
            let mut state = self.state();
            let old_url = std::mem::replace(&mut state.target.url, Url::Fixed(url));
            let old = credentials.map(|it| std::mem::replace(&mut state.target.credentials, it));
            let target = state.target.clone();
            drop(state);
            // Without the lock: they hold values and closures of the application.
            drop((old, old_url));
            target
        };
        let (done, connected) = oneshot::channel();
        let connected = match self.command(Command::Migrate { target, done }) {
            true => connected,
            // Not connected: migrating is then connecting.
            false => self.start()?,
        };
        connected.await.unwrap_or(Err(ConnectError::Closed))
    }
}

async fn manage(
    shared: Arc<Shared>,
    mut target: Target,
    mut commands: mpsc::UnboundedReceiver<Command>,
    done: Done,
) {
    let mut pending = PendingResult(Some(done));
    let stop = StopGuard(&shared);
    let mut retries = Retries::default();
    // Without a number of attempts, a wrong address would never be told.
    let retries_first = shared.settings.retry_first
        || shared.settings.reconnect.is_some_and(|backoff| backoff.attempts.is_some());
    let mut first = true;
    let outcome = loop {
        let attempted = tokio::select! {
            biased;
            interrupt = next_interrupt(&shared, &mut commands) => Err(interrupt),
            connected = connect(&shared, &target) => Ok(connected),
        };
        let (why, error) = match attempted {
            Ok(Ok(connection)) => {
                shared.state().check_asked = false;
                first = false;
                pending.complete(Ok(()));
                let clock = Clock::start();
                match run_until_end(&shared, connection, &mut commands).await {
                    Ended::Closed => break Ok(()),
                    Ended::Migrated(to, done) => {
                        target = to;
                        retries = Retries::default();
                        pending = PendingResult(Some(done));
                        shared.migrating();
                        continue;
                    }
                    Ended::Lost(close)
                        if shared.comes_back() && retries.drained(&shared, &close, clock.now()) =>
                    {
                        tracing::debug!("connecting to another server: the old one drains");
                        continue;
                    }
                    Ended::Lost(close) if shared.comes_back() => {
                        retries.lost(&shared, clock.now());
                        (format!("the connection was lost: {close}"), None)
                    }
                    Ended::Lost(_) => break Ok(()),
                }
            }
            Ok(Err(error)) => {
                retries.failed += 1;
                let transient = match &error {
                    ConnectError::Refused(close) => shared.reconnects_after(close),
                    error => error.is_transient(),
                };
                if !transient || (first && !retries_first) {
                    break Err(error);
                }
                (chain(&error), Some(error))
            }
            Err(Interrupt::Close(_)) => break Err(ConnectError::Closed),
            Err(Interrupt::Migrate(to, done)) => {
                target = to;
                retries = Retries::default();
                pending.complete(Err(ConnectError::Closed));
                pending = PendingResult(Some(done));
                shared.migrating();
                continue;
            }
        };
        if std::mem::take(&mut shared.state().check_asked) {
            // Asked for during the attempt.
            retries = Retries::default();
        }
        let asked = error.as_ref().and_then(ConnectError::retry_after);
        let Some(after) = retries.next(&shared, asked) else {
            if shared.settings.reconnect.is_some() {
                tracing::warn!(error = why, attempts = retries.failed, "connecting is given up");
            }
            break error.map_or(Ok(()), Err);
        };
        tracing::warn!(error = why, ?after, "connecting again");
        if pending.0.is_none() {
            shared.set_status(Status::Reconnecting);
        }
        shared.state().next_attempt = deadline(after);
        shared.emit(ClientEvent::Retrying { error: why, after });
        // Only from here on: a callback of the event that checks would otherwise connect again and again without a pause.
        let check_asked = shared.check_now.notified();
        tokio::select! {
            biased;
            interrupt = next_interrupt(&shared, &mut commands) => match interrupt {
                Interrupt::Close(_) => break Err(ConnectError::Closed),
                Interrupt::Migrate(to, done) => {
                    target = to;
                    retries = Retries::default();
                    pending.complete(Err(ConnectError::Closed));
                    pending = PendingResult(Some(done));
                    shared.migrating();
                }
            },
            () = check_asked => retries = Retries::default(),
            () = tokio::time::sleep(after) => {}
        }
        shared.state().next_attempt = None;
    };
    // Before the outcome is sent, so that its receiver can connect again at once.
    drop(stop);
    pending.complete(outcome);
}

/// Stops the client when the manager ends, for any reason.
struct StopGuard<'a>(&'a Shared);

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The attempts since the last connection that lasted.
#[derive(Default)]
struct Retries {
    /// Those that failed, and those whose connection did not last.
    failed: u32,
    waits: u32,
    /// The last wait, without what the server asked for.
    wait: Duration,
    /// Whether the client has connected at once, as its server asked for.
    at_once: bool,
}

impl Retries {
    /// A connection was lost that lasted this long.
    fn lost(&mut self, shared: &Shared, lasted: Duration) {
        let backoff = shared.settings.reconnect.unwrap_or_default();
        if backoff.outlasts(lasted, self.wait) {
            *self = Self::default();
        } else if self.waits > 0 {
            self.failed += 1;
        }
    }

    /// Whether a connection was closed since its server drains, so that the client connects at once. Not twice in a row
    /// unless the connection lasted: otherwise a server could have its clients connect again and again without a pause.
    fn drained(&mut self, shared: &Shared, close: &Close, lasted: Duration) -> bool {
        let backoff = shared.settings.reconnect.unwrap_or_default();
        // 4000 by this side at the time that it has chosen, and 1012 by the server at a time of its choice.
        let drained = matches!(close.code, 4000 | 1012) && close.reason == CloseReason::Drain;
        if !drained || self.at_once && !backoff.outlasts(lasted, Duration::ZERO) {
            return false;
        }
        *self = Self { at_once: true, ..Self::default() };
        true
    }

    /// Returns the wait before the next attempt; `asked` is what the server asks for. `None` means to give up.
    fn next(&mut self, shared: &Shared, asked: Option<Duration>) -> Option<Duration> {
        let backoff = shared.settings.reconnect?;
        if backoff.attempts.is_some_and(|most| self.failed >= most) {
            return None;
        }
        self.wait = backoff.delay(self.waits, random::unit());
        self.waits = self.waits.saturating_add(1);
        let asked = asked.unwrap_or_default().min(MAX_RETRY_AFTER.max(backoff.cap));
        // Behind what is asked for, so that not all clients come at that moment.
        Some(asked.saturating_add(self.wait))
    }
}

/// The next command. When the last handle is dropped, that is a command to close.
async fn next_interrupt(
    shared: &Shared,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) -> Interrupt {
    let gone = async {
        match shared.gone.get() {
            Some((gone, _)) => gone.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        command = commands.recv() => match command {
            Some(Command::Close(close)) => Interrupt::Close(close),
            Some(Command::Migrate { target, done }) => Interrupt::Migrate(target, done),
            None => Interrupt::Close(Close::normal(CloseReason::ByClient)),
        },
        () = gone => Interrupt::Close(Close::normal(CloseReason::ByClient)),
    }
}

enum Ended {
    /// By this side, and not opened again.
    Closed,
    Migrated(Target, Done),
    Lost(Close),
}

/// Waits for the end of a connection that is ready.
async fn run_until_end(
    shared: &Arc<Shared>,
    connection: Welcomed,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) -> Ended {
    let Welcomed { connection, mut ended } = connection;
    let interrupt = tokio::select! {
        biased;
        close = &mut ended => {
            return Ended::Lost(close.unwrap_or_else(|_| {
                // The connection's task was cancelled.
                shared.ended(&connection, &Close::VANISHED);
                Close::VANISHED
            }));
        }
        interrupt = next_interrupt(shared, commands) => interrupt,
    };
    let (close, then) = match interrupt {
        Interrupt::Close(close) => (close, Ended::Closed),
        Interrupt::Migrate(target, done) => {
            (Close::new(4000, CloseReason::Jump), Ended::Migrated(target, done))
        }
    };
    if !connection.is_finishing() {
        connection.close_for_good(close);
    }
    // Arrives when the closing handshake begins. The driver completes the handshake.
    let _ = ended.await;
    then
}

/// Makes one attempt, from the URL to the welcome.
async fn connect(shared: &Arc<Shared>, target: &Target) -> Result<Welcomed, ConnectError> {
    tokio::time::timeout(shared.settings.connect_timeout, (shared.settings.open)(shared, target))
        .await
        .unwrap_or(Err(ConnectError::Timeout))
}
