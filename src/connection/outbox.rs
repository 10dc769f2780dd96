//! [`Outbox`]: the send queue of a connection.

use std::time::Duration;

use wse_proto::session::Tracked;

use super::queue::{Class, Entry, Queue, Queued, Tally, size};
use super::send_queue::{QueueState, SendQueue, SlowPeer};

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
        tracked: Option<Box<Tracked>>,
    ) -> Result<(), Full> {
        let len = size(&message);
        if class == Class::Replay {
            self.bytes += len;
            self.replays.add(len);
            self.queue.push(Entry { message, class, tracked });
            return Ok(());
        }
        let Tally { messages, bytes } = self.limited();
        let fits =
            messages == 0 || (messages < self.limits.messages && bytes + len <= self.limits.bytes);
        if !fits {
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
        self.queue.push(Entry { message, class, tracked });
        if self.is_full() {
            // Senders wait from now on.
            self.fills(&now);
        }
        Ok(())
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
        if self.slow && self.is_empty() {
            self.slow = false;
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
        let bytes = &mut self.bytes;
        self.queue.retain(|entry| {
            let keep = wanted(entry.class, entry.tracked.as_deref());
            if !keep {
                *bytes -= size(&entry.message);
            }
            keep
        });
        (self.answers, self.replays) = self.queue.tally();
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
        let before = self.queue.len();
        let bytes = &mut self.bytes;
        self.queue.retain(|entry| {
            let keep = entry.class != Class::Message;
            if !keep {
                *bytes -= size(&entry.message);
            }
            keep
        });
        self.drops(before - self.queue.len());
        self.full_since = None;
    }
}

#[cfg(test)]
mod tests {
    use wse_transport::ws;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn message(n: u8) -> Queued {
        ws::Message::Binary(vec![n; 10].into()).into()
    }

    fn outbox(policy: SlowPeer) -> Outbox {
        let mut outbox = Outbox::new(SendQueue::default().messages(2).slow_peer(policy));
        outbox.push(|| NOW, Class::Message, message(1), None).unwrap();
        outbox.push(|| NOW, Class::Call, message(2), None).unwrap();
        outbox
    }

    /// Writes one message.
    fn write(outbox: &mut Outbox) {
        let mut queue = outbox.lend();
        let entry = queue.pop().unwrap();
        outbox.written(queue, size(&entry.message));
    }

    /// The first byte of each queued message.
    fn rest(mut outbox: Outbox) -> Vec<u8> {
        let mut queue = outbox.lend();
        let waiting = std::iter::from_fn(|| queue.pop());
        waiting.map(|it| it.message.message().clone().into_frame().payload[0]).collect()
    }

    #[test]
    fn a_full_queue_refuses_until_something_is_written() {
        let after = Duration::from_secs(10);
        let mut outbox = outbox(SlowPeer::Close { after });
        let later = Duration::from_secs(5);
        assert_eq!(outbox.push(|| later, Class::Message, message(3), None), Err(Full));
        assert_eq!(outbox.push(|| later * 2, Class::Call, message(3), None), Err(Full));
        assert_eq!(outbox.push(|| later, Class::Answer, message(3), None), Ok(()));
        assert_eq!(outbox.give_up_at(), Some(NOW + after));
        assert!(!outbox.is_writable());
        write(&mut outbox);
        assert!(outbox.is_full());
        write(&mut outbox);
        assert_eq!(outbox.give_up_at(), None);
    }

    #[test]
    fn drop_newest_drops_messages_but_refuses_calls() {
        let mut outbox = outbox(SlowPeer::DropNewest);
        assert_eq!(outbox.push(|| NOW, Class::Message, message(3), None), Ok(()));
        assert_eq!(outbox.push(|| NOW, Class::Call, message(3), None), Err(Full));
        assert_eq!(rest(outbox), [1, 2]);
    }

    #[test]
    fn latest_only_keeps_calls_and_the_newest_message() {
        let mut outbox = outbox(SlowPeer::LatestOnly);
        outbox.push(|| NOW, Class::Message, message(3), None).unwrap();
        outbox.push(|| NOW, Class::Message, message(4), None).unwrap();
        assert_eq!(rest(outbox), [2, 4]);
    }

    #[test]
    fn one_message_larger_than_the_queue_passes_when_nothing_waits() {
        let mut outbox = Outbox::new(SendQueue::default().bytes(5));
        assert_eq!(outbox.push(|| NOW, Class::Message, message(1), None), Ok(()));
        assert_eq!(outbox.push(|| NOW, Class::Message, message(2), None), Err(Full));
    }

    #[test]
    fn a_queue_that_refused_is_not_writable_until_something_is_written() {
        let mut outbox = Outbox::new(SendQueue::default().bytes(25));
        for n in 0..2 {
            outbox.push(|| NOW, Class::Message, message(n), None).unwrap();
        }
        assert!(!outbox.is_full() && outbox.is_writable());
        assert_eq!(outbox.push(|| NOW, Class::Message, message(2), None), Err(Full));
        assert!(!outbox.is_full() && !outbox.is_writable());
        write(&mut outbox);
        assert!(outbox.is_writable());
        assert_eq!(outbox.push(|| NOW, Class::Message, message(2), None), Ok(()));
    }

    #[test]
    fn lent_messages_count_and_come_back_first() {
        let mut outbox = outbox(SlowPeer::Close { after: Duration::MAX });
        let mut queue = outbox.lend();
        assert!(outbox.is_full() && !outbox.is_empty());
        assert_eq!(outbox.push(|| NOW, Class::Message, message(3), None), Err(Full));
        outbox.push(|| NOW, Class::Answer, message(4), None).unwrap();
        let written = queue.pop().unwrap();
        outbox.written(queue, size(&written.message));
        assert_eq!(rest(outbox), [2, 4]);
    }

    #[test]
    fn what_the_policy_drops_is_counted_and_a_slow_peer_is_reported_once() {
        let mut outbox = outbox(SlowPeer::DropNewest);
        assert_eq!(outbox.take_news(), Some(News { slow: true, dropped: 0 }));
        for _ in 0..3 {
            outbox.push(|| NOW, Class::Message, message(3), None).unwrap();
        }
        assert_eq!(outbox.take_news(), Some(News { slow: false, dropped: 3 }));
        let state = QueueState { messages: 2, bytes: 20, dropped: 3, full: true };
        assert_eq!(outbox.state(), state);
        write(&mut outbox);
        // Full again, and not empty since.
        outbox.push(|| NOW, Class::Message, message(3), None).unwrap();
        assert_eq!(outbox.take_news(), None);
        write(&mut outbox);
        write(&mut outbox);
        assert_eq!(outbox.state(), QueueState { dropped: 3, ..QueueState::default() });
        for n in 0..2 {
            outbox.push(|| NOW, Class::Message, message(n), None).unwrap();
        }
        assert_eq!(outbox.take_news(), Some(News { slow: true, dropped: 0 }));
    }

    #[test]
    fn a_peer_is_not_slow_while_it_is_away() {
        let later = NOW + Duration::from_secs(60);
        let mut outbox = outbox(SlowPeer::Close { after: NOW });
        outbox.begin(|| later);
        assert_eq!(outbox.give_up_at(), Some(later + NOW));
        write(&mut outbox);
        outbox.begin(|| later);
        assert_eq!(outbox.give_up_at(), None);
    }

    #[test]
    fn the_other_policies_count_too() {
        let mut latest = outbox(SlowPeer::LatestOnly);
        latest.push(|| NOW, Class::Message, message(3), None).unwrap();
        latest.push(|| NOW, Class::Message, message(4), None).unwrap();
        assert_eq!(latest.take_news(), Some(News { slow: true, dropped: 2 }));
        let mut closes = outbox(SlowPeer::Close { after: NOW });
        closes.give_up();
        assert_eq!(closes.take_news(), Some(News { slow: true, dropped: 2 }));
        assert_eq!(closes.state(), QueueState { dropped: 2, ..QueueState::default() });
    }
}
