//! [`Outbox`]: the send queue of a connection.

use std::time::Duration;

use wse_proto::session::Tracked;

use super::queue::{Class, Entry, Extra, Queue, Queued, Tally, size};
use super::send_queue::{QueueState, SendQueue, SlowPeer};
use super::unsent::Rule;

/// The send queue of a connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: SendQueue,
    queue: Queue,
    /// The number of messages that the driver has taken to write them. They count as queued until they are written.
    lent: usize,
    bytes: usize,
    /// The queued answers, lent ones included.
    answers: Tally,
    /// The queued messages that are sent again, lent ones included.
    replays: Tally,
    /// Since when the queue is full or has refused a message; `None` after something was written.
    full_since: Option<Duration>,
    /// Whether the queue was full since it was last empty. A peer that is slow all the time is reported once.
    slow: bool,
    /// Whether messages may expire that wait. Set until the queue is empty.
    expires: bool,
    /// The messages that the policy has dropped.
    dropped: u64,
    news: Option<News>,
}

/// What has happened to a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Whether it is full, for the first time since it was last empty.
    pub(super) slow: bool,
    /// How many messages the policy has dropped.
    pub(super) dropped: u64,
}

/// The queue is full and the policy is not to drop.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    pub(crate) fn new(mut limits: SendQueue) -> Self {
        (limits.bytes, limits.messages) = (limits.bytes.max(1), limits.messages.max(1));
        Self {
            limits,
            queue: Queue::default(),
            lent: 0,
            bytes: 0,
            answers: Tally::default(),
            replays: Tally::default(),
            full_since: None,
            slow: false,
            expires: false,
            dropped: 0,
            news: None,
        }
    }

    /// What waits.
    pub(super) fn state(&self) -> QueueState {
        let Self { bytes, dropped, .. } = *self;
        QueueState { messages: self.len(), bytes, dropped, full: !self.is_writable() }
    }

    /// Takes what has happened since the last time.
    #[inline]
    pub(super) fn take_news(&mut self) -> Option<News> {
        // Checked first: on the usual path nothing is written.
        self.news.as_ref()?;
        self.news.take()
    }

    /// The queue is full, or has no room for a message.
    #[cold]
    fn fills(&mut self, now: impl Fn() -> Duration) {
        self.full_since.get_or_insert_with(now);
        if !std::mem::replace(&mut self.slow, true) {
            self.news.get_or_insert_default().slow = true;
        }
    }

    fn drops(&mut self, messages: usize) {
        self.dropped += messages as u64;
        self.news.get_or_insert_default().dropped += messages as u64;
    }

    /// Queues a message, refuses it, or drops it, as its class and the policy say.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        now: impl Fn() -> Duration,
        class: Class,
        message: Queued,
        extra: Option<Box<Extra>>,
    ) -> Result<(), Full> {
        let len = size(&message);
        if class == Class::Replay {
            self.bytes += len;
            self.replays.add(len);
            self.queue.push(Entry { message, class, extra });
            return Ok(());
        }
        if !self.fits(len) && !self.fits_without_expired(len) {
            self.fills(&now);
            match (class, self.limits.slow_peer) {
                (class, _) if class.is_answer() => {}
                (Class::Message, SlowPeer::DropNewest) => {
                    self.drops(1);
                    return Ok(());
                }
                (Class::Message, SlowPeer::LatestOnly) => self.drop_messages(),
                _ => return Err(Full),
            }
        }
        self.bytes += len;
        if class.is_answer() {
            self.answers.add(len);
        }
        self.queue.push(Entry { message, class, extra });
        if self.is_full() {
            // Senders wait from now on.
            self.fills(&now);
        }
        Ok(())
    }

    /// Queues a message with a rule. With a key, in place of the one that waits with the same key: if there is no room for the
    /// new one, the old one waits on.
    pub(super) fn push_unsent(
        &mut self,
        now: impl Fn() -> Duration,
        message: Queued,
        rule: Rule,
    ) -> Result<(), Full> {
        if let Rule::Key(key) = &rule
            && let Some(old) =
                self.queue.find(|entry| entry.has_key(key)).map(|it| size(&it.message))
            && self.fits_beside(size(&message), 1, old)
        {
            self.queue.take_first(|entry| entry.has_key(key));
            self.bytes -= old;
        }
        self.expires |= matches!(rule, Rule::Until(_));
        self.push(now, Class::Message, message, Some(Box::new(Extra::Rule(rule))))
    }

    /// Queues a message without a look at the limits.
    pub(super) fn push_kept(
        &mut self,
        now: impl Fn() -> Duration,
        message: Queued,
        rule: Option<Rule>,
    ) {
        self.expires |= matches!(rule, Some(Rule::Until(_)));
        self.bytes += size(&message);
        let extra = rule.map(|rule| Box::new(Extra::Rule(rule)));
        self.queue.push(Entry { message, class: Class::Message, extra });
        if self.is_full() {
            self.fills(&now);
        }
    }

    #[inline(always)]
    fn fits(&self, len: usize) -> bool {
        self.fits_beside(len, 0, 0)
    }

    /// Whether a message fits in place of so many others, of so many bytes.
    #[inline(always)]
    fn fits_beside(&self, len: usize, messages: usize, bytes: usize) -> bool {
        let limited = self.limited();
        let (messages, bytes) = (limited.messages - messages, limited.bytes - bytes);
        messages == 0 || (messages < self.limits.messages && bytes + len <= self.limits.bytes)
    }

    #[cold]
    fn fits_without_expired(&mut self, len: usize) -> bool {
        if !self.expires {
            // Looking through the queue at each message to a slow peer would take too long.
            return false;
        }
        self.drop_where(Entry::is_expired);
        self.fits(len)
    }

    /// Takes all queued messages, to be written. They count until they are [`written`](Self::written).
    pub(super) fn lend(&mut self) -> Queue {
        self.lent = self.queue.len();
        std::mem::take(&mut self.queue)
    }

    /// As [`lend`](Self::lend), but takes only messages that may be written before the session is resumed.
    pub(super) fn lend_uncounted(&mut self) -> Queue {
        let lent = self.queue.take_uncounted();
        self.lent = lent.len();
        lent
    }

    /// Takes all messages away, so that others may be queued before them: see [`put_behind`](Self::put_behind).
    pub(super) fn set_aside(&mut self) -> Queue {
        std::mem::take(&mut self.queue)
    }

    /// Puts the messages that were set aside behind those that were queued since.
    pub(super) fn put_behind(&mut self, aside: Queue) {
        self.queue.append(aside);
    }

    /// Puts back the messages that were not written, before those queued since. The others had so many bytes.
    pub(super) fn written(&mut self, mut rest: Queue, bytes: usize) {
        let wrote = rest.len() < self.lent;
        self.lent = 0;
        self.bytes -= bytes;
        rest.append(std::mem::take(&mut self.queue));
        self.queue = rest;
        if wrote {
            (self.answers, self.replays) = self.queue.tally();
        }
        if wrote && !self.is_full() {
            self.full_since = None;
        }
        if (self.slow || self.expires) && self.is_empty() {
            (self.slow, self.expires) = (false, false);
        }
    }

    fn len(&self) -> usize {
        self.queue.len() + self.lent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether reading is paused, since the next message may be a call that needs an answer. Only answers count: if all
    /// messages did, two sides that both send much would wait for each other. For the same reason the limit on messages
    /// counts twice: a peer may wait for that many answers by default.
    pub(crate) fn holds_reading(&self) -> bool {
        let Tally { messages, bytes } = self.answers;
        messages / 2 >= self.limits.messages || bytes >= self.limits.bytes
    }

    fn is_full(&self) -> bool {
        let Tally { messages, bytes } = self.limited();
        messages >= self.limits.messages || bytes >= self.limits.bytes
    }

    /// The messages that the limits apply to.
    fn limited(&self) -> Tally {
        let Tally { messages, bytes } = self.replays;
        Tally { messages: self.len() - messages, bytes: self.bytes - bytes }
    }

    /// Whether a message may be accepted: the queue is not full, and something was written since it last refused one.
    pub(crate) fn is_writable(&self) -> bool {
        self.full_since.is_none()
    }

    /// When to close the connection because the peer is too slow.
    pub(crate) fn give_up_at(&self) -> Option<Duration> {
        match self.limits.slow_peer {
            SlowPeer::Close { after } => self.full_since.map(|since| since.saturating_add(after)),
            _ => None,
        }
    }

    /// Drops the messages for which `wanted` returns false, since nobody waits for them any more.
    pub(super) fn drop_unwanted(&mut self, wanted: impl Fn(Class, Option<&Tracked>) -> bool) {
        self.drop_where(|entry| !wanted(entry.class, entry.tracked()));
    }

    /// Drops messages, and returns how many.
    fn drop_where(&mut self, unwanted: impl Fn(&Entry) -> bool) -> usize {
        let before = self.queue.len();
        let bytes = &mut self.bytes;
        self.queue.retain(|entry| {
            let keep = !unwanted(entry);
            if !keep {
                *bytes -= size(&entry.message);
            }
            keep
        });
        (self.answers, self.replays) = self.queue.tally();
        before - self.queue.len()
    }

    /// There is a channel again. How long the queue is full counts from now on.
    pub(super) fn begin(&mut self, now: impl Fn() -> Duration) {
        if self.full_since.is_some() {
            self.full_since = self.is_full().then(now);
        }
    }

    /// Drops all messages.
    pub(crate) fn clear(&mut self) {
        self.queue = Queue::default();
        self.lent = 0;
        self.bytes = 0;
        (self.answers, self.replays) = Default::default();
        self.full_since = None;
    }

    /// The peer is so slow that the connection is closed: drops all messages.
    pub(super) fn give_up(&mut self) {
        self.drops(self.len());
        self.clear();
    }

    fn drop_messages(&mut self) {
        let dropped = self.drop_where(|entry| entry.class == Class::Message);
        self.drops(dropped);
        self.full_since = None;
    }
}

#[cfg(test)]
mod tests;
