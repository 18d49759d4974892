//! The store: every operation of [`Keystore`], made of the few primitives of a table.
//!
//! An operation enters the table, which pins the epoch if the backend has one. It checks its
//! arguments, hashes the key once, asks the table for the one atomic step, and records the outcome.
//! What it does once it is inside is in `operations`: the same for a single call and for a
//! [`Session`]. Batches are in `batch`.

mod batch;
pub(crate) mod dyn_session;
pub(crate) mod hashed_key;
mod operations;
pub(crate) mod session;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use self::dyn_session::{DynSession, NoSession};
use self::session::{Entered, Session};
use crate::account::counters::Operation;
use crate::allocator::NodeAllocator;
use crate::backend::common::cursor::Cursor;
use crate::config::{Config, Shrinking};
use crate::error::{BatchError, Error, Result};
use crate::fallible::try_box;
use crate::keystore::{Change, Exchange, Keystore};
use crate::scan::ScanCursor;
use crate::stats::{Counters, MemoryStats, Metadata, Stats};
use crate::sync::reentrancy::UserClosure;
use crate::table::{Table, describe, enter_error, enter_table};
use crate::update::Update;

/// A store over the table `T` of some backend. Use it through the names that say which:
/// `RwLockKeystore`, `EpochKeystore`, `DashMapKeystore`.
pub struct Store<T> {
    table: T,
    shrinking: Shrinking,
    /// Identity of the store, which no other store of this process has.
    id: u64,
    opened_at: u64,
    cleaned_up_at: AtomicU64,
}

#[expect(private_bounds, reason = "tables are the crate's own")]
impl<T: Table> Store<T> {
    /// Begins a session: many operations of this thread that enter the table once. See [`Session`].
    #[inline]
    pub fn session(&self) -> Session<'_, T> {
        Session::new(self)
    }

    #[inline]
    pub(crate) fn table(&self) -> &T {
        &self.table
    }

    /// Makes a store over a new table.
    pub(crate) fn over(table: T, config: &Config) -> Self {
        Self {
            table,
            shrinking: config.shrinking,
            id: next_id(),
            opened_at: now(),
            cleaned_up_at: AtomicU64::new(0),
        }
    }

    /// Shrinks a sparse table if shrinking is automatic.
    #[cold]
    pub(crate) fn shrink_if_sparse(&self, session: &T::Session) {
        if self.shrinking == Shrinking::Automatic {
            self.table.shrink_if_sparse(session);
        }
    }

    /// Enters the table for a call, which may write if `WRITES` is true. Records a failure to
    /// enter.
    #[inline(always)]
    pub(crate) fn enter<const WRITES: bool>(
        &self,
        operation: Operation,
    ) -> Result<Entered<'_, T, WRITES>> {
        match Entered::new(self) {
            Some(entered) => Ok(entered),
            None => self.fail(operation, enter_error()),
        }
    }

    /// Does one call of a scan, in a session.
    pub(crate) fn scan_with(
        &self,
        session: &mut T::Session,
        cursor: ScanCursor,
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<Option<ScanCursor>> {
        if limit == 0 {
            return Err(Error::invalid_argument("limit", limit, "at least 1"));
        }
        let begin = cursor.position_in(self.id)?;
        let mut cursor = Cursor::at(begin);
        let visited = self.table.scan(session, &mut cursor, limit, |key, value| {
            visit(key, value);
            ControlFlow::Continue(())
        });
        match visited {
            // The caller goes on after the entries that it has seen, and gets the error then.
            Err(error) if cursor.position() == Some(begin) => Err(error.of_operation("scan")),
            _ => Ok(cursor.position().map(|position| ScanCursor::new(position, self.id))),
        }
    }

    /// Enters the table for a batch. A failure to enter is that of its first entry.
    fn enter_batch<const WRITES: bool>(
        &self,
        operation: Operation,
    ) -> Result<Entered<'_, T, WRITES>, BatchError> {
        self.enter(operation).map_err(|error| BatchError { index: 0, error })
    }

    fn mark_cleaned_up(&self) {
        self.cleaned_up_at.store(now(), Relaxed);
    }
}

impl<T: Table> Keystore for Store<T> {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.enter::<false>(Operation::Find)?.read::<UserClosure, _>(key, visit)
    }

    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.read(key, |value| visit(value))?.is_some())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.enter::<false>(Operation::Find)?.get(key)
    }

    fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        self.enter::<false>(Operation::Find)?.get_into(key, buffer)
    }

    #[inline]
    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.enter::<false>(Operation::Find)?.contains(key)
    }

    #[inline]
    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        self.enter::<true>(Operation::Add)?.set(key, value)
    }

    #[inline]
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.enter::<true>(Operation::Add)?.insert(key, value)
    }

    #[inline]
    fn update<'v>(
        &self,
        key: &[u8],
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.enter::<true>(Operation::Add)?.update(key, decide)
    }

    fn update_dyn<'v>(
        &self,
        key: &[u8],
        decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.update(key, decide)
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
        self.enter::<true>(Operation::Add)?.compare_exchange(key, expected, new)
    }

    #[inline]
    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.enter::<true>(Operation::Delete)?.delete(key)
    }

    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.enter::<true>(Operation::Delete)?.take(key)
    }

    fn read_many(
        &self,
        keys: &[&[u8]],
        visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.enter_batch::<false>(Operation::Find)?.read_many(keys, visit)
    }

    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.read_many(keys, visit)
    }

    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.enter_batch::<true>(Operation::Add)?.set_many(entries)
    }

    fn insert_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.enter_batch::<true>(Operation::Add)?.insert_many(entries)
    }

    fn update_many<'v>(
        &self,
        keys: &[&[u8]],
        decide: impl FnMut(usize, Option<&[u8]>) -> Update<'v>,
    ) -> Result<usize, BatchError> {
        self.enter_batch::<true>(Operation::Add)?.update_many(keys, decide)
    }

    fn update_many_dyn<'v>(
        &self,
        keys: &[&[u8]],
        decide: &mut dyn FnMut(usize, Option<&[u8]>) -> Update<'v>,
    ) -> Result<usize, BatchError> {
        self.update_many(keys, decide)
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        self.enter_batch::<true>(Operation::Delete)?.delete_many(keys)
    }

    fn take_many(
        &self,
        keys: &[&[u8]],
        visit: impl FnMut(usize, Option<Vec<u8>>),
    ) -> Result<usize, BatchError> {
        self.enter_batch::<true>(Operation::Delete)?.take_many(keys, visit)
    }

    fn take_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<Vec<u8>>),
    ) -> Result<usize, BatchError> {
        self.take_many(keys, visit)
    }

    fn session_dyn(&self) -> Result<Box<dyn DynSession + '_>> {
        // A table without a state for each thread has nothing that a session could keep.
        if const { size_of::<T::Session>() == 0 } {
            return Ok(try_box(NoSession(self))?);
        }
        Ok(try_box(self.session())?)
    }

    fn len(&self) -> Result<usize> {
        Ok(self.table.account().counters.entries())
    }

    fn for_each(&self, visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.table.scan(&mut enter_table(&self.table)?, &mut Cursor::default(), usize::MAX, visit)
    }

    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.for_each(|key, value| visit(key, value))
    }

    fn scan(
        &self,
        cursor: ScanCursor,
        limit: usize,
        visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<Option<ScanCursor>> {
        self.scan_with(&mut enter_table(&self.table)?, cursor, limit, visit)
    }

    fn scan_dyn(
        &self,
        cursor: ScanCursor,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<Option<ScanCursor>> {
        self.scan(cursor, limit, visit)
    }

    fn retain(&self, keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        let removed = self
            .table
            .retain(&mut enter_table(&self.table)?, keep)
            .map_err(|error| error.of_operation("retain"))?;
        if removed > 0 && self.shrinking == Shrinking::Automatic {
            // The scan took O(n), and so does this. Lack of memory only delays it.
            let _ = self.table.shrink();
        }
        Ok(removed)
    }

    fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.retain(|key, value| keep(key, value))
    }

    fn clear(&self) -> Result<()> {
        self.retain(|_, _| false).map_err(|error| error.of_operation("clear"))?;
        self.mark_cleaned_up();
        Ok(())
    }

    fn reserve(&self, additional: usize) -> Result<()> {
        self.table.reserve(self.table.account().counters.entries().saturating_add(additional))
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
        let account = self.table.account();
        let (operations, nodes, errors) = account.counters.operations();
        Ok(Stats {
            metadata: Metadata {
                opened_at: self.opened_at,
                cleaned_up_at: self.cleaned_up_at.load(Relaxed),
            },
            entries,
            collisions,
            memory: MemoryStats {
                node_bytes: survey.node_bytes,
                table_bytes: footprint.table_bytes,
                garbage_bytes: footprint.garbage_bytes,
                huge_page_bytes: footprint.huge_page_bytes,
            },
            pool: account.heap.allocator().stats(),
            operations,
            nodes,
            errors,
        })
    }

    fn counters(&self) -> Result<Counters> {
        let account = self.table.account();
        let (operations, nodes, _) = account.counters.operations();
        Ok(Counters {
            entries: account.counters.entries() as u64,
            hits: nodes.reads,
            misses: account.counters.misses(),
            sets: operations.adds - operations.failed_adds,
            deletes: nodes.deletes,
            node_bytes: account.counters.node_bytes(),
            pool_held_bytes: account.heap.allocator().stats().held_bytes,
            garbage_bytes: self.table.garbage_bytes() as u64,
            table_bytes: self.table_bytes()?,
            is_resizing: self.table.is_resizing(),
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

/// Returns the identity of a new store. The first one is random, so that a number which another
/// process has kept rarely names a store of this process.
fn next_id() -> u64 {
    static FIRST: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    FIRST.wrapping_add(NEXT.fetch_add(1, Relaxed))
}

/// Returns the seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
