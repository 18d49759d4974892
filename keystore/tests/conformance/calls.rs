//! Every operation as a function that drops the result, for checks that try all operations.

use std::ops::ControlFlow;

use keystore::{Error, Keystore, ScanCursor, Update};

/// An operation that takes a key.
pub(crate) type OnKey = (&'static str, fn(&dyn Keystore, &[u8]) -> Result<(), Error>);

pub(crate) const ON_KEY: [OnKey; 21] = [
    ("read", |store, key| store.read_dyn(key, &mut |_| ()).map(drop)),
    ("get", |store, key| store.get(key).map(drop)),
    ("get_into", |store, key| store.get_into(key, &mut Vec::new()).map(drop)),
    ("contains", |store, key| store.contains(key).map(drop)),
    ("set", |store, key| store.set(key, b"value").map(drop)),
    ("set of a long value", |store, key| store.set(key, &[b'v'; 3_000]).map(drop)),
    ("insert", |store, key| store.insert(key, b"value").map(drop)),
    ("update to set", |store, key| {
        store.update_dyn(key, &mut |_| Update::set(b"v".to_vec())).map(drop)
    }),
    ("update to a filled value", |store, key| {
        let fill = |_: Option<&[u8]>, new: &mut [u8]| new.fill(b'f');
        store.update_dyn(key, &mut |_| Update::fill(400, &fill)).map(drop)
    }),
    ("update to keep", |store, key| store.update_dyn(key, &mut |_| Update::Keep).map(drop)),
    ("update to delete", |store, key| store.update_dyn(key, &mut |_| Update::Delete).map(drop)),
    ("compare_exchange", |store, key| store.compare_exchange(key, None, Some(b"value")).map(drop)),
    ("compare_exchange to nothing", |store, key| {
        store.compare_exchange(key, Some(b"value"), None).map(drop)
    }),
    ("delete", |store, key| store.delete(key).map(drop)),
    ("take", |store, key| store.take(key).map(drop)),
    ("read_many", |store, key| Ok(store.read_many_dyn(&[key, key], &mut |_, _| ())?)),
    ("set_many", |store, key| Ok(store.set_many(&[(key, b"value"), (key, b"")]).map(drop)?)),
    ("insert_many", |store, key| Ok(store.insert_many(&[(key, b"v"), (key, b"")]).map(drop)?)),
    ("update_many", |store, key| {
        let mut decide = |_: usize, _: Option<&[u8]>| Update::set(*b"update_many");
        Ok(store.update_many_dyn(&[key, key], &mut decide).map(drop)?)
    }),
    ("delete_many", |store, key| Ok(store.delete_many(&[key, key]).map(drop)?)),
    ("take_many", |store, key| Ok(store.take_many_dyn(&[key, key], &mut |_, _| ()).map(drop)?)),
];

/// An operation on the whole store.
pub(crate) type OnStore = (&'static str, fn(&dyn Keystore) -> Result<(), Error>);

pub(crate) const ON_STORE: [OnStore; 13] = [
    ("len", |store| store.len().map(drop)),
    ("is_empty", |store| store.is_empty().map(drop)),
    ("for_each", |store| store.for_each_dyn(&mut |_, _| ControlFlow::Continue(()))),
    ("retain that keeps all", |store| store.retain_dyn(&mut |_, _| true).map(drop)),
    ("retain that keeps some", |store| store.retain_dyn(&mut |key, _| key.len() < 6).map(drop)),
    ("scan", |store| store.scan_dyn(ScanCursor::START, 20, &mut |_, _| ()).map(drop)),
    ("update_all that keeps all", |store| store.update_all_dyn(&mut |_, _| Update::Keep).map(drop)),
    ("update_all that sets all", |store| {
        store.update_all_dyn(&mut |_, _| Update::set(*b"all")).map(drop)
    }),
    ("clear", |store| store.clear()),
    ("reserve", |store| store.reserve(500)),
    ("reserve of nothing", |store| store.reserve(0)),
    ("shrink", |store| store.shrink()),
    ("stats", |store| store.stats().map(drop)),
];
