//! The part of crossbeam-epoch that this backend uses: it tracks which threads are pinned, and when
//! a grace period has passed.
//!
//! A *grace period* ends when every thread that was pinned at its start has unpinned. Garbage that
//! was removed from a table before the start of a grace period may be freed when the grace period
//! has passed. So this module gives crossbeam only one small function for each grace period, which
//! records that the grace period has passed. The garbage itself stays with its table.
//!
//! crossbeam ends the process if the allocator has no memory for a registration or for its queue.
//! So before each step that needs memory, this module allocates a block of that size and frees it
//! again. If the allocation fails, the step is left out: a thread is not registered, or a grace
//! period starts later. Another thread can still take the last memory between the test and the
//! step. crossbeam has no interface that could prevent this.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_epoch::{Collector, Guard, LocalHandle};

use crate::system_memory::allocator_has;

/// The collector of all stores of a process. They share it so that a thread needs only one
/// participant. Other users of crossbeam-epoch have other collectors, so they cannot delay our
/// garbage.
static COLLECTOR: LazyLock<Collector> = LazyLock::new(Collector::new);

/// Upper bound of the bytes that crossbeam allocates in one step: two blocks of about 2,300 bytes,
/// for 64 functions each.
const STEP_BYTES: usize = 8 << 10;

/// Largest number of grace periods that have started and not passed. Each takes one of the blocks
/// above in crossbeam's queue. While a thread stays pinned, none passes, so without this limit the
/// queue would grow with each write. Threads that start grace periods at the same time may exceed
/// the limit by one each.
const MAX_OUTSTANDING: u64 = 64;

/// Number of grace periods that were started.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Number of the last grace period that has passed. All earlier ones have passed too.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// Returns whether the allocator has memory for one step of crossbeam.
fn has_memory() -> bool {
    allocator_has(STEP_BYTES)
}

/// Registers a thread, or returns `None` if there is no memory for it.
pub(super) fn register() -> Option<LocalHandle> {
    has_memory().then(|| COLLECTOR.register())
}

/// Ends a registration, if there is memory for what crossbeam does then. Otherwise the registration
/// stays, and the next thread that takes the participant uses it.
pub(super) fn unregister(handle: &mut Option<LocalHandle>) {
    if handle.is_some() && has_memory() {
        *handle = None;
    }
}

/// Returns the number of the next grace period, which is the first one that starts after this call.
pub(super) fn next_grace() -> u64 {
    // A read-modify-write, so that everything this thread did before it happens before the start of
    // that grace period.
    STARTED.fetch_add(0, Ordering::AcqRel) + 1
}

/// Returns whether the grace period of this number has passed.
#[inline]
pub(super) fn has_passed(grace: u64) -> bool {
    PASSED.load(Ordering::Acquire) >= grace
}

/// Returns the number of grace periods that have started and not passed.
fn outstanding() -> u64 {
    // The passed ones are read first, so that the difference is not too small.
    let passed = PASSED.load(Ordering::Acquire);
    STARTED.load(Ordering::Acquire).saturating_sub(passed)
}

/// Starts a grace period and lets crossbeam find out which ones have passed. Returns whether it
/// started one. It does not if memory is short, or if [`MAX_OUTSTANDING`] have not passed yet.
pub(super) fn start_grace(guard: &Guard) -> bool {
    if !has_memory() {
        return false;
    }
    if outstanding() >= MAX_OUTSTANDING {
        guard.flush();
        return false;
    }
    let grace = STARTED.fetch_add(1, Ordering::AcqRel) + 1;
    // Grace periods may pass in any order. Everything that precedes the start of an earlier grace
    // period also precedes the start of this one. So when this one has passed, garbage that waits
    // for an earlier one can be freed too.
    let passed = move || PASSED.fetch_max(grace, Ordering::AcqRel);
    guard.defer(passed);
    // Put the function onto crossbeam's shared queue now. Otherwise it would wait until this thread
    // has filled its bag in crossbeam.
    guard.flush();
    true
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
        // Other tests run at the same time, and hold their pins for a while.
        while !has_passed(grace) {
            advance(&writer.pin());
            std::thread::yield_now();
        }
        assert!(!has_passed(next_grace()));
    }

    #[test]
    fn while_a_thread_stays_pinned_only_some_grace_periods_are_started() {
        let (reader, writer) = (register().unwrap(), register().unwrap());
        let pinned = reader.pin();
        let started = (0..10 * MAX_OUTSTANDING).filter(|_| start_grace(&writer.pin())).count();
        assert!(started as u64 <= MAX_OUTSTANDING, "{started} grace periods were started");
        drop(pinned);
        // When they have passed, others start again.
        while !start_grace(&writer.pin()) {
            std::thread::yield_now();
        }
    }
}
