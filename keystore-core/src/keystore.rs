//! The trait that every store implements: the operations and their promises.

use std::fmt;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::{BatchError, Result};
use crate::stats::Stats;
use crate::update::Update;

/// The effect of a write on its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Change {
    /// The key was absent and is absent.
    Absent,
    /// The key was present and keeps its value.
    Kept,
    /// The key was absent and has a value now.
    Created,
    /// The key's value was replaced.
    Replaced,
    /// The key was removed.
    Deleted,
}

/// The result of [`Keystore::compare_exchange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The key had the expected value, and was changed.
    Exchanged,
    /// The key had this other value (`None`: absent), and is unchanged.
    Differs(Option<Vec<u8>>),
}

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

    /// [`delete`](Self::delete) for each key, in order. Returns the number of keys that were
    /// present.
    ///
    /// # Errors
    /// Returns the errors of [`delete`](Self::delete), with the position of the key.
    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError>;

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

/// A store behind `dyn` prints as one line, whatever its backend.
macro_rules! print_as_a_line {
    ($($store:ty),*) => {$(
        impl fmt::Debug for $store {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.describe(f)
            }
        }
    )*};
}

print_as_a_line!(
    dyn Keystore + '_,
    dyn Keystore + Send + '_,
    dyn Keystore + Sync + '_,
    dyn Keystore + Send + Sync + '_
);

/// A store behind a pointer is that store. Closures go through the `dyn` twins, since the store may
/// be `dyn`.
macro_rules! forward_keystore {
    ($($pointer:ty),*) => {$(
        impl<K: Keystore + ?Sized> Keystore for $pointer {
            fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
                let mut visit = Some(visit);
                let mut answer = None;
                (**self).read_dyn(key, &mut |value| answer = visit.take().map(|visit| visit(value)))?;
                Ok(answer)
            }
            fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
                (**self).read_dyn(key, visit)
            }
            fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
                (**self).get(key)
            }
            fn contains(&self, key: &[u8]) -> Result<bool> {
                (**self).contains(key)
            }
            fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
                (**self).set(key, value)
            }
            fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
                (**self).insert(key, value)
            }
            fn update<'v>(&self, key: &[u8], mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>) -> Result<Change> {
                (**self).update_dyn(key, &mut decide)
            }
            fn update_dyn<'v>(&self, key: &[u8], decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>) -> Result<Change> {
                (**self).update_dyn(key, decide)
            }
            fn compare_exchange(&self, key: &[u8], expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<Exchange> {
                (**self).compare_exchange(key, expected, new)
            }
            fn delete(&self, key: &[u8]) -> Result<bool> {
                (**self).delete(key)
            }
            fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
                (**self).take(key)
            }
            fn read_many(&self, keys: &[&[u8]], mut visit: impl FnMut(usize, Option<&[u8]>)) -> Result<(), BatchError> {
                (**self).read_many_dyn(keys, &mut visit)
            }
            fn read_many_dyn(&self, keys: &[&[u8]], visit: &mut dyn FnMut(usize, Option<&[u8]>)) -> Result<(), BatchError> {
                (**self).read_many_dyn(keys, visit)
            }
            fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
                (**self).set_many(entries)
            }
            fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
                (**self).delete_many(keys)
            }
            fn len(&self) -> Result<usize> {
                (**self).len()
            }
            fn is_empty(&self) -> Result<bool> {
                (**self).is_empty()
            }
            fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
                (**self).for_each_dyn(&mut visit)
            }
            fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
                (**self).for_each_dyn(visit)
            }
            fn retain(&self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
                (**self).retain_dyn(&mut keep)
            }
            fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
                (**self).retain_dyn(keep)
            }
            fn clear(&self) -> Result<()> {
                (**self).clear()
            }
            fn reserve(&self, additional: usize) -> Result<()> {
                (**self).reserve(additional)
            }
            fn shrink(&self) -> Result<()> {
                (**self).shrink()
            }
            fn stats(&self) -> Result<Stats> {
                (**self).stats()
            }
            fn table_bytes(&self) -> Result<u64> {
                (**self).table_bytes()
            }
            fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).describe(f)
            }
        }
    )*};
}

forward_keystore!(&K, Box<K>, Rc<K>, Arc<K>);
