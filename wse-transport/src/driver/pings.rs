//! Pings that wait for their pongs.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

/// The most pings that are remembered.
const MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Pings(VecDeque<(Bytes, Duration)>);

impl Pings {
    pub(super) fn sent(&mut self, payload: Bytes, now: Duration) {
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        self.0.push_back((payload, now));
    }

    /// The time between a ping and this pong; `None` for an unsolicited pong. A pong also answers the pings before: a peer may
    /// answer only the latest (RFC 6455 §5.5.3).
    pub(super) fn answered(&mut self, payload: &Bytes, now: Duration) -> Option<Duration> {
        let index = self.0.iter().position(|(sent, _)| sent == payload)?;
        let (_, sent) = self.0.drain(..=index).next_back()?;
        Some(now.saturating_sub(sent))
    }
}
