//! Provides a simple sharded map as a peer: std's hash table in shards, each behind a reader-writer
//! lock. A good programmer can write it in an afternoon.
//!
//! The table is hashbrown's `HashTable`, which std's `HashMap` is built on. It accepts a hash, so a
//! key is hashed only once for both the shard and the place in the shard. std's interface would
//! hash it again. The lock is parking_lot's. Each shard has its own cache lines, and there are four
//! shards for each processor, as in dashmap.

use std::hash::BuildHasher;
use std::ops::ControlFlow;

use crossbeam_utils::CachePadded;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use keystore::{Change, DefaultHasher, Update};
use parking_lot::RwLock;

use super::map::{Bytes, Map, new_bytes, overwrite};
use crate::measure::machine::processors;

/// Number of top bits of a hash that hashbrown keeps as an entry's tag. The bits below them choose
/// the shard. So within a shard the tags still differ, and so do the low bits, which choose the
/// place in the table.
const TAG_BITS: u32 = 7;

type Pair = (Bytes, Bytes);

/// A map in locked shards.
pub(super) struct Sharded {
    hasher: DefaultHasher,
    /// 64 minus the number of bits that choose a shard.
    shift: u32,
    shards: Box<[CachePadded<RwLock<HashTable<Pair>>>]>,
}

impl Default for Sharded {
    fn default() -> Self {
        let count = (processors() * 4).next_power_of_two();
        Self {
            hasher: DefaultHasher::default(),
            shift: u64::BITS - count.ilog2(),
            shards: (0..count).map(|_| CachePadded::default()).collect(),
        }
    }
}

impl Sharded {
    /// Returns the hash and the shard of a key.
    #[inline]
    fn find(&self, key: &[u8]) -> (u64, &RwLock<HashTable<Pair>>) {
        let hash = self.hasher.hash_one(key);
        (hash, &self.shards[((hash << TAG_BITS) >> self.shift) as usize])
    }

    /// Returns the hash of an entry, which a growing shard needs to move it.
    fn rehash(&self, (key, _): &Pair) -> u64 {
        self.hasher.hash_one(&**key)
    }
}

impl Map for Sharded {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let (hash, shard) = self.find(key);
        shard.read().find(hash, |pair| &*pair.0 == key).map(|pair| visit(&pair.1))
    }

    #[inline]
    fn set(&self, key: &[u8], value: &[u8]) -> Change {
        let (hash, shard) = self.find(key);
        match shard.write().entry(hash, |pair| &*pair.0 == key, |pair| self.rehash(pair)) {
            Entry::Occupied(mut entry) => {
                overwrite(&mut entry.get_mut().1, value);
                Change::Replaced
            }
            Entry::Vacant(entry) => {
                entry.insert((key.into(), value.into()));
                Change::Created
            }
        }
    }

    #[inline]
    fn insert(&self, key: &[u8], value: &[u8]) -> bool {
        let (hash, shard) = self.find(key);
        match shard.write().entry(hash, |pair| &*pair.0 == key, |pair| self.rehash(pair)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert((key.into(), value.into()));
                true
            }
        }
    }

    #[inline]
    fn update<'v>(
        &self,
        key: &[u8],
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Change {
        let (hash, shard) = self.find(key);
        match shard.write().entry(hash, |pair| &*pair.0 == key, |pair| self.rehash(pair)) {
            Entry::Occupied(mut entry) => match decide(Some(&entry.get().1)) {
                Update::Keep => Change::Kept,
                Update::Set(value) => {
                    let new = new_bytes(&value, Some(&entry.get().1));
                    overwrite(&mut entry.get_mut().1, &new);
                    Change::Replaced
                }
                Update::Delete => {
                    entry.remove();
                    Change::Deleted
                }
            },
            Entry::Vacant(entry) => match decide(None) {
                Update::Set(value) => {
                    entry.insert((key.into(), (&*new_bytes(&value, None)).into()));
                    Change::Created
                }
                Update::Keep | Update::Delete => Change::Absent,
            },
        }
    }

    #[inline]
    fn remove(&self, key: &[u8]) -> bool {
        let (hash, shard) = self.find(key);
        match shard.write().find_entry(hash, |pair| &*pair.0 == key) {
            Ok(entry) => {
                entry.remove();
                true
            }
            Err(_) => false,
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) {
        let _ = self.shards.iter().try_for_each(|shard| {
            shard.read().iter().try_for_each(|(key, value)| visit(key, value))
        });
    }
}
