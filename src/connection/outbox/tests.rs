//! The send queue: what it refuses, drops and counts.

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

/// Queues a message with this key, of so many bytes.
fn latest(outbox: &mut Outbox, key: &str, n: u8, len: usize) -> Result<(), Full> {
    let message = ws::Message::Binary(vec![n; len].into()).into();
    outbox.push_unsent(|| NOW, message, Rule::Key(key.into()))
}

#[test]
fn the_latest_of_a_key_takes_the_place_of_the_one_before() {
    let mut outbox = Outbox::new(SendQueue::default().messages(4));
    for (n, key) in (1..).zip(["a", "b", "a", "b", "a"]) {
        latest(&mut outbox, key, n, 10).unwrap();
        outbox.push(|| NOW, Class::Call, message(90 + n), None).ok();
    }
    assert_eq!(outbox.state().messages, 4);
    assert_eq!(outbox.state().bytes, 40);
    assert_eq!(rest(outbox), [91, 92, 4, 5]);
}

#[test]
fn a_message_that_is_being_written_is_not_replaced() {
    let mut outbox = Outbox::new(SendQueue::default());
    latest(&mut outbox, "a", 1, 10).unwrap();
    let lent = outbox.lend();
    latest(&mut outbox, "a", 2, 10).unwrap();
    outbox.written(lent, 0);
    assert_eq!(rest(outbox), [1, 2]);
}

#[test]
fn a_latest_message_without_room_leaves_the_older_one() {
    let mut outbox = Outbox::new(SendQueue::default().bytes(30));
    latest(&mut outbox, "a", 1, 10).unwrap();
    latest(&mut outbox, "b", 2, 10).unwrap();
    assert_eq!(latest(&mut outbox, "a", 3, 30), Err(Full));
    assert_eq!(outbox.state().bytes, 20);
    latest(&mut outbox, "b", 4, 20).unwrap();
    assert_eq!(rest(outbox), [1, 4]);
}

#[test]
fn what_has_expired_makes_room() {
    let mut outbox = Outbox::new(SendQueue::default().messages(2));
    let until = crate::connection::deadline(NOW).unwrap();
    for n in 1..3 {
        outbox.push_unsent(|| NOW, message(n), Rule::Until(until)).unwrap();
    }
    outbox.push(|| NOW, Class::Message, message(3), None).unwrap();
    assert_eq!(outbox.state().bytes, 10);
    assert_eq!(rest(outbox), [3]);
}

/// A slow peer must not make each message to it as expensive as its whole queue.
#[test]
fn only_a_queue_with_messages_that_expire_is_looked_through() {
    let mut outbox = Outbox::new(SendQueue::default().messages(2));
    let until = crate::connection::deadline(NOW).unwrap();
    outbox.push_unsent(|| NOW, message(1), Rule::Until(until)).unwrap();
    assert!(outbox.expires);
    write(&mut outbox);
    assert!(!outbox.expires);
    for n in 2..4 {
        outbox.push(|| NOW, Class::Message, message(n), None).unwrap();
    }
    assert_eq!(outbox.push(|| NOW, Class::Message, message(4), None), Err(Full));
    assert!(!outbox.expires);
}

#[test]
fn a_latest_message_without_room_does_not_move_the_older_one() {
    let mut outbox = Outbox::new(SendQueue::default().bytes(30));
    latest(&mut outbox, "a", 1, 10).unwrap();
    outbox.push(|| NOW, Class::Message, message(2), None).unwrap();
    assert_eq!(latest(&mut outbox, "a", 3, 30), Err(Full));
    assert_eq!(rest(outbox), [1, 2]);
}

#[test]
fn what_was_kept_is_queued_whatever_the_limits() {
    let mut outbox = outbox(SlowPeer::DropNewest);
    for n in 3..6 {
        outbox.push_kept(|| NOW, message(n), None);
    }
    assert!(!outbox.is_writable());
    assert_eq!(outbox.state().bytes, 50);
    assert_eq!(rest(outbox), [1, 2, 3, 4, 5]);
}
