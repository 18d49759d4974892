//! The store: every verb of [`Keystore`], made of the few primitives that a table has.
//!
//! A verb enters the table (which pins the epoch, where the backend has one), checks its arguments, hashes the key once, has
//! the table do the one atomic step, and records what came of it: what it does once it is inside, for a [`Session`] as for a
//! verb by itself, is written in [`verbs`](crate::verbs). A batch enters once, and walks its keys in groups of [`GROUP`]: all
//! hashes, then all buckets asked of memory, then all nodes, then the answers in order; so the waits of a group overlap instead of adding up (the idea of DRAMHiT and of DLHT's batches).

use std::borrow::Cow;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{ControlFlow, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::allocator::NodeAllocator;
use crate::backend::reentry::{OfCaller, OfCrate};
use crate::config::{Config, Shrinking};
use crate::error::{BatchError, Result};
use crate::keystore::{Change, Exchange, Keystore, Update};
use crate::ledger::Verb;
use crate::session::Session;
use crate::stats::{MemoryStats, Metadata, Stats};
use crate::table::{Decision, Table, cannot_enter, describe, entered};

/// Keys of a batch that are in flight together: enough to fill a core's line buffers twice over, few enough that what
/// was asked for is still in the first-level cache when its turn comes.
const GROUP: usize = 32;

/// A store over the table `T` of some backend. Use it through the names that say which: `RwLockKeystore`,
/// `EpochKeystore`, `DashMapKeystore`.
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

    /// Sees to it that a table which shrinks by itself does.
    #[cold]
    pub(crate) fn shrink_if_sparse(&self, session: &T::Session) {
        if self.shrinking == Shrinking::Automatic {
            self.table.shrink_if_sparse(session);
        }
    }

    /// Enters the table for one verb that writes.
    #[inline]
    fn enter_to_write(&self, verb: Verb) -> Result<Writing<'_, T>> {
        Ok(Writing { table: &self.table, entered: ManuallyDrop::new(self.enter(verb)?) })
    }

    /// Enters the table for a call, which is recorded if it fails by that.
    #[inline(always)]
    pub(crate) fn enter(&self, verb: Verb) -> Result<T::Session> {
        match self.table.enter() {
            Some(session) => Ok(session),
            None => self.failed(verb, cannot_enter()),
        }
    }

    /// Runs `each` on every item of a batch, in order, with the buckets and nodes of a whole group prefetched.
    fn in_groups<I>(
        &self,
        verb: Verb,
        items: &[I],
        key_of: impl Fn(&I) -> &[u8],
        mut each: impl FnMut(&T::Session, usize, u64, &I) -> Result<()>,
    ) -> Result<(), BatchError> {
        let mut session = self.enter(verb).map_err(|error| BatchError { index: 0, error })?;
        let mut hashes = [0; GROUP];
        for (group, items) in items.chunks(GROUP).enumerate() {
            let mut refused = None;
            let mut valid = 0;
            // The user's hasher may panic. Then the keys before that one are done first, as one by
            // one they would have been.
            let hashing = catch_unwind(AssertUnwindSafe(|| {
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
            }));
            for &hash in &hashes[..valid] {
                self.table.prefetch_node(&session, hash);
            }
            for (at, (item, &hash)) in items.iter().zip(&hashes[..valid]).enumerate() {
                let index = group * GROUP + at;
                each(&session, index, hash, item).map_err(|error| BatchError { index, error })?;
            }
            hashing.unwrap_or_else(|panic| resume_unwind(panic));
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

/// A session of one verb that writes. It leaves the table when it is dropped: the outcome is where it belongs by then, and
/// need not be moved.
struct Writing<'s, T: Table> {
    table: &'s T,
    /// Taken out when it is dropped.
    entered: ManuallyDrop<T::Session>,
}

impl<T: Table> Deref for Writing<'_, T> {
    type Target = T::Session;

    #[inline]
    fn deref(&self) -> &T::Session {
        &self.entered
    }
}

impl<T: Table> Drop for Writing<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: taken here only, and not used after.
        self.table.leave(unsafe { ManuallyDrop::take(&mut self.entered) });
    }
}

impl<T: Table> Keystore for Store<T> {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.read_in::<OfCaller, _>(&self.enter(Verb::Find)?, key, visit)
    }

    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.read(key, |value| visit(value))?.is_some())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_in(&self.enter(Verb::Find)?, key)
    }

    #[inline]
    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.contains_in(&self.enter(Verb::Find)?, key)
    }

    #[inline]
    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        self.set_in(&*self.enter_to_write(Verb::Add)?, key, value)
    }

    #[inline]
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.insert_in(&*self.enter_to_write(Verb::Add)?, key, value)
    }

    #[inline]
    fn update(&self, key: &[u8], decide: impl FnMut(Option<&[u8]>) -> Update) -> Result<Change> {
        self.update_in(&*self.enter_to_write(Verb::Add)?, key, decide)
    }

    fn update_dyn(&self, key: &[u8], decide: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<Change> {
        self.update(key, decide)
    }

    fn compare_exchange(&self, key: &[u8], expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<Exchange> {
        self.compare_exchange_in(&*self.enter_to_write(Verb::Add)?, key, expected, new)
    }

    #[inline]
    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.delete_in(&*self.enter_to_write(Verb::Delete)?, key)
    }

    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.take_in(&*self.enter_to_write(Verb::Delete)?, key)
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
                let shown =
                    self.read_hashed::<OfCaller, _>(session, hash, key, |value| visit(index, Some(value)));
                if shown?.is_none() {
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
                let change =
                    self.alter_hashed::<OfCrate>(session, Verb::Add, hash, key, Some(value), |_| {
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
                let change = self
                    .alter_hashed::<OfCrate>(session, Verb::Delete, hash, key, None, |_| Decision::Delete)?;
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
        self.table.scan(&mut entered(&self.table)?, visit)
    }

    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.for_each(|key, value| visit(key, value))
    }

    fn retain(&self, keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        let removed = self.table.retain(&mut entered(&self.table)?, keep)?;
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
        let footprint = self.table.footprint()?;
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
        Ok(self.table.array_bytes()? as u64)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(&self.table, "Keystore", f)
    }
}

impl<T: Table> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)
    }
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
