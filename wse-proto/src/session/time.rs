//! Timeouts and the heartbeat of a session.

use std::time::Duration;

use bytes::Bytes;

use super::calls::CallFailure;
use super::close::Close;
use super::deadlines::{NEVER, Nanos, nanos};
use super::event::{Event, Output};
use super::heartbeat::{
    self, Heartbeat, HeartbeatAction, HeartbeatState, Liveness, LivenessState, PingVia,
};
use super::machine::Session;
use super::phase::Phase;
use super::queue::push;
use super::receipts::ReceiptFailure;
use crate::{Body, CloseReason, Head, Pings, ReceiptOf, SessionMessage};

impl Session {
    /// Starts the heartbeat. The first ping is sent after the share `jitter` of the interval, a random number from 0 to
    /// 1, so that connections that began together are not pinged together. Default: no heartbeat.
    ///
    /// It sends WebSocket pings. It sends pings of the protocol if the protocol says
    /// [`Pings::Always`], or if it says `Possible` and `via` asks for them, as a driver in a
    /// browser does, which cannot send WebSocket pings. Pings of the protocol are not sent before the session is ready.
    #[must_use]
    pub fn with_heartbeat(
        mut self,
        heartbeat: Heartbeat,
        via: Option<PingVia>,
        now: Duration,
        jitter: f64,
    ) -> Self {
        self.start_heartbeat(heartbeat, via, now, jitter);
        self
    }

    /// As [`with_heartbeat`](Self::with_heartbeat). A client that resumes its session starts the heartbeat of each socket.
    pub fn start_heartbeat(
        &mut self,
        heartbeat: Heartbeat,
        via: Option<PingVia>,
        now: Duration,
        jitter: f64,
    ) {
        let via = match (self.capabilities.has_pings(), via) {
            (Pings::Always, _) => PingVia::Session,
            (Pings::Possible, Some(via)) => via,
            (Pings::Possible | Pings::Never, _) => PingVia::WebSocket,
        };
        let first = heartbeat::first(&heartbeat, now, jitter);
        self.heartbeat = Some(HeartbeatState::new(heartbeat, via, first));
    }

    /// Pings the peer at the next [`handle_timeout`](Self::handle_timeout), which is due at once. If nothing arrives within 3 s
    /// after that, or ten round-trip times if that is longer, the connection ends as at the heartbeat's timeout, unless that
    /// is shorter. For a machine that wakes from sleep, or changes its network. Does nothing without a heartbeat.
    pub fn check_now(&mut self, now: Duration) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.check_now(nanos(now));
        }
    }

    /// The state of the heartbeat; `None` when there is none.
    pub fn liveness(&self) -> Option<Liveness> {
        self.heartbeat.as_ref().map(HeartbeatState::liveness)
    }

    /// Tells the heartbeat that bytes of the peer arrived at `at`, such as a part of a message. This is only needed before
    /// [`handle_timeout`](Self::handle_timeout), which could end the connection otherwise.
    pub fn handle_life(&mut self, at: Duration) {
        if self.is_closed() {
            return;
        }
        if self.heartbeat.as_mut().is_some_and(|heartbeat| heartbeat.received(nanos(at))) {
            push(&mut self.events, Event::Liveness(LivenessState::Live));
        }
    }

    /// Tells the heartbeat that this side did not read for a while. Pongs to the pings until now do not count as samples of
    /// the round-trip time.
    pub fn handle_unread(&mut self) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.reading_paused();
        }
    }

    /// Takes the payload of a WebSocket pong. A pong without a matching ping is dropped.
    pub fn handle_pong(&mut self, now: Duration, payload: &[u8]) {
        self.handle_life(now);
        let serial = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
        if !self.is_closed() {
            self.pong(now, serial.unwrap_or(0));
        }
    }

    /// Does what is due: ends calls and receipts whose time is up, sends pings, ends the connection when the peer is
    /// silent for too long, tells the peer how many messages have been processed, ends sessions whose credentials have
    /// expired, and enforces the deadline for authentication, which closes with 1000 `wse.not-authorized`.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.phase.deadline().is_some_and(|deadline| deadline <= now) {
            self.close(Close::normal(CloseReason::NotAuthorized));
        }
        let at = nanos(now);
        while let Some((of, stamp)) = self.receipts.as_mut().and_then(|it| it.expire(at)) {
            let outcome = Err(ReceiptFailure::TimedOut);
            push(&mut self.events, Event::ReceiptEnded { of, stamp, outcome });
        }
        self.tidy();
        while let Some(call) = self.calls.expire(at) {
            let outstanding = Err(ReceiptFailure::Outstanding);
            self.end_receipt(ReceiptOf::Call, call.stamp(), outstanding);
            push(&mut self.events, Event::CallEnded { call, outcome: Err(CallFailure::Timeout) });
        }
        if self.resume.is_some() || self.credentials.is_some() {
            self.tick_resume(at);
        }
        self.tick(at);
    }

    fn tick(&mut self, now: Nanos) {
        let heartbeat = self.heartbeat.as_mut().filter(|it| is_active(it, &self.phase));
        let Some(heartbeat) = heartbeat else { return };
        let via = heartbeat.via;
        match heartbeat.tick(now) {
            Some(HeartbeatAction::Dead) => {
                if !self.suspend(&Close::DEAD) {
                    self.end(&Close::DEAD);
                }
                push(&mut self.outputs, Output::Abort(Close::DEAD));
            }
            Some(HeartbeatAction::Ping { serial, late }) => {
                match via {
                    PingVia::WebSocket => {
                        let payload = Bytes::from(serial.to_string());
                        push(&mut self.outputs, Output::Ping(payload));
                    }
                    PingVia::Session => {
                        self.send(SessionMessage { head: Head::Ping, body: Body::Serial(serial) });
                    }
                }
                if late {
                    push(&mut self.events, Event::Liveness(LivenessState::Late));
                }
            }
            None => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next; `None` when nothing is pending.
    ///
    /// It may be a little early, never late. It may be as large as [`Duration::MAX`]: add it to a clock with a checked
    /// addition.
    pub fn poll_timeout(&self) -> Option<Duration> {
        [self.poll_deadline(), self.poll_heartbeat()].into_iter().flatten().min()
    }

    /// [`poll_timeout`](Self::poll_timeout) without the heartbeat, for drivers that run the heartbeats of many sessions by
    /// one timer.
    pub fn poll_deadline(&self) -> Option<Duration> {
        let receipts = self.receipts.as_ref().map_or(NEVER, |receipts| receipts.soonest());
        let soonest = self.calls.soonest().min(receipts).min(self.resume_due());
        let waiting = Some(soonest).filter(|at| *at != NEVER);
        [self.phase.deadline(), waiting.map(Duration::from_nanos)].into_iter().flatten().min()
    }

    /// When the heartbeat is due next; `None` when there is none.
    pub fn poll_heartbeat(&self) -> Option<Duration> {
        let heartbeat = self.heartbeat.as_ref().filter(|it| is_active(it, &self.phase));
        heartbeat.map(|it| Duration::from_nanos(it.due()))
    }
}

/// Pings of the protocol are only allowed after the welcome.
fn is_active(heartbeat: &HeartbeatState, phase: &Phase) -> bool {
    match phase {
        Phase::Ready => true,
        Phase::Server(_) | Phase::Client(_) => heartbeat.via == PingVia::WebSocket,
        Phase::Suspended | Phase::Closed => false,
    }
}
