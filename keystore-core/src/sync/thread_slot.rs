//! Slots: a small number for each live thread.
//!
//! Counters and pools keep one record for each slot, so that threads do not write to the same cache
//! line. Each of the first `NUMBERED` live threads has a slot that no other live thread has. So
//! it can update its record with a plain load and store. All other threads share a few slots.
//! Records of pools are large, so pools have one for each of the first [`OWNED`] slots only, and
//! the threads with higher slots share a few records there.
//!
//! When a thread ends, its slot passes to the next thread that needs one. This may be a new thread,
//! or a thread that shares a slot because it started while all slots were taken.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::thread_exit;

/// Number of slots whose threads have a record of their own in pools and in counters.
pub const OWNED: usize = 64;

/// Number of slots that belong to one live thread each. Threads beyond them share slots.
pub(crate) const NUMBERED: usize = OWNED * WORDS;

/// Number of words of [`TAKEN`].
const WORDS: usize = 16;

/// Number of slots that all other threads share. A power of two.
pub(crate) const SHARED: usize = 16;

/// Bit set of the slots that live threads own: 64 slots in each word.
static TAKEN: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

/// Counter that spreads threads over the shared slots.
static NEXT_SHARED: AtomicUsize = AtomicUsize::new(0);

/// Value of [`SLOT`] for a thread without a slot.
const UNASSIGNED: usize = usize::MAX;

thread_local! {
    // It has no destructor, so reading it costs no check, and the first use allocates no memory.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
}

/// Returns a small number for the calling thread. Each of the first 1,024 live threads has another
/// one. The number passes to another thread when this one ends.
#[inline]
#[must_use]
pub fn thread_slot() -> usize {
    let slot = SLOT.get();
    if slot == UNASSIGNED { assign_slot() } else { slot }
}

#[cold]
fn assign_slot() -> usize {
    // If no hook runs at the end of this thread, it must not keep a slot. It tries again with its
    // next call.
    if !thread_exit::arm() {
        return next_shared();
    }
    let slot = (0..WORDS).find_map(take_in).unwrap_or_else(next_shared);
    SLOT.set(slot);
    slot
}

/// Takes the lowest slot of a word of [`TAKEN`] that no live thread has.
#[inline]
fn take_in(word: usize) -> Option<usize> {
    let bits = &TAKEN[word];
    let mut taken = bits.load(Relaxed);
    while taken != u64::MAX {
        let lowest = (!taken).trailing_zeros();
        // Acquire: this thread sees what the slot's last owner wrote to its records.
        match bits.compare_exchange_weak(taken, taken | 1 << lowest, Acquire, Relaxed) {
            Ok(_) => return Some(word * OWNED + lowest as usize),
            Err(now) => taken = now,
        }
    }
    None
}

fn next_shared() -> usize {
    NUMBERED + NEXT_SHARED.fetch_add(1, Relaxed) % SHARED
}

/// If the calling thread has no record of its own in pools, and a thread that had one has ended,
/// gives that thread's slot to the calling thread. The thread must not be in a call of a pool,
/// since pools keep records by slot.
#[inline]
pub(crate) fn improve_slot() {
    // A thread that has no slot yet, or must not keep one, requests one with its next call anyway.
    let slot = SLOT.get();
    if slot != UNASSIGNED
        && slot >= OWNED
        && let Some(owned) = take_in(0)
    {
        move_to(owned);
    }
}

/// Gives the calling thread another slot, which it has taken.
#[cold]
fn move_to(owned: usize) {
    // The hooks give back what pools keep under the old slot. Otherwise it would wait there for
    // another thread with that slot.
    thread_exit::run_hooks();
    give_back(SLOT.replace(owned));
}

/// Gives back the slot of the calling thread, which is ending.
pub(crate) fn release_slot() {
    give_back(SLOT.replace(UNASSIGNED));
}

fn give_back(slot: usize) {
    if slot < NUMBERED {
        TAKEN[slot / OWNED].fetch_and(!(1 << (slot % OWNED)), Release);
    }
}

/// Returns the calling thread's slot if the thread has records of its own in pools.
#[inline(always)]
pub(crate) fn owned_slot() -> Option<usize> {
    let slot = SLOT.get();
    (slot < OWNED).then_some(slot)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn threads_one_after_another_reuse_numbers() {
        let lowest =
            (0..500).map(|_| std::thread::spawn(thread_slot).join().unwrap()).min().unwrap();
        // Other tests run at the same time and own slots too, but never all of them for long.
        assert!(lowest < OWNED, "{lowest}");
    }

    #[test]
    fn hundreds_of_live_threads_have_different_numbers() {
        const THREADS: usize = 400;
        let all_there = std::sync::Barrier::new(THREADS);
        let numbers: std::collections::HashSet<usize> = std::thread::scope(|scope| {
            let number = || {
                let number = thread_slot();
                all_there.wait();
                number
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(number)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(numbers.len(), THREADS);
        assert!(numbers.iter().all(|&number| number < NUMBERED));
    }

    #[test]
    fn a_thread_that_started_in_a_crowd_has_a_stripe_of_its_own_once_the_crowd_has_ended() {
        let (crowded, dispersed) =
            (std::sync::Barrier::new(OWNED + 17), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let last = scope.spawn(|| {
                // Wait until the other threads have all low slots, so that this thread gets a high
                // one.
                while TAKEN[0].load(Relaxed) != u64::MAX {
                    std::thread::yield_now();
                }
                let before = thread_slot();
                crowded.wait();
                dispersed.wait();
                // Other tests run at the same time and own slots too.
                let end = Instant::now() + Duration::from_secs(30);
                while thread_slot() >= OWNED && Instant::now() < end {
                    improve_slot();
                }
                (before, thread_slot())
            });
            let crowd: Vec<_> = (0..OWNED + 15)
                .map(|_| {
                    scope.spawn(|| {
                        let _ = thread_slot();
                        crowded.wait();
                    })
                })
                .collect();
            crowded.wait();
            crowd.into_iter().for_each(|thread| thread.join().unwrap());
            dispersed.wait();
            let (before, after) = last.join().unwrap();
            assert!(before >= OWNED && after < OWNED, "{before}, then {after}");
        });
    }
}
