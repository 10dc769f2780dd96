//! The sessions of a server, their windows, and what is remembered of them.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use wse_proto::NotResumed;
use wse_proto::session::{Budget, ResumeLimits, Session, Sessions};

use super::sides::{LOST, server_with};
use crate::support::session::{T0, ms, quietly};

fn sessions() -> Sessions<u32> {
    Sessions::new(&ResumeLimits::default().window(ms(100)).remembered(2))
}

#[test]
fn d3_a_session_is_remembered_for_one_more_window() {
    let mut sessions = sessions();
    sessions.create("a", 1);
    sessions.create("b", 2);
    sessions.suspend(ms(10), "a");
    assert_eq!(sessions.poll_timeout(), Some(ms(110)));
    assert_eq!(sessions.expire(ms(109)), None);
    assert_eq!(sessions.find("a"), Ok(&1));
    assert_eq!(sessions.expire(ms(110)), Some(1));
    assert_eq!(sessions.evict(ms(120), "b"), Some(2));
    let reasons = |sessions: &Sessions<u32>| ["a", "b", "c"].map(|it| sessions.find(it).cloned());
    let (expired, evicted) = (Err(NotResumed::Expired), Err(NotResumed::Evicted));
    let unknown = || Err(NotResumed::Unknown);
    assert_eq!(reasons(&sessions), [expired, evicted.clone(), unknown()]);
    assert_eq!(sessions.poll_timeout(), Some(ms(210)));
    sessions.expire(ms(210));
    assert_eq!(reasons(&sessions), [unknown(), evicted, unknown()]);
    sessions.expire(ms(220));
    assert_eq!(reasons(&sessions), [unknown(), unknown(), unknown()]);
    assert_eq!(sessions.poll_timeout(), None);
}

#[test]
fn what_is_remembered_is_limited() {
    let mut sessions = sessions();
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        sessions.create(name, number as u32);
        sessions.evict(T0, name);
    }
    let reasons = ["a", "b", "c"].map(|name| sessions.find(name).cloned().unwrap_err());
    assert_eq!(reasons, [NotResumed::Unknown, NotResumed::Evicted, NotResumed::Evicted]);
}

#[test]
fn a_session_that_a_close_has_ended_is_not_remembered() {
    let mut sessions = sessions();
    sessions.create("a", 1);
    sessions.suspend(T0, "a");
    assert_eq!(sessions.remove("a"), Some(1));
    assert_eq!(sessions.find("a"), Err(NotResumed::Unknown));
    assert_eq!((sessions.poll_timeout(), sessions.len(), sessions.suspended()), (None, 0, 0));
}

#[test]
fn d22_the_window_begins_with_the_first_loss_and_ends_with_a_resume() {
    let mut sessions = sessions();
    sessions.create("a", 1);
    sessions.suspend(ms(10), "a");
    sessions.suspend(ms(50), "a");
    assert_eq!(sessions.suspended_since("a"), Some(ms(10)));
    sessions.resume("a");
    sessions.resume("a");
    assert_eq!((sessions.suspended_since("a"), sessions.poll_timeout()), (None, None));
    sessions.suspend(ms(60), "a");
    assert_eq!(sessions.poll_timeout(), Some(ms(160)));
    assert_eq!(sessions.clear(), [1]);
    assert!(sessions.is_empty());
}

#[test]
fn windows_end_in_the_order_in_which_they_began() {
    let mut sessions = Sessions::new(&ResumeLimits::default().window(ms(100)));
    for number in 0..1000_u64 {
        let name = number.to_string();
        sessions.create(&name, number);
        sessions.suspend(ms(number % 7), &name);
        if number % 3 == 0 {
            sessions.resume(&name);
        }
    }
    let mut ended = Vec::new();
    for now in 100..110 {
        while let Some(number) = sessions.expire(ms(now)) {
            assert_eq!(number % 7, now - 100);
            ended.push(number);
        }
    }
    assert!(ended.iter().all(|number| number % 3 != 0));
    assert_eq!((ended.len(), sessions.len(), sessions.suspended()), (666, 334, 0));
}

/// A session that holds so many messages of 5,000 bytes.
fn holding(budget: &Arc<Budget>, suspended: bool, messages: usize) -> Session {
    quietly(server_with(budget), |session| {
        if suspended {
            session.handle_closed(&LOST);
        }
        for _ in 0..messages {
            session.sent(Bytes::from(vec![b'x'; 5000]), None);
        }
    })
}

#[test]
fn d27_connected_sessions_are_emptied_before_suspended_ones_are_evicted() {
    let table = [
        // The limit on all, how many messages each suspended session holds, how many sessions still hold some in the end,
        // and which are evicted. A message takes 8 KiB of the limit, and three take 16 KiB.
        (32_768, 1, 4, vec![]),
        (30_000, 1, 3, vec![]),
        (20_000, 1, 2, vec![]),
        (40_000, 3, 2, vec![]),
        (20_000, 3, 1, vec!["away"]),
        (16_384, 5, 0, vec!["away", "away later"]),
    ];
    for (limit, messages, keep, evicted) in table {
        let budget = Budget::new(ResumeLimits::default().total_bytes(limit));
        let all = ["here", "here too", "away", "away later"];
        let rings = all.map(|name| {
            let suspended = name.starts_with("away");
            RefCell::new(holding(&budget, suspended, if suspended { messages } else { 1 }))
        });
        let mut sessions = Sessions::new(&ResumeLimits::default());
        for (number, name) in all.iter().enumerate() {
            sessions.create(name, number);
        }
        sessions.suspend(ms(1), "away");
        sessions.suspend(ms(2), "away later");
        let ended = sessions.relieve(ms(3), &budget, |number: &usize| {
            rings[*number].borrow_mut().empty_ring();
        });
        let ended: Vec<_> = ended.into_iter().map(|number| all[number]).collect();
        let kept = rings.iter().filter(|ring| ring.borrow().unacknowledged() > 0).count();
        assert_eq!((&ended, kept), (&evicted, keep), "{limit}");
        assert!(!budget.is_exceeded());
        let freed = keep < all.len();
        assert!(
            !freed || budget.used() <= limit - limit / 8,
            "the next message does not exceed it"
        );
        for name in evicted {
            assert_eq!(sessions.find(name), Err(NotResumed::Evicted));
        }
    }
}
