//! What the harness needs of a map, so that one adapter serves all peers.

use std::borrow::Cow;
use std::ops::ControlFlow;

use keystore::{Change, NewValue, Update};

/// Keys and values of every peer: one allocation of the very length for each, as short as std has
/// it.
pub(super) type Bytes = Box<[u8]>;

/// The operations that every peer has in some form. Each acts on its key at one instant.
pub(super) trait Map {
    /// Shows the value of `key` to `visit` where it lies.
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Option<R>;

    /// [`read`](Self::read) for each key. No peer has an operation for it, so it is a loop; a peer
    /// whose guard serves any number of lookups takes it once.
    fn read_many(&self, keys: &[&[u8]], mut visit: impl FnMut(usize, Option<&[u8]>)) {
        for (index, key) in keys.iter().enumerate() {
            if self.read(key, |value| visit(index, Some(value))).is_none() {
                visit(index, None);
            }
        }
    }

    /// Sets each of the entries, and returns how many keys were new. A loop, as
    /// [`read_many`](Self::read_many).
    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> usize {
        entries.iter().filter(|(key, value)| self.set(key, value) == Change::Created).count()
    }

    /// Removes each of the keys, and returns how many were present. A loop, as
    /// [`read_many`](Self::read_many).
    fn remove_many(&self, keys: &[&[u8]]) -> usize {
        keys.iter().filter(|key| self.remove(key)).count()
    }

    /// Gives `key` the value `value`: created or replaced. Most workloads overwrite, so scc's maps
    /// and dashmap look for the key as it is before they copy it: twice as fast where it is there
    /// (with one thread, 1 million keys of 16 bytes and values of 64, in scc's `HashMap` and
    /// dashmap), and a fifth to a third slower where it is new, for it is looked up twice.
    /// [`insert`](Self::insert) looks once.
    fn set(&self, key: &[u8], value: &[u8]) -> Change;

    /// Gives `key` the value `value` if it is absent. Returns whether it was.
    fn insert(&self, key: &[u8], value: &[u8]) -> bool;

    /// Does with `key` what `decide` answers to its value, as one step. `decide` may be asked again
    /// where another thread comes between.
    fn update<'v>(&self, key: &[u8], decide: impl FnMut(Option<&[u8]>) -> Update<'v>) -> Change;

    /// Removes `key`. Returns whether it was present.
    fn remove(&self, key: &[u8]) -> bool;

    /// Returns the number of entries.
    fn len(&self) -> usize;

    /// Shows every entry until `visit` breaks off.
    fn for_each(&self, visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>);
}

/// Gives a value that is locked exclusively a new content: in place where the length is the same.
/// That spares a `set` two calls of the allocator. Even where the new value is a `Vec` that could
/// be taken over, it was faster in each peer that can do it: the vector's memory goes back to the
/// allocator warm, and the next value is made in it.
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
