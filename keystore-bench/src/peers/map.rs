//! Defines the operations that the harness needs of a map, so that one adapter serves all peers.

use std::borrow::Cow;
use std::ops::ControlFlow;

use keystore::{Change, NewValue, Update};

/// Keys and values of every peer: one allocation each, with no spare capacity.
pub(super) type Bytes = Box<[u8]>;

/// The operations that every peer has in some form. Each is atomic for its key.
pub(super) trait Map {
    /// Calls `visit` with a reference to the value of `key`. Returns `None` if the key is absent.
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Option<R>;

    /// Calls `visit` for each key, as [`read`](Self::read) does. No peer has a batch operation, so
    /// this is a loop. A peer whose guard serves any number of lookups overrides it to take the
    /// guard once.
    fn read_many(&self, keys: &[&[u8]], mut visit: impl FnMut(usize, Option<&[u8]>)) {
        for (index, key) in keys.iter().enumerate() {
            if self.read(key, |value| visit(index, Some(value))).is_none() {
                visit(index, None);
            }
        }
    }

    /// Sets each of the entries, and returns the number of new keys. This is a loop, as in
    /// [`read_many`](Self::read_many).
    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> usize {
        entries.iter().filter(|(key, value)| self.set(key, value) == Change::Created).count()
    }

    /// Removes each of the keys, and returns the number that were present. This is a loop, as in
    /// [`read_many`](Self::read_many).
    fn remove_many(&self, keys: &[&[u8]]) -> usize {
        keys.iter().filter(|key| self.remove(key)).count()
    }

    /// Sets `key` to `value`, and returns whether the key was new. Most workloads overwrite, so the
    /// adapters of scc and dashmap first look the borrowed key up and copy it only if it is absent.
    /// That is twice as fast for a key that is present (measured with one thread, 1 million keys of
    /// 16 bytes and values of 64 bytes, in scc's `HashMap` and dashmap). It is a fifth to a third
    /// slower for a new key, which is looked up twice. [`insert`](Self::insert) looks the key up
    /// once.
    fn set(&self, key: &[u8], value: &[u8]) -> Change;

    /// Sets `key` to `value` if the key is absent. Returns whether it was absent.
    fn insert(&self, key: &[u8], value: &[u8]) -> bool;

    /// Atomically applies to `key` what `decide` returns for its value. `decide` may be called
    /// again if another thread changes the key at the same time.
    fn update<'v>(&self, key: &[u8], decide: impl FnMut(Option<&[u8]>) -> Update<'v>) -> Change;

    /// Removes `key`. Returns whether it was present.
    fn remove(&self, key: &[u8]) -> bool;

    /// Returns the number of entries.
    fn len(&self) -> usize;

    /// Calls `visit` for every entry until it returns `Break`.
    fn for_each(&self, visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>);
}

/// Overwrites a value that is exclusively locked, in place if the length is the same. That saves
/// `set` two calls of the allocator. In an update, the new value is a `Vec` whose memory could be
/// kept instead. Copying was still faster in each peer that can overwrite: the vector's memory goes
/// back to the allocator while it is in the cache, and the next value reuses it.
#[inline]
pub(super) fn overwrite(old: &mut Bytes, new: &[u8]) {
    if old.len() == new.len() {
        old.copy_from_slice(new);
    } else {
        *old = new.into();
    }
}

/// Returns the bytes of a new value. A map of another project has no error for a lack of memory.
#[inline]
pub(super) fn new_bytes<'a>(value: &'a NewValue<'_>, old: Option<&[u8]>) -> Cow<'a, [u8]> {
    value.bytes(old).expect("there is memory for the value")
}
