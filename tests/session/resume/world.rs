//! A server and a client over simulated sockets, in virtual time. Both are driven as the docs of `wse_proto::session` say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wse_codecs::JsonArray;
use wse_proto::session::{
    Budget, CallId, Close, Event, Output, ResumeLimits, Session, SessionLimits, Sessions, Token,
    Tracked,
};
use wse_proto::{
    Head, Hi, Outcome, Packed, Protocol, ReceiptOf, ResumeRequest, SessionMessage, Stamp, Utf8,
    open_envelope, seal,
};

use super::link::{Pipe, Random};
use super::model::{Direction, Promises};

/// What waits to be written.
struct Entry {
    message: Bytes,
    counted: bool,
    tracked: Option<Tracked>,
}

/// One endpoint of a session.
pub(super) struct Peer {
    pub(super) session: Session,
    queue: VecDeque<Entry>,
    /// Client: what waits until the session is resumed.
    outbox: VecDeque<Entry>,
    /// Messages that have arrived and are handled later.
    held: VecDeque<SessionMessage>,
    /// Calls of the peer without an answer.
    unanswered: Vec<Stamp>,
    calls: Vec<CallId>,
    promises: Promises,
    /// What this side has sent, and the other side has got.
    pub(super) sends: Direction,
    messages: u64,
}

impl Peer {
    fn new(session: Session, sends: Direction) -> Self {
        Self {
            session,
            queue: VecDeque::new(),
            outbox: VecDeque::new(),
            held: VecDeque::new(),
            unanswered: Vec::new(),
            calls: Vec::new(),
            promises: Promises::default(),
            sends,
            messages: 0,
        }
    }

    /// Takes the outputs of the session into the queue. Returns how the socket is to be closed.
    fn outputs(&mut self) -> Option<Close> {
        let mut closed = None;
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(message) => {
                    let mut out = BytesMut::new();
                    seal(&JsonArray, &message, &mut out);
                    let counted = message.head.is_counted();
                    self.queue.push_back(Entry { message: out.freeze(), counted, tracked: None });
                }
                Output::Replay(message) => {
                    self.queue.push_back(Entry { message, counted: false, tracked: None });
                }
                Output::Close(close) | Output::Abort(close) => closed = Some(close),
                other => panic!("{other:?}"),
            }
        }
        closed
    }

    fn push(&mut self, head: &Head, payload: &str, tracked: Option<Tracked>) -> Bytes {
        let mut out = BytesMut::new();
        JsonArray.pack(head, payload.as_bytes(), &mut out);
        let message = out.freeze();
        self.queue.push_back(Entry { message: message.clone(), counted: true, tracked });
        message
    }

    /// Sends a message, a call, an answer or a cancellation, as chance has it.
    fn act(&mut self, now: Duration, random: &mut Random) {
        if self.session.check_ready().is_err() {
            return;
        }
        self.messages += 1;
        let name = if random.one_in(20) { "x".repeat(random.below(600) + 1) } else { "m".into() };
        let text = format!("\"{}\"", self.messages);
        let timeout = (!random.one_in(3)).then(|| Duration::from_millis(random.next() % 20_000));
        match random.below(8) {
            0..=2 => drop(self.push(&Head::message(name.as_str()), &text, None)),
            3 => {
                let Ok(call) = self.session.call(now, timeout) else { return };
                let head = Head::call(name.as_str(), call.stamp());
                let message = self.push(&head, &text, Some(Tracked::Call(call)));
                self.calls.push(call);
                self.promises.begin(format!("call {}", call.stamp()), message);
            }
            4 => {
                let stamp = Stamp::from(format!("r{}", self.messages).as_str());
                let of = ReceiptOf::Message;
                if self.session.expect_receipt(now, of, stamp.clone(), timeout).is_err() {
                    return;
                }
                let receipt = Some(stamp.clone());
                let head = Head::Message { name: name.into(), receipt, reliable: false };
                let tracked = Tracked::Receipt(of, stamp.clone());
                let message = self.push(&head, &text, Some(tracked));
                self.promises.begin(format!("receipt {stamp}"), message);
            }
            5 if !self.calls.is_empty() => {
                let call = self.calls.swap_remove(random.below(self.calls.len()));
                self.session.cancel(call);
                self.promises.forget(&format!("call {}", call.stamp()));
            }
            _ if !self.unanswered.is_empty() => {
                let stamp = self.unanswered.swap_remove(random.below(self.unanswered.len()));
                self.push(&Head::reply(stamp.clone()), &format!("\"{stamp}\""), None);
            }
            _ => {}
        }
    }

    /// Writes up to so many messages.
    fn write(&mut self, pipe: &mut Pipe, most: usize) {
        for _ in 0..most {
            let Some(entry) = self.queue.front() else { return };
            if entry.counted && !self.session.has_space(entry.message.len()) {
                return;
            }
            let Some(Entry { message, counted, tracked }) = self.queue.pop_front() else { return };
            if counted {
                self.sends.sends(&message);
                assert!(!self.session.sent(&message, tracked), "the budget is large");
            }
            pipe.write(&message);
        }
    }

    /// A server without a socket: what is counted leaves for the ring, and the rest is dropped.
    fn store(&mut self) {
        for Entry { message, counted, tracked } in std::mem::take(&mut self.queue) {
            if counted {
                self.sends.sends(&message);
                self.session.sent(&message, tracked);
            }
        }
    }

    /// A client without a socket: what is counted and was not written waits, and the rest is dropped.
    fn put_back(&mut self) {
        let queue = std::mem::take(&mut self.queue).into_iter().filter(|entry| entry.counted);
        let outbox = std::mem::take(&mut self.outbox);
        self.outbox = queue.chain(outbox).collect();
    }

    /// Takes a message from the socket.
    fn take(&mut self, now: Duration, message: &Bytes, from: &mut Direction, random: &mut Random) {
        let envelope = JsonArray.unpack(Packed::Text(Utf8::assume_checked(message))).unwrap();
        let ready = self.session.is_attached();
        if envelope.head.is_counted() && ready {
            from.gets(message);
        }
        let handled = matches!(envelope.head, Head::Message { .. } | Head::Call { .. });
        if handled && ready && (!self.held.is_empty() || random.one_in(10)) {
            self.session.count_held(now, &envelope.head);
            self.held.push_back(open_envelope(&JsonArray, envelope).unwrap());
            return;
        }
        if random.one_in(2)
            && let Some(_) = self.session.handle_message_fast(&envelope.head)
        {
            match envelope.head {
                Head::Call { stamp, .. } => self.unanswered.push(stamp),
                Head::Reply { stamp, .. } => self.answered(&stamp),
                _ => {}
            }
            return;
        }
        self.session.handle_message(now, open_envelope(&JsonArray, envelope).unwrap());
    }

    fn handle_held(&mut self, now: Duration) {
        while let Some(message) = self.held.pop_front() {
            self.session.handle_held(now, message);
        }
    }

    /// A call has ended. An answer that comes too late ends nothing.
    fn answered(&mut self, stamp: &Stamp) {
        if let Some(at) = self.calls.iter().position(|call| call.stamp() == *stamp) {
            self.calls.swap_remove(at);
            self.promises.end(&format!("call {stamp}"));
        }
    }

    /// Handles an event that both sides have.
    fn event(&mut self, event: Event) {
        match event {
            Event::Call { stamp, .. } => self.unanswered.push(stamp),
            Event::CallEnded { call, outcome } => {
                if let Ok(payload) = outcome {
                    assert_eq!(payload, format!("\"{}\"", call.stamp()).as_bytes());
                }
                self.answered(&call.stamp());
            }
            Event::ReceiptEnded { stamp, outcome, .. } => {
                let message = self.promises.end(&format!("receipt {stamp}"));
                if outcome.is_ok() {
                    assert!(self.sends.has_got(&message), "a receipt for what has not arrived");
                }
            }
            Event::Violation { code, error } => panic!("{code} {error:?}"),
            _ => {}
        }
    }
}

struct Socket {
    up: Pipe,
    down: Pipe,
    /// The server's session of the greeting.
    greeting: Option<Session>,
    /// The connection that it belongs to.
    conn: Option<usize>,
    /// Whether the server has not noticed its end.
    open: bool,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) now: Duration,
    limits: ResumeLimits,
    client_budget: Arc<Budget>,
    budget: Arc<Budget>,
    sessions: Sessions<usize>,
    conns: Vec<Peer>,
    sockets: Vec<Socket>,
    /// The socket of each connection.
    attached: Vec<Option<usize>>,
    pub(super) client: Peer,
    /// The client's socket.
    dialled: Option<usize>,
    /// How many attempts ended in each outcome: full, partial, none.
    pub(super) outcomes: [usize; 3],
    pub(super) cuts: usize,
}

impl World {
    pub(super) fn new(seed: u64, limits: ResumeLimits) -> Self {
        let client_budget = Budget::new(ResumeLimits::default().ring_bytes(4096));
        let session = client(&client_budget);
        let mut world = Self {
            random: Random(seed),
            now: Duration::ZERO,
            limits,
            client_budget,
            budget: Budget::new(limits),
            sessions: Sessions::new(&limits),
            conns: Vec::new(),
            sockets: Vec::new(),
            attached: Vec::new(),
            client: Peer::new(session, Direction::default()),
            dialled: None,
            outcomes: [0; 3],
            cuts: 0,
        };
        world.open_socket();
        world.settle_client();
        world
    }

    fn open_socket(&mut self) {
        let info = JsonArray.info();
        let greeting = Session::server(info, None, SessionLimits::default()).with_resume();
        self.sockets.push(Socket {
            up: Pipe::default(),
            down: Pipe::default(),
            greeting: Some(greeting),
            conn: None,
            open: true,
        });
        self.dialled = Some(self.sockets.len() - 1);
    }

    /// The connection that the client's session is at.
    fn conn(&self) -> Option<usize> {
        let name = self.client.session.session_name()?;
        self.sessions.find(name).ok().copied()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.dialled.is_some()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_connected() && self.client.outbox.is_empty() && self.conn().is_some()
    }

    pub(super) fn dial(&mut self) {
        if self.dialled.is_none() {
            self.open_socket();
            match self.client.session.is_suspended() {
                true => self.client.session.reconnect(hi()).unwrap(),
                // The first socket was cut before the welcome.
                false => {
                    self.client.session = client(&self.client_budget);
                    self.client.queue.clear();
                }
            }
            self.settle_client();
        }
    }

    /// Both sides send something at random.
    pub(super) fn act(&mut self) {
        if self.random.one_in(2) {
            self.client.act(self.now, &mut self.random);
            self.settle_client();
        } else if let Some(conn) = self.conn() {
            self.conns[conn].act(self.now, &mut self.random);
            self.settle_conn(conn);
        }
    }

    /// Queues are written, and messages that were held back are handled.
    pub(super) fn write(&mut self, most: usize) {
        if let Some(socket) = self.dialled {
            self.client.write(&mut self.sockets[socket].up, most);
        }
        for conn in 0..self.conns.len() {
            if let Some(socket) = self.attached[conn] {
                self.conns[conn].write(&mut self.sockets[socket].down, most);
            }
            self.conns[conn].handle_held(self.now);
            self.settle_conn(conn);
        }
        self.client.handle_held(self.now);
        self.settle_client();
    }

    /// Lets bytes arrive at the server, also over sockets that the client has given up.
    pub(super) fn deliver_up(&mut self, bytes: usize) {
        for socket in 0..self.sockets.len() {
            if self.sockets[socket].open {
                for message in self.sockets[socket].up.deliver(bytes) {
                    self.at_server(socket, &message);
                }
            }
        }
    }

    pub(super) fn deliver_down(&mut self, bytes: usize) {
        let Some(socket) = self.dialled else { return };
        for message in self.sockets[socket].down.deliver(bytes) {
            let conn = self.sockets[socket].conn;
            let mut none = Direction::default();
            let from = conn.map_or(&mut none, |conn| &mut self.conns[conn].sends);
            if self.client.session.is_suspended() {
                return;
            }
            self.client.take(self.now, &message, from, &mut self.random);
            self.settle_client();
        }
    }

    pub(super) fn bytes_under_way(&self) -> [usize; 2] {
        let Some(socket) = self.dialled else { return [0, 0] };
        [self.sockets[socket].up.len(), self.sockets[socket].down.len()]
    }

    fn at_server(&mut self, socket: usize, message: &Bytes) {
        if let Some(greeting) = &mut self.sockets[socket].greeting {
            let packed = Packed::Text(Utf8::assume_checked(message));
            greeting.handle_message(self.now, wse_proto::open(&JsonArray, packed).unwrap());
            while let Some(event) = greeting.poll_event() {
                assert!(matches!(event, Event::Greeted { .. }), "{event:?}");
            }
            return self.decide(socket);
        }
        let Some(conn) = self.sockets[socket].conn else { return };
        if self.attached[conn] != Some(socket) {
            // It was taken over: what it reads is thrown away.
            return;
        }
        self.conns[conn].take(self.now, message, &mut self.client.sends, &mut self.random);
        self.settle_conn(conn);
    }

    fn decide(&mut self, socket: usize) {
        let Some(mut greeting) = self.sockets[socket].greeting.take() else { return };
        let request = greeting.resume_request().cloned().expect("a request");
        let token = Token::new(self.random.bytes());
        let mut outcome = Outcome::New;
        if let ResumeRequest::Resume { session, seen, .. } = &request {
            let found = self.sessions.find(session).copied();
            let found = found.and_then(|conn| {
                match self.conns[conn].session.refusal(&request, true, true) {
                    None => Ok(conn),
                    Some(reason) => Err(reason),
                }
            });
            match found {
                Ok(conn) => {
                    let peer = &mut self.conns[conn];
                    // What is not written waits behind the replay.
                    let rest: Vec<_> = peer.queue.drain(..).filter(|it| it.counted).collect();
                    let outcome = peer.session.attach(&mut greeting, token, "1".into()).unwrap();
                    let expected = match peer.sends.gap(*seen) {
                        Some((first, last)) => Outcome::Partial { first, last },
                        None => Outcome::Full,
                    };
                    assert_eq!(outcome, expected);
                    assert_eq!(peer.outputs(), None);
                    peer.queue.extend(rest);
                    self.sessions.resume(session);
                    self.attached[conn] = Some(socket);
                    self.sockets[socket].conn = Some(conn);
                    return self.settle_conn(conn);
                }
                Err(reason) => outcome = Outcome::None(reason),
            }
        }
        let name = format!("session-{}", self.conns.len());
        greeting.grant(&self.budget, name.as_str().into(), token, outcome).unwrap();
        greeting.accept(self.now, "1".into()).unwrap();
        let conn = self.conns.len();
        self.sessions.create(&name, conn);
        let sends = Direction::ring(self.limits.ring_bytes, self.limits.ring_messages);
        self.conns.push(Peer::new(greeting, sends));
        self.attached.push(Some(socket));
        self.sockets[socket].conn = Some(conn);
        self.settle_conn(conn);
    }

    fn settle_conn(&mut self, conn: usize) {
        let peer = &mut self.conns[conn];
        assert_eq!(peer.outputs(), None);
        while let Some(event) = peer.session.poll_event() {
            if matches!(event, Event::Suspended { .. }) {
                let name = peer.session.session_name().unwrap().to_owned();
                self.sessions.suspend(self.now, &name);
                self.attached[conn] = None;
            }
            peer.event(event);
        }
        if peer.session.is_suspended() {
            peer.store();
        }
    }

    fn settle_client(&mut self) {
        assert_eq!(self.client.outputs(), None);
        let close = self.client.outputs();
        assert_eq!(close, None);
        while let Some(event) = self.client.session.poll_event() {
            match &event {
                Event::Ready { .. } => {
                    // Behind what the session has to say.
                    let outbox = std::mem::take(&mut self.client.outbox);
                    self.client.queue.extend(outbox);
                }
                Event::Resumed { outcome: Outcome::Full } => self.outcomes[0] += 1,
                Event::Resumed { outcome: Outcome::Partial { first, last } } => {
                    self.outcomes[1] += 1;
                    let conn = self.conn().expect("the same session");
                    self.conns[conn].sends.loses(*first, *last);
                }
                Event::Resumed { outcome: Outcome::None(_) } => {
                    self.outcomes[2] += 1;
                    self.client.unanswered.clear();
                    self.client.sends = Direction::default();
                    // Calls that were not written fail too.
                    self.client.outbox.clear();
                }
                _ => {}
            }
            self.client.event(event);
        }
        if self.client.session.is_suspended() {
            self.client.put_back();
        } else if !self.client.session.is_attached() {
            // While the client greets, what is counted waits.
            let queue = std::mem::take(&mut self.client.queue);
            let (counted, greeting): (Vec<_>, Vec<_>) =
                queue.into_iter().partition(|it| it.counted);
            self.client.queue = greeting.into();
            self.client.outbox.extend(counted);
        }
    }

    /// Cuts the client's socket. `up` and `down` bytes still arrive. The server may not notice yet.
    pub(super) fn cut(&mut self, up: usize, down: usize, server_notices: bool) {
        let Some(socket) = self.dialled else { return };
        self.cuts += 1;
        self.deliver_down(down);
        self.dialled = None;
        self.client.session.handle_closed(&Close::VANISHED);
        self.settle_client();
        // What is written is under way, and the rest is lost at once or when the server notices.
        let pipe = &mut self.sockets[socket].up;
        let arrives = pipe.deliver(up);
        for message in arrives {
            self.at_server(socket, &message);
        }
        if server_notices {
            self.notice(socket);
        }
    }

    /// The server notices the end of a socket.
    fn notice(&mut self, socket: usize) {
        self.sockets[socket].open = false;
        self.sockets[socket].greeting = None;
        let Some(conn) = self.sockets[socket].conn else { return };
        if self.attached[conn] == Some(socket) {
            self.conns[conn].session.handle_closed(&Close::VANISHED);
            self.settle_conn(conn);
        }
    }

    /// The server notices the end of all sockets that the client has given up.
    pub(super) fn notice_all(&mut self) {
        for socket in 0..self.sockets.len() {
            if self.sockets[socket].open && self.dialled != Some(socket) {
                self.notice(socket);
            }
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.client.session.handle_timeout(self.now);
        self.settle_client();
        for conn in 0..self.conns.len() {
            self.conns[conn].session.handle_timeout(self.now);
            self.settle_conn(conn);
        }
        while let Some(conn) = self.sessions.expire(self.now) {
            assert!(self.conns[conn].session.end_suspended().is_some());
            self.settle_conn(conn);
            assert_eq!(self.conns[conn].promises.open(), 0);
        }
    }

    /// Lets everything arrive, and checks that nothing is missing.
    pub(super) fn finish(&mut self) {
        self.notice_all();
        for _ in 0..400 {
            self.dial();
            self.write(100);
            self.deliver_up(usize::MAX);
            self.deliver_down(usize::MAX);
            if self.client.queue.is_empty() && self.client.outbox.is_empty() {
                break;
            }
            // A ring may be full until the server tells what it has processed.
            self.pass(Duration::from_secs(5));
        }
        for _ in 0..3 {
            self.write(usize::MAX);
            self.deliver_up(usize::MAX);
            self.deliver_down(usize::MAX);
        }
        let conn = self.conn().expect("a session");
        assert!(self.client.sends.has_got_all(), "the server has got everything");
        assert!(self.conns[conn].sends.has_got_all(), "the client has got everything");
        // Both know so after 5 s at most.
        self.pass(Duration::from_secs(5));
        self.write(usize::MAX);
        self.deliver_up(usize::MAX);
        self.deliver_down(usize::MAX);
        assert_eq!(self.client.session.unacknowledged(), 0);
        assert_eq!(self.conns[conn].session.unacknowledged(), 0);
        let close = Close::normal(wse_proto::CloseReason::ByClient);
        self.client.session.handle_closed(&close);
        self.settle_client();
        assert_eq!(self.client.promises.open(), 0, "every promise of the client has ended");
        self.conns[conn].session.handle_closed(&close);
        self.settle_conn(conn);
        assert_eq!(self.conns[conn].promises.open(), 0, "every promise of the server has ended");
        assert_eq!(self.client_budget.used(), 0);
    }
}

fn client(budget: &Arc<Budget>) -> Session {
    Session::resumable_client(JsonArray.info(), hi(), SessionLimits::default(), budget)
}

fn hi() -> Hi {
    Hi::new("\"me\"", "{}")
}
