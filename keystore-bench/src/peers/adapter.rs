//! Adapts any [`Map`] to the interface of a store.

use std::ops::ControlFlow;

use keystore::{BatchError, Change, Error, Exchange, Keystore, Result, Stats, Update};

use super::map::Map;

/// A peer as a store.
pub(super) struct Peer<M>(pub(super) M);

/// Returns the error for an operation that some peers lack, or that each peer defines differently.
const fn unsupported<T>(operation: &'static str) -> Result<T> {
    Err(Error::Unsupported {
        operation,
        reason: "a peer is driven only through what all of them have",
    })
}

impl<M: Map> Keystore for Peer<M> {
    #[inline]
    fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.0.read(key, visit))
    }

    fn read_dyn(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.0.read(key, visit).is_some())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.read(key, <[u8]>::to_vec))
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.0.read(key, |_| ()).is_some())
    }

    fn set(&self, key: &[u8], value: &[u8]) -> Result<Change> {
        Ok(self.0.set(key, value))
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        Ok(self.0.insert(key, value))
    }

    #[inline]
    fn update<'v>(
        &self,
        key: &[u8],
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        Ok(self.0.update(key, decide))
    }

    fn update_dyn<'v>(
        &self,
        key: &[u8],
        decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        Ok(self.0.update(key, decide))
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
        let mut exchange = Exchange::Exchanged;
        self.0.update(key, |old| {
            if old != expected {
                exchange = Exchange::Differs(old.map(<[u8]>::to_vec));
                return Update::Keep;
            }
            exchange = Exchange::Exchanged;
            new.map_or(Update::Delete, |new| Update::set(new.to_vec()))
        });
        Ok(exchange)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        Ok(self.0.remove(key))
    }

    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut taken = None;
        self.0.update(key, |old| {
            taken = old.map(<[u8]>::to_vec);
            Update::Delete
        });
        Ok(taken)
    }

    fn read_many(
        &self,
        keys: &[&[u8]],
        visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.0.read_many(keys, visit);
        Ok(())
    }

    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.0.read_many(keys, visit);
        Ok(())
    }

    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        Ok(self.0.set_many(entries))
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<usize, BatchError> {
        Ok(self.0.remove_many(keys))
    }

    fn len(&self) -> Result<usize> {
        Ok(self.0.len())
    }

    fn for_each(&self, visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.0.for_each(visit);
        Ok(())
    }

    fn for_each_dyn(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.0.for_each(visit);
        Ok(())
    }

    fn retain(&self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        // Collect the keys first: a scan may hold locks that removing an entry needs.
        let mut keys = Vec::new();
        self.0.for_each(|key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        });
        let mut removed = 0;
        for key in &keys {
            let change = self.0.update(key, |old| match old {
                Some(value) if !keep(key, value) => Update::Delete,
                _ => Update::Keep,
            });
            removed += usize::from(change == Change::Deleted);
        }
        Ok(removed)
    }

    fn retain_dyn(&self, keep: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        self.retain(keep)
    }

    fn clear(&self) -> Result<()> {
        self.retain(|_, _| false).map(drop)
    }

    fn reserve(&self, _: usize) -> Result<()> {
        unsupported("reserve")
    }

    fn shrink(&self) -> Result<()> {
        unsupported("shrink")
    }

    fn stats(&self) -> Result<Stats> {
        let count = self.0.len() as u64;
        let mut stats = Stats::default();
        stats.entries.count = count;
        Ok(stats)
    }

    /// Returns 0, because peers do not report it.
    fn table_bytes(&self) -> Result<u64> {
        Ok(0)
    }
}
