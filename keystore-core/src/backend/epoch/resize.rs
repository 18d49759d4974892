//! Growing and shrinking: a few buckets at a time, by every thread that writes.
//!
//! A *unit* ([`super::array`]) is migrated in three steps. Any number of threads may do each step
//! at once, stop in it, or repeat it.
//!
//! 1. *Freeze* the source buckets: set flags on the links, so that the chains grow no more, and
//!    then on the slots. The content of a frozen slot never changes again. An insertion that is
//!    still pending in it has failed, and its thread starts over in the new array. If the bucket
//!    splits, the exchange that freezes a live pointer also writes into it which half it goes to.
//!    So this is decided once for all threads and both halves, whatever the user's hasher answers
//!    later.
//! 2. *Fill* the target buckets. The live pointers of the frozen sources, in the order of their
//!    slots, go to the targets' slots in order. So every thread copies the same pointers to the
//!    same slots. A slot is filled by exchanging [`EMPTY`](super::bucket::EMPTY) for its pointer,
//!    and a filled slot is never empty again (a removal leaves a tombstone). So a thread that
//!    comes late changes nothing, even if the entry has been removed from its new slot.
//! 3. *Finish* the targets, the last one last, by one exchange on the link. It also links the
//!    overflow chain, built beforehand, of the pointers that did not fit the slots. The exchange
//!    on the last target's link is the instant at which the unit migrates: until then the frozen
//!    sources hold the unit's entries, from then on the targets do. The thread whose exchange
//!    succeeds retires the sources' overflow buckets.
//!
//! A writer that meets a frozen bucket migrates its unit and goes on in the new array. A reader
//! that meets one asks whether its unit has migrated, and reads in the new array or in the old
//! one: it never helps and never waits.
//!
//! Units are handed out in chunks. If all chunks have been handed out and some are not copied,
//! because a thread stopped or ran out of memory, they are handed out again. So no thread can keep
//! the others from finishing the resize.

use std::hash::BuildHasher;
use std::ptr::null_mut;

use super::EpochTable;
use super::array::{BucketArray, CHUNK, MAX_BITS, Unit};
use super::bucket::{Bucket, EMPTY, SLOTS};
use super::failpoint::{self, Failpoint};
use super::reclaim::Guard;
use crate::allocator::NodeAllocator;
use crate::backend::common::load_factor;
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::backend::common::zeroed_array::ZeroedArray;
use crate::error::{Error, Result};
use crate::sync::primitive::atomic::Ordering;
use crate::system_memory::check_fits;
use crate::table::Table;

/// Number of chunks that one call looks at, if most are copied already.
const LOOK_AHEAD: usize = 64;

impl<A, S> EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Installs a larger array if the load factor is too high. Lack of memory only delays it:
    /// buckets get overflow buckets.
    #[cold]
    pub(super) fn grow_if_crowded(&self, guard: &Guard) {
        let array = self.current(guard);
        if array.next(guard).is_none()
            && self.account().counters.entries() > load_factor::MAX << array.bits()
        {
            let _ = self.start_resize(array, array.bits() + 1);
        }
    }

    /// Installs an array of 2^`bits` buckets as the next one of `array`, unless it has one.
    pub(super) fn start_resize(&self, array: &BucketArray, bits: u32) -> Result<()> {
        if bits > MAX_BITS {
            return Err(Error::OutOfMemory { requested: usize::MAX });
        }
        // Until the resize is done, there are both arrays.
        let buckets = (1_usize << bits).saturating_add(array.buckets().len());
        check_fits(buckets.saturating_mul(size_of::<Bucket>()))?;
        let next = BucketArray::allocate(bits, Some(array.bits()), self.pages)?;
        if !array.install_next(next) {
            // SAFETY: nobody has seen it.
            unsafe { BucketArray::free(next) };
        }
        failpoint::hit(Failpoint::NextInstalled);
        Ok(())
    }

    /// Grows until the table is large enough for `entries`, or shrinks while it is larger than
    /// they need.
    pub(super) fn resize_for(&self, entries: usize, grow: bool, guard: &mut Guard) -> Result<()> {
        let buckets = entries.div_ceil(load_factor::TARGET).max(1 << self.initial_bits);
        let bits = buckets.checked_next_power_of_two().map_or(u32::MAX, usize::ilog2);
        if grow && bits > self.current(guard).bits() {
            // The table gets there by doubling, and touches all of it. So it is better refused
            // before than on the way.
            let too_much =
                Error::OutOfMemory { requested: buckets.saturating_mul(size_of::<Bucket>()) };
            if bits > MAX_BITS || ZeroedArray::<Bucket>::probe(1 << bits).is_err() {
                return Err(too_much);
            }
        }
        loop {
            guard.repin();
            let array = self.current(guard);
            if array.next(guard).is_some() {
                self.help_resize(array, guard)?;
            } else if grow && array.bits() < bits {
                self.start_resize(array, array.bits() + 1)?;
            } else if !grow && array.bits() > bits {
                self.start_resize(array, array.bits() - 1)?;
            } else {
                return Ok(());
            }
        }
    }

    /// Migrates a chunk of units if a resize is under way: a writer's share.
    pub(super) fn help_resize(&self, array: &BucketArray, guard: &Guard) -> Result<()> {
        let Some(to) = array.next(guard) else { return Ok(()) };
        let Some(migration) = to.migration() else { return Ok(()) };
        let chunks = migration.chunks.as_slice();
        for _ in 0..LOOK_AHEAD {
            let chunk = migration.claimed.fetch_add(1, Ordering::Relaxed) % chunks.len();
            if chunks[chunk].load(Ordering::Acquire) {
                if migration.copied.load(Ordering::Acquire) == chunks.len() {
                    break;
                }
                continue;
            }
            failpoint::hit(Failpoint::Claimed);
            for unit in chunk * CHUNK..((chunk + 1) * CHUNK).min(migration.units) {
                self.migrate_unit(array.unit(to, unit as u64), guard)?;
            }
            if !chunks[chunk].swap(true, Ordering::AcqRel) {
                migration.copied.fetch_add(1, Ordering::AcqRel);
            }
            break;
        }
        if migration.copied.load(Ordering::Acquire) == chunks.len() {
            self.finish_resize(array, to, guard);
        }
        Ok(())
    }

    /// Makes `to` the table's array, now that every unit has migrated.
    fn finish_resize(&self, array: &BucketArray, to: &BucketArray, guard: &Guard) {
        let (from, to) = (std::ptr::from_ref(array).cast_mut(), std::ptr::from_ref(to).cast_mut());
        failpoint::hit(Failpoint::Moved);
        if self.array.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            failpoint::hit(Failpoint::Finished);
            // SAFETY: who pins from here on finds `to` in its place; only the winner retires it.
            unsafe { self.garbage.retire_array(array, guard) };
        }
    }

    /// Migrates one unit, unless it has migrated. See the module for the steps.
    pub(super) fn migrate_unit(&self, unit: Unit<'_>, guard: &Guard) -> Result<()> {
        // A unit that migrated before this thread pinned may hold pointers to nodes that are freed
        // by now. A unit that migrates from here on does not: its nodes cannot be freed while this
        // thread is pinned.
        if unit.is_migrated() {
            return Ok(());
        }
        let splits_at = unit.split_bit();
        for source in unit.sources() {
            source.freeze(guard, |word| splits_at.is_some_and(|bit| self.hash_bit(word, bit)));
        }
        failpoint::hit(Failpoint::Frozen);
        let mut won = false;
        for (half, target) in unit.targets().enumerate() {
            let belongs =
                |word: &TaggedPtr| splits_at.is_none() || word.goes_to_second() == (half == 1);
            let sources = unit.sources().flat_map(|source| source.words(guard));
            let live = sources.map(|(_, word)| word).filter(|word| word.is_live());
            won = fill(target, live.filter(belongs).map(TaggedPtr::bare))?;
        }
        if won {
            failpoint::hit(Failpoint::BucketFinished);
            for source in unit.sources() {
                // SAFETY: the unit has moved, so nobody who pins from here on looks into its
                // sources' chains; only the thread that settled the last target retires them.
                unsafe { self.garbage.retire_chain(source, guard) };
            }
        }
        Ok(())
    }

    /// Returns whether bit `bit` of the hash of a word's key is set. The word is live, and the
    /// thread has been pinned since before it could have been removed. May call the user's hasher,
    /// which may panic, and may give another hash at each call.
    fn hash_bit(&self, word: TaggedPtr, bit: u32) -> bool {
        word.hash_bit(bit, || {
            let node = word.node().expect("a live word has a node");
            // SAFETY: the node is alive, by the caller's knowledge.
            self.account().hash(unsafe { node.key() })
        })
    }
}

/// Fills a target with the pointers that belong there, and finishes it. Returns whether this call
/// finished it.
fn fill(target: &Bucket, mut words: impl Iterator<Item = TaggedPtr>) -> Result<bool> {
    if target.link().is_migrated() {
        return Ok(false);
    }
    for (slot, word) in target.slots().iter().zip(&mut words) {
        // If this fails, another thread has filled the slot with the same pointer.
        let _ = slot.compare_exchange(EMPTY, word.0, Ordering::AcqRel, Ordering::Relaxed);
    }
    let overflow = chain_of(words)?;
    failpoint::hit(Failpoint::Filled);
    let settled = target.finish_bucket(overflow);
    if !settled {
        // SAFETY: the chain was made above, and nobody has seen it.
        unsafe { Bucket::free_chain(overflow) };
    }
    Ok(settled)
}

/// Makes a chain of overflow buckets that hold `words`. Returns null if there are none.
fn chain_of(mut words: impl Iterator<Item = TaggedPtr>) -> Result<*mut Bucket> {
    let mut first = null_mut();
    loop {
        let mut group = [TaggedPtr(EMPTY); SLOTS];
        let mut length = 0;
        for (place, word) in group.iter_mut().zip(&mut words) {
            *place = word;
            length += 1;
        }
        if length == 0 {
            return Ok(first);
        }
        match Bucket::allocate(&group[..length], first) {
            Ok(bucket) => first = bucket,
            Err(error) => {
                // SAFETY: the chain was made here, and nobody has seen it.
                unsafe { Bucket::free_chain(first) };
                return Err(error);
            }
        }
    }
}
