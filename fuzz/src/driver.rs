//! Two drivers with a bad line between them, and callers that do everything in any order.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use wse_transport::driver::{Driver, DriverEvent, DriverOptions, DriverState, TransportUse};
use wse_transport::handshake::Rejection;
use wse_transport::ws::{CloseCode, CloseFrame, Config, Deflate, Message, Role};

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Side {
    Client,
    Server,
}

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Start(Side),
    /// Carries some of what it has to write to the other.
    Carry(Side, u8),
    /// Something else reaches it.
    Inject(Side, &'a [u8]),
    End(Side),
    Text(Side, &'a str),
    Binary(Side, u16),
    Ping(Side, &'a [u8]),
    Pong(Side, &'a [u8]),
    Close(Side, Option<(u16, &'a str)>),
    Reject(u16),
    Header(Side, &'a str, &'a str),
    Compress(Side, bool),
    /// Time passes, in seconds.
    Wait(u8),
}

#[derive(Arbitrary, Debug)]
struct Plan<'a> {
    deflate: [Option<(bool, u8)>; 2],
    /// 1: begins behind the opening handshake. 2: the server takes drafts. 4: it has TLS.
    begin: u8,
    /// Servers answer at once.
    prompt: bool,
    operations: Vec<Operation<'a>>,
}

/// A plan, written down by `arbitrary`.
pub fn run(data: &[u8]) {
    let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let [client, mut server] = plan.deflate.map(options);
    let opened = plan.begin & 1 != 0;
    server.allow_drafts = plan.begin & 2 != 0;
    server.secure = plan.begin & 4 != 0;
    let mut line = Line {
        client: match opened {
            true => End::new(Driver::opened(Role::Client, client)),
            false => End::new(Driver::client("ws://example.com/", client).expect("a url")),
        },
        server: match opened {
            true => End::new(Driver::opened(Role::Server, server)),
            false => End::new(Driver::server(server)),
        },
        now: Duration::from_secs(1000),
        prompt: plan.prompt,
        undisturbed: true,
    };
    for operation in plan.operations {
        line.perform(operation);
        line.listen();
    }
    line.finish(if opened { 0 } else { 1 });
}

fn options(deflate: Option<(bool, u8)>) -> DriverOptions {
    let deflate = deflate.map(|(takeover, bits)| {
        let bits = 9 + bits % 7;
        Deflate::default().threshold(8).takeover(takeover).peer_takeover(true).window_bits(bits)
    });
    DriverOptions::default().config(Config::default().deflate(deflate)).protocols(["chat"])
}

/// A driver, and what its caller has seen.
struct End {
    driver: Driver,
    sent: Vec<Message>,
    received: Vec<Message>,
    open: usize,
    closed: bool,
    failed: bool,
    /// How far its transport has been given up.
    transport: u8,
}

impl End {
    fn new(driver: Driver) -> Self {
        Self {
            driver,
            sent: Vec::new(),
            received: Vec::new(),
            open: 0,
            closed: false,
            failed: false,
            transport: 0,
        }
    }

    fn send(&mut self, message: Message) {
        if self.driver.send(message.clone()).is_ok() {
            self.sent.push(message);
        }
    }

    /// Takes all events there are.
    fn listen(&mut self, now: Duration, prompt: bool) {
        while let Some(event) = self.driver.next_event(now) {
            assert!(!self.closed, "an event behind the last: {event:?}");
            match event {
                DriverEvent::Connect if prompt => self.driver.start().expect("it has its request"),
                DriverEvent::Open => self.open += 1,
                DriverEvent::Message(message) => self.received.push(message),
                DriverEvent::Close(_) => self.closed = true,
                DriverEvent::Error(_) => {
                    assert!(!self.failed, "one error is enough");
                    self.failed = true;
                }
                _ => {}
            }
        }
        assert!(self.open <= 1);
        if self.driver.output().is_empty() {
            let transport = match self.driver.transport() {
                TransportUse::Both => 0,
                TransportUse::ShutDownWrite => 1,
                TransportUse::Close => 2,
            };
            assert!(transport >= self.transport, "what was given up is not needed again");
            self.transport = transport;
        }
    }
}

struct Line {
    client: End,
    server: End,
    now: Duration,
    prompt: bool,
    /// Nothing but the two has had a hand in it.
    undisturbed: bool,
}

impl Line {
    fn at(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn listen(&mut self) {
        self.client.listen(self.now, self.prompt);
        self.server.listen(self.now, self.prompt);
    }

    /// Carries so many bytes at most; returns whether there were any.
    fn carry(&mut self, side: Side, len: usize) -> bool {
        let (from, to) = match side {
            Side::Client => (&mut self.client.driver, &mut self.server.driver),
            Side::Server => (&mut self.server.driver, &mut self.client.driver),
        };
        let len = len.min(from.output().len());
        to.receive(&from.output()[..len]);
        from.written(len);
        len > 0
    }

    fn perform(&mut self, operation: Operation<'_>) {
        let now = self.now;
        match operation {
            Operation::Start(side) => {
                let _ = self.at(side).driver.start();
            }
            Operation::Carry(side, len) => {
                self.carry(side, len.into());
            }
            Operation::Inject(side, bytes) => {
                self.undisturbed = false;
                self.at(side).driver.receive(bytes);
            }
            Operation::End(side) => {
                self.undisturbed = false;
                self.at(side).driver.end();
            }
            Operation::Text(side, text) => self.at(side).send(Message::text(text.to_owned())),
            Operation::Binary(side, len) => {
                self.at(side).send(Message::binary(vec![7; len.into()]));
            }
            Operation::Ping(side, payload) => {
                // There may be too many.
                self.undisturbed = false;
                let _ = self.at(side).driver.ping(payload.to_vec(), now);
            }
            Operation::Pong(side, payload) => {
                self.undisturbed = false;
                let _ = self.at(side).driver.send(Message::Pong(payload.to_vec().into()));
            }
            Operation::Close(side, frame) => {
                self.undisturbed = false;
                let frame =
                    frame.map(|(code, reason)| CloseFrame::new(CloseCode(code), reason.to_owned()));
                self.at(side).driver.close(frame);
            }
            Operation::Reject(status) => {
                if let Ok(status) = http::StatusCode::from_u16(status) {
                    self.undisturbed = false;
                    let _ = self.server.driver.reject(Rejection::new(status, "no"));
                }
            }
            Operation::Header(side, name, value) => {
                self.undisturbed = false;
                let _ = self.at(side).driver.set_header(name, value);
            }
            Operation::Compress(side, enabled) => self.at(side).driver.compress(enabled),
            Operation::Wait(seconds) => {
                self.undisturbed = false;
                self.now += Duration::from_secs(seconds.into());
            }
        }
    }

    /// Lets all that is under way arrive, looks at the whole, and brings it to an end.
    fn finish(&mut self, opened: usize) {
        let _ = self.client.driver.start();
        loop {
            self.listen();
            let _ = self.server.driver.start();
            self.listen();
            if !self.carry(Side::Client, usize::MAX) & !self.carry(Side::Server, usize::MAX) {
                break;
            }
        }
        if self.undisturbed {
            assert!(!self.client.failed && !self.server.failed);
            assert_eq!((self.client.open, self.server.open), (opened, opened));
            assert_eq!(self.client.received, self.server.sent);
            assert_eq!(self.server.received, self.client.sent);
        }
        for end in [&mut self.client, &mut self.server] {
            end.driver.end();
            end.driver.close(None);
            end.driver.take_output();
            for _ in 0..4 {
                self.now += Duration::from_secs(60);
                end.listen(self.now, true);
                end.driver.take_output();
            }
            assert!(end.closed, "it ends");
            assert_eq!(end.driver.state(), DriverState::Closed);
            assert_eq!(end.driver.transport(), TransportUse::Close);
            assert_eq!(end.driver.deadline(), None);
        }
    }
}
