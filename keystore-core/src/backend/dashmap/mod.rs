//! `DashMapKeystore`: the backend that keeps its nodes in dashmap's shards.
//!
//! dashmap is an array of shards. Each shard is a hashbrown table with a reader-writer lock. An
//! operation hashes its key once, and the hash chooses the shard and the slot in it. This backend
//! uses dashmap's raw interface, which accepts that hash. The raw interface also returns an error
//! if memory is short, whereas the ordinary one ends the process. An entry of a shard is the hash
//! and the node, 16 bytes. So a shard that grows need not read its nodes.
//!
//! The limits of dashmap's design remain:
//!
//! - Writers of one shard wait for each other.
//! - The operation that fills a shard rehashes the whole shard at once, under the shard's lock.
//! - A scan locks a whole shard at a time.
//!
//! The linearization point of an operation is any instant at which it holds its shard's lock.

mod scan_order;
mod shard;

use std::fmt;
use std::hash::BuildHasher;
use std::ops::ControlFlow;
use std::time::Duration;

use dashmap::DashMap;

use self::scan_order::ScanOrder;
use self::shard::{ENTRY_BYTES, Entry, ReadLocked, Shard, WriteLocked, WriteLookup};
use crate::account::{Account, counters::Event};
use crate::allocator::{Global, NodeAllocator};
use crate::backend::common::cursor::Cursor;
use crate::backend::common::hint::cold;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hash::DefaultHasher;
use crate::keystore::Change;
use crate::node::{Node, NodeRef};
use crate::open::BackendKind;
use crate::store::Store;
use crate::sync::reentrancy::{self, Closure};
use crate::system_memory::{allocator_has, check_fits};
use crate::table::{Footprint, Survey, Table, describe};
use crate::update::{Source, Update};

/// Upper bound of the bytes of an empty map. A shard takes up to 128 bytes, and there are four
/// shards for each processor.
const FIRST_SHARDS: usize = 64 << 10;

/// A store whose nodes are in dashmap's shards. The [crate's page](crate) says how to choose a
/// backend.
pub type DashMapKeystore<A = Global, S = DefaultHasher> = Store<DashMapTable<A, S>>;

impl<A: NodeAllocator> DashMapKeystore<A> {
    /// Opens an empty store whose nodes come from `allocator`.
    ///
    /// # Errors
    /// Returns [`Error::InvalidConfig`] (-21) if a field of the configuration is outside its
    /// limits, and [`Error::OutOfMemory`] (-10) if the first tables cannot be allocated.
    pub fn open(config: &Config, allocator: A) -> Result<Self> {
        Self::with_hasher(config, allocator, DefaultHasher::default())
    }
}

impl<A: NodeAllocator, S: BuildHasher> DashMapKeystore<A, S> {
    /// Opens an empty store with another hasher.
    ///
    /// # Errors
    /// Returns [`Error::InvalidConfig`] (-21) if a field of the configuration is outside its
    /// limits, and [`Error::OutOfMemory`] (-10) if the first tables cannot be allocated.
    pub fn with_hasher(config: &Config, allocator: A, hasher: S) -> Result<Self> {
        let account = Account::new(config, allocator, hasher)?;
        // dashmap returns no error if there is no memory for its shards. Nor does the standard
        // library when it counts the processors, from which dashmap computes the number of shards.
        // So this checks beforehand that there is memory.
        if !allocator_has(FIRST_SHARDS) {
            return Err(Error::OutOfMemory { requested: FIRST_SHARDS });
        }
        let initial_entries = config.initial_buckets;
        let table = DashMapTable {
            account,
            map: DashMap::with_hasher(Unused),
            initial_entries,
            lock_timeout: config.lock_timeout,
        };
        table.reserve(initial_entries)?;
        Ok(Self::over(table, config))
    }
}

impl Default for DashMapKeystore {
    /// Returns an empty store on the global allocator.
    ///
    /// # Panics
    /// If the first tables, a few KiB, cannot be allocated.
    fn default() -> Self {
        Self::open(&Config::default(), Global).expect("the default configuration is valid")
    }
}

/// The table behind [`DashMapKeystore`].
pub struct DashMapTable<A: NodeAllocator, S: BuildHasher> {
    account: Account<A, S>,
    map: DashMap<Entry, (), Unused>,
    /// Initial capacity, in entries.
    initial_entries: usize,
    /// Longest time that a call waits for a lock, if it is limited.
    lock_timeout: Option<Duration>,
}

/// An automatically shrinking table shrinks below 1/SHRINK_BELOW_ONE_IN occupancy.
const SHRINK_BELOW_ONE_IN: usize = 8;

/// Hasher that dashmap requires. It is never called, since the account computes the hashes.
#[derive(Clone, Copy, Debug)]
struct Unused;

impl BuildHasher for Unused {
    type Hasher = std::hash::DefaultHasher;

    fn build_hasher(&self) -> Self::Hasher {
        Self::Hasher::new()
    }
}

impl<A: NodeAllocator, S: BuildHasher> DashMapTable<A, S> {
    /// Returns the shard that has `hash`.
    #[inline]
    fn shard_of(&self, hash: u64) -> &Shard {
        &self.map.shards()[self.map.determine_shard(hash as usize)]
    }

    /// Returns the bytes of the shards' tables.
    fn shard_bytes(&self) -> usize {
        let shards = self.map.shards();
        // Inside a closure, shards whose locks another guard holds exclusively are left out.
        let tables: usize = shards
            .iter()
            .filter_map(|shard| self.read_shard(shard, "stats").ok())
            .map(|shard| shard.bytes())
            .sum();
        tables + size_of_val(shards)
    }

    /// Locks a shard for reading. Waits for the lock, unless the thread is inside a closure of a
    /// store.
    #[inline]
    fn read_shard<'a>(&self, shard: &'a Shard, operation: &'static str) -> Result<ReadLocked<'a>> {
        match shard::try_read(shard) {
            Some(locked) => Ok(locked),
            None => self.wait(operation, || shard::try_read(shard), || shard::read(shard)),
        }
    }

    /// Locks a shard for writing. Waits for the lock, unless the thread is inside a closure of a
    /// store.
    #[inline]
    fn write_shard<'a>(
        &self,
        shard: &'a Shard,
        operation: &'static str,
    ) -> Result<WriteLocked<'a>> {
        match shard::try_write(shard) {
            Some(locked) => Ok(locked),
            None => self.wait(operation, || shard::try_write(shard), || shard::write(shard)),
        }
    }

    /// Waits for a shard's lock. See [`reentrancy::wait_for_lock`].
    #[cold]
    #[inline(never)]
    fn wait<G>(
        &self,
        operation: &'static str,
        try_lock: impl Fn() -> Option<G> + Copy,
        wait: impl FnOnce() -> G,
    ) -> Result<G> {
        // dashmap's lock has no timed wait.
        let in_time = |lock_timeout| reentrancy::poll(Some(lock_timeout), try_lock);
        reentrancy::wait_for_lock(self.lock_timeout, try_lock, in_time, wait)
            .ok_or_else(|| reentrancy::refused(operation, self.lock_timeout))
    }

    /// Replaces the found node by a new node with this value. Returns the number of bytes by which
    /// the new node is larger.
    #[cold]
    #[inline(never)]
    fn replace(&self, lookup: WriteLookup<'_>, key: &[u8], value: Source<'_>) -> Result<i64> {
        let freed = lookup.node().map_or(0, NodeRef::size) as i64;
        let new = self.account.create_node(key, value, lookup.node())?;
        self.destroy(lookup.replace(new));
        Ok(Node::size_for(key.len(), value.len()) as i64 - freed)
    }

    /// Destroys a node that was taken out of a shard, if any, and unlocks the shard.
    #[inline]
    fn destroy(&self, taken: Option<(WriteLocked<'_>, Node)>) {
        if let Some((_shard, node)) = taken {
            // SAFETY: the node was taken out of its shard under the exclusive lock, so no other
            // thread uses it.
            unsafe { self.account.heap.destroy_node(node) };
        }
    }
}

impl<A: NodeAllocator, S: BuildHasher> fmt::Debug for DashMapTable<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(self, "DashMapTable", f)
    }
}

impl<A: NodeAllocator, S: BuildHasher> Table for DashMapTable<A, S> {
    type Allocator = A;
    type Hasher = S;
    const BACKEND: BackendKind = BackendKind::DashMap;
    type Session = ();

    #[inline]
    fn account(&self) -> &Account<A, S> {
        &self.account
    }

    #[inline]
    fn enter(&self) -> Option<()> {
        Some(())
    }

    // There is no prefetching: a shard's table may be replaced at any time, so its address is known
    // only under the lock.

    #[inline]
    fn read<C: Closure, R>(
        &self,
        (): &(),
        hash: u64,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let lookup =
            self.read_shard(self.shard_of(hash), "read")?.find(hash, |node| node.has_key(key));
        let shown = lookup.node().map(|node| C::inside(|| visit(node.value())));
        drop(lookup);
        Ok(shown)
    }

    #[inline(always)]
    fn update_entry<'v, C: Closure>(
        &self,
        (): &(),
        hash: u64,
        key: &[u8],
        _likely: Option<&[u8]>,
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
        on_effect: impl FnOnce(Change, i64),
    ) -> Result<Change> {
        let mut lookup =
            self.write_shard(self.shard_of(hash), "write")?.find(hash, |node| node.has_key(key));
        let change = match lookup.node() {
            Some(node) => match C::inside(|| decide(Some(node.value()))) {
                Update::Keep => Change::Kept,
                Update::Set(value) if lookup.overwrite(value.source()) => Change::Replaced,
                Update::Set(value) => {
                    let grown = self.replace(lookup, key, value.source())?;
                    on_effect(Change::Replaced, grown);
                    return Ok(Change::Replaced);
                }
                Update::Delete => {
                    let freed = lookup.node().map_or(0, NodeRef::size) as i64;
                    self.destroy(lookup.remove());
                    on_effect(Change::Deleted, -freed);
                    return Ok(Change::Deleted);
                }
            },
            None => match C::inside(|| decide(None)) {
                Update::Set(value) => {
                    return cold(|| {
                        lookup
                            .insert(hash, || self.account.create_node(key, value.source(), None))?;
                        let size = Node::size_for(key.len(), value.source().len());
                        on_effect(Change::Created, size as i64);
                        Ok(Change::Created)
                    });
                }
                Update::Keep | Update::Delete => Change::Absent,
            },
        };
        drop(lookup);
        on_effect(change, 0);
        Ok(change)
    }

    fn scan(
        &self,
        (): &mut (),
        cursor: &mut Cursor,
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let order = ScanOrder::new(self.map.shards().len());
        let mut left = limit;
        while left > 0
            && let Some(from) = cursor.position()
        {
            let index = order.shard_of(from);
            let shard = self.read_shard(&self.map.shards()[index], "for_each")?;
            let place = |hash: u64| order.place(index, hash);
            let places = shard.entries().map(|(hash, _)| place(hash));
            let last = order.last_of(from, left, places, shard.len())?;
            for (hash, node) in shard.entries() {
                if (from..=last).contains(&place(hash)) {
                    left = left.saturating_sub(1);
                    if reentrancy::inside(|| visit(node.key(), node.value())).is_break() {
                        return Ok(());
                    }
                }
            }
            cursor.move_to(last.checked_add(1));
        }
        Ok(())
    }

    fn retain(&self, (): &mut (), mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        let mut removed = 0;
        for shard in self.map.shards() {
            let is_unwanted =
                |node: NodeRef<'_>| !reentrancy::inside(|| keep(node.key(), node.value()));
            for node in self.write_shard(shard, "retain")?.extract_if(is_unwanted) {
                // SAFETY: the node was taken out of its shard under the exclusive lock, so no other
                // thread uses it.
                let freed = unsafe {
                    let size = node.size() as i64;
                    self.account.heap.destroy_node(node);
                    size
                };
                self.account.counters.record_with_bytes(Event::DeleteHit, -freed);
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn reserve(&self, entries: usize) -> Result<()> {
        let shards = self.map.shards();
        // Hashes spread unevenly over the shards. With an eighth more capacity, nearly every shard
        // can hold its entries without growing.
        let share =
            (entries / shards.len()).saturating_add(entries / shards.len() / 8).saturating_add(1);
        check_fits(share.saturating_mul(shards.len()).saturating_mul(ENTRY_BYTES))?;
        for shard in shards {
            self.write_shard(shard, "reserve")?.reserve(share)?;
        }
        Ok(())
    }

    fn shrink(&self) -> Result<()> {
        for shard in self.map.shards() {
            self.write_shard(shard, "shrink")?.shrink()?;
        }
        Ok(())
    }

    fn shrink_if_sparse(&self, (): &()) {
        let capacity = self.shard_bytes() / ENTRY_BYTES;
        // hashbrown may have allocated up to four times the initial capacity, since it rounds up
        // the capacity of every shard to a power of two.
        let grown = capacity > 4 * self.initial_entries.max(self.map.shards().len() * 4);
        if grown
            && self.account.counters.entries() < capacity / SHRINK_BELOW_ONE_IN
            && !reentrancy::is_inside()
        {
            // A lack of memory only delays the shrinking.
            let _ = self.shrink().and_then(|()| self.reserve(self.initial_entries));
        }
    }

    fn survey(&self) -> Result<Survey> {
        let mut survey = Survey::default();
        for shard in self.map.shards() {
            survey.add_bucket(self.read_shard(shard, "stats")?.nodes().map(NodeRef::size))?;
        }
        Ok(survey)
    }

    fn array_bytes(&self) -> Result<usize> {
        Ok(self.shard_bytes())
    }

    fn footprint(&self) -> Result<Footprint> {
        Ok(Footprint { table_bytes: self.shard_bytes() as u64, ..Footprint::default() })
    }
}

impl<A: NodeAllocator, S: BuildHasher> Drop for DashMapTable<A, S> {
    fn drop(&mut self) {
        for shard in self.map.shards() {
            for node in shard::write(shard).extract_if(|_| true) {
                // SAFETY: the table is being dropped, so no other thread uses it, and the node was
                // taken out of it.
                unsafe { self.account.heap.destroy_node(node) };
            }
        }
    }
}
