//! [`Counts`]: what an endpoint has dropped, refused or given up.

use std::sync::atomic::{AtomicU64, Ordering};

use wse_proto::session::Dropped;

/// Counts of unexpected or dropped inbound messages, of peers that went silent, and of refused connections, since the
/// endpoint was built.
///
/// None of them harms other connections. Large counts point to a peer that is broken, hostile or far away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Answers to no pending call, late ones included.
    pub unknown_answers: u64,
    /// Receipts that nothing waited for, late ones included.
    pub unknown_receipts: u64,
    /// Pongs to no ping that we sent.
    pub unknown_pongs: u64,
    /// Reliable messages that had come before.
    pub duplicates: u64,
    /// Messages that could not be read, where the protocol can tell the peer so.
    pub unreadable: u64,
    /// Error reports from peers about messages that we sent.
    pub error_reports: u64,
    /// Peers that were no longer heard.
    pub dead_peers: u64,
    /// How often a send queue became full. Until it was empty again, a queue counts once.
    pub slow_peers: u64,
    /// Messages that [`SlowPeer`](crate::SlowPeer) has dropped: by its policy, or with a connection that it has closed.
    pub dropped_messages: u64,
    /// Server: connections refused at [`RefusedAt::Tls`](crate::RefusedAt::Tls).
    pub refused_tls: u64,
    /// Server: connections refused at [`RefusedAt::Request`](crate::RefusedAt::Request).
    pub refused_requests: u64,
    /// Server: connections refused at [`RefusedAt::Upgrade`](crate::RefusedAt::Upgrade).
    pub refused_upgrades: u64,
    /// Server: connections refused at [`RefusedAt::Greeting`](crate::RefusedAt::Greeting).
    pub refused_greetings: u64,
    /// Server: connections refused at [`RefusedAt::Identify`](crate::RefusedAt::Identify).
    pub refused_identities: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    unknown_answers: AtomicU64,
    unknown_receipts: AtomicU64,
    unknown_pongs: AtomicU64,
    duplicates: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) error_reports: AtomicU64,
    pub(crate) dead_peers: AtomicU64,
    pub(super) slow_peers: AtomicU64,
    pub(super) dropped_messages: AtomicU64,
    pub(crate) refused_tls: AtomicU64,
    pub(crate) refused_requests: AtomicU64,
    pub(crate) refused_upgrades: AtomicU64,
    pub(crate) refused_greetings: AtomicU64,
    pub(crate) refused_identities: AtomicU64,
}

impl Counters {
    pub(super) fn dropped(&self, what: Dropped) {
        count(match what {
            Dropped::Answer => &self.unknown_answers,
            Dropped::Receipt => &self.unknown_receipts,
            Dropped::Pong => &self.unknown_pongs,
            Dropped::Duplicate => &self.duplicates,
            _ => return,
        });
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            unknown_answers: read(&self.unknown_answers),
            unknown_receipts: read(&self.unknown_receipts),
            unknown_pongs: read(&self.unknown_pongs),
            duplicates: read(&self.duplicates),
            unreadable: read(&self.unreadable),
            error_reports: read(&self.error_reports),
            dead_peers: read(&self.dead_peers),
            slow_peers: read(&self.slow_peers),
            dropped_messages: read(&self.dropped_messages),
            refused_tls: read(&self.refused_tls),
            refused_requests: read(&self.refused_requests),
            refused_upgrades: read(&self.refused_upgrades),
            refused_greetings: read(&self.refused_greetings),
            refused_identities: read(&self.refused_identities),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
