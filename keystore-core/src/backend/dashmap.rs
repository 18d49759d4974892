//! `DashMapKeystore`: dashmap's shards, which hold our nodes.
//!
//! dashmap is an array of shards, each a reader-writer lock over a hashbrown table. An operation
//! hashes its key once, and the hash chooses the shard and the slot in it. dashmap's raw interface
//! takes that hash, and reports a lack of memory, for which its ordinary interface aborts. An entry
//! of a shard is the hash and the node, 16 bytes. So a shard that grows needs to look at no node.
//!
//! The limits of dashmap's design stay: writers of one shard wait for each other; a shard that
//! grows is rehashed in one go, under its lock, by the operation that filled it; a scan holds a
//! whole shard.
//!
//! The linearization point of an operation is any instant at which it holds its shard's lock.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::time::Duration;

use dashmap::{DashMap, RwLock, RwLockReadGuard, RwLockWriteGuard, SharedValue};

use crate::account::{Account, counters::Event};
use crate::allocator::{Global, NodeAllocator};
use crate::backend::common::hint::cold;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hash::DefaultHasher;
use crate::keystore::Change;
use crate::node::Node;
use crate::open::BackendKind;
use crate::store::Store;
use crate::sync::reentrancy::{self, Closure};
use crate::system_memory::allocator_has;
use crate::system_memory::check_fits;
use crate::table::{Action, Footprint, Survey, Table, describe};

/// Upper bound of the bytes of an empty map: up to 128 bytes for each shard, and four shards for
/// each processor.
const FIRST_SHARDS: usize = 64 << 10;

/// A store in dashmap's shards. See the [crate's page](crate) on choosing.
pub type DashMapKeystore<A = Global, S = DefaultHasher> = Store<DashMapTable<A, S>>;

impl<A: NodeAllocator> DashMapKeystore<A> {
    /// Opens an empty store whose nodes come from `allocator`.
    ///
    /// # Errors
    /// -21 for a configuration outside its limits, -10 if the first tables cannot be allocated.
    pub fn open(config: &Config, allocator: A) -> Result<Self> {
        Self::with_hasher(config, allocator, DefaultHasher::default())
    }
}

impl<A: NodeAllocator, S: BuildHasher> DashMapKeystore<A, S> {
    /// Opens an empty store with another hasher.
    ///
    /// # Errors
    /// -21 for a configuration outside its limits, -10 if the first tables cannot be allocated.
    pub fn with_hasher(config: &Config, allocator: A, hasher: S) -> Result<Self> {
        let account = Account::new(config, allocator, hasher)?;
        // dashmap cannot report that there is no memory for its shards. Nor can the standard
        // library when it counts the processors, by which dashmap chooses the number of shards.
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
    /// An empty store on the global allocator.
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
    /// Initial capacity, entries.
    initial_entries: usize,
    /// Time that a call waits for a lock.
    lock_timeout: Option<Duration>,
}

/// An automatically shrinking table shrinks below 1/SHRINK_BELOW_ONE_IN occupancy.
const SHRINK_BELOW_ONE_IN: usize = 8;

/// Entry of a shard. dashmap's values stay empty: the node has the value.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    node: Node,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// dashmap's own hasher, which is never called: the account hashes.
#[derive(Clone, Copy, Debug)]
struct Unused;

impl BuildHasher for Unused {
    type Hasher = std::hash::DefaultHasher;

    fn build_hasher(&self) -> Self::Hasher {
        Self::Hasher::new()
    }
}

/// The pair that dashmap keeps for an entry.
type Kept = (Entry, SharedValue<()>);

fn hash_of(kept: &Kept) -> u64 {
    kept.0.hash
}

/// Returns `T::default()` for a type that dashmap does not export.
fn empty_like<T: Default>(_: &T) -> T {
    T::default()
}

/// Returns whether a shard's entry has this key.
///
/// # Safety
/// The shard is locked.
#[inline]
unsafe fn is_of(kept: &Kept, hash: u64, key: &[u8]) -> bool {
    // SAFETY: the node of an entry in a locked shard is alive.
    kept.0.hash == hash && unsafe { kept.0.node.has_key(key) }
}

impl<A: NodeAllocator, S: BuildHasher> DashMapTable<A, S> {
    fn shard_of(&self, hash: u64) -> usize {
        self.map.determine_shard(hash as usize)
    }

    /// Returns the bytes of the shards' tables.
    fn shard_bytes(&self) -> usize {
        let shards = self.map.shards();
        // Inside a closure the shard that it holds exclusively is left out.
        let tables: usize = shards
            .iter()
            .filter_map(|shard| self.read_shard(shard, "stats").ok())
            .map(|shard| shard.allocation_info().1.size())
            .sum();
        tables + size_of_val(shards)
    }

    /// Locks a shard for reading. Waits, unless the thread is inside a closure of a store.
    #[inline]
    fn read_shard<'a, T>(
        &self,
        shard: &'a RwLock<T>,
        operation: &'static str,
    ) -> Result<RwLockReadGuard<'a, T>> {
        if let Some(guard) = shard.try_read() {
            return Ok(guard);
        }
        let try_lock = || shard.try_read();
        // dashmap's lock has no timed wait.
        let in_time = |lock_timeout| reentrancy::poll(Some(lock_timeout), try_lock);
        reentrancy::wait_for_lock(self.lock_timeout, try_lock, in_time, || shard.read())
            .ok_or_else(|| reentrancy::refused(operation, self.lock_timeout))
    }

    /// Locks a shard for writing. Waits, unless the thread is inside a closure of a store.
    #[inline]
    fn write_shard<'a, T>(
        &self,
        shard: &'a RwLock<T>,
        operation: &'static str,
    ) -> Result<RwLockWriteGuard<'a, T>> {
        if let Some(guard) = shard.try_write() {
            return Ok(guard);
        }
        let try_lock = || shard.try_write();
        // dashmap's lock has no timed wait.
        let in_time = |lock_timeout| reentrancy::poll(Some(lock_timeout), try_lock);
        reentrancy::wait_for_lock(self.lock_timeout, try_lock, in_time, || shard.write())
            .ok_or_else(|| reentrancy::refused(operation, self.lock_timeout))
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

    // No prefetching: a shard's table may be replaced at any time, so its address is known under
    // the lock only.

    #[inline]
    fn read<C: Closure, R>(
        &self,
        (): &(),
        hash: u64,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let shard = self.read_shard(&self.map.shards()[self.shard_of(hash)], "read")?;
        // SAFETY: the shard is locked until it is dropped, and a node in a locked shard is alive
        // and not overwritten.
        let found = unsafe {
            let found = shard.get(hash, |kept| is_of(kept, hash, key));
            found.map(|kept| C::inside(|| visit(kept.0.node.value())))
        };
        drop(shard);
        Ok(found)
    }

    #[inline]
    fn update_entry<'v, C: Closure>(
        &self,
        (): &(),
        hash: u64,
        key: &[u8],
        _likely: Option<&[u8]>,
        mut decide: impl FnMut(Option<&[u8]>) -> Action<'v>,
        on_effect: impl FnOnce(Change),
    ) -> Result<Change> {
        let mut shard = self.write_shard(&self.map.shards()[self.shard_of(hash)], "write")?;
        // SAFETY: the shard is locked exclusively until it is dropped, so its entries and nodes
        // are ours; buckets are used before the table changes.
        unsafe {
            let change = match shard.find(hash, |kept| is_of(kept, hash, key)) {
                Some(bucket) => {
                    let node = bucket.as_ref().0.node;
                    match C::inside(|| decide(Some(node.value()))) {
                        Action::Keep => Change::Kept,
                        Action::Set(value) if node.overwrite(&value) => Change::Replaced,
                        Action::Set(value) => {
                            return cold(|| {
                                let new =
                                    self.account.heap.create_node(key, &value, node.size())?;
                                bucket.as_mut().0.node = new;
                                self.account.heap.destroy_node(node);
                                drop(shard);
                                on_effect(Change::Replaced);
                                Ok(Change::Replaced)
                            });
                        }
                        Action::Delete => {
                            shard.erase(bucket);
                            self.account.heap.destroy_node(node);
                            Change::Deleted
                        }
                    }
                }
                None => match C::inside(|| decide(None)) {
                    Action::Set(value) => {
                        return cold(|| {
                            if shard.len() == shard.capacity() {
                                let requested =
                                    (shard.buckets() * 2).saturating_mul(size_of::<Kept>());
                                check_fits(requested)?;
                                shard
                                    .try_reserve(1, hash_of)
                                    .map_err(|_| Error::OutOfMemory { requested })?;
                            }
                            let node = self.account.heap.create_node(key, &value, 0)?;
                            // The place is reserved: this neither grows nor fails.
                            shard.insert(
                                hash,
                                (Entry { hash, node }, SharedValue::new(())),
                                hash_of,
                            );
                            drop(shard);
                            on_effect(Change::Created);
                            Ok(Change::Created)
                        });
                    }
                    Action::Keep | Action::Delete => Change::Absent,
                },
            };
            drop(shard);
            on_effect(change);
            Ok(change)
        }
    }

    fn scan(
        &self,
        (): &mut (),
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        for shard in self.map.shards() {
            let shard = self.read_shard(shard, "for_each")?;
            // SAFETY: the shard is locked while its entries are looked at.
            unsafe {
                for bucket in shard.iter() {
                    let node = bucket.as_ref().0.node;
                    if reentrancy::inside(|| visit(node.key(), node.value())).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn retain(&self, (): &mut (), mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        let mut removed = 0;
        for shard in self.map.shards() {
            let mut shard = self.write_shard(shard, "retain")?;
            // SAFETY: the shard is locked exclusively, and erasing an entry that the iterator has
            // given is allowed.
            unsafe {
                for bucket in shard.iter() {
                    let node = bucket.as_ref().0.node;
                    if !reentrancy::inside(|| keep(node.key(), node.value())) {
                        shard.erase(bucket);
                        self.account.heap.destroy_node(node);
                        self.account.counters.record(Event::DeleteHit);
                        removed += 1;
                    }
                }
            }
        }
        Ok(removed)
    }

    fn reserve(&self, entries: usize) -> Result<()> {
        let shards = self.map.shards();
        // Hashes spread unevenly: an eighth more lets nearly every shard take its share without
        // growing.
        let share =
            (entries / shards.len()).saturating_add(entries / shards.len() / 8).saturating_add(1);
        check_fits(share.saturating_mul(shards.len()).saturating_mul(size_of::<Kept>()))?;
        for shard in shards {
            let mut shard = self.write_shard(shard, "reserve")?;
            let more = share.saturating_sub(shard.len());
            shard.try_reserve(more, hash_of).map_err(|_| Error::OutOfMemory {
                requested: more.saturating_mul(size_of::<Kept>()),
            })?;
        }
        Ok(())
    }

    fn shrink(&self) -> Result<()> {
        for shard in self.map.shards() {
            let mut shard = self.write_shard(shard, "shrink")?;
            // hashbrown's own shrinking aborts if memory is short. Moving the entries to a table
            // that was allocated beforehand has the same effect.
            let mut smaller = empty_like(&*shard);
            if smaller.try_reserve(shard.len(), hash_of).is_err() {
                return Err(Error::OutOfMemory { requested: shard.len() * size_of::<Kept>() });
            }
            if smaller.buckets() < shard.buckets() {
                for kept in shard.drain() {
                    smaller.insert(kept.0.hash, kept, hash_of);
                }
                *shard = smaller;
            }
        }
        Ok(())
    }

    fn shrink_if_sparse(&self, (): &()) {
        let capacity = self.shard_bytes() / size_of::<Kept>();
        // hashbrown may have allocated up to four times the initial capacity, since every shard
        // has a power of two.
        let grown = capacity > 4 * self.initial_entries.max(self.map.shards().len() * 4);
        if grown
            && self.account.counters.entries() < capacity / SHRINK_BELOW_ONE_IN
            && !reentrancy::is_inside()
        {
            // Lack of memory only delays it.
            let _ = self.shrink().and_then(|()| self.reserve(self.initial_entries));
        }
    }

    fn survey(&self) -> Result<Survey> {
        let mut survey = Survey::default();
        for shard in self.map.shards() {
            let shard = self.read_shard(shard, "stats")?;
            // SAFETY: the shard is locked while its entries are looked at, and their nodes are
            // alive.
            unsafe { survey.add_bucket(shard.iter().map(|bucket| bucket.as_ref().0.node.size()))? };
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
            for kept in shard.write().drain() {
                // SAFETY: the table is the caller's alone, and the node has just been taken out of
                // it.
                unsafe { self.account.heap.destroy_node(kept.0.node) }
            }
        }
    }
}
