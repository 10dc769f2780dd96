//! One endpoint of a session, with a send queue and an application that acts at random.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wse_codecs::JsonArray;
use wse_proto::session::{CallId, Close, Event, Output, Session, Tracked};
use wse_proto::{
    Head, Packed, Protocol, ReceiptOf, SessionMessage, Stamp, Utf8, open_envelope, seal,
};

use super::link::{Pipe, Random};
use super::model::{Direction, Promises};

/// What waits to be written.
pub(super) struct Entry {
    message: Bytes,
    pub(super) counted: bool,
    tracked: Option<Tracked>,
}

/// One endpoint of a session.
pub(super) struct Peer {
    pub(super) session: Session,
    pub(super) queue: VecDeque<Entry>,
    /// Client: what waits until the session is resumed.
    pub(super) outbox: VecDeque<Entry>,
    /// Messages that have arrived and are handled later.
    held: VecDeque<SessionMessage>,
    /// Calls of the peer without an answer.
    pub(super) unanswered: Vec<Stamp>,
    calls: Vec<CallId>,
    pub(super) promises: Promises,
    /// What this side has sent, and the other side has got.
    pub(super) sends: Direction,
    messages: u64,
}

impl Peer {
    pub(super) fn new(session: Session, sends: Direction) -> Self {
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
    pub(super) fn outputs(&mut self) -> Option<Close> {
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
    pub(super) fn act(&mut self, now: Duration, random: &mut Random) {
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
    pub(super) fn write(&mut self, pipe: &mut Pipe, most: usize) {
        for _ in 0..most {
            let Some(entry) = self.queue.front() else { return };
            if entry.counted && !self.session.has_space(entry.message.len()) {
                return;
            }
            let Some(Entry { message, counted, tracked }) = self.queue.pop_front() else { return };
            if counted {
                self.sends.sends(&message);
                assert!(!self.session.sent(message.clone(), tracked), "the budget is large");
            }
            pipe.write(&message);
        }
    }

    /// A server without a socket: what is counted leaves for the ring, and the rest is dropped.
    pub(super) fn store(&mut self) {
        for Entry { message, counted, tracked } in std::mem::take(&mut self.queue) {
            if counted {
                self.sends.sends(&message);
                self.session.sent(message.clone(), tracked);
            }
        }
    }

    /// A client without a socket: what is counted and was not written waits, and the rest is dropped.
    pub(super) fn put_back(&mut self) {
        let queue = std::mem::take(&mut self.queue).into_iter().filter(|entry| entry.counted);
        let outbox = std::mem::take(&mut self.outbox);
        self.outbox = queue.chain(outbox).collect();
    }

    /// Takes a message from the socket.
    pub(super) fn take(
        &mut self,
        now: Duration,
        message: &Bytes,
        from: &mut Direction,
        random: &mut Random,
    ) {
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

    pub(super) fn handle_held(&mut self, now: Duration) {
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
    pub(super) fn event(&mut self, event: Event) {
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
