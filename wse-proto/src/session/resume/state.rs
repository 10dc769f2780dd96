//! [`Resume`]: the state of resume of one session.

use std::collections::VecDeque;
use std::sync::Arc;

use super::budget::Budget;
use super::counts::Counts;
use super::drain::Drain;
use super::ring::Ring;
use super::token::Token;
use super::tracked::Tracked;
use super::word::Word;
use crate::session::calls::CallId;
use crate::session::close::Close;
use crate::session::deadlines::Nanos;
use crate::{ReceiptOf, SessionInfo, Stamp};

/// The state of resume of one session. It outlives the socket.
#[derive(Debug)]
pub(in crate::session) struct Resume {
    /// How many more messages may be counted on the fast path: see [`Counts::spare`].
    spare: u32,
    pub(in crate::session) counts: Counts,
    pub(in crate::session) ring: Ring,
    /// The name; `None` at a client before the server has given one.
    session: Option<Word>,
    pub(in crate::session) token: Token,
    /// The last call that was written to a socket.
    called: CallId,
    /// Whether a client that was started again does not know how many messages it has sent.
    pub(in crate::session) sent_unknown: bool,
    rare: Option<Box<Rare>>,
}

/// State that most sessions have only for a short time. Boxed, so that the others are small.
#[derive(Debug, Default)]
struct Rare {
    /// The messages that calls and receipts wait for, in the order of their numbers.
    tracked: VecDeque<(u64, Tracked)>,
    /// Server: the token that was used last, until the client has shown that it knows the new one.
    used_token: Option<Token>,
    /// How the last socket ended, while there is none.
    last_close: Option<Close>,
    /// Client: what the server has said since the greeting.
    greeted: Option<Greeted>,
    drain: Option<Drain>,
}

/// What a client knows of its session between the greeting and the welcome.
#[derive(Debug)]
pub(in crate::session) enum Greeted {
    /// The server has said nothing yet.
    Waiting,
    /// What it has said.
    Told(Box<SessionInfo>),
}

impl Resume {
    pub(in crate::session) fn new(
        budget: Arc<Budget>,
        session: Option<&str>,
        token: Token,
        received: u64,
    ) -> Self {
        let (counts, ring) = (Counts::new(received), Ring::new(budget));
        let session = session.map(Word::from);
        let called = CallId::NONE;
        Self { spare: 0, counts, ring, session, token, called, sent_unknown: false, rare: None }
    }

    pub(in crate::session) fn session(&self) -> Option<&str> {
        self.session.as_ref().map(Word::as_str)
    }

    /// The server has given this name and token.
    pub(in crate::session) fn name(&mut self, session: &str, token: &str) {
        self.session = Some(session.into());
        self.token = Token::given(token);
    }

    /// Counts a message on the fast path. Returns false when the slow path has to count it.
    #[inline]
    pub(in crate::session) fn count_spare(&mut self) -> bool {
        if self.spare == 0 {
            return false;
        }
        self.spare -= 1;
        self.counts.count_spare();
        true
    }

    /// Whether [`count_spare`](Self::count_spare) would count.
    #[inline]
    pub(in crate::session) fn has_spare(&self) -> bool {
        self.spare > 0
    }

    /// Counts a message. Returns whether the peer is to be told.
    pub(in crate::session) fn count(&mut self, now: Nanos) -> bool {
        let tell = self.counts.count(now);
        self.update_spare();
        tell
    }

    pub(in crate::session) fn tell(&mut self) -> u64 {
        let seen = self.counts.tell();
        self.update_spare();
        seen
    }

    pub(in crate::session) fn restart_counts(&mut self, received: u64) {
        self.counts.restart(received);
        self.update_spare();
    }

    /// A message has arrived, so the client knows the new token.
    pub(in crate::session) fn confirm_token(&mut self) {
        if let Some(rare) = &mut self.rare
            && rare.used_token.take().is_some()
        {
            self.tidy();
            self.update_spare();
        }
    }

    /// Whether this is the token, or the one that was used last while the client may not know the new one.
    pub(in crate::session) fn knows(&self, token: &str) -> bool {
        let used = self.rare.as_ref().and_then(|rare| rare.used_token.as_ref());
        // Both are compared, whatever the first comparison says.
        self.token.matches(token) | used.is_some_and(|used| used.matches(token))
    }

    /// Sets a new token. The one that was used stays valid for a while.
    pub(in crate::session) fn renew_token(&mut self, used: &str, new: Token) {
        self.token = new;
        self.rare().used_token = Some(Token::given(used));
        self.update_spare();
    }

    /// Notes what depends on the message that was pushed last.
    pub(in crate::session) fn track(&mut self, tracked: Tracked) {
        let number = self.ring.sent();
        if let Tracked::Call(call) = &tracked {
            self.called = self.called.max(*call);
        }
        self.rare().tracked.push_back((number, tracked));
    }

    /// The last call that was written to a socket. Those before it count as written too: if several threads call at once, one
    /// may overtake another.
    pub(in crate::session) fn called(&self) -> CallId {
        self.called
    }

    /// The stamps of the messages that were written and whose receipts are pending.
    pub(in crate::session) fn receipts(&self) -> impl Iterator<Item = &Stamp> {
        let tracked = self.rare.iter().flat_map(|rare| &rare.tracked);
        tracked.filter_map(|(_, tracked)| match tracked {
            Tracked::Receipt(ReceiptOf::Message, stamp) => Some(stamp),
            _ => None,
        })
    }

    pub(in crate::session) fn tracked(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.tracked.len())
    }

    /// Forgets what has ended already, when there is more than `limit`.
    pub(in crate::session) fn limit_tracked(
        &mut self,
        limit: usize,
        is_pending: impl Fn(&Tracked) -> bool,
    ) {
        if let Some(rare) = self.rare.as_mut().filter(|rare| rare.tracked.len() > limit) {
            rare.tracked.retain(|(_, tracked)| is_pending(tracked));
        }
    }

    /// Takes what depends on the oldest message up to this number.
    pub(in crate::session) fn take_tracked(&mut self, up_to: u64) -> Option<Tracked> {
        let tracked = &mut self.rare.as_mut()?.tracked;
        tracked.front().filter(|(number, _)| *number <= up_to)?;
        let (_, first) = tracked.pop_front()?;
        self.tidy();
        Some(first)
    }

    /// Forgets what depends on messages.
    pub(in crate::session) fn clear_tracked(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.tracked = VecDeque::new();
        }
        self.tidy();
    }

    pub(in crate::session) fn set_last_close(&mut self, close: Close) {
        self.rare().last_close = Some(close);
    }

    pub(in crate::session) fn take_last_close(&mut self) -> Option<Close> {
        let close = self.rare.as_mut()?.last_close.take();
        self.tidy();
        close
    }

    pub(in crate::session) fn set_greeted(&mut self, greeted: Greeted) {
        self.rare().greeted = Some(greeted);
    }

    pub(in crate::session) fn greeted(&self) -> Option<&Greeted> {
        self.rare.as_ref()?.greeted.as_ref()
    }

    pub(in crate::session) fn take_greeted(&mut self) -> Option<Greeted> {
        let greeted = self.rare.as_mut()?.greeted.take();
        self.tidy();
        greeted
    }

    pub(in crate::session) fn set_drain(&mut self, drain: Option<Drain>) {
        if drain.is_some() || self.drain().is_some() {
            self.rare().drain = drain;
            self.tidy();
            self.update_spare();
        }
    }

    pub(in crate::session) fn drain(&self) -> Option<&Drain> {
        self.rare.as_ref()?.drain.as_ref()
    }

    /// The slow path has to see the next message when the token is not confirmed, and the end of each call while the client
    /// is about to go.
    fn update_spare(&mut self) {
        let watched = self
            .rare
            .as_ref()
            .is_some_and(|rare| rare.used_token.is_some() || rare.drain.is_some());
        self.spare = if watched { 0 } else { self.counts.spare() };
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Gives the memory back when nothing is left in it.
    fn tidy(&mut self) {
        self.rare.take_if(|rare| {
            let Rare { tracked, used_token, last_close, greeted, drain } = &**rare;
            tracked.is_empty()
                && used_token.is_none()
                && last_close.is_none()
                && greeted.is_none()
                && drain.is_none()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_with_nothing_unacknowledged_takes_little_memory() {
        // Beside it, a session has two pointers, and the table of sessions an entry of 25 bytes.
        assert!(size_of::<Resume>() <= 168, "{}", size_of::<Resume>());
    }
}
