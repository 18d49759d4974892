//! flurry: Java's `ConcurrentHashMap` in Rust: bins of linked nodes, readers without locks, writers
//! lock a bin.
//!
//! It has an atomic change for a key that is present and an atomic insertion for one that is
//! absent, and nothing for both, so an update tries one and then the other until one of them meets
//! the key as it wants it.

use flurry::HashMap;
use keystore::{Change, DefaultHasher, Update};

use super::map::{Bytes, new_bytes};
use super::pinned::pinned_map;

type Flurry = HashMap<Bytes, Bytes, DefaultHasher>;

pinned_map!(Flurry, update);

/// Does with `key` what `decide` answers to its value, as one step.
#[inline]
fn update<'v>(
    map: &Flurry,
    key: &[u8],
    mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
) -> Change {
    let map = map.pin();
    loop {
        let mut change = None;
        map.compute_if_present(key, |_, old| {
            let (done, value) = match decide(Some(old)) {
                // It has no way to leave a value as it is but to give it again.
                Update::Keep => (Change::Kept, Some(old.clone())),
                Update::Set(value) => {
                    (Change::Replaced, Some((&*new_bytes(&value, Some(old))).into()))
                }
                Update::Delete => (Change::Deleted, None),
            };
            change = Some(done);
            value
        });
        if let Some(change) = change {
            return change;
        }
        let Update::Set(value) = decide(None) else { return Change::Absent };
        if map.try_insert(key.into(), (&*new_bytes(&value, None)).into()).is_ok() {
            return Change::Created;
        }
    }
}
