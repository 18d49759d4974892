//! Watching and stopping a run from another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Shows how far a run is, and can stop it.
#[derive(Debug, Default)]
pub struct RunControl {
    stop: AtomicBool,
    operations: AtomicU64,
}

impl RunControl {
    /// Ends the current run, and lets no other begin.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Returns whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Adds operations that a thread has done since it last reported.
    pub(crate) fn report(&self, operations: u64) {
        self.operations.fetch_add(operations, Relaxed);
    }

    /// Returns the operations of all runs so far, the current one included; some 50 ms late.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations.load(Relaxed)
    }
}

/// Number of entries between two looks at [`RunControl`] while a store is loaded or checked.
pub(crate) const LOOK_EVERY: usize = 4096;
