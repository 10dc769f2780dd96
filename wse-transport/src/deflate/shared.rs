//! A message that is compressed once for many connections.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use flate2::Compression;

/// The compressed forms of a message for many connections, by level and window: at most 63, and at most 7 where
/// all connections have the level of one server.
#[derive(Debug, Default)]
pub(crate) struct Shared(pub(super) Mutex<Vec<(Alike, Arc<Once>)>>);

/// The level and window of connections with equal settings.
pub(super) type Alike = (Compression, u8);

/// `None` if compression does not make the message shorter.
pub(super) type Once = OnceLock<Option<Bytes>>;

impl Shared {
    pub(super) fn once(&self, alike: Alike) -> Arc<Once> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, once)) = known.iter().find(|(it, _)| *it == alike) {
            return Arc::clone(once);
        }
        let once = Arc::default();
        known.push((alike, Arc::clone(&once)));
        once
    }
}
