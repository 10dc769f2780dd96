//! Drives a [`Session`] over any WebSocket: the same code for client and server. It is made to be copied.
//!
//! It does not cover handlers that take time (here they answer at once), a bound on the size of messages (that is up
//! to your WebSocket), challenges, and reconnecting.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::iter;
use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use wse::session::{Close, Event, Liveness, Output, Session};
use wse::{Decode, Encode, Fault, Format, Head, Hi, MessageKind, Protocol, ReceiptOf};
use wse::{SessionMessage, Stamp, UsageError, open_each, seal};

pub type Failure = Box<dyn Error + Send + Sync>;

/// How long a peer may take nothing of what is sent to it, how long the closing handshake may last, and how long
/// answers and receipts are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a WebSocket takes and gives. Pings only from one that does not answer them by itself.
pub enum Frame {
    Text(Bytes),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    Close(Option<(u16, String)>),
}

/// What the application makes of what happens. Payloads are encoded in the protocol's format.
pub trait App {
    /// Server: decides whether to accept a client. Returns its welcome, or `None` to refuse.
    fn greeted(&mut self, hi: &Hi) -> Option<Bytes>;
    fn message(&mut self, name: &str, payload: Bytes);
    fn call(&mut self, name: &str, payload: Bytes) -> Result<Bytes, Fault>;
    /// All else: that a client is ready, that the peer is late, what was dropped, and so on.
    fn other(&mut self, event: Event);
}

type Done = oneshot::Sender<Result<Bytes, Failure>>;

pub enum Command {
    /// Send a message that wants a receipt, or a call.
    Ask(ReceiptOf, String, Bytes, Done),
    Close(Close),
}

/// What the application does with a connection; taken once it is ready.
pub struct Handle<F> {
    pub format: F,
    pub commands: mpsc::Sender<Command>,
}

impl<F: Format> Handle<F> {
    /// Sends a message and waits until the peer's session has it.
    pub async fn send<T>(&self, name: &str, payload: &T) -> Result<(), Failure>
    where
        F: Encode<T>,
    {
        self.ask(ReceiptOf::Message, name, payload).await.map(|_| ())
    }

    pub async fn call<T, R>(&self, name: &str, payload: &T) -> Result<R, Failure>
    where
        F: Encode<T> + Decode<R>,
    {
        Ok(self.format.decode(&self.ask(ReceiptOf::Call, name, payload).await?)?)
    }

    async fn ask<T>(&self, of: ReceiptOf, name: &str, payload: &T) -> Result<Bytes, Failure>
    where
        F: Encode<T>,
    {
        let ((done, outcome), mut out) = (oneshot::channel(), BytesMut::new());
        self.format.encode(payload, &mut out)?;
        self.commands.send(Command::Ask(of, name.to_owned(), out.freeze(), done)).await?;
        outcome.await?
    }
}

/// Drives a connection to its end: how it ended, and what is known of the peer. Time counts from now.
pub async fn drive<P: Protocol>(
    protocol: P,
    session: Session,
    app: impl App,
    mut commands: mpsc::Receiver<Command>,
    mut incoming: impl Stream<Item = Frame> + Unpin,
    mut outgoing: impl Sink<Frame> + Unpin,
) -> (Close, Option<Liveness>) {
    let (waiting, outbox) = (HashMap::new(), Vec::new());
    let mut driver = Driver { protocol, session, app, waiting, outbox, close: None };
    let start = Instant::now();
    loop {
        driver.settle(start.elapsed());
        let frames = std::mem::take(&mut driver.outbox).into_iter().map(Ok);
        let sent = timeout(PATIENCE, outgoing.send_all(&mut iter(frames))).await;
        // A peer that does not read must not block this side without a limit.
        if !matches!(sent, Ok(Ok(()))) {
            driver.ended(Close::VANISHED, false);
            driver.settle(start.elapsed());
        }
        if let Some((close, handshake)) = driver.close {
            let end =
                async { while !matches!(incoming.next().await, None | Some(Frame::Close(_))) {} };
            if handshake {
                let _ = timeout(PATIENCE, end).await;
            }
            return (close, driver.session.liveness());
        }
        let due = driver.session.poll_timeout().and_then(|at| start.checked_add(at));
        let sleep = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased; // what has arrived counts before the time
            frame = incoming.next() => driver.received(start.elapsed(), frame),
            Some(command) = commands.recv(), if driver.session.check_ready().is_ok() => {
                driver.command(start.elapsed(), command);
            }
            () = sleep => {}
        }
        driver.session.handle_timeout(start.elapsed());
    }
}

struct Driver<P, A> {
    protocol: P,
    session: Session,
    app: A,
    /// What waits for an answer, by the stamp it was sent with.
    waiting: HashMap<Stamp, Done>,
    outbox: Vec<Frame>,
    /// How it ended, and whether the closing handshake is under way.
    close: Option<(Close, bool)>,
}

impl<P: Protocol, A: App> Driver<P, A> {
    fn received(&mut self, now: Duration, frame: Option<Frame>) {
        self.session.handle_life(now);
        match frame {
            // A text protocol checks that the bytes are UTF-8.
            Some(Frame::Text(bytes) | Frame::Binary(bytes)) => {
                open_each(&self.protocol, (&bytes).into(), |message| match message {
                    Ok(message) => self.session.handle_message(now, message),
                    Err(error) => self.session.handle_undecodable(error),
                });
            }
            Some(Frame::Ping(payload)) => self.outbox.push(Frame::Pong(payload)),
            Some(Frame::Pong(payload)) => self.session.handle_pong(now, &payload),
            Some(Frame::Close(frame)) => {
                let close = frame.as_ref().map(|(code, reason)| Close::new(*code, reason.as_str()));
                self.ended(close.unwrap_or_else(|| Close::new(1005, "")), true);
                self.outbox.push(Frame::Close(frame));
            }
            None => self.ended(Close::VANISHED, false),
        }
    }

    fn ended(&mut self, close: Close, handshake: bool) {
        self.session.handle_closed(&close);
        self.close.get_or_insert((close, handshake));
    }

    fn command(&mut self, now: Duration, command: Command) {
        match command {
            Command::Ask(of, name, payload, done) => match self.ask(now, of, name) {
                Ok((head, stamp)) => {
                    self.waiting.insert(stamp, done);
                    self.send(&SessionMessage::raw(head, payload));
                }
                Err(error) => drop(done.send(Err(error.into()))),
            },
            Command::Close(close) => self.session.close(close),
        }
    }

    fn ask(
        &mut self,
        now: Duration,
        of: ReceiptOf,
        name: String,
    ) -> Result<(Head, Stamp), UsageError> {
        if of == ReceiptOf::Call {
            let stamp = self.session.call(now, Some(PATIENCE))?.stamp();
            return Ok((Head::call(name, stamp.clone()), stamp));
        }
        let stamp = self.session.next_stamp();
        self.session.expect_receipt(now, of, stamp.clone(), Some(PATIENCE))?;
        let receipt = Some(stamp.clone());
        Ok((Head::Message { name: name.into(), receipt, reliable: false }, stamp))
    }

    /// Processes the outputs and events of the session until there are no more.
    fn settle(&mut self, now: Duration) {
        loop {
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::Send(message) => self.send(&message),
                    Output::Ping(payload) => self.outbox.push(Frame::Ping(payload)),
                    Output::Close(close) => {
                        let frame = (close.code, close.reason.to_string());
                        self.outbox.push(Frame::Close(Some(frame)));
                        self.close = Some((close, true));
                    }
                    Output::Abort(close) => {
                        self.outbox.clear();
                        self.close = Some((close, false));
                    }
                    _ => {}
                }
            }
            let Some(event) = self.session.poll_event() else { return };
            self.event(now, event);
        }
    }

    fn event(&mut self, now: Duration, event: Event) {
        match event {
            Event::Greeted { hi } => match self.app.greeted(&hi) {
                // An error if the client has gone meanwhile.
                Some(welcome) => drop(self.session.accept(now, welcome)),
                None => self.session.refuse(),
            },
            Event::Message { name, payload } => self.app.message(&name, payload),
            Event::Call { name, stamp, payload, .. } => {
                let answer = match self.app.call(&name, payload) {
                    Ok(result) => SessionMessage::raw(Head::reply(stamp), result),
                    Err(fault) => SessionMessage::fault(stamp, fault),
                };
                if self.session.check_ready().is_ok() {
                    self.send(&answer);
                }
            }
            Event::CallEnded { call, outcome } => {
                self.done(&call.stamp(), outcome.map_err(Into::into));
            }
            Event::ReceiptEnded { stamp, outcome, .. } => {
                self.done(&stamp, outcome.map(|()| Bytes::new()).map_err(Into::into));
            }
            event => self.app.other(event),
        }
    }

    fn done(&mut self, stamp: &Stamp, outcome: Result<Bytes, Failure>) {
        if let Some(done) = self.waiting.remove(stamp) {
            let _ = done.send(outcome); // fails when the caller has given up
        }
    }

    /// A message that the protocol cannot write is not sent.
    fn send(&mut self, message: &SessionMessage) {
        let mut out = BytesMut::new();
        seal(&self.protocol, message, &mut out);
        if !out.is_empty() {
            self.outbox.push(match self.protocol.info().kind() {
                MessageKind::Text => Frame::Text(out.freeze()),
                MessageKind::Binary => Frame::Binary(out.freeze()),
            });
        }
    }
}
