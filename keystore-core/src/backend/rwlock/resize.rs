//! Growing and shrinking, one bucket at a time.
//!
//! One thread at a time adds or removes the last bucket, under a lock of its own (whoever finds it taken goes on with its
//! own work) and the locks of the two buckets that share their entries, the lower index first. The new number of buckets is
//! published before those locks are given back. So whoever has locked a bucket and finds, by the number it reads then, that
//! its hash still belongs there, knows that nobody moves the entry while the lock is held.

use std::hash::BuildHasher;

use super::RwLockTable;
use super::bucket::Spare;
use super::directory::parent_of;
use super::lock::{BucketLock, Exclusive};
use crate::allocator::NodeAllocator;
use crate::backend::reentry;
use crate::backend::slot::Word;
use crate::error::{Error, Result};

/// Entries to a bucket that growth aims at: of six slots, so that few buckets overflow.
const LOAD: usize = 4;

/// Shrinking stops at this many entries to a bucket, below `LOAD`, so that a store of steady size does neither.
const SHRUNK_LOAD: usize = 3;

/// The most buckets that one writer adds: a writer pays for its share, not for everyone's.
const STEPS: usize = 64;

impl<A: NodeAllocator, L: BucketLock, S: BuildHasher> RwLockTable<A, L, S> {
    /// Adds buckets if the entries call for it, as one writer's share. Lack of memory only delays it: buckets chain.
    #[cold]
    pub(super) fn grow_a_little(&self) {
        // Inside a closure this thread may hold the lock of the very bucket to split.
        if reentry::is_inside() {
            return;
        }
        let Some(_resizing) = Exclusive::try_lock(&self.resizing) else { return };
        let wanted = self.ledger.entries() / LOAD;
        for _ in 0..STEPS {
            if self.directory.count() >= wanted || self.add_bucket().is_err() {
                return;
            }
        }
    }

    /// Adds buckets until there are enough for `entries`.
    pub(super) fn grow_for(&self, entries: usize) -> Result<()> {
        let _resizing = Exclusive::lock(&self.resizing, "reserve")?;
        while self.directory.count() < entries / LOAD {
            self.add_bucket()?;
        }
        Ok(())
    }

    /// Removes buckets that the entries do not call for.
    pub(super) fn shrink_to_fit(&self) -> Result<()> {
        let _resizing = Exclusive::lock(&self.resizing, "shrink")?;
        while self.directory.count() > (self.ledger.entries() / SHRUNK_LOAD).max(self.directory.initial()) {
            self.remove_bucket()?;
        }
        Ok(())
    }

    /// Splits one bucket in two. The resizing lock is held.
    fn add_bucket(&self) -> Result<()> {
        let new = self.directory.count();
        let (parent, bit) = parent_of(new);
        self.directory.prepare(new)?;
        let (low, high) = (self.directory.bucket(parent), self.directory.bucket(new));
        let _low = Exclusive::lock(&low.lock, "growing")?;
        let _high = Exclusive::lock(&high.lock, "growing")?;
        // SAFETY: both locks are held exclusively, and `push` takes none. What `drain` frees suffices for `push`.
        unsafe {
            low.entries.drain(Spare::none(), |word, spare| {
                let to = if self.hash_bit(word, bit) { high } else { low };
                to.entries.push(word, spare).expect("a split needs no more overflow buckets than it empties");
            });
        }
        self.directory.set_count(new + 1);
        Ok(())
    }

    /// Puts the last bucket's entries back where they were split from. The resizing lock is held.
    fn remove_bucket(&self) -> Result<()> {
        let last = self.directory.count() - 1;
        let (parent, _) = parent_of(last);
        // The last bucket's own six entries may need an overflow bucket more than it empties.
        let mut spare = Spare::none();
        spare.stock()?;
        let (low, high) = (self.directory.bucket(parent), self.directory.bucket(last));
        let _low = Exclusive::lock(&low.lock, "shrinking")?;
        let _high = Exclusive::lock(&high.lock, "shrinking")?;
        // SAFETY: both locks are held exclusively, and `push` takes none. What `drain` frees and the one in stock suffice.
        unsafe {
            high.entries.drain(spare, |word, spare| {
                low.entries
                    .push(word, spare)
                    .expect("a merge needs one overflow bucket more than it empties");
            });
        }
        self.directory.set_count(last);
        Ok(())
    }

    /// Bit `bit` of the hash of a word's key. The lock of the word's bucket is held.
    fn hash_bit(&self, word: Word, bit: u32) -> bool {
        word.hash_bit(bit).unwrap_or_else(|| {
            let node = word.node().expect("only words with a node are moved");
            // SAFETY: a node in a locked bucket is alive.
            self.ledger.hash(unsafe { node.key() }) >> bit & 1 == 1
        })
    }
}

/// The most entries that a table can be asked to have room for.
pub(super) const MAX_RESERVE: usize = isize::MAX as usize / 64;

/// The error for asking for more.
pub(super) fn reserve_too_large(entries: usize) -> Error {
    Error::OutOfMemory { requested: (entries / LOAD).saturating_mul(64) }
}
