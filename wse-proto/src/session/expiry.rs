//! Credentials that expire, and clients that are asked to come back to another server.

use std::time::Duration;

use super::close::Close;
use super::deadlines::{NEVER, Nanos};
use super::event::Event;
use super::machine::Session;
use super::phase::Phase;
use super::queue::push;
use super::resume::{Credentials, Drain, Due};
use crate::{Body, CloseReason, DrainNotice, ErrorCode, Head, Hi, SessionMessage, UsageError};

impl Session {
    /// Server: the credentials of the client expire in this time; `None` for never. The client is told 30 s before, or in
    /// the middle of the time if that is later, if it has said something about resume. At the end the session ends with 4001
    /// `wse.credentials-expired`, also while it is suspended. Default: never.
    pub fn expire_in(&mut self, now: Duration, time: Option<Duration>) {
        if time.is_some() || self.credentials.is_some() {
            let credentials =
                self.credentials.get_or_insert_with(|| Box::new(Credentials::never()));
            credentials.expire_in(now, time.unwrap_or(Duration::MAX));
        }
    }

    /// Client: sends new credentials. The server answers with [`Event::Renewed`] when it accepts them, and not at all
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`] when there is no socket, or the client has said nothing about resume.
    pub fn renew(&mut self, hi: Hi) -> Result<(), UsageError> {
        if self.server || !self.announced || !matches!(self.phase, Phase::Ready) {
            return Err(UsageError::NotReady);
        }
        self.send(SessionMessage { head: Head::Renew, body: Body::Hi(hi) });
        Ok(())
    }

    /// Server: decides about [`Event::Renew`]. Accepted credentials expire in the given time, `None` for never. After
    /// [`Renewal::Refused`] nothing is sent, and the old ones expire as before. Returns whether something has waited for a
    /// decision; otherwise it does nothing.
    pub fn decide_renewal(&mut self, now: Duration, renewal: Renewal) -> bool {
        let waits = self
            .credentials
            .as_mut()
            .is_some_and(|credentials| std::mem::take(&mut credentials.renewing));
        if let (true, Renewal::Accepted(time)) = (waits, renewal) {
            self.expire_in(now, time);
            // While the session is suspended it is not sent. The client greets with its credentials then.
            self.send(SessionMessage { head: Head::Renewed, body: Body::Expires(time) });
        }
        waits
    }

    /// Server: asks the client to come back, to another server. Does nothing if the client has said nothing about resume.
    pub fn send_drain(&mut self, notice: DrainNotice) {
        if self.server && self.announced && matches!(self.phase, Phase::Ready) {
            self.send(SessionMessage { head: Head::Drain, body: Body::Drain(notice) });
        }
    }

    /// Client: follows [`Event::Drain`]. At a random time in its interval, or when no call of this side is pending after
    /// that, at the latest at the end of the interval, the session closes its socket with 4000 `wse.drain`. It can be resumed
    /// at once. `random` is a random number from 0 to 1.
    pub fn follow_drain(&mut self, now: Duration, notice: &DrainNotice, random: f64) {
        if matches!(self.phase, Phase::Ready)
            && let Some(resume) = &mut self.resume
        {
            resume.set_drain(Some(Drain::new(now, notice, random)));
        }
    }

    /// Whether the peer has said something about resume, so that it knows its messages.
    pub fn has_announced_resume(&self) -> bool {
        self.announced
    }

    /// Messages about credentials and drain.
    pub(super) fn handle_expiry(&mut self, message: SessionMessage) {
        let event = match (self.server, message.head, message.body) {
            (false, Head::Drain, Body::Drain(notice)) => Event::Drain { notice },
            (false, Head::Expires, Body::Expires(Some(time))) => Event::Expires { time },
            (false, Head::Renewed, Body::Expires(time)) => Event::Renewed { time },
            (true, Head::Renew, Body::Hi(hi)) => {
                let credentials =
                    self.credentials.get_or_insert_with(|| Box::new(Credentials::never()));
                if std::mem::replace(&mut credentials.renewing, true) {
                    // One decision at a time.
                    return;
                }
                Event::Renew { hi }
            }
            _ => return self.violation(ErrorCode::ProtocolViolation, None),
        };
        push(&mut self.events, event);
    }

    /// Does what is due of `seen`, credentials and drain.
    pub(super) fn tick_resume(&mut self, now: Nanos) {
        while let Some(due) = self.credentials.as_mut().and_then(|it| it.poll(now)) {
            match due {
                Due::Notice(time) if self.announced && matches!(self.phase, Phase::Ready) => {
                    let body = Body::Expires(Some(time));
                    self.send(SessionMessage { head: Head::Expires, body });
                }
                Due::Notice(_) => {}
                Due::End => self.close(Close::new(4001, CloseReason::CredentialsExpired)),
            }
        }
        if !matches!(self.phase, Phase::Ready) {
            return;
        }
        let idle = self.calls.len() == 0;
        let Some(resume) = &self.resume else { return };
        if resume.drain().is_some_and(|drain| drain.due(idle) <= now) {
            self.close(Close::new(4000, CloseReason::Drain));
        } else if resume.counts.tell_at() <= now {
            self.tell_seen();
        }
    }

    /// When [`tick_resume`](Self::tick_resume) is due.
    pub(super) fn resume_due(&self) -> Nanos {
        let credentials = self.credentials.as_ref().map_or(NEVER, |it| it.due());
        let Some(resume) = self.resume.as_ref().filter(|_| matches!(self.phase, Phase::Ready))
        else {
            return credentials;
        };
        let drain = resume.drain().map_or(NEVER, |drain| drain.due(self.calls.len() == 0));
        credentials.min(drain).min(resume.counts.tell_at())
    }
}

/// A decision about new credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// They are accepted, and expire in this time; `None` for never.
    Accepted(Option<Duration>),
    /// They are refused, or belong to another user.
    Refused,
}
