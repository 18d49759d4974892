//! Growing and shrinking, a few buckets at a time, by everyone who writes.
//!
//! A unit ([`super::array`]) is moved in three steps, each of which any number of threads may do
//! at once, stop in, or repeat:
//!
//! 1. *Freeze* the source buckets: flags on the links, so that the chains grow no more, then on
//!    the slots. What a frozen slot holds never changes again. An insertion that is still pending
//!    in one has failed, and its thread starts over in the new array. If the bucket splits, the
//!    exchange that freezes a live word also writes into it which half it goes to. So this is
//!    decided once for all threads and both halves, whatever the user's hasher answers when it is
//!    asked again.
//! 2. *Fill* the target buckets. The live words of the frozen sources, in the order of their
//!    slots, go to the targets' slots in order: so every thread copies the same words to the same
//!    slots. A slot is filled by exchanging [`EMPTY`](super::bucket::EMPTY) for its word, and a
//!    slot that was filled is never fresh again; so a thread that comes late, even after the entry
//!    has been removed from its new place, changes nothing.
//! 3. *Settle* the targets, the last one last, by one exchange on the link, which also hangs on
//!    the words that did not fit the slots, as a chain that was built beforehand. The exchange on
//!    the last target's link is the instant at which the unit moves: until then the frozen sources
//!    say what the unit's entries are, from then on the targets do. Whoever wins it retires the
//!    sources' overflow buckets.
//!
//! A writer that meets a frozen bucket moves its unit and goes on in the new array. A reader that
//! meets one looks whether its unit has moved, and reads there or here: it never helps and never
//! waits.
//!
//! Units are handed out in chunks. When all have been handed out and some are not done, because a
//! thread stopped in the middle or ran out of memory, they are handed out again. So no thread can
//! keep the others from finishing the move.

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

/// Chunks that are looked at in one turn, where most are done already.
const LOOK_AHEAD: usize = 64;

impl<A, S> EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Hangs on a larger array where the entries call for it. Lack of memory only delays it:
    /// buckets chain.
    #[cold]
    pub(super) fn grow_if_crowded(&self, guard: &Guard) {
        let array = self.current(guard);
        if array.next(guard).is_none()
            && self.account().counters.entries() > load_factor::MAX << array.bits()
        {
            let _ = self.start_resize(array, array.bits() + 1);
        }
    }

    /// Hangs an array of 2^`bits` buckets on `array`, unless it has one.
    pub(super) fn start_resize(&self, array: &BucketArray, bits: u32) -> Result<()> {
        if bits > MAX_BITS {
            return Err(Error::OutOfMemory { requested: usize::MAX });
        }
        // Until the move is done there are both.
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

    /// Grows or shrinks until the table has the size for `entries`: at least where `grow`, at most
    /// where not.
    pub(super) fn resize_for(&self, entries: usize, grow: bool, guard: &mut Guard) -> Result<()> {
        let buckets = entries.div_ceil(load_factor::TARGET).max(1 << self.initial_bits);
        let bits = buckets.checked_next_power_of_two().map_or(u32::MAX, usize::ilog2);
        if grow && bits > self.current(guard).bits() {
            // The table gets there by doubling, and touches all of it: better to be refused before
            // than on the way.
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

    /// Moves a chunk of units, where a move is under way: a writer's share.
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

    /// Makes `to` the table's array, now that every unit has moved there.
    fn finish_resize(&self, array: &BucketArray, to: &BucketArray, guard: &Guard) {
        let (from, to) = (std::ptr::from_ref(array).cast_mut(), std::ptr::from_ref(to).cast_mut());
        failpoint::hit(Failpoint::Moved);
        if self.array.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            failpoint::hit(Failpoint::Finished);
            // SAFETY: who pins from here on finds `to` in its place; only the winner retires it.
            unsafe { self.garbage.retire_array(array, guard) };
        }
    }

    /// Moves one unit, unless it has been moved. See the module for the steps.
    pub(super) fn migrate_unit(&self, unit: Unit<'_>, guard: &Guard) -> Result<()> {
        // A unit that moved before this thread pinned may hold words of nodes that are gone by
        // now. One that moves from here on does not: its nodes cannot be freed while this thread
        // is pinned.
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

    /// Bit `bit` of the hash of a word's key. The word is live, and the thread has been pinned
    /// since before it could have been removed. May ask the user's hasher, which may panic, and
    /// may answer otherwise when it is asked again.
    fn hash_bit(&self, word: TaggedPtr, bit: u32) -> bool {
        word.hash_bit(bit).unwrap_or_else(|| {
            let node = word.node().expect("a live word has a node");
            // SAFETY: the node is alive, by what the caller knows.
            self.account().hash(unsafe { node.key() }) >> bit & 1 == 1
        })
    }
}

/// Fills a target with the words that belong there, and settles it: whether this call did the
/// latter.
fn fill(target: &Bucket, mut words: impl Iterator<Item = TaggedPtr>) -> Result<bool> {
    if target.link().is_migrated() {
        return Ok(false);
    }
    for (slot, word) in target.slots().iter().zip(&mut words) {
        // Where this fails, another thread has filled the slot with this same word.
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

/// A chain of overflow buckets that hold `words`; null for none.
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
