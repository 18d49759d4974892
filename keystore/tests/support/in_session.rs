//! A store whose operations run in a session, so that checks of stores also check sessions.

use std::cell::RefCell;
use std::ops::ControlFlow;

use keystore::{
    BatchError, Change, Counters, DynSession, Exchange, Keystore, Result, ScanCursor, Stats, Update,
};

/// A store with a session. Operations that a session does not have go to the store.
pub(crate) struct InSession<'s> {
    store: &'s dyn Keystore,
    session: RefCell<Box<dyn DynSession + 's>>,
}

impl<'s> InSession<'s> {
    pub(crate) fn new(store: &'s dyn Keystore) -> Self {
        let session = RefCell::new(store.session_dyn().expect("the session begins"));
        Self { store, session }
    }
}

impl Keystore for InSession<'_> {
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let (mut visit, mut answer) = (Some(visit), None);
        self.read_dyn(key, &mut |value| answer = visit.take().map(|visit| visit(value)))?;
        Ok(answer)
    }
    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.session.borrow_mut().read_dyn(key, visit)
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.session.borrow_mut().get(key)
    }
    fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        self.session.borrow_mut().get_into(key, buffer)
    }
    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.session.borrow_mut().contains(key)
    }
    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        self.session.borrow_mut().set(key, value)
    }
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.session.borrow_mut().insert(key, value)
    }
    fn update<'v>(
        &self,
        key: &[u8],
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.update_dyn(key, &mut decide)
    }
    fn update_dyn<'v>(
        &self,
        key: &[u8],
        decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.session.borrow_mut().update_dyn(key, decide)
    }
    fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
        self.session.borrow_mut().compare_exchange(key, expected, new)
    }
    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.session.borrow_mut().delete(key)
    }
    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.session.borrow_mut().take(key)
    }
    fn read_many(
        &self,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.read_many_dyn(keys, &mut visit)
    }
    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.session.borrow_mut().read_many_dyn(keys, visit)
    }
    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.session.borrow_mut().set_many(entries)
    }
    fn insert_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.session.borrow_mut().insert_many(entries)
    }
    fn update_many_dyn<'v>(
        &self,
        keys: &[&[u8]],
        decide: &mut dyn FnMut(usize, Option<&[u8]>) -> Update<'v>,
    ) -> Result<usize, BatchError> {
        self.session.borrow_mut().update_many_dyn(keys, decide)
    }
    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        self.session.borrow_mut().delete_many(keys)
    }
    fn take_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<Vec<u8>>),
    ) -> Result<usize, BatchError> {
        self.session.borrow_mut().take_many_dyn(keys, visit)
    }
    fn scan_dyn(
        &self,
        cursor: ScanCursor,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<Option<ScanCursor>> {
        self.session.borrow_mut().scan_dyn(cursor, limit, visit)
    }
    fn len(&self) -> Result<usize> {
        self.store.len()
    }
    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.store.for_each_dyn(&mut visit)
    }
    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.store.for_each_dyn(visit)
    }
    fn retain(&self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.store.retain_dyn(&mut keep)
    }
    fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.store.retain_dyn(keep)
    }
    fn clear(&self) -> Result<()> {
        self.store.clear()
    }
    fn reserve(&self, additional: usize) -> Result<()> {
        self.store.reserve(additional)
    }
    fn shrink(&self) -> Result<()> {
        self.store.shrink()
    }
    fn stats(&self) -> Result<Stats> {
        self.store.stats()
    }
    fn counters(&self) -> Result<Counters> {
        self.store.counters()
    }
    fn table_bytes(&self) -> Result<u64> {
        self.store.table_bytes()
    }
}
