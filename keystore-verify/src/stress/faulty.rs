//! A store with a planted fault, with which the tests check the checks.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use keystore::{
    BatchError, Change, Error, Exchange, Keystore, Result, RwLockKeystore, Stats, Update,
};

use super::entry::{Family, KeyId};

/// The fault of a [`FaultyStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// A set claims that it created the key, but does nothing.
    SetForgets,
    /// A set of one key removes another.
    SetRemovesAnother,
    /// A set stores a value with one byte changed.
    SetCorrupts,
    SetFails,
    GetReturnsAnother,
    /// A get of a register returns the value before the last set.
    GetReturnsTheLast,
    GetPanics,
    InsertAlwaysWins,
    UpdateForgets,
    ExchangeForgets,
    ExchangeRefuses,
    DeleteForgets,
    WalkRepeats,
    WalkInvents,
    WalkSkips,
    LenIsOff,
    CallsAreMiscounted,
    /// An update reads the value and sets the new one in two steps.
    UpdateRaces,
    /// A set also changes a copy of the store, a little later, and some reads use the copy.
    ReadsLookAtACopy,
    /// An insert checks whether the key is present and sets it in two steps.
    InsertRaces,
    /// Entries are moved now and then: an entry is read, and written again a little later.
    MovesRace,
}

/// A store with a planted fault, which occurs now and then.
pub(crate) struct FaultyStore {
    inner: RwLockKeystore,
    /// The copy for [`Fault::ReadsLookAtACopy`].
    copy: RwLockKeystore,
    fault: Fault,
    calls: AtomicU64,
    replaced: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl FaultyStore {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            inner: RwLockKeystore::default(),
            copy: RwLockKeystore::default(),
            fault,
            calls: AtomicU64::new(0),
            replaced: Mutex::default(),
        }
    }

    /// Returns whether this call goes wrong: one call in 50 does, if this is the fault.
    fn strikes(&self, fault: Fault) -> bool {
        self.fault == fault && self.calls.fetch_add(1, Relaxed) % 50 == 7
    }

    /// Moves an entry like a faulty table that lets other threads change the entry during the move.
    fn move_entry(&self, key: &[u8]) -> Result<()> {
        if self.strikes(Fault::MovesRace)
            && let Some(value) = self.inner.get(key)?
        {
            thread::yield_now();
            self.inner.set(key, &value)?;
        }
        Ok(())
    }
}

impl Keystore for FaultyStore {
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.inner.read(key, visit)
    }
    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        if self.strikes(Fault::ReadsLookAtACopy) {
            return self.copy.read_dyn(key, visit);
        }
        self.move_entry(key)?;
        self.inner.read_dyn(key, visit)
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        assert!(!self.strikes(Fault::GetPanics), "planted");
        if self.strikes(Fault::GetReturnsAnother) {
            return self.inner.get(&KeyId::own(0, 0).encode());
        }
        let got = self.inner.get(key)?;
        if self.fault == Fault::GetReturnsTheLast && key[0] == Family::Register as u8 {
            return Ok(self.replaced.lock().unwrap().get(key).cloned().or(got));
        }
        Ok(got)
    }
    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.inner.contains(key)
    }
    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        if self.strikes(Fault::SetForgets) {
            return Ok(Change::Created);
        }
        if self.strikes(Fault::SetFails) {
            return Err(Error::OutOfMemory { requested: value.len() });
        }
        if self.strikes(Fault::SetRemovesAnother) {
            self.inner.delete(&KeyId::own(0, 0).encode())?;
        }
        if self.strikes(Fault::SetCorrupts) {
            let mut corrupt = value.to_vec();
            *corrupt.last_mut().unwrap() ^= 1;
            return self.inner.set(key, &corrupt);
        }
        if self.fault == Fault::GetReturnsTheLast
            && let Some(replaced) = self.inner.get(key)?
        {
            self.replaced.lock().unwrap().insert(key.to_vec(), replaced);
        }
        let change = self.inner.set(key, value)?;
        if self.fault == Fault::ReadsLookAtACopy {
            thread::yield_now();
            self.copy.set(key, value)?;
        }
        Ok(change)
    }
    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        if self.strikes(Fault::InsertRaces) {
            let absent = !self.inner.contains(key)?;
            thread::yield_now();
            if absent {
                self.inner.set(key, value)?;
            }
            return Ok(absent);
        }
        let inserted = self.inner.insert(key, value)?;
        Ok(inserted || self.strikes(Fault::InsertAlwaysWins))
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
        if self.strikes(Fault::UpdateRaces) {
            let old = self.inner.get(key)?;
            thread::yield_now();
            return match decide(old.as_deref()) {
                Update::Set(value) => self.inner.set(key, &value.bytes(old.as_deref())?),
                Update::Keep if old.is_some() => Ok(Change::Kept),
                Update::Delete if self.inner.delete(key)? => Ok(Change::Deleted),
                Update::Keep | Update::Delete => Ok(Change::Absent),
            };
        }
        let forgets = self.strikes(Fault::UpdateForgets);
        let mut expected = Change::Replaced;
        let change = self.inner.update_dyn(key, &mut |old| {
            expected = if old.is_some() { Change::Replaced } else { Change::Created };
            let update = decide(old);
            if forgets { Update::Keep } else { update }
        })?;
        Ok(if forgets { expected } else { change })
    }
    fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
        if self.strikes(Fault::ExchangeForgets) {
            return Ok(Exchange::Exchanged);
        }
        if self.strikes(Fault::ExchangeRefuses) {
            return Ok(Exchange::Differs(expected.map(<[u8]>::to_vec)));
        }
        self.inner.compare_exchange(key, expected, new)
    }
    fn delete(&self, key: &[u8]) -> Result<bool> {
        if self.strikes(Fault::DeleteForgets) {
            return self.inner.contains(key);
        }
        self.inner.delete(key)
    }
    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.take(key)
    }
    fn read_many(
        &self,
        keys: &[&[u8]],
        visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.inner.read_many(keys, visit)
    }
    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.inner.read_many_dyn(keys, visit)
    }
    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        self.inner.set_many(entries)
    }
    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        self.inner.delete_many(keys)
    }
    fn len(&self) -> Result<usize> {
        Ok(self.inner.len()? + usize::from(self.fault == Fault::LenIsOff))
    }
    fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.for_each_dyn(&mut visit)
    }
    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        if self.fault == Fault::WalkInvents {
            let _ = visit(b"nobody set this", b"");
        }
        self.inner.for_each(|key, value| {
            if self.strikes(Fault::WalkSkips) {
                return ControlFlow::Continue(());
            }
            if self.strikes(Fault::WalkRepeats) {
                visit(key, value)?;
            }
            visit(key, value)
        })
    }
    fn retain(&self, keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.inner.retain(keep)
    }
    fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.inner.retain_dyn(keep)
    }
    fn clear(&self) -> Result<()> {
        self.inner.clear()
    }
    fn reserve(&self, additional: usize) -> Result<()> {
        self.inner.reserve(additional)
    }
    fn shrink(&self) -> Result<()> {
        self.inner.shrink()
    }
    fn table_bytes(&self) -> Result<u64> {
        self.inner.table_bytes()
    }
    fn stats(&self) -> Result<Stats> {
        let mut stats = self.inner.stats()?;
        stats.operations.finds -= u64::from(self.fault == Fault::CallsAreMiscounted);
        Ok(stats)
    }
}
