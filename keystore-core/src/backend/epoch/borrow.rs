//! Borrowed values: a value is read where it lies, without a closure and without a copy.
//!
//! A node of this backend never changes, and is not freed while a thread is pinned that may have
//! seen it. So a value may be borrowed for as long as the borrower stays pinned: for the time of a
//! [`Session`]'s borrow, or for the life of a [`ValueGuard`].

use std::fmt;
use std::hash::BuildHasher;
use std::ops::Deref;

use super::EpochTable;
use super::reclaim::Guard;
use crate::account::counters::{Event, Operation};
use crate::allocator::NodeAllocator;
use crate::error::Result;
use crate::store::Store;
use crate::store::session::{Entered, Session};
use crate::table::{Table, enter_error};

impl<A, S> Session<'_, EpochTable<A, S>>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Returns the value of `key` where it lies. Other threads may replace or remove the entry in
    /// the meantime; the borrowed bytes stay as they are.
    ///
    /// A borrow holds no lock, so nothing waits for it and it cannot deadlock. It costs memory:
    /// while it lasts, nothing that is removed or replaced in any lock-free store of the process is
    /// freed. The session does its next operation that needs `&mut` after the borrow has ended.
    ///
    /// ```
    /// use keystore_core::{EpochKeystore, Keystore};
    ///
    /// # fn main() -> keystore_core::Result<()> {
    /// let store = EpochKeystore::default();
    /// store.set(b"a", b"1")?;
    /// store.set(b"b", b"2")?;
    /// let session = store.session();
    /// let (a, b) = (session.get_ref(b"a")?, session.get_ref(b"b")?);
    /// store.delete(b"a")?;
    /// assert_eq!((a, b), (Some(&b"1"[..]), Some(&b"2"[..])));
    /// # Ok(()) }
    /// ```
    ///
    /// A borrow does not outlive the session, and not the session's next operation:
    ///
    /// ```compile_fail,E0505
    /// # use keystore_core::EpochKeystore;
    /// let store = EpochKeystore::default();
    /// let session = store.session();
    /// let value = session.get_ref(b"key");
    /// drop(session);
    /// assert!(value.is_ok());
    /// ```
    ///
    /// ```compile_fail,E0502
    /// # use keystore_core::EpochKeystore;
    /// let store = EpochKeystore::default();
    /// let mut session = store.session();
    /// let value = session.get_ref(b"key");
    /// let changed = session.set(b"key", b"new");
    /// assert!(value.is_ok());
    /// ```
    ///
    /// ```compile_fail,E0505
    /// # use keystore_core::EpochKeystore;
    /// let store = EpochKeystore::default();
    /// let session = store.session();
    /// let value = session.get_ref(b"key");
    /// drop(store);
    /// assert!(value.is_ok());
    /// ```
    ///
    /// It stays on the thread of its session:
    ///
    /// ```compile_fail,E0277
    /// # use keystore_core::EpochKeystore;
    /// let store = EpochKeystore::default();
    /// let session = store.session();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| session.get_ref(b"key"));
    /// });
    /// ```
    ///
    /// # Errors
    /// Returns -20 if the key's length is outside its limits, and -10 if there was no memory to
    /// register the thread.
    pub fn get_ref(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        match &self.entered {
            Some(entered) => entered.get_ref(key),
            None => self.store.fail(Operation::Find, enter_error()),
        }
    }
}

impl<A, S, const WRITES: bool> Entered<'_, EpochTable<A, S>, WRITES>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Returns the value of `key`. This borrow of the guard keeps the thread pinned.
    fn get_ref(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        let hash = self.store.checked_hash(Operation::Find, key)?;
        let table = self.store.table();
        let value = table.find_value(hash, key, &self.session);
        let event = if value.is_some() { Event::FindHit } else { Event::FindMiss };
        table.account().counters.record(event);
        Ok(value)
    }
}

/// A value of a lock-free store that is read where it lies, from [`Store::get_guard`].
///
/// It holds no lock, so nothing waits for it and it cannot deadlock. It keeps its thread pinned, so
/// while it lives, nothing that is removed or replaced in any lock-free store of the process is
/// freed. It cannot go to another thread:
///
/// ```compile_fail,E0277
/// # use keystore_core::EpochKeystore;
/// fn send(_: impl Send) {}
/// let store = EpochKeystore::default();
/// send(store.get_guard(b"key"));
/// ```
///
/// And it does not outlive its store:
///
/// ```compile_fail,E0505
/// # use keystore_core::EpochKeystore;
/// let store = EpochKeystore::default();
/// let value = store.get_guard(b"key");
/// drop(store);
/// assert!(value.is_ok());
/// ```
pub struct ValueGuard<'s> {
    /// The value. It stays valid for as long as `_pinned` does, and is given out only for the time
    /// of a borrow of this guard.
    value: &'s [u8],
    _pinned: Guard,
}

impl<A, S> Store<EpochTable<A, S>>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Returns the value of `key` where it lies, with the guard that keeps it there.
    ///
    /// ```
    /// use keystore_core::{EpochKeystore, Keystore};
    ///
    /// # fn main() -> keystore_core::Result<()> {
    /// let store = EpochKeystore::default();
    /// store.set(b"key", b"value")?;
    /// let value = store.get_guard(b"key")?.expect("the key is present");
    /// store.set(b"key", b"another")?;
    /// assert_eq!(&*value, b"value");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns -20 if the key's length is outside its limits, and -10 if there was no memory to
    /// register the thread.
    pub fn get_guard(&self, key: &[u8]) -> Result<Option<ValueGuard<'_>>> {
        let hash = self.checked_hash(Operation::Find, key)?;
        let Some(pinned) = self.table().enter() else {
            return self.fail(Operation::Find, enter_error());
        };
        let found = self.table().find_value(hash, key, &pinned).map(std::ptr::from_ref);
        let event = if found.is_some() { Event::FindHit } else { Event::FindMiss };
        self.table().account().counters.record(event);
        // SAFETY: a node's value neither moves nor changes. It is freed only after all guards that
        // could have seen it are gone, or the store, which outlives 's. The value lives with its
        // guard.
        let value = found.map(|value| unsafe { &*value });
        Ok(value.map(|value| ValueGuard { value, _pinned: pinned }))
    }
}

impl Deref for ValueGuard<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.value
    }
}

impl AsRef<[u8]> for ValueGuard<'_> {
    fn as_ref(&self) -> &[u8] {
        self.value
    }
}

impl fmt::Debug for ValueGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValueGuard").field(&self.value).finish()
    }
}
