//! The store: every verb of [`Keystore`], made of the few primitives that a table has.
//!
//! A verb enters the table (which pins the epoch, where the backend has one), checks its arguments, hashes the key once, has
//! the table do the one atomic step, and records what came of it. It is a [`Session`] of one operation: there the verbs are
//! written. A batch enters once, and walks its keys in groups of [`GROUP`]: all hashes, then all buckets asked of memory, then all nodes, then the answers in order; so the
//! waits of a group overlap instead of adding up (the idea of DRAMHiT and of DLHT's batches).

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::allocator::NodeAllocator;
use crate::backend::reentry::{Closure, OfCrate};
use crate::config::{Config, Shrinking};
use crate::error::{BatchError, Error, Result};
use crate::hash::asks_for_entries;
use crate::keystore::{Change, Exchange, Keystore, Update};
use crate::ledger::{Event, Verb};
use crate::node::Node;
use crate::session::Session;
use crate::stats::{MemoryStats, Metadata, Stats};
use crate::table::{Decision, Table};

/// Keys of a batch that are in flight together: enough to fill a core's line buffers twice over, few enough that what
/// was asked for is still in the first-level cache when its turn comes.
const GROUP: usize = 32;

/// A store over the table `T` of some backend. Use it through the names that say which: `RwLockKeystore`,
/// `EpochKeystore`, `DashMapKeystore`.
#[derive(Debug)]
pub struct Store<T> {
    table: T,
    shrinking: Shrinking,
    opened_at: u64,
    cleaned_up_at: AtomicU64,
}

#[expect(private_bounds, reason = "tables are the crate's own")]
impl<T: Table> Store<T> {
    /// Begins a session: many operations of this thread, faster than one by one with the lock-free backend. See [`Session`].
    #[inline]
    pub fn session(&self) -> Session<'_, T> {
        Session::new(self)
    }

    #[inline]
    pub(crate) fn table(&self) -> &T {
        &self.table
    }

    /// A store over a fresh table.
    pub(crate) fn over(table: T, config: &Config) -> Self {
        Self { table, shrinking: config.shrinking, opened_at: now(), cleaned_up_at: AtomicU64::new(0) }
    }

    /// Sees to it that a table which shrinks by itself does, after entries were removed.
    #[cold]
    fn shrink_if_sparse(&self, session: &T::Session) {
        if self.shrinking == Shrinking::Automatic {
            self.table.shrink_if_sparse(session);
        }
    }

    /// One atomic step on `key`, within a session.
    #[inline]
    pub(crate) fn alter_in<'v, C: Closure>(
        &self,
        session: &T::Session,
        verb: Verb,
        hash: u64,
        key: &[u8],
        likely: Option<&[u8]>,
        decide: impl FnMut(Option<&[u8]>) -> Decision<'v>,
    ) -> Result<Change> {
        let ledger = self.table.ledger();
        let change = self
            .table
            .alter::<C>(session, hash, key, likely, decide)
            .inspect_err(|error| ledger.record_failure(verb, error))?;
        ledger.record_change(verb, change);
        if change == Change::Deleted && asks_for_entries(hash) {
            self.shrink_if_sparse(session);
        }
        Ok(change)
    }

    /// The hash of a key that keeps its limits.
    #[inline]
    pub(crate) fn checked_hash(&self, verb: Verb, key: &[u8]) -> Result<u64> {
        if let Err(error) = Node::check_key(key) {
            self.table.ledger().record_failure(verb, &error);
            return Err(error);
        }
        Ok(self.table.ledger().hash(key))
    }

    #[inline]
    pub(crate) fn read_in<R>(
        &self,
        session: &T::Session,
        hash: u64,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let ledger = self.table.ledger();
        let found = self
            .table
            .read(session, hash, key, visit)
            .inspect_err(|error| ledger.record_failure(Verb::Find, error))?;
        ledger.record(if found.is_some() { Event::FindHit } else { Event::FindMiss });
        Ok(found)
    }

    /// Runs `each` on every item of a batch, in order, with the buckets and nodes of a whole group prefetched.
    fn in_groups<I>(
        &self,
        verb: Verb,
        items: &[I],
        key_of: impl Fn(&I) -> &[u8],
        mut each: impl FnMut(&T::Session, usize, u64, &I) -> Result<()>,
    ) -> Result<(), BatchError> {
        let mut session = self.table.enter();
        let mut hashes = [0; GROUP];
        for (group, items) in items.chunks(GROUP).enumerate() {
            let mut refused = None;
            let mut valid = 0;
            for item in items {
                match self.checked_hash(verb, key_of(item)) {
                    Ok(hash) => {
                        hashes[valid] = hash;
                        self.table.prefetch_bucket(&session, hash);
                        valid += 1;
                    }
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                }
            }
            for &hash in &hashes[..valid] {
                self.table.prefetch_node(&session, hash);
            }
            for (at, (item, &hash)) in items.iter().zip(&hashes[..valid]).enumerate() {
                let index = group * GROUP + at;
                each(&session, index, hash, item).map_err(|error| BatchError { index, error })?;
            }
            self.table.refresh(&mut session);
            if let Some(error) = refused {
                return Err(BatchError { index: group * GROUP + valid, error });
            }
        }
        Ok(())
    }

    fn mark_cleaned_up(&self) {
        self.cleaned_up_at.store(now(), Relaxed);
    }
}

impl<T: Table> Keystore for Store<T> {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let hash = self.checked_hash(Verb::Find, key)?;
        self.read_in(&self.table.enter(), hash, key, visit)
    }

    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.read(key, |value| visit(value))?.is_some())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.session().get(key)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.session().contains(key)
    }

    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        self.session().set(key, value)
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.session().insert(key, value)
    }

    fn update(&self, key: &[u8], decide: impl FnMut(Option<&[u8]>) -> Update) -> Result<Change> {
        self.session().update(key, decide)
    }

    fn update_dyn(&self, key: &[u8], decide: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<Change> {
        self.update(key, decide)
    }

    fn compare_exchange(&self, key: &[u8], expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<Exchange> {
        self.session().compare_exchange(key, expected, new)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.session().delete(key)
    }

    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.session().take(key)
    }

    fn read_many(
        &self,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.in_groups(
            Verb::Find,
            keys,
            |key| key,
            |session, index, hash, key| {
                if self.read_in(session, hash, key, |value| visit(index, Some(value)))?.is_none() {
                    visit(index, None);
                }
                Ok(())
            },
        )
    }

    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.read_many(keys, visit)
    }

    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        let mut created = 0;
        self.in_groups(
            Verb::Add,
            entries,
            |entry| entry.0,
            |session, _, hash, &(key, value)| {
                let change = self.alter_in::<OfCrate>(session, Verb::Add, hash, key, Some(value), |_| {
                    Decision::Set(Cow::Borrowed(value))
                })?;
                created += usize::from(change == Change::Created);
                Ok(())
            },
        )?;
        Ok(created)
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        let mut deleted = 0;
        self.in_groups(
            Verb::Delete,
            keys,
            |key| key,
            |session, _, hash, key| {
                let change =
                    self.alter_in::<OfCrate>(session, Verb::Delete, hash, key, None, |_| Decision::Delete)?;
                deleted += usize::from(change == Change::Deleted);
                Ok(())
            },
        )?;
        Ok(deleted)
    }

    fn len(&self) -> Result<usize> {
        Ok(self.table.ledger().entries())
    }

    fn for_each(&self, visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.table.scan(&mut self.table.enter(), visit)
    }

    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.for_each(|key, value| visit(key, value))
    }

    fn retain(&self, keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        let removed = self.table.retain(&mut self.table.enter(), keep)?;
        if removed > 0 && self.shrinking == Shrinking::Automatic {
            // The walk is paid for; this is in proportion to it. Lack of memory only delays it.
            let _ = self.table.shrink();
        }
        Ok(removed)
    }

    fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.retain(|key, value| keep(key, value))
    }

    fn clear(&self) -> Result<()> {
        self.retain(|_, _| false)?;
        self.mark_cleaned_up();
        Ok(())
    }

    fn reserve(&self, additional: usize) -> Result<()> {
        self.table.reserve(self.table.ledger().entries().saturating_add(additional))
    }

    fn shrink(&self) -> Result<()> {
        self.table.shrink()?;
        self.mark_cleaned_up();
        Ok(())
    }

    fn stats(&self) -> Result<Stats> {
        let survey = self.table.survey()?;
        let (entries, collisions) = survey.distribution.summarise();
        let footprint = self.table.footprint();
        let ledger = self.table.ledger();
        let (operations, nodes, errors) = ledger.operations();
        Ok(Stats {
            metadata: Metadata { opened_at: self.opened_at, cleaned_up_at: self.cleaned_up_at.load(Relaxed) },
            entries,
            collisions,
            memory: MemoryStats {
                node_bytes: survey.node_bytes,
                table_bytes: footprint.table_bytes,
                garbage_bytes: footprint.garbage_bytes,
                huge_page_bytes: footprint.huge_page_bytes,
            },
            pool: ledger.allocator().stats(),
            operations,
            nodes,
            errors,
        })
    }

    fn table_bytes(&self) -> Result<u64> {
        Ok(self.table.array_bytes() as u64)
    }
}

/// A copy of `bytes`, or the error where there is no memory for it.
pub(crate) fn copy(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Error::OutOfMemory { requested: bytes.len() })?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
