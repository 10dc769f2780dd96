//! [`Metrics`]: what came and was dropped, refused or complained about.

use std::sync::atomic::{AtomicU64, Ordering};

use wse_proto::session::Dropped;

/// What an endpoint's connections got that meant nothing, counted since its start. Each was dropped and harmed
/// nobody; many of them tell of a peer that is broken, hostile or far away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Answers to no call that waits: late ones, too.
    pub unknown_answers: u64,
    /// Receipts that nobody waits for: late ones, too.
    pub unknown_receipts: u64,
    /// Pongs to no ping of ours.
    pub unknown_pongs: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Messages that could not be read and were complained about, by a protocol that can.
    pub unreadable: u64,
    /// Complaints about messages of ours.
    pub complaints: u64,
    /// Peers that were not heard any more.
    pub dead_peers: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    unknown_answers: AtomicU64,
    unknown_receipts: AtomicU64,
    unknown_pongs: AtomicU64,
    duplicates: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) complaints: AtomicU64,
    pub(crate) dead_peers: AtomicU64,
}

impl Counts {
    pub(super) fn dropped(&self, what: Dropped) {
        count(match what {
            Dropped::Answer => &self.unknown_answers,
            Dropped::Receipt => &self.unknown_receipts,
            Dropped::Pong => &self.unknown_pongs,
            Dropped::Duplicate => &self.duplicates,
            _ => return,
        });
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            unknown_answers: read(&self.unknown_answers),
            unknown_receipts: read(&self.unknown_receipts),
            unknown_pongs: read(&self.unknown_pongs),
            duplicates: read(&self.duplicates),
            unreadable: read(&self.unreadable),
            complaints: read(&self.complaints),
            dead_peers: read(&self.dead_peers),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
