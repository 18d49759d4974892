//! Shows the progress of a run to another thread, and lets that thread stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The progress of a run, and a flag that stops it.
#[derive(Debug, Default)]
pub struct RunControl {
    stop: AtomicBool,
    operations: AtomicU64,
}

impl RunControl {
    /// Ends the current run and prevents further runs.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Returns whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Adds the operations that a thread has done since its last report.
    pub(crate) fn report(&self, operations: u64) {
        self.operations.fetch_add(operations, Relaxed);
    }

    /// Returns the number of operations of all runs so far, including the current one. The count
    /// lags by about 50 ms.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations.load(Relaxed)
    }
}

/// Number of entries between two checks of [`RunControl`] while a store is loaded or verified.
pub(crate) const LOOK_EVERY: usize = 4096;
