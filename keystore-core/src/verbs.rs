//! The verbs on one key, within a session: how each is made of the one atomic step that a table has.

use std::borrow::Cow;

use crate::backend::reentry::{Closure, OfCaller, OfCrate};
use crate::error::{Error, Result};
use crate::fallible::try_vec;
use crate::hash::asks_for_entries;
use crate::keystore::{Change, Exchange, Update};
use crate::ledger::{Event, Verb};
use crate::node::Node;
use crate::store::Store;
use crate::table::{Decision, Table};

#[expect(private_bounds, reason = "tables are the crate's own")]
impl<T: Table> Store<T> {
    /// The hash of a key that keeps its limits.
    #[inline]
    pub(crate) fn checked_hash(&self, verb: Verb, key: &[u8]) -> Result<u64> {
        match Node::check_key(key) {
            Ok(()) => Ok(self.table().ledger().hash(key)),
            Err(error) => self.failed(verb, error),
        }
    }

    /// Records a call that failed, and returns its error. Apart from the rest, so that a call that succeeds moves no error.
    #[cold]
    #[inline(never)]
    pub(crate) fn failed<R>(&self, verb: Verb, error: Error) -> Result<R> {
        self.table().ledger().record_failure(verb, &error);
        Err(error)
    }

    /// Sees now and then to it, after an entry was removed, that a table which shrinks by itself does.
    #[inline(never)]
    fn removed(&self, session: &T::Session, hash: u64) {
        if asks_for_entries(hash) {
            self.shrink_if_sparse(session);
        }
    }

    /// Shows the value of a key whose hash is known.
    #[inline]
    pub(crate) fn read_hashed<C: Closure, R>(
        &self,
        session: &T::Session,
        hash: u64,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        match self.table().read::<C, R>(session, hash, key, visit) {
            Ok(found) => {
                self.table().ledger().record(if found.is_some() { Event::FindHit } else { Event::FindMiss });
                Ok(found)
            }
            Err(error) => self.failed(Verb::Find, error),
        }
    }

    /// One atomic step on a key whose hash is known.
    #[inline]
    pub(crate) fn alter_hashed<'v, C: Closure>(
        &self,
        session: &T::Session,
        verb: Verb,
        hash: u64,
        key: &[u8],
        likely: Option<&[u8]>,
        decide: impl FnMut(Option<&[u8]>) -> Decision<'v>,
    ) -> Result<Change> {
        let record = |change| self.table().ledger().record_change(verb, change);
        match self.table().alter::<C>(session, hash, key, likely, decide, record) {
            Ok(change) => {
                if change == Change::Deleted {
                    self.removed(session, hash);
                }
                Ok(change)
            }
            Err(error) => self.failed(verb, error),
        }
    }

    #[inline]
    fn alter_in<'v, C: Closure>(
        &self,
        session: &T::Session,
        verb: Verb,
        key: &[u8],
        likely: Option<&[u8]>,
        decide: impl FnMut(Option<&[u8]>) -> Decision<'v>,
    ) -> Result<Change> {
        let hash = self.checked_hash(verb, key)?;
        self.alter_hashed::<C>(session, verb, hash, key, likely, decide)
    }

    #[inline]
    pub(crate) fn read_in<C: Closure, R>(
        &self,
        session: &T::Session,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let hash = self.checked_hash(Verb::Find, key)?;
        self.read_hashed::<C, R>(session, hash, key, visit)
    }

    #[inline]
    pub(crate) fn get_in(&self, session: &T::Session, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read_in::<OfCrate, _>(session, key, copy)?.transpose()
    }

    #[inline]
    pub(crate) fn contains_in(&self, session: &T::Session, key: &[u8]) -> Result<bool> {
        Ok(self.read_in::<OfCrate, _>(session, key, |_| ())?.is_some())
    }

    #[inline]
    pub(crate) fn set_in(&self, session: &T::Session, key: &[u8], value: &[u8]) -> Result<Change> {
        let decide = |_: Option<&[u8]>| Decision::Set(Cow::Borrowed(value));
        self.alter_in::<OfCrate>(session, Verb::Add, key, Some(value), decide)
    }

    #[inline]
    pub(crate) fn insert_in(&self, session: &T::Session, key: &[u8], value: &[u8]) -> Result<bool> {
        let change = self.alter_in::<OfCrate>(session, Verb::Add, key, Some(value), |old| match old {
            Some(_) => Decision::Keep,
            None => Decision::Set(Cow::Borrowed(value)),
        })?;
        Ok(change == Change::Created)
    }

    #[inline]
    pub(crate) fn update_in(
        &self,
        session: &T::Session,
        key: &[u8],
        mut decide: impl FnMut(Option<&[u8]>) -> Update,
    ) -> Result<Change> {
        self.alter_in::<OfCaller>(session, Verb::Add, key, None, |old| match decide(old) {
            Update::Keep => Decision::Keep,
            Update::Set(value) => Decision::Set(Cow::Owned(value)),
            Update::Delete => Decision::Delete,
        })
    }

    pub(crate) fn compare_exchange_in(
        &self,
        session: &T::Session,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Exchange> {
        let mut found = Ok(None);
        let mut differs = false;
        self.alter_in::<OfCrate>(session, Verb::Add, key, new, |old| {
            differs = old != expected;
            match new {
                _ if differs => {
                    found = old.map(copy).transpose();
                    Decision::Keep
                }
                Some(value) => Decision::Set(Cow::Borrowed(value)),
                None => Decision::Delete,
            }
        })?;
        if differs { found.map(Exchange::Differs) } else { Ok(Exchange::Exchanged) }
    }

    #[inline]
    pub(crate) fn delete_in(&self, session: &T::Session, key: &[u8]) -> Result<bool> {
        let change = self.alter_in::<OfCrate>(session, Verb::Delete, key, None, |_| Decision::Delete)?;
        Ok(change == Change::Deleted)
    }

    pub(crate) fn take_in(&self, session: &T::Session, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut taken = Ok(None);
        self.alter_in::<OfCrate>(session, Verb::Delete, key, None, |old| {
            taken = old.map(copy).transpose();
            // A value that cannot be copied stays.
            if taken.is_ok() { Decision::Delete } else { Decision::Keep }
        })?;
        taken
    }
}

/// A copy of `bytes`, or the error where there is no memory for it.
fn copy(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = try_vec(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
