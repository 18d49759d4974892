//! Makes flurry a peer. flurry is a port of Java's `ConcurrentHashMap`: its bins are lists of
//! nodes, readers take no lock, and writers lock a bin.
//!
//! flurry can atomically change a key that is present, and atomically insert a key that is absent,
//! but no operation does both. So `update` tries one and then the other until one of them succeeds.

use flurry::HashMap;
use keystore::{Change, DefaultHasher, Update};

use super::map::{Bytes, new_bytes};
use super::pinned::pinned_map;

type Flurry = HashMap<Bytes, Bytes, DefaultHasher>;

pinned_map!(Flurry, update);

/// Atomically applies to `key` what `decide` returns for its value.
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
                // `compute_if_present` cannot leave a value unchanged, so it gets a copy of the old
                // value.
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
