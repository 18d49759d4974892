//! A shard of dashmap: a hashbrown table of our nodes, with a lock.
//!
//! The table is accessed through [`LockedShard`], which owns the lock's guard. Reading needs the
//! shared or the exclusive side of the lock, and writing needs the exclusive side. A search returns
//! a [`Lookup`], which owns the guard too. So no borrow of a node outlives the lock that protects
//! it.

use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use dashmap::{RwLock, RwLockReadGuard, RwLockWriteGuard, SharedValue};
use hashbrown::raw::{Bucket, RawTable};

use crate::error::{Error, Result};
use crate::node::{Node, NodeRef};
use crate::system_memory::check_fits;
use crate::update::Source;

/// An entry of a shard. dashmap's own values stay empty, since the node holds the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
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

/// The pair of key and value that dashmap stores for an entry.
type Kept = (Entry, SharedValue<()>);

/// A shard, in the form of dashmap's raw interface.
pub(super) type Shard = RwLock<RawTable<Kept>>;

/// Size of an entry in a shard's table in bytes.
pub(super) const ENTRY_BYTES: usize = size_of::<Kept>();

fn hash_of(kept: &Kept) -> u64 {
    kept.0.hash
}

/// A shard whose lock is held, by the guard `G`.
pub(super) struct LockedShard<G>(G);

/// A shard whose lock is held by readers.
pub(super) type ReadLocked<'a> = LockedShard<RwLockReadGuard<'a, RawTable<Kept>>>;

/// A shard whose lock is held by one writer.
pub(super) type WriteLocked<'a> = LockedShard<RwLockWriteGuard<'a, RawTable<Kept>>>;

/// Result of a search for a key in a locked shard. It owns the guard of the lock.
pub(super) struct Lookup<G> {
    shard: LockedShard<G>,
    found: Option<Bucket<Kept>>,
}

/// The result of a search in a shard that one writer has locked.
pub(super) type WriteLookup<'a> = Lookup<RwLockWriteGuard<'a, RawTable<Kept>>>;

/// Locks a shard for reading if that is possible without waiting.
#[inline]
pub(super) fn try_read(shard: &Shard) -> Option<ReadLocked<'_>> {
    shard.try_read().map(LockedShard)
}

/// Locks a shard for reading. Waits without a time limit.
pub(super) fn read(shard: &Shard) -> ReadLocked<'_> {
    LockedShard(shard.read())
}

/// Locks a shard for writing if its lock is free.
#[inline]
pub(super) fn try_write(shard: &Shard) -> Option<WriteLocked<'_>> {
    shard.try_write().map(LockedShard)
}

/// Locks a shard for writing. Waits without a time limit.
pub(super) fn write(shard: &Shard) -> WriteLocked<'_> {
    LockedShard(shard.write())
}

impl<G: Deref<Target = RawTable<Kept>>> LockedShard<G> {
    /// Returns the nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        // SAFETY: the table stays as it is while the lock is held and this borrow of it lasts, and
        // its nodes stay alive and unwritten.
        unsafe { self.0.iter().map(|bucket| NodeRef::new(bucket.as_ref().0.node)) }
    }

    /// Returns the hashes and nodes of the entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, NodeRef<'_>)> {
        // SAFETY: as in `nodes`.
        let entries = unsafe { self.0.iter().map(|bucket| bucket.as_ref().0) };
        // SAFETY: as in `nodes`.
        entries.map(|entry| (entry.hash, unsafe { NodeRef::new(entry.node) }))
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the size of the table in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.allocation_info().1.size()
    }

    /// Searches for the key whose hash is `hash` and for whose node `is_wanted` returns true.
    ///
    /// The caller passes the comparison as a closure. So the search is compiled once for each
    /// caller, and is inlined there.
    #[inline(always)]
    pub(super) fn find(self, hash: u64, is_wanted: impl Fn(NodeRef<'_>) -> bool) -> Lookup<G> {
        // SAFETY: a node in a locked shard is alive and unwritten.
        let is_wanted = |node: Node| is_wanted(unsafe { NodeRef::new(node) });
        let found = self.0.find(hash, |kept| kept.0.hash == hash && is_wanted(kept.0.node));
        Lookup { shard: self, found }
    }
}

impl<G: DerefMut<Target = RawTable<Kept>>> LockedShard<G> {
    /// Makes the table large enough for a total of `entries` entries.
    ///
    /// # Errors
    /// Returns [`Error::OutOfMemory`] (-10) if the table cannot be allocated.
    pub(super) fn reserve(&mut self, entries: usize) -> Result<()> {
        let more = entries.saturating_sub(self.0.len());
        let requested = more.saturating_mul(ENTRY_BYTES);
        self.0.try_reserve(more, hash_of).map_err(|_| Error::OutOfMemory { requested })
    }

    /// Makes the table as small as its entries allow.
    ///
    /// # Errors
    /// Returns [`Error::OutOfMemory`] (-10) if the smaller table cannot be allocated.
    pub(super) fn shrink(&mut self) -> Result<()> {
        // hashbrown's own method for shrinking ends the process if memory is short. This moves the
        // entries to a table that was allocated beforehand, which has the same effect.
        let mut smaller = RawTable::new();
        let requested = self.0.len().saturating_mul(ENTRY_BYTES);
        smaller.try_reserve(self.0.len(), hash_of).map_err(|_| Error::OutOfMemory { requested })?;
        if smaller.buckets() < self.0.buckets() {
            for kept in self.0.drain() {
                smaller.insert(kept.0.hash, kept, hash_of);
            }
            *self.0 = smaller;
        }
        Ok(())
    }

    /// Makes sure that there is a place for one more entry.
    ///
    /// # Errors
    /// Returns [`Error::OutOfMemory`] (-10) if a larger table cannot be allocated.
    #[inline]
    fn reserve_one(&mut self) -> Result<()> {
        if self.0.len() == self.0.capacity() {
            let requested = (self.0.buckets() * 2).saturating_mul(ENTRY_BYTES);
            check_fits(requested)?;
            self.0.try_reserve(1, hash_of).map_err(|_| Error::OutOfMemory { requested })?;
        }
        Ok(())
    }

    /// Removes each node for which `is_unwanted` returns true. Each call of the iterator's `next`
    /// removes one node.
    pub(super) fn extract_if(
        &mut self,
        mut is_unwanted: impl FnMut(NodeRef<'_>) -> bool,
    ) -> impl Iterator<Item = Node> {
        // SAFETY: the iterator borrows the table, and only the iterator changes it.
        let buckets = unsafe { self.0.iter() };
        buckets.filter_map(move |bucket| {
            // SAFETY: a node in a locked shard is alive and unwritten. hashbrown allows the caller
            // to erase an entry that its iterator has returned.
            unsafe {
                let node = bucket.as_ref().0.node;
                is_unwanted(NodeRef::new(node)).then(|| {
                    self.0.erase(bucket);
                    node
                })
            }
        })
    }
}

impl<G: Deref<Target = RawTable<Kept>>> Lookup<G> {
    /// Returns the key's node, or `None` if the key was not found.
    #[inline]
    pub(super) fn node(&self) -> Option<NodeRef<'_>> {
        // SAFETY: the table stays as it is while the lock is held and this borrow of it lasts, and
        // its nodes stay alive and unwritten.
        self.found.as_ref().map(|bucket| unsafe { NodeRef::new(bucket.as_ref().0.node) })
    }
}

impl<G: DerefMut<Target = RawTable<Kept>>> Lookup<G> {
    /// Writes `value` over the old one if the key was found, its node has space for it, and the
    /// bytes are there to copy. Returns whether it did. See [`Node::overwrite`].
    #[inline]
    pub(super) fn overwrite(&mut self, value: Source<'_>) -> bool {
        let Source::Bytes(value) = value else { return false };
        let Some(bucket) = &self.found else { return false };
        // SAFETY: the lock is held exclusively and no borrow of the node is left, so no other code
        // uses the node.
        unsafe { bucket.as_ref().0.node.overwrite(value) }
    }

    /// Replaces the found key's node by `node`. Returns the shard and the old node, which no other
    /// thread uses from here on. Returns `None` if the key was not found.
    pub(super) fn replace(self, node: Node) -> Option<(LockedShard<G>, Node)> {
        let bucket = self.found?;
        // SAFETY: the table has not changed since the search, and the lock is held exclusively.
        let replaced = unsafe { std::mem::replace(&mut bucket.as_mut().0.node, node) };
        Some((self.shard, replaced))
    }

    /// Removes the found key's entry. Returns the shard and the entry's node, which no other thread
    /// uses from here on. Returns `None` if the key was not found.
    #[inline]
    pub(super) fn remove(mut self) -> Option<(LockedShard<G>, Node)> {
        let bucket = self.found?;
        // SAFETY: the table has not changed since the search, and the lock is held exclusively.
        let removed = unsafe {
            let node = bucket.as_ref().0.node;
            self.shard.0.erase(bucket);
            node
        };
        Some((self.shard, removed))
    }

    /// Adds the entry of a key that was not found, with the node that `create` returns.
    ///
    /// # Errors
    /// Returns [`Error::OutOfMemory`] (-10) if a larger table cannot be allocated, and the errors
    /// of `create`.
    pub(super) fn insert(mut self, hash: u64, create: impl FnOnce() -> Result<Node>) -> Result<()> {
        self.shard.reserve_one()?;
        let entry = Entry { hash, node: create()? };
        // A place is reserved, so this neither grows the table nor fails.
        self.shard.0.insert(hash, (entry, SharedValue::new(())), hash_of);
        Ok(())
    }
}
