//! [`Budget`]: what the rings of an endpoint may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::limits::ResumeLimits;

/// Rings reserve memory in blocks of this size, so that most messages do not touch the shared counter.
const BLOCK: usize = 4 << 10;

/// The limits of resume, and the bytes that the rings of all sessions take. The sessions of an endpoint share one.
///
/// Only servers use the limit on all rings. A client has one session at a time.
#[derive(Debug)]
pub struct Budget {
    limits: ResumeLimits,
    used: AtomicUsize,
}

impl Budget {
    /// With these limits.
    pub fn new(limits: ResumeLimits) -> Arc<Self> {
        Arc::new(Self { limits, used: AtomicUsize::new(0) })
    }

    /// The limits.
    pub const fn limits(&self) -> &ResumeLimits {
        &self.limits
    }

    /// How many bytes all rings have reserved. Each reserves up to 4 KiB more than it holds.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether the rings have reserved more than the limit.
    pub fn is_exceeded(&self) -> bool {
        self.used() > self.limits.total_bytes
    }

    /// Whether an eighth of the limit is free. Freeing as much at once keeps it rare: it looks at all sessions.
    pub(super) fn has_reserve(&self) -> bool {
        let limit = self.limits.total_bytes;
        self.used() <= limit - limit / 8
    }

    /// The bytes of so many reserved blocks.
    pub(super) const fn bytes_of(blocks: u32) -> usize {
        (blocks as usize).saturating_mul(BLOCK)
    }

    /// Changes a reservation of so many blocks so that it suits a ring that holds `bytes`. Returns the new one.
    pub(super) fn reserve(&self, blocks: u32, bytes: usize) -> u32 {
        let wanted = u32::try_from(bytes.div_ceil(BLOCK)).unwrap_or(u32::MAX);
        if wanted > blocks {
            self.used.fetch_add(Self::bytes_of(wanted - blocks), Ordering::Relaxed);
        } else if wanted < blocks {
            self.used.fetch_sub(Self::bytes_of(blocks - wanted), Ordering::Relaxed);
        }
        wanted
    }
}
