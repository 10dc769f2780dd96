//! [`Verdict`]: whether everything has ended in time, as all shutdowns of a server return it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether all connections and handlers have ended before they were cancelled. The first shutdown that knows decides for
/// all.
#[derive(Debug, Default)]
pub(super) struct Verdict(Mutex<Option<bool>>);

impl Verdict {
    /// Returns the verdict, which is `ended` if there is none yet.
    pub(super) fn reach(&self, ended: bool) -> Reached<'_> {
        let mut verdict = self.lock();
        let first = verdict.is_none();
        let ended = *verdict.get_or_insert(ended);
        drop(verdict);
        Reached { verdict: self, ended, withdraws: first && !ended }
    }

    fn lock(&self) -> MutexGuard<'_, Option<bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A verdict that a shutdown has reached. If the shutdown is dropped before it returns, for example because it runs in a
/// handler and cancels that too, it has told nobody, and leaves the verdict to the next one.
pub(super) struct Reached<'a> {
    verdict: &'a Verdict,
    ended: bool,
    withdraws: bool,
}

impl Reached<'_> {
    /// The verdict, which is final now.
    pub(super) fn keep(mut self) -> bool {
        self.withdraws = false;
        self.ended
    }
}

impl Drop for Reached<'_> {
    fn drop(&mut self) {
        if self.withdraws {
            *self.verdict.lock() = None;
        }
    }
}
