//! Growing and shrinking the table. Every thread that writes migrates a few buckets.
//!
//! A *unit* ([`super::array`]) is migrated in three steps. Several threads may do the same step at
//! the same time. A thread may also stop in a step, or repeat it.
//!
//! 1. *Freeze* the source buckets. First set a flag on the links, so that the chains no longer
//!    grow. Then set a flag on the slots. The content of a frozen slot never changes again. If an
//!    insertion is still pending in a frozen slot, it has failed, and its thread starts over in the
//!    new array. If the bucket splits, the exchange that freezes a live pointer also stores in the
//!    pointer which half it goes to. So this is decided once for all threads and both halves, even
//!    if the user's hasher later returns another hash.
//! 2. *Fill* the target buckets. The live pointers of the frozen sources, in the order of their
//!    slots, go to the targets' slots in order. So every thread copies the same pointers to the
//!    same slots. A slot is filled by exchanging [`EMPTY`](super::bucket::EMPTY) for its pointer,
//!    and a filled slot is never empty again (a removal leaves a tombstone). So a late thread
//!    changes nothing, even if the entry has already been removed from its new slot.
//! 3. *Finish* the targets in order, each by one exchange on its link. If some pointers did not fit
//!    into the slots, they are in an overflow chain that was built beforehand, and the same
//!    exchange links that chain. The exchange on the last target's link is the instant at which the
//!    unit migrates. Until then the frozen sources hold the unit's entries, and from then on the
//!    targets hold them. The thread whose exchange succeeds retires the sources' overflow buckets.
//!
//! A writer that finds a frozen bucket migrates its unit and continues in the new array. A reader
//! that finds a frozen bucket checks whether its unit has migrated. If so, it reads in the new
//! array, otherwise in the old one. A reader never helps and never waits.
//!
//! Threads claim units in chunks. A chunk may be claimed but not copied, because its thread stopped
//! or ran out of memory. When all chunks have been claimed, such chunks are claimed again. So no
//! thread can keep the others from finishing the resize.

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

/// Limit on the number of chunks that one call claims to find one that is not copied yet.
const LOOK_AHEAD: usize = 64;

impl<A, S> EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Installs a larger array if the load factor is too high. A lack of memory only delays the
    /// growth: until then, more entries go to overflow buckets.
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
        // Both arrays exist until the resize is done.
        let buckets = (1_usize << bits).saturating_add(array.buckets().len());
        check_fits(buckets.saturating_mul(size_of::<Bucket>()))?;
        let next = BucketArray::allocate(bits, Some(array.bits()), self.pages)?;
        if !array.install_next(next) {
            // SAFETY: no other thread has seen the array.
            unsafe { BucketArray::free(next) };
        }
        failpoint::hit(Failpoint::NextInstalled);
        Ok(())
    }

    /// Grows until the table is large enough for `entries`, or, if `grow` is false, shrinks while
    /// the table is larger than they need.
    pub(super) fn resize_for(&self, entries: usize, grow: bool, guard: &mut Guard) -> Result<()> {
        let buckets = entries.div_ceil(load_factor::TARGET).max(1 << self.initial_bits);
        let bits = buckets.checked_next_power_of_two().map_or(u32::MAX, usize::ilog2);
        if grow && bits > self.current(guard).bits() {
            // The table reaches this size by doubling, and each step touches a whole array. So if
            // the last array cannot be allocated, it is better to fail before the first step.
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

    /// Does a writer's share of a resize, if one is under way: migrates one chunk of units.
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
            // SAFETY: a thread that pins from here on finds `to` instead of `array`, and only the
            // thread whose exchange succeeded retires `array`.
            unsafe { self.garbage.retire_array(array, guard) };
        }
    }

    /// Migrates one unit, unless it has migrated. See the module for the steps.
    pub(super) fn migrate_unit(&self, unit: Unit<'_>, guard: &Guard) -> Result<()> {
        // If the unit migrated before this thread pinned, its sources may hold pointers to nodes
        // that have been freed. If it migrates after this check, they do not, since its nodes
        // cannot be freed while this thread is pinned.
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
                // SAFETY: the unit has migrated, so a thread that pins from here on does not read
                // its sources' chains. Only the thread that finished the last target retires them.
                unsafe { self.garbage.retire_chain(source, guard) };
            }
        }
        Ok(())
    }

    /// Returns whether bit `bit` of the hash of a word's key is set. The word must be live, and the
    /// thread must have been pinned since before the word could have been removed. This may call
    /// the user's hasher, which may panic and may return another hash at each call.
    fn hash_bit(&self, word: TaggedPtr, bit: u32) -> bool {
        word.hash_bit(bit, || {
            let node = word.node().expect("a live word has a node");
            // SAFETY: the node is alive, since the caller has been pinned since before the word
            // could have been removed.
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
        // If the exchange fails, another thread has filled the slot with the same pointer.
        let _ = slot.compare_exchange(EMPTY, word.0, Ordering::AcqRel, Ordering::Relaxed);
    }
    let overflow = chain_of(words)?;
    failpoint::hit(Failpoint::Filled);
    let settled = target.finish_bucket(overflow);
    if !settled {
        // SAFETY: the chain was made above, and no other thread has seen it.
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
                // SAFETY: the chain was made here, and no other thread has seen it.
                unsafe { Bucket::free_chain(first) };
                return Err(error);
            }
        }
    }
}
