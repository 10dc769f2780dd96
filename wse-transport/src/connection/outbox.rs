//! What waits to be written, and what happens when the peer reads too slowly.

use std::time::Duration;

use super::queue::{Answers, Class, Queue, Queued, Waiting, size};

/// Bounds of a connection's send queue.
///
/// ```
/// use std::time::Duration;
/// use wse_transport::{SendQueue, SlowPeer};
/// let queue = SendQueue::default().messages(64).slow_peer(SlowPeer::LatestOnly);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendQueue {
    /// Bytes that may wait. Default: 1 MiB. A single message may be larger when nothing else waits.
    pub bytes: usize,
    /// Messages that may wait. Default: 1,024.
    pub messages: usize,
    /// What happens past either. Default: [`SlowPeer::Close`] after 10 s.
    pub slow_peer: SlowPeer,
}

/// What happens to a peer that reads more slowly than it is sent to.
///
/// Under each policy the peer's own messages are not read any more while answers to it alone would fill the bytes of
/// the queue, or twice its messages: by then it has asked for more than it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowPeer {
    /// A send fails with [`SendError::QueueFull`](crate::SendError::QueueFull); when the queue stays
    /// full for this long, the connection is closed with 1013. Answers that nobody reads count too.
    Close {
        /// How long the queue may stay full.
        after: Duration,
    },
    /// A message that does not fit is dropped without an error. Calls and answers are never dropped.
    DropNewest,
    /// A message that does not fit replaces all messages that wait. Calls and answers are never dropped.
    LatestOnly,
}

impl Default for SendQueue {
    fn default() -> Self {
        let slow_peer = SlowPeer::Close { after: Duration::from_secs(10) };
        Self { bytes: 1 << 20, messages: 1024, slow_peer }
    }
}

impl SendQueue {
    /// Sets how many bytes may wait. Default: 1 MiB.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how many messages may wait. Default: 1,024.
    #[must_use]
    pub const fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }

    /// Sets what happens past the bounds. Default: close after 10 s.
    #[must_use]
    pub const fn slow_peer(mut self, policy: SlowPeer) -> Self {
        self.slow_peer = policy;
        self
    }
}

#[derive(Debug)]
pub(crate) struct Outbox {
    limits: SendQueue,
    queue: Queue,
    /// Messages that the driver has taken out to write them: they count until they are written.
    lent: usize,
    bytes: usize,
    /// Those that wait, lent ones included.
    answers: Answers,
    /// Since when it is full, or has refused something: until the peer reads on.
    full_since: Option<Duration>,
}

/// The queue is full and the policy is not to drop.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    pub(crate) fn new(limits: SendQueue) -> Self {
        Self {
            limits,
            queue: Queue::default(),
            lent: 0,
            bytes: 0,
            answers: Answers::default(),
            full_since: None,
        }
    }

    pub(crate) fn push(
        &mut self,
        now: impl Fn() -> Duration,
        class: Class,
        message: Queued,
    ) -> Result<(), Full> {
        let len = size(&message);
        let fits = self.is_empty()
            || (self.len() < self.limits.messages && self.bytes + len <= self.limits.bytes);
        if !fits {
            self.full_since.get_or_insert_with(&now);
            match (class, self.limits.slow_peer) {
                (Class::Answer, _) => {}
                (Class::Message, SlowPeer::DropNewest) => return Ok(()),
                (Class::Message, SlowPeer::LatestOnly) => self.drop_messages(),
                _ => return Err(Full),
            }
        }
        self.bytes += len;
        if class == Class::Answer {
            self.answers.add(len);
        }
        self.queue.push(Waiting { message, class });
        if self.is_full() {
            // Nobody need try to send more.
            self.full_since.get_or_insert_with(&now);
        }
        Ok(())
    }

    /// Takes out all that waits, to be written. It counts until it is [`written`](Self::written).
    pub(super) fn lend(&mut self) -> Queue {
        self.lent = self.queue.len();
        std::mem::take(&mut self.queue)
    }

    /// Takes back what was not written, before what has come since, and forgets what was: so many bytes.
    pub(super) fn written(&mut self, mut rest: Queue, bytes: usize) {
        let wrote = rest.len() < self.lent;
        self.lent = 0;
        self.bytes -= bytes;
        rest.append(std::mem::take(&mut self.queue));
        self.queue = rest;
        self.answers = self.queue.answers();
        if wrote && !self.is_full() {
            self.full_since = None;
        }
    }

    fn len(&self) -> usize {
        self.queue.len() + self.lent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no further message is to be read, since it may be a call. What we send by ourselves does not count: two
    /// sides that both send much would wait for each other. Nor do as many answers as a peer like us may wait for.
    pub(crate) fn holds_reading(&self) -> bool {
        let Answers { messages, bytes } = self.answers;
        messages / 2 >= self.limits.messages || bytes >= self.limits.bytes
    }

    fn is_full(&self) -> bool {
        self.len() >= self.limits.messages || self.bytes >= self.limits.bytes
    }

    /// Whether it is worth trying to send: it is not full, and what was refused may fit by now.
    pub(crate) fn has_room(&self) -> bool {
        self.full_since.is_none()
    }

    /// When the peer is too slow to be kept.
    pub(crate) fn give_up_at(&self) -> Option<Duration> {
        match self.limits.slow_peer {
            SlowPeer::Close { after } => self.full_since.map(|since| since.saturating_add(after)),
            _ => None,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.queue = Queue::default();
        self.lent = 0;
        self.bytes = 0;
        self.answers = Answers::default();
        self.full_since = None;
    }

    fn drop_messages(&mut self) {
        let bytes = &mut self.bytes;
        self.queue.retain(|waiting| {
            let keep = waiting.class != Class::Message;
            if !keep {
                *bytes -= size(&waiting.message);
            }
            keep
        });
        self.full_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws;

    const NOW: Duration = Duration::ZERO;

    fn message(n: u8) -> Queued {
        ws::Message::Binary(vec![n; 10].into()).into()
    }

    fn outbox(policy: SlowPeer) -> Outbox {
        let mut outbox = Outbox::new(SendQueue::default().messages(2).slow_peer(policy));
        outbox.push(|| NOW, Class::Message, message(1)).unwrap();
        outbox.push(|| NOW, Class::Call, message(2)).unwrap();
        outbox
    }

    /// Writes one message.
    fn write(outbox: &mut Outbox) {
        let mut queue = outbox.lend();
        let message = queue.pop().unwrap();
        outbox.written(queue, size(&message));
    }

    /// The first byte of each message that waits.
    fn rest(mut outbox: Outbox) -> Vec<u8> {
        let mut queue = outbox.lend();
        let waiting = std::iter::from_fn(|| queue.pop());
        waiting.map(|it| it.message().clone().into_frame().payload[0]).collect()
    }

    #[test]
    fn a_full_queue_refuses_and_the_clock_runs_until_there_is_room() {
        let after = Duration::from_secs(10);
        let mut outbox = outbox(SlowPeer::Close { after });
        let later = Duration::from_secs(5);
        assert_eq!(outbox.push(|| later, Class::Message, message(3)), Err(Full));
        assert_eq!(outbox.push(|| later * 2, Class::Call, message(3)), Err(Full));
        assert_eq!(outbox.push(|| later, Class::Answer, message(3)), Ok(()));
        assert_eq!(outbox.give_up_at(), Some(NOW + after));
        assert!(!outbox.has_room());
        write(&mut outbox);
        assert!(outbox.is_full());
        write(&mut outbox);
        assert_eq!(outbox.give_up_at(), None);
    }

    #[test]
    fn drop_newest_drops_messages_but_refuses_calls() {
        let mut outbox = outbox(SlowPeer::DropNewest);
        assert_eq!(outbox.push(|| NOW, Class::Message, message(3)), Ok(()));
        assert_eq!(outbox.push(|| NOW, Class::Call, message(3)), Err(Full));
        assert_eq!(rest(outbox), [1, 2]);
    }

    #[test]
    fn latest_only_keeps_calls_and_the_newest_message() {
        let mut outbox = outbox(SlowPeer::LatestOnly);
        outbox.push(|| NOW, Class::Message, message(3)).unwrap();
        outbox.push(|| NOW, Class::Message, message(4)).unwrap();
        assert_eq!(rest(outbox), [2, 4]);
    }

    #[test]
    fn one_message_larger_than_the_queue_passes_when_nothing_waits() {
        let mut outbox = Outbox::new(SendQueue::default().bytes(5));
        assert_eq!(outbox.push(|| NOW, Class::Message, message(1)), Ok(()));
        assert_eq!(outbox.push(|| NOW, Class::Message, message(2)), Err(Full));
    }

    #[test]
    fn there_is_no_room_for_what_was_refused_until_something_is_written() {
        let mut outbox = Outbox::new(SendQueue::default().bytes(25));
        for n in 0..2 {
            outbox.push(|| NOW, Class::Message, message(n)).unwrap();
        }
        assert!(!outbox.is_full() && outbox.has_room());
        assert_eq!(outbox.push(|| NOW, Class::Message, message(2)), Err(Full));
        assert!(!outbox.is_full() && !outbox.has_room());
        write(&mut outbox);
        assert!(outbox.has_room());
        assert_eq!(outbox.push(|| NOW, Class::Message, message(2)), Ok(()));
    }

    #[test]
    fn what_is_being_written_counts_and_comes_back_before_what_followed() {
        let mut outbox = outbox(SlowPeer::Close { after: Duration::MAX });
        let mut queue = outbox.lend();
        assert!(outbox.is_full() && !outbox.is_empty());
        assert_eq!(outbox.push(|| NOW, Class::Message, message(3)), Err(Full));
        outbox.push(|| NOW, Class::Answer, message(4)).unwrap();
        let written = queue.pop().unwrap();
        outbox.written(queue, size(&written));
        assert_eq!(rest(outbox), [2, 4]);
    }
}
