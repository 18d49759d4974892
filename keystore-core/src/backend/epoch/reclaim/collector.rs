//! crossbeam-epoch, as far as this backend uses it: who is pinned, and when a grace period has
//! passed.
//!
//! A *grace period* ends when every thread that was pinned at its start has let go. Garbage needs
//! no more than that: what was taken out of a table before a grace period started is freed after it
//! has passed. So crossbeam is given one small function for each grace period, which says that it
//! has passed, and the garbage itself stays with its table.
//!
//! crossbeam ends the process if the allocator has no memory for a registration or for its queue.
//! So each step that takes memory first asks the allocator for a block of that size and gives it
//! back. If there is none, the step is left out: a thread is not registered, a grace period starts
//! later. Between the question and the step another thread can take the last memory that there is;
//! crossbeam has no interface that could prevent that.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_epoch::{Collector, Guard, LocalHandle};

use crate::system_memory::allocator_has;

/// All stores of a process share one, so that a thread needs only one participant. Others who use
/// crossbeam-epoch have theirs, and cannot hold our garbage.
static COLLECTOR: LazyLock<Collector> = LazyLock::new(Collector::new);

/// More than crossbeam takes in one step: two blocks of some 2,300 bytes, for 64 functions each.
const STEP_BYTES: usize = 8 << 10;

/// Grace periods that were started.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// The last grace period that has passed. Those before it have too.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Whether the allocator has memory for a step of crossbeam's.
fn has_memory() -> bool {
    allocator_has(STEP_BYTES)
}

/// Registers a thread, or returns `None` if there is no memory for it.
pub(super) fn register() -> Option<LocalHandle> {
    has_memory().then(|| COLLECTOR.register())
}

/// Ends a registration, if there is memory for what crossbeam does then. Else it waits for the next
/// thread that takes the participant.
pub(super) fn unregister(handle: &mut Option<LocalHandle>) {
    if handle.is_some() && has_memory() {
        *handle = None;
    }
}

/// Returns the number of the next grace period: the first that starts after this call.
pub(super) fn next_grace() -> u64 {
    // An exchange, so that what this thread did before comes before the start of that grace period.
    STARTED.fetch_add(0, Ordering::AcqRel) + 1
}

/// Whether the grace period of this number has passed.
#[inline]
pub(super) fn has_passed(grace: u64) -> bool {
    PASSED.load(Ordering::Acquire) >= grace
}

/// Starts a grace period, unless memory is short, and lets crossbeam find out which have passed.
pub(super) fn start_grace(guard: &Guard) {
    if !has_memory() {
        return;
    }
    let grace = STARTED.fetch_add(1, Ordering::AcqRel) + 1;
    // Grace periods pass in any order. All that precedes the start of an earlier one precedes the
    // start of this one too, so the largest number speaks for all below it.
    let passed = move || PASSED.fetch_max(grace, Ordering::AcqRel);
    guard.defer(passed);
    // Onto crossbeam's shared queue at once, not only when this thread has filled crossbeam's own
    // bag.
    guard.flush();
}

/// Lets crossbeam find out which grace periods have passed.
pub(super) fn advance(guard: &Guard) {
    if has_memory() {
        guard.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_passes_when_those_who_were_pinned_have_let_go() {
        let (reader, writer) = (register().unwrap(), register().unwrap());
        let pinned = reader.pin();
        let grace = next_grace();
        start_grace(&writer.pin());
        for _ in 0..100 {
            advance(&writer.pin());
        }
        assert!(!has_passed(grace), "a thread is pinned since before it started");
        drop(pinned);
        // Other tests run beside this one, and hold their pins for a while.
        while !has_passed(grace) {
            advance(&writer.pin());
            std::thread::yield_now();
        }
        assert!(!has_passed(next_grace()));
    }
}
