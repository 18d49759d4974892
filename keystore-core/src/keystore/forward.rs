//! A store behind a reference, a `Box`, an `Rc` or an `Arc` is a store, and a store behind `dyn`
//! can be printed.

use std::fmt;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use super::{Change, Exchange, Keystore};
use crate::error::{BatchError, Result};
use crate::scan::ScanCursor;
use crate::stats::{Counters, Stats};
use crate::store::dyn_session::DynSession;
use crate::update::Update;

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
            fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
                (**self).get_into(key, buffer)
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
            fn insert_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
                (**self).insert_many(entries)
            }
            fn update_many_dyn<'v>(&self, keys: &[&[u8]], decide: &mut dyn FnMut(usize, Option<&[u8]>) -> Update<'v>) -> Result<usize, BatchError> {
                (**self).update_many_dyn(keys, decide)
            }
            fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
                (**self).delete_many(keys)
            }
            fn take_many_dyn(&self, keys: &[&[u8]], visit: &mut dyn FnMut(usize, Option<Vec<u8>>)) -> Result<usize, BatchError> {
                (**self).take_many_dyn(keys, visit)
            }
            fn session_dyn(&self) -> Result<Box<dyn DynSession + '_>> {
                (**self).session_dyn()
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
            fn scan_dyn(&self, cursor: ScanCursor, limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<Option<ScanCursor>> {
                (**self).scan_dyn(cursor, limit, visit)
            }
            fn update_all_dyn<'v>(&self, decide: &mut dyn FnMut(&[u8], &[u8]) -> Update<'v>) -> Result<usize> {
                (**self).update_all_dyn(decide)
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
            fn counters(&self) -> Result<Counters> {
                (**self).counters()
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
