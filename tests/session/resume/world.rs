//! A server and a client over simulated sockets, in virtual time. Both are driven as the docs of `wse_proto::session` say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wse_codecs::JsonArray;
use wse_proto::session::{
    Budget, Close, Event, ResumeLimits, Session, SessionLimits, Sessions, Token,
};
use wse_proto::{Hi, Outcome, Packed, Protocol, ResumeRequest, Utf8};

use super::link::{Pipe, Random};
use super::model::Direction;
use super::peer::Peer;

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
