//! The trait that every store implements: the operations and their promises.

mod forward;
mod outcome;

use std::fmt;
use std::ops::ControlFlow;

pub use self::outcome::{Change, Exchange};
use crate::error::{BatchError, Error, Result};
use crate::fallible::{try_box, try_reserve};
use crate::scan::{Entries, ScanCursor, ScannedKeys};
use crate::stats::{Counters, Stats};
use crate::store::dyn_session::{DynSession, NoSession};
use crate::update::Update;

/// A key-value store: byte keys to byte values.
///
/// ```
/// # #[cfg(feature = "rwlock")] fn main() -> keystore_core::Result<()> {
/// use keystore_core::{Keystore, RwLockKeystore};
///
/// let store = RwLockKeystore::default();
/// store.set(b"answer", b"42")?;
/// assert_eq!(store.get(b"answer")?.as_deref(), Some(&b"42"[..]));
/// let length = store.read(b"answer", |value| value.len())?; // no copy
/// assert_eq!(length, Some(2));
/// # Ok(()) }
/// # #[cfg(not(feature = "rwlock"))] fn main() {}
/// ```
///
/// # Promises
///
/// - Keys have 1 to 65,535 bytes, values 0 to 4 GiB - 1. Anything else is an error that names the
///   limit, and changes nothing.
/// - Each operation on a single key is linearizable: it takes effect at one instant between its
///   call and its return, also while the table grows or shrinks. The batch operations are one
///   operation per key, in order, not a transaction.
/// - An operation on a single key that returns an error has changed nothing; one on many keys, or
///   on the whole store, has done part of its work, each entry of it whole. The store goes on
///   working; that includes running out of memory.
/// - A closure that panics leaves the store whole and no lock held. A closure that calls the same
///   store gets its answer, or [`Error::Busy`](crate::Error::Busy) at once if it would have to wait
///   for a lock: no call deadlocks.
/// - A hasher that is wrong does no harm to memory. One that answers differently for one key may
///   hide the key, or let it be in twice. One that panics loses nothing: the call that it
///   interrupts has taken effect as a whole or not at all.
/// - Dropping a store returns all its memory.
///
/// # The error -10
///
/// Memory ran out, and the call has changed nothing (one on many keys: the rest of them). Besides
/// what each operation says, the lock-free backend returns it from any call of a thread, a read
/// too, if the thread's first calls find no memory to register the thread.
///
/// # The error -30
///
/// A call that needs a lock returns -30 in two cases. [`Error::Busy`](crate::Error::Busy): the call
/// came from inside a closure of a store, and another call holds the lock.
/// [`Error::LockTimeout`](crate::Error::LockTimeout): others held the lock for longer than
/// [`Config::lock_timeout`](crate::Config::lock_timeout). The lock-free backend needs no lock. It
/// returns `Busy` in one case: a closure that decides about a key (`update`, `retain`) writes that
/// same key.
///
/// # Implementing it
///
/// A store of another crate may implement the trait. Operations that are added later have a
/// default made of these.
///
/// Operations take expected O(1) time, those over the whole store O(n). Every operation returns a
/// `Result`, so that a backend may sit behind a network one day.
///
/// # Static and dynamic use
///
/// In a generic function (`fn f(store: &impl Keystore)`) no call is dynamic. As `dyn Keystore`,
/// the operations that take a closure have a twin whose closure is `dyn` too: `read` and
/// [`read_dyn`](Self::read_dyn), and so on. A `Box`, an `Arc`, an `Rc` or a reference of a store
/// is a store itself, so a `Box<dyn Keystore>` has the generic operations as well.
pub trait Keystore {
    /// Passes the value of `key` to `visit`, without copying it, and returns the result of
    /// `visit`, or `None` if the key is absent.
    ///
    /// # Errors
    /// Returns -20 if the key's length is outside its limits; see also [-10](#the-error--10) and
    /// [-30](#the-error--30).
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>>
    where
        Self: Sized;

    /// [`read`](Self::read) for `dyn Keystore`. Returns whether the key is present.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read).
    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// Returns a copy of the value of `key`.
    ///
    /// # Errors
    /// Returns -20 if the key's length is outside its limits, and -10 if the copy cannot be
    /// allocated; see also [-30](#the-error--30).
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Puts the value of `key` into `buffer`, in place of what was there. Returns whether the key
    /// is present. If it is not, the buffer is empty. If the buffer's memory is large enough,
    /// nothing is allocated.
    ///
    /// # Errors
    /// Returns the errors of [`get`](Self::get). The buffer is empty then.
    fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        buffer.clear();
        let mut copied = Ok(());
        let found = self.read_dyn(key, &mut |value| {
            copied = try_reserve(buffer, value.len()).map(|()| buffer.extend_from_slice(value));
        })?;
        copied.map(|()| found)
    }

    /// Returns whether `key` is present.
    ///
    /// # Errors
    /// Returns -20 if the key's length is outside its limits; see also [-10](#the-error--10) and
    /// [-30](#the-error--30).
    fn contains(&self, key: &[u8]) -> Result<bool>;

    /// Sets the value of `key`, whether it is present or not. Returns [`Change::Created`] or
    /// [`Change::Replaced`].
    ///
    /// # Errors
    /// Returns -20 if the length of the key or the value is outside its limits, -10 or -51 if
    /// memory cannot be allocated, -10 if the memory limit would be exceeded, and -43 if the node's
    /// address has more than the 48 bits that a table has room for; see also [-30](#the-error--30).
    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change>;

    /// Gives `key` the value `value` if the key is absent. Returns whether it was absent.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set).
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool>;

    /// Shows the value of `key` (`None`: absent) to `decide`, and does with the key what it
    /// answers, as one step: no other write to the key comes between. If another thread changes the
    /// key or resizes the table in the meantime, `decide` may be called again with the newest
    /// value, and only its last answer counts.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set).
    fn update<'v>(
        &self,
        key: &[u8],
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change>
    where
        Self: Sized;

    /// [`update`](Self::update) whose closure also computes a result. Returns the change, and the
    /// result of the closure's last call.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set).
    fn update_with<'v, R>(
        &self,
        key: &[u8],
        decide: impl FnMut(Option<&[u8]>) -> (Update<'v>, R),
    ) -> Result<(Change, R)>
    where
        Self: Sized,
    {
        update_with(decide, |decide| self.update(key, decide))
    }

    /// [`update`](Self::update) for `dyn Keystore`.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set).
    fn update_dyn<'v>(
        &self,
        key: &[u8],
        decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change>;

    /// Changes `key` to `new` if its value is `expected`, as one step. `None` stands for absent on
    /// either side. So a key can be created only if it is absent, or removed only if it has this
    /// value.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set). -10 also if the value that differs cannot be
    /// copied.
    fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange>;

    /// Removes `key`, and returns whether it was present.
    ///
    /// # Errors
    /// Returns -20 if the key's length is outside its limits, and -10 if the key's bucket must be
    /// migrated and there is no memory for that; see also [-30](#the-error--30).
    fn delete(&self, key: &[u8]) -> Result<bool>;

    /// Removes `key` and returns a copy of the value it had.
    ///
    /// # Errors
    /// Returns the errors of [`delete`](Self::delete). -10 also if the copy cannot be allocated:
    /// then the key stays.
    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// [`read`](Self::read) for each key, in order: `visit` gets the key's position and its value
    /// (`None`: absent). This is faster than one call for each key, since the waits for memory of
    /// several keys overlap.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read), with the position of the key.
    fn read_many(
        &self,
        keys: &[&[u8]],
        visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError>
    where
        Self: Sized;

    /// [`read_many`](Self::read_many) for `dyn Keystore`.
    ///
    /// # Errors
    /// Returns the errors of [`read_many`](Self::read_many).
    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError>;

    /// [`set`](Self::set) for each entry, in order. Returns the number of keys that were created.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set), with the position of the entry.
    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError>;

    /// [`insert`](Self::insert) for each entry, in order. Returns the number of keys that were
    /// absent.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set), with the position of the entry.
    fn insert_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        in_order(entries, |_, (key, value)| self.insert(key, value))
    }

    /// [`update`](Self::update) for each key, in order: `decide` gets the key's position and its
    /// value. Returns the number of keys that were created, replaced or removed.
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set), with the position of the key.
    fn update_many<'v>(
        &self,
        keys: &[&[u8]],
        mut decide: impl FnMut(usize, Option<&[u8]>) -> Update<'v>,
    ) -> Result<usize, BatchError>
    where
        Self: Sized,
    {
        self.update_many_dyn(keys, &mut decide)
    }

    /// [`update_many`](Self::update_many) for `dyn Keystore`.
    ///
    /// # Errors
    /// Returns the errors of [`update_many`](Self::update_many).
    fn update_many_dyn<'v>(
        &self,
        keys: &[&[u8]],
        decide: &mut dyn FnMut(usize, Option<&[u8]>) -> Update<'v>,
    ) -> Result<usize, BatchError> {
        in_order(keys, |index, key| {
            Ok(self.update_dyn(key, &mut |old| decide(index, old))?.is_effective())
        })
    }

    /// [`delete`](Self::delete) for each key, in order. Returns the number of keys that were
    /// present.
    ///
    /// # Errors
    /// Returns the errors of [`delete`](Self::delete), with the position of the key.
    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError>;

    /// [`take`](Self::take) for each key, in order: `visit` gets the key's position and the value
    /// that it had. Returns the number of keys that were present. If the call ends early, `visit`
    /// has got every value that was removed.
    ///
    /// # Errors
    /// Returns the errors of [`take`](Self::take), with the position of the key.
    fn take_many(
        &self,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<Vec<u8>>),
    ) -> Result<usize, BatchError>
    where
        Self: Sized,
    {
        self.take_many_dyn(keys, &mut visit)
    }

    /// [`take_many`](Self::take_many) for `dyn Keystore`.
    ///
    /// # Errors
    /// Returns the errors of [`take_many`](Self::take_many).
    fn take_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<Vec<u8>>),
    ) -> Result<usize, BatchError> {
        in_order(keys, |index, key| {
            let value = self.take(key)?;
            let is_present = value.is_some();
            visit(index, value);
            Ok(is_present)
        })
    }

    /// Begins a session: many operations of this thread, which may be faster than those of the
    /// store. See [`Session`](crate::Session).
    ///
    /// # Errors
    /// Returns -10 if there is no memory for it.
    fn session_dyn(&self) -> Result<Box<dyn DynSession + '_>> {
        Ok(try_box(NoSession(self))?)
    }

    /// Returns the number of entries. Exact while nobody writes.
    ///
    /// # Errors
    /// No backend returns an error today; a store behind a network would.
    fn len(&self) -> Result<usize>;

    /// Returns whether there is no entry. Exact while nobody writes.
    ///
    /// # Errors
    /// Returns the errors of [`len`](Self::len).
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Shows every entry to `visit` until it breaks off, in no particular order: each entry that
    /// is there throughout, and none twice, also while others write and the table grows or
    /// shrinks.
    ///
    /// # Errors
    /// [-30](#the-error--30); -10 if there is no memory for a list of a bucket's entries, or to
    /// migrate a bucket.
    fn for_each(&self, visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()>
    where
        Self: Sized;

    /// [`for_each`](Self::for_each) for `dyn Keystore`.
    ///
    /// # Errors
    /// Returns the errors of [`for_each`](Self::for_each).
    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()>;

    /// Shows about `limit` entries to `visit`, and returns the cursor with which the next call goes
    /// on, or `None` if there are no more. The first call takes [`ScanCursor::START`].
    ///
    /// The calls of one scan together keep the promises of [`for_each`](Self::for_each), no matter
    /// what happens to the store between them, also if the table grows or shrinks. No lock and no
    /// memory is held between the calls, so a scan may be given up at any time. A call shows whole
    /// buckets, so it may show a few entries more than `limit`.
    ///
    /// Expected O(`limit`) time for each call. On dashmap, each call also looks at all entries of a
    /// shard, and needs 16 × `limit` bytes.
    ///
    /// ```
    /// # #[cfg(feature = "rwlock")] fn main() -> keystore_core::Result<()> {
    /// use keystore_core::{Keystore, RwLockKeystore, ScanCursor};
    ///
    /// let store = RwLockKeystore::default();
    /// store.set(b"a", b"1")?;
    /// store.set(b"b", b"2")?;
    /// let (mut next, mut entries) = (Some(ScanCursor::START), 0);
    /// while let Some(cursor) = next {
    ///     next = store.scan(cursor, 100, |_key, _value| entries += 1)?;
    /// }
    /// assert_eq!(entries, 2);
    /// # Ok(()) }
    /// # #[cfg(not(feature = "rwlock"))] fn main() {}
    /// ```
    ///
    /// # Errors
    /// Returns -20 if `limit` is 0, or if the cursor is of another store, and otherwise the errors
    /// of [`for_each`](Self::for_each). If an error comes up after entries were shown, the call
    /// ends early without an error, and the next call returns it. Returns -43 if the store has no
    /// cursors.
    fn scan(
        &self,
        cursor: ScanCursor,
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<Option<ScanCursor>>
    where
        Self: Sized,
    {
        self.scan_dyn(cursor, limit, &mut visit)
    }

    /// [`scan`](Self::scan) for `dyn Keystore`.
    ///
    /// # Errors
    /// Returns the errors of [`scan`](Self::scan).
    fn scan_dyn(
        &self,
        _cursor: ScanCursor,
        _limit: usize,
        _visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<Option<ScanCursor>> {
        Err(Error::Unsupported { operation: "scan", reason: "this store has no cursors" })
    }

    /// Returns an iterator over copies of all entries. It keeps the promises of
    /// [`scan`](Self::scan), and needs constant memory.
    ///
    /// # Errors
    /// Each entry that cannot be copied is an error of [`scan`](Self::scan). The iterator then
    /// tries the same entries again.
    ///
    /// ```
    /// # #[cfg(feature = "epoch")] fn main() -> keystore_core::Result<()> {
    /// use keystore_core::{EpochKeystore, Keystore};
    ///
    /// let store = EpochKeystore::default();
    /// store.set(b"key", b"value")?;
    /// for entry in store.iter() {
    ///     assert_eq!(entry?, (b"key".to_vec(), b"value".to_vec()));
    /// }
    /// # Ok(()) }
    /// # #[cfg(not(feature = "epoch"))] fn main() {}
    /// ```
    fn iter(&self) -> Entries<'_>
    where
        Self: Sized,
    {
        Entries::new(self)
    }

    /// Shows every entry to `decide`, and does with it what the closure returns. Returns the number
    /// of entries that were changed or removed. Entries are visited as by [`scan`](Self::scan), and
    /// each change is one [`update`](Self::update).
    ///
    /// # Errors
    /// Returns the errors of [`set`](Self::set) and [`scan`](Self::scan). The entries before have
    /// been changed then.
    fn update_all<'v>(&self, mut decide: impl FnMut(&[u8], &[u8]) -> Update<'v>) -> Result<usize>
    where
        Self: Sized,
    {
        self.update_all_dyn(&mut decide)
    }

    /// [`update_all`](Self::update_all) for `dyn Keystore`.
    ///
    /// # Errors
    /// Returns the errors of [`update_all`](Self::update_all).
    fn update_all_dyn<'v>(
        &self,
        decide: &mut dyn FnMut(&[u8], &[u8]) -> Update<'v>,
    ) -> Result<usize> {
        let (mut next, mut keys, mut changed) =
            (Some(ScanCursor::START), ScannedKeys::default(), 0);
        while let Some(cursor) = next {
            next = keys.fill(self, cursor)?;
            for key in keys.iter() {
                let change = self.update_dyn(key, &mut |old| {
                    old.map_or(Update::Keep, |value| decide(key, value))
                })?;
                changed += usize::from(change.is_effective());
            }
        }
        Ok(changed)
    }

    /// Removes every entry for which `keep` returns false. Returns the number of removed entries.
    /// Entries are visited as by [`for_each`](Self::for_each), and an entry is removed only with
    /// the value that `keep` saw. If another thread replaces the value in the meantime, `keep` is
    /// called again.
    ///
    /// # Errors
    /// Returns the errors of [`for_each`](Self::for_each).
    fn retain(&self, keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize>
    where
        Self: Sized;

    /// [`retain`](Self::retain) for `dyn Keystore`.
    ///
    /// # Errors
    /// Returns the errors of [`for_each`](Self::for_each).
    fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize>;

    /// Removes every entry that is there throughout the call. The table keeps its size: see
    /// [`shrink`](Self::shrink).
    ///
    /// # Errors
    /// Returns the errors of [`for_each`](Self::for_each).
    fn clear(&self) -> Result<()>;

    /// Makes the table large enough for `additional` more entries.
    ///
    /// # Errors
    /// Returns -10 if the table cannot be allocated. If this process can never have so much memory,
    /// the table stays as it is; otherwise it is as large as could be allocated. See also
    /// [-30](#the-error--30).
    fn reserve(&self, additional: usize) -> Result<()>;

    /// Makes the table as small as its entries allow, though not smaller than it was opened, and
    /// gives memory back. (The locked backend gives back its overflow buckets, and keeps the other
    /// buckets for the next growth.)
    ///
    /// # Errors
    /// Returns -10 if moving entries together needs memory that cannot be allocated: the table is
    /// then as small as it could be made. See also [-30](#the-error--30).
    fn shrink(&self) -> Result<()>;

    /// Returns a picture of the store. O(n): it looks at every bucket and entry. If the numbers of
    /// overflow buckets cannot be read, because a lock is held, they are left out of the table's
    /// bytes.
    ///
    /// # Errors
    /// Returns the errors of [`for_each`](Self::for_each).
    fn stats(&self) -> Result<Stats>;

    /// Returns the numbers that are cheap to read. O(threads): it visits no bucket and no entry, so
    /// a monitor may call it every second. Numbers are exact while nobody writes.
    ///
    /// A store of another crate that does not count has only the numbers of entries and of the
    /// table's bytes.
    ///
    /// # Errors
    /// Returns the errors of [`table_bytes`](Self::table_bytes) and [`len`](Self::len).
    fn counters(&self) -> Result<Counters> {
        Ok(Counters {
            entries: self.len()? as u64,
            table_bytes: self.table_bytes()?,
            ..Counters::default()
        })
    }

    /// Returns the bytes of the table's arrays, without the overflow buckets and the nodes that
    /// [`stats`](Self::stats) counts too. It changes when the table grows or shrinks, and takes no
    /// scan of the table, so a gauge can ask for it every second. dashmap leaves out a shard whose
    /// lock is held.
    ///
    /// # Errors
    /// [-10](#the-error--10).
    fn table_bytes(&self) -> Result<u64>;

    /// Writes a line about the store, which `{:?}` prints for a `dyn Keystore`. It shows counts and
    /// sizes, and no keys, values, addresses or seeds. O(1).
    ///
    /// # Errors
    /// The errors of the formatter.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = f.debug_struct("Keystore");
        if let Ok(entries) = self.len() {
            line.field("entries", &entries);
        }
        if let Ok(bytes) = self.table_bytes() {
            line.field("table_bytes", &bytes);
        }
        line.finish_non_exhaustive()
    }
}

/// Runs an update whose closure also computes a result, and returns the last result.
pub(crate) fn update_with<'v, R>(
    mut decide: impl FnMut(Option<&[u8]>) -> (Update<'v>, R),
    update: impl FnOnce(&mut dyn FnMut(Option<&[u8]>) -> Update<'v>) -> Result<Change>,
) -> Result<(Change, R)> {
    let mut last = None;
    let change = update(&mut |old| {
        let (update, result) = decide(old);
        last = Some(result);
        update
    })?;
    Ok((change, last.expect("an update that succeeds has called the closure")))
}

/// Does a batch one entry after the other. Returns the number of entries for which `each` returned
/// true.
fn in_order<I>(
    items: &[I],
    mut each: impl FnMut(usize, &I) -> Result<bool>,
) -> Result<usize, BatchError> {
    let mut count = 0;
    for (index, item) in items.iter().enumerate() {
        count += usize::from(each(index, item).map_err(|error| BatchError { index, error })?);
    }
    Ok(count)
}
