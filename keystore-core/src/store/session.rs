//! Sessions: many operations of one thread on one store, which enters the table once.

use std::fmt;
use std::mem::ManuallyDrop;

use crate::account::counters::Operation;
use crate::error::{BatchError, Result};
use crate::keystore::{Change, Exchange, update_with};
use crate::scan::ScanCursor;
use crate::store::Store;
use crate::sync::reentrancy::UserClosure;
use crate::table::Table;
use crate::update::Update;

/// Number of operations after which a session enters the table anew.
const REFRESH_INTERVAL: u32 = 64;

/// A thread that has entered a table, for one operation, a batch or a session. Leaves it when it is
/// dropped. The operations are in [`operations`](super::operations).
///
/// `WRITES` tells whether anything may be written: leaving then may help to free garbage.
pub(crate) struct Entered<'s, T: Table, const WRITES: bool> {
    pub(crate) store: &'s Store<T>,
    /// State that the thread holds while it is in the table. Taken out when the guard is dropped.
    pub(crate) session: ManuallyDrop<T::Session>,
}

impl<'s, T: Table, const WRITES: bool> Entered<'s, T, WRITES> {
    /// Enters the table, or returns `None` if there is no memory to register the thread.
    #[inline(always)]
    pub(super) fn new(store: &'s Store<T>) -> Option<Self> {
        Some(Self { store, session: ManuallyDrop::new(store.table().enter()?) })
    }

    /// Enters the table anew, so that nodes which others removed can be freed.
    #[inline]
    pub(super) fn refresh(&mut self) {
        self.store.table().refresh(&mut self.session);
    }
}

impl<T: Table, const WRITES: bool> Drop for Entered<'_, T, WRITES> {
    #[inline(always)]
    fn drop(&mut self) {
        if WRITES {
            // SAFETY: the session is taken out only here, and not used afterwards.
            self.store.table().leave(unsafe { ManuallyDrop::take(&mut self.session) });
        } else {
            // SAFETY: the session is dropped only here, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.session) }
        }
    }
}

/// Many operations of one thread on a store, from [`Store::session`].
///
/// To enter a table of the lock-free backend takes some ten instructions, and a locked one as well
/// if the system is not Linux. A session enters once, and again after every 64 operations, so that
/// nodes which others removed can be freed. The other backends have nothing to enter, so there a
/// session is as fast as the store.
///
/// Do not keep a session idle: while it is, nothing that is removed or overwritten in any
/// lock-free store of the process can be freed. Memory grows by as much, and comes back when the
/// session goes on or ends. A session that is forgotten (`mem::forget`) never ends. A session
/// borrows its store, so the compiler makes the store outlive it, and it stays on its thread: a
/// store cannot be dropped, or moved, while a session of it is in use.
///
/// ```compile_fail,E0505
/// # use keystore_core::EpochKeystore;
/// let store = EpochKeystore::default();
/// let mut session = store.session();
/// drop(store);
/// session.contains(b"key");
/// ```
///
/// ```
/// # #[cfg(feature = "epoch")] fn main() -> keystore_core::Result<()> {
/// use keystore_core::EpochKeystore;
///
/// let store = EpochKeystore::default();
/// let mut session = store.session();
/// for n in 0..1000_u32 {
///     session.set(&n.to_le_bytes(), b"value")?;
/// }
/// assert_eq!(session.read(&7_u32.to_le_bytes(), |value| value.len())?, Some(5));
/// # Ok(()) }
/// # #[cfg(not(feature = "epoch"))] fn main() {}
/// ```
#[expect(private_bounds, reason = "tables are the crate's own")]
#[must_use = "a session that is dropped at once has no effect"]
pub struct Session<'s, T: Table> {
    pub(crate) store: &'s Store<T>,
    /// `None` if there was no memory to enter the table: the next operation tries again.
    pub(crate) entered: Option<Entered<'s, T, true>>,
    operations: u32,
}

#[expect(private_bounds, reason = "tables are the crate's own")]
impl<'s, T: Table> Session<'s, T> {
    #[inline]
    pub(crate) fn new(store: &'s Store<T>) -> Self {
        Self { store, entered: Entered::new(store), operations: 0 }
    }

    /// Starts one more operation: enters the table anew if it is time, or if that failed before.
    #[inline]
    fn begin(&mut self, operation: Operation) -> Result<&mut Entered<'s, T, true>> {
        if self.operations == REFRESH_INTERVAL {
            self.operations = 0;
            if let Some(entered) = &mut self.entered {
                entered.refresh();
            }
        }
        self.operations += 1;
        match &mut self.entered {
            Some(entered) => Ok(entered),
            none => Ok(none.insert(self.store.enter(operation)?)),
        }
    }

    /// Does the same as [`Keystore::read`](crate::Keystore::read).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::read`](crate::Keystore::read).
    #[inline]
    pub fn read<R>(&mut self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.begin(Operation::Find)?.read::<UserClosure, _>(key, visit)
    }

    /// Does the same as [`Keystore::get`](crate::Keystore::get).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::get`](crate::Keystore::get).
    #[inline]
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.begin(Operation::Find)?.get(key)
    }

    /// Does the same as [`Keystore::get_into`](crate::Keystore::get_into).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::get_into`](crate::Keystore::get_into).
    pub fn get_into(&mut self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        self.begin(Operation::Find)?.get_into(key, buffer)
    }

    /// Does the same as [`Keystore::contains`](crate::Keystore::contains).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::contains`](crate::Keystore::contains).
    #[inline]
    pub fn contains(&mut self, key: &[u8]) -> Result<bool> {
        self.begin(Operation::Find)?.contains(key)
    }

    /// Does the same as [`Keystore::set`](crate::Keystore::set).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::set`](crate::Keystore::set).
    #[inline]
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Result<Change> {
        self.begin(Operation::Add)?.set(key, value)
    }

    /// Does the same as [`Keystore::insert`](crate::Keystore::insert).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::insert`](crate::Keystore::insert).
    #[inline]
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.begin(Operation::Add)?.insert(key, value)
    }

    /// Does the same as [`Keystore::update`](crate::Keystore::update).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::update`](crate::Keystore::update).
    #[inline]
    pub fn update<'v>(
        &mut self,
        key: &[u8],
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.begin(Operation::Add)?.update(key, decide)
    }

    /// Does the same as [`Keystore::update_with`](crate::Keystore::update_with).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::update`](crate::Keystore::update).
    pub fn update_with<'v, R>(
        &mut self,
        key: &[u8],
        decide: impl FnMut(Option<&[u8]>) -> (Update<'v>, R),
    ) -> Result<(Change, R)> {
        update_with(decide, |decide| self.update(key, decide))
    }

    /// Does the same as [`Keystore::compare_exchange`](crate::Keystore::compare_exchange).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::compare_exchange`](crate::Keystore::compare_exchange).
    pub fn compare_exchange(
        &mut self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
        self.begin(Operation::Add)?.compare_exchange(key, expected, new)
    }

    /// Does the same as [`Keystore::delete`](crate::Keystore::delete).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::delete`](crate::Keystore::delete).
    #[inline]
    pub fn delete(&mut self, key: &[u8]) -> Result<bool> {
        self.begin(Operation::Delete)?.delete(key)
    }

    /// Does the same as [`Keystore::take`](crate::Keystore::take).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::take`](crate::Keystore::take).
    pub fn take(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.begin(Operation::Delete)?.take(key)
    }

    /// Does the same as [`Keystore::read_many`](crate::Keystore::read_many).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::read_many`](crate::Keystore::read_many).
    pub fn read_many(
        &mut self,
        keys: &[&[u8]],
        visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.begin_batch(Operation::Find)?.read_many(keys, visit)
    }

    /// Does the same as [`Keystore::set_many`](crate::Keystore::set_many).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::set_many`](crate::Keystore::set_many).
    pub fn set_many(&mut self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.begin_batch(Operation::Add)?.set_many(entries)
    }

    /// Does the same as [`Keystore::insert_many`](crate::Keystore::insert_many).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::insert_many`](crate::Keystore::insert_many).
    pub fn insert_many(&mut self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.begin_batch(Operation::Add)?.insert_many(entries)
    }

    /// Does the same as [`Keystore::update_many`](crate::Keystore::update_many).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::update_many`](crate::Keystore::update_many).
    pub fn update_many<'v>(
        &mut self,
        keys: &[&[u8]],
        decide: impl FnMut(usize, Option<&[u8]>) -> Update<'v>,
    ) -> Result<usize, BatchError> {
        self.begin_batch(Operation::Add)?.update_many(keys, decide)
    }

    /// Does the same as [`Keystore::delete_many`](crate::Keystore::delete_many).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::delete_many`](crate::Keystore::delete_many).
    pub fn delete_many(&mut self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        self.begin_batch(Operation::Delete)?.delete_many(keys)
    }

    /// Does the same as [`Keystore::take_many`](crate::Keystore::take_many).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::take_many`](crate::Keystore::take_many).
    pub fn take_many(
        &mut self,
        keys: &[&[u8]],
        visit: impl FnMut(usize, Option<Vec<u8>>),
    ) -> Result<usize, BatchError> {
        self.begin_batch(Operation::Delete)?.take_many(keys, visit)
    }

    /// Does the same as [`Keystore::scan`](crate::Keystore::scan).
    ///
    /// # Errors
    /// Returns the errors of [`Keystore::scan`](crate::Keystore::scan).
    pub fn scan(
        &mut self,
        cursor: ScanCursor,
        limit: usize,
        visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<Option<ScanCursor>> {
        let store = self.store;
        store.scan_with(&mut self.begin(Operation::Find)?.session, cursor, limit, visit)
    }

    /// [`read`](Self::read) with a closure that is `dyn`. Returns whether the key is present.
    pub(crate) fn read_dyn(&mut self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.read(key, |value| visit(value))?.is_some())
    }

    /// Starts a batch, which is one operation.
    fn begin_batch(
        &mut self,
        operation: Operation,
    ) -> Result<&mut Entered<'s, T, true>, BatchError> {
        self.begin(operation).map_err(|error| BatchError { index: 0, error })
    }
}

impl<T: Table> fmt::Debug for Session<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("operations", &self.operations).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "epoch", feature = "rwlock"))]
mod tests {
    use super::*;
    use crate::{Config, EpochKeystore, Global, Keystore, RwLockKeystore};

    fn every_operation<T: Table>(store: &Store<T>) {
        let mut session = store.session();
        assert_eq!(session.set(b"a", b"1"), Ok(Change::Created));
        assert_eq!(session.set(b"a", b"2"), Ok(Change::Replaced));
        assert_eq!(session.insert(b"a", b"3"), Ok(false));
        assert_eq!(session.insert(b"b", b"4"), Ok(true));
        assert_eq!(session.get(b"a"), Ok(Some(b"2".to_vec())));
        assert_eq!(session.read(b"b", |value| value.to_vec()), Ok(Some(b"4".to_vec())));
        assert_eq!(session.contains(b"c"), Ok(false));
        let appended = |old: Option<&[u8]>| Update::set([old.unwrap_or_default(), b"!"].concat());
        assert_eq!(session.update(b"a", appended), Ok(Change::Replaced));
        assert_eq!(
            session.compare_exchange(b"a", Some(b"2!"), Some(b"5")),
            Ok(Exchange::Exchanged)
        );
        let differs = Exchange::Differs(Some(b"5".to_vec()));
        assert_eq!(session.compare_exchange(b"a", None, Some(b"6")), Ok(differs));
        assert_eq!(session.take(b"a"), Ok(Some(b"5".to_vec())));
        assert_eq!(session.delete(b"a"), Ok(false));
        assert_eq!(session.delete(b"b"), Ok(true));
        assert_eq!(session.set(b"", b"").unwrap_err().code(), -20);
        // Well past a refresh, and while the table grows.
        for n in 0..5_000_u32 {
            assert_eq!(session.set(&n.to_be_bytes(), &n.to_le_bytes()), Ok(Change::Created));
            assert_eq!(
                session.get(&(n / 2).to_be_bytes()),
                Ok(Some((n / 2).to_le_bytes().to_vec()))
            );
        }
        drop(session);
        assert_eq!(store.len(), Ok(5_000));
        let stats = store.stats().unwrap();
        assert_eq!(stats.operations.adds, 5_000 + 8);
    }

    #[test]
    fn a_session_has_the_verbs_of_its_store() {
        every_operation(&EpochKeystore::default());
        every_operation(&RwLockKeystore::default());
        every_operation(&RwLockKeystore::open_local(&Config::default(), Global).unwrap());
    }

    #[test]
    fn a_busy_session_lets_garbage_go_and_an_idle_one_gives_it_back_when_it_ends() {
        const OVERWRITES: u32 = 400_000;
        let (store, value) = (EpochKeystore::default(), [0; 100]);
        let garbage = || store.stats().unwrap().memory.garbage_bytes;
        let overwrite = |session: &mut Session<'_, _>| {
            for n in 0..OVERWRITES {
                session.set(&(n % 64).to_be_bytes(), &value).unwrap();
            }
        };
        let mut session = store.session();
        let mut held = Vec::new();
        // Other tests of this process pin too, and stop threads that are pinned. So one round may
        // find garbage that those hold.
        while held.len() < 4 || *held.last().expect("four rounds") >= 16 << 20 {
            overwrite(&mut session);
            held.push(garbage());
            assert!(held.len() < 40, "{held:?} bytes of garbage while sessions are busy");
        }
        let (idle, ready) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut session = store.session();
                session.contains(b"anything").unwrap();
                ready.wait();
                idle.wait();
                session.contains(b"anything").unwrap();
            });
            ready.wait();
            overwrite(&mut session);
            let held = garbage();
            assert!(
                held > u64::from(OVERWRITES) * 100 / 2,
                "{held} bytes held while another session idles"
            );
            idle.wait();
        });
        drop(session);
        for _ in 0..1_000 {
            store.set(b"one more", &value).unwrap();
        }
        let left = garbage();
        assert!(left < 16 << 20, "{left} bytes of garbage after all sessions ended");
    }
}
