//! What time does to a session: what is not waited for any more, and the heartbeat.

use std::time::Duration;

use bytes::Bytes;

use crate::{Body, CloseReason, Head, Message, Pings, ReceiptOf};

use super::deadlines::{NEVER, Nanos, nanos};
use super::heartbeat::{self, Beat, Pulse};
use super::{
    CallFailure, Close, Event, Heartbeat, Liveness, LivenessState, Output, Phase, PingVia,
    ReceiptFailure, Session, push,
};

impl Session {
    /// Watches whether the peer is there, from now on. The first ping comes after a share `jitter`, from 0 to 1,
    /// of the interval, so that peers that came together are not asked together. Default: the peer is not watched.
    ///
    /// Pings are those of WebSocket, unless the protocol's [`Abilities`](crate::Abilities) say that they are its own, or `via`
    /// wants them so: for a driver that cannot send WebSocket pings, as one in a browser. The protocol's own wait
    /// until the session is ready.
    #[must_use]
    pub fn with_heartbeat(
        mut self,
        heartbeat: Heartbeat,
        via: Option<PingVia>,
        now: Duration,
        jitter: f64,
    ) -> Self {
        let via = match (self.abilities.pings, via) {
            (Pings::Always, _) => PingVia::Session,
            (Pings::Possible, Some(via)) => via,
            (Pings::Possible | Pings::Never, _) => PingVia::WebSocket,
        };
        self.pulse = Some(Pulse::new(heartbeat, via, heartbeat::first(&heartbeat, now, jitter)));
        self
    }

    /// What is known about whether the peer is there; `None` when it is not watched.
    pub fn liveness(&self) -> Option<Liveness> {
        self.pulse.as_ref().map(Pulse::liveness)
    }

    /// Something was heard of the peer at `at`, if only a part of a message: it is there. Needed only before
    /// [`handle_timeout`](Self::handle_timeout), which would else take it for dead.
    pub fn handle_life(&mut self, at: Duration) {
        if !self.is_closed() && self.pulse.as_mut().is_some_and(|pulse| pulse.heard(nanos(at))) {
            push(&mut self.events, Event::Liveness(LivenessState::Live));
        }
    }

    /// For a while nothing was read that may have come: pongs to the pings until now tell nothing of how far away the
    /// peer is.
    pub fn handle_unread(&mut self) {
        if let Some(pulse) = &mut self.pulse {
            pulse.unread();
        }
    }

    /// Takes the payload of a WebSocket pong. What belongs to no ping of the session's is dropped.
    pub fn handle_pong(&mut self, now: Duration, payload: &[u8]) {
        self.handle_life(now);
        let serial = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
        if !self.is_closed() {
            self.pong(now, serial.unwrap_or(0));
        }
    }

    /// Does what is due: what is waited for and does not come, pings, the end of a peer that is not heard any
    /// more, and the deadline before authentication, which closes the connection with 1000 `wse.not-authorized`.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.greeting_deadline().is_some_and(|deadline| deadline <= now) {
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
        self.beat(at);
    }

    fn beat(&mut self, now: Nanos) {
        let Some(pulse) = self.pulse.as_mut().filter(|it| beats(it, &self.phase)) else { return };
        let via = pulse.via;
        match pulse.beat(now) {
            Some(Beat::Dead) => {
                self.end(&Close::DEAD);
                push(&mut self.outputs, Output::Abort(Close::DEAD));
            }
            Some(Beat::Ping { serial, late }) => {
                match via {
                    PingVia::WebSocket => {
                        let payload = Bytes::from(serial.to_string());
                        push(&mut self.outputs, Output::Ping(payload));
                    }
                    PingVia::Session => {
                        self.send(Message { head: Head::Ping, body: Body::Serial(serial) });
                    }
                }
                if late {
                    push(&mut self.events, Event::Liveness(LivenessState::Late));
                }
            }
            None => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next; `None` while nothing is waited for.
    /// It may be a little early, never late. It may lie as far away as [`Duration::MAX`]: add it to a clock with a
    /// checked addition.
    pub fn poll_timeout(&self) -> Option<Duration> {
        [self.poll_deadline(), self.poll_heartbeat()].into_iter().flatten().min()
    }

    /// The part of [`poll_timeout`](Self::poll_timeout) that is not the heartbeat, for drivers that keep many
    /// sessions alive by one clock.
    pub fn poll_deadline(&self) -> Option<Duration> {
        let receipts = self.receipts.as_ref().map_or(NEVER, |receipts| receipts.soonest());
        let waiting = Some(self.calls.soonest().min(receipts)).filter(|at| *at != NEVER);
        [self.greeting_deadline(), waiting.map(Duration::from_nanos)].into_iter().flatten().min()
    }

    /// When the heartbeat is due next; `None` when the peer is not watched.
    pub fn poll_heartbeat(&self) -> Option<Duration> {
        let pulse = self.pulse.as_ref().filter(|it| beats(it, &self.phase));
        pulse.map(|pulse| Duration::from_nanos(pulse.due()))
    }
}

/// The protocol's own pings wait for the welcome: a greeting has no room for them.
fn beats(pulse: &Pulse, phase: &Phase) -> bool {
    match phase {
        Phase::Ready => true,
        Phase::Server(_) | Phase::Client(_) => pulse.via == PingVia::WebSocket,
        Phase::Closed => false,
    }
}
