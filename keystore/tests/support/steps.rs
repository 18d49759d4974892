//! The steps of a sequence of calls, checked against a map of the standard library.

use std::collections::HashMap;
use std::ops::ControlFlow;

use keystore::{Change, Error, Exchange, Keystore, ScanCursor, Update};

/// A value, described by a byte and a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value(pub(crate) u8, pub(crate) usize);

impl Value {
    fn bytes(self) -> Vec<u8> {
        (0..self.1).map(|at| self.0.wrapping_add(at as u8)).collect()
    }
}

/// A call. Keys are numbers, which [`key`] turns into bytes.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Read(usize),
    Set(usize, Value),
    Insert(usize, Value),
    /// An update to this value, or a deletion for `None`.
    Update(usize, Option<Value>),
    UpdateKeep(usize),
    /// An update to a value of this length, which a function writes: the old value, repeated.
    UpdateFilled(usize, usize),
    GetInto(usize),
    /// A `compare_exchange` that expects the present value, with this new value. `None` stands for
    /// no value.
    Exchange(usize, Option<Value>),
    /// A `compare_exchange` that expects the first value, with the second as the new value.
    ExchangeFrom(usize, Option<Value>, Option<Value>),
    Delete(usize),
    Take(usize),
    ReadMany(Vec<usize>),
    SetMany(Vec<(usize, Value)>),
    InsertMany(Vec<(usize, Value)>),
    /// An `update_many` that appends a byte, or deletes the keys with an odd length of value.
    UpdateMany(Vec<usize>),
    DeleteMany(Vec<usize>),
    TakeMany(Vec<usize>),
    /// A `retain` that removes the entries whose lengths of key and value add up to a multiple of
    /// this.
    Retain(usize),
    /// An `update_all` that removes the same entries and sets the others to one byte more.
    UpdateAll(usize),
    /// A scan of the whole content, with this limit for each call.
    Scan(usize),
    Clear,
    Reserve(usize),
    Shrink,
    /// A comparison of the whole content.
    Check,
}

/// Writes the old value to `new`, repeated. Without an old value all bytes are `?`.
fn repeat(old: Option<&[u8]>, new: &mut [u8]) {
    let old = old.filter(|old| !old.is_empty()).unwrap_or(b"?");
    new.iter_mut().zip(old.iter().cycle()).for_each(|(new, old)| *new = *old);
}

/// Returns the key of number `n`, of one byte to some hundreds.
pub(crate) fn key(n: usize) -> Vec<u8> {
    let length = [1, 2, 7, 8, 9, 16, 60, 300][n % 8];
    let mut key = vec![b'k'; length];
    key[length - 1] = n as u8;
    key
}

/// The content that a store should have.
#[derive(Debug, Default)]
pub(crate) struct Model {
    entries: HashMap<Vec<u8>, Vec<u8>>,
}

impl Model {
    /// Runs `step` on `store` and on the model, and checks that the answers agree. If the store
    /// returns an error, this returns it. The model then stays as it is, except for what a call on
    /// many keys had done before the error.
    pub(crate) fn take(&mut self, store: &dyn Keystore, step: &Step) -> Result<(), Error> {
        let entries = &mut self.entries;
        match step {
            Step::Read(n) => {
                let expected = entries.get(&key(*n));
                assert_eq!(store.get(&key(*n))?.as_ref(), expected);
                assert_eq!(store.contains(&key(*n))?, expected.is_some());
            }
            Step::Set(n, value) => {
                let change = store.set(&key(*n), &value.bytes())?;
                let old = entries.insert(key(*n), value.bytes());
                assert_eq!(change, if old.is_some() { Change::Replaced } else { Change::Created });
            }
            Step::Insert(n, value) => {
                let inserted = store.insert(&key(*n), &value.bytes())?;
                assert_eq!(inserted, !entries.contains_key(&key(*n)));
                entries.entry(key(*n)).or_insert_with(|| value.bytes());
            }
            Step::Update(n, value) => {
                let old = entries.get(&key(*n));
                let change = store.update_dyn(&key(*n), &mut |shown| {
                    assert_eq!(shown, old.map(Vec::as_slice));
                    value.map_or(Update::Delete, |value| Update::set(value.bytes()))
                })?;
                let expected = match (old, value) {
                    (None, None) => Change::Absent,
                    (None, Some(_)) => Change::Created,
                    (Some(_), None) => Change::Deleted,
                    (Some(_), Some(_)) => Change::Replaced,
                };
                assert_eq!(change, expected);
                self.put(*n, *value);
            }
            Step::UpdateKeep(n) => {
                let change = store.update_dyn(&key(*n), &mut |_| Update::Keep)?;
                let present = entries.contains_key(&key(*n));
                assert_eq!(change, if present { Change::Kept } else { Change::Absent });
            }
            Step::UpdateFilled(n, length) => {
                let old = entries.get(&key(*n)).cloned();
                let mut expected = vec![0; *length];
                repeat(old.as_deref(), &mut expected);
                let (length, expected_old) = (*length, old.clone());
                let fill = move |shown: Option<&[u8]>, new: &mut [u8]| {
                    assert_eq!(shown, expected_old.as_deref());
                    assert!(new.iter().all(|&byte| byte == 0));
                    repeat(shown, new);
                };
                let change = store.update_dyn(&key(*n), &mut |_| Update::fill(length, &fill))?;
                assert_eq!(change, if old.is_some() { Change::Replaced } else { Change::Created });
                entries.insert(key(*n), expected);
            }
            Step::GetInto(n) => {
                let mut buffer = b"left from before".to_vec();
                let found = store.get_into(&key(*n), &mut buffer)?;
                let expected = entries.get(&key(*n));
                assert_eq!(
                    (found, Some(&buffer)),
                    (expected.is_some(), expected.or(Some(&vec![])))
                );
            }
            Step::Exchange(n, new) => {
                let expected = entries.get(&key(*n)).cloned();
                self.exchange(store, *n, expected, *new)?;
            }
            Step::ExchangeFrom(n, expected, new) => {
                self.exchange(store, *n, expected.map(Value::bytes), *new)?;
            }
            Step::Delete(n) => {
                assert_eq!(store.delete(&key(*n))?, entries.remove(&key(*n)).is_some())
            }
            Step::Take(n) => assert_eq!(store.take(&key(*n))?, entries.remove(&key(*n))),
            Step::ReadMany(numbers) => {
                let keys: Vec<_> = numbers.iter().map(|&n| key(n)).collect();
                let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
                let mut visits = 0;
                store.read_many_dyn(&keys, &mut |at, value| {
                    assert_eq!((at, value), (visits, entries.get(keys[at]).map(Vec::as_slice)));
                    visits += 1;
                })?;
                assert_eq!(visits, keys.len());
            }
            Step::SetMany(batch) => {
                let owned: Vec<_> =
                    batch.iter().map(|&(n, value)| (key(n), value.bytes())).collect();
                let pairs: Vec<_> =
                    owned.iter().map(|(key, value)| (&key[..], &value[..])).collect();
                let result = store.set_many(&pairs);
                let done = result.as_ref().map_or_else(|error| error.index, |_| batch.len());
                let before = entries.len();
                entries.extend(owned.into_iter().take(done));
                assert_eq!(result?, entries.len() - before);
            }
            Step::InsertMany(batch) => {
                let owned: Vec<_> =
                    batch.iter().map(|&(n, value)| (key(n), value.bytes())).collect();
                let pairs: Vec<_> =
                    owned.iter().map(|(key, value)| (&key[..], &value[..])).collect();
                let result = store.insert_many(&pairs);
                let done = result.as_ref().map_or_else(|error| error.index, |_| batch.len());
                let before = entries.len();
                for (key, value) in owned.into_iter().take(done) {
                    entries.entry(key).or_insert(value);
                }
                assert_eq!(result?, entries.len() - before);
            }
            Step::UpdateMany(numbers) => {
                let keys: Vec<_> = numbers.iter().map(|&n| key(n)).collect();
                let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
                let new = |old: &[u8]| old.len().is_multiple_of(2).then(|| [old, b"+"].concat());
                let result = store.update_many_dyn(&keys, &mut |at, old| {
                    assert!(at < keys.len());
                    match old {
                        None => Update::Keep,
                        Some(old) => new(old).map_or(Update::Delete, Update::set),
                    }
                });
                let done = result.as_ref().map_or_else(|error| error.index, |_| keys.len());
                let mut changed = 0;
                for &key in &keys[..done] {
                    if let Some(old) = entries.remove(key) {
                        changed += 1;
                        entries.extend(new(&old).map(|new| (key.to_vec(), new)));
                    }
                }
                assert_eq!(result?, changed);
            }
            Step::TakeMany(numbers) => {
                let keys: Vec<_> = numbers.iter().map(|&n| key(n)).collect();
                let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
                let (mut visits, mut taken) = (0, 0);
                let result = store.take_many_dyn(&keys, &mut |at, value| {
                    assert_eq!((at, &value), (visits, &entries.remove(keys[at])));
                    visits += 1;
                    taken += usize::from(value.is_some());
                });
                assert_eq!(visits, result.as_ref().map_or_else(|e| e.index, |_| keys.len()));
                assert_eq!(result?, taken);
            }
            Step::DeleteMany(numbers) => {
                let keys: Vec<_> = numbers.iter().map(|&n| key(n)).collect();
                let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
                let result = store.delete_many(&keys);
                let done = result.as_ref().map_or_else(|error| error.index, |_| keys.len());
                let before = entries.len();
                entries.retain(|key, _| !keys[..done].contains(&key.as_slice()));
                assert_eq!(result?, before - entries.len());
            }
            Step::Retain(divisor) => {
                let keep =
                    |key: &[u8], value: &[u8]| !(key.len() + value.len()).is_multiple_of(*divisor);
                let result = store.retain_dyn(&mut |key, value| {
                    assert_eq!(entries.get(key).map(Vec::as_slice), Some(value));
                    keep(key, value)
                });
                if result.is_err() {
                    self.forget_what_is_gone(store, |key, value| !keep(key, value));
                }
                let (removed, entries) = (result?, &mut self.entries);
                let before = entries.len();
                entries.retain(|key, value| keep(key, value));
                assert_eq!(removed, before - entries.len());
            }
            Step::UpdateAll(divisor) => {
                let goes =
                    |key: &[u8], value: &[u8]| (key.len() + value.len()).is_multiple_of(*divisor);
                let mut done = HashMap::new();
                let result = store.update_all_dyn(&mut |key, value| {
                    assert_eq!(entries.get(key).map(Vec::as_slice), Some(value));
                    let new = (!goes(key, value)).then(|| [value, b"+"].concat());
                    assert!(
                        done.insert(key.to_vec(), new.clone()).is_none(),
                        "{key:?} comes twice"
                    );
                    new.map_or(Update::Delete, Update::set)
                });
                // The entry whose change failed keeps its value.
                let changed = result.as_ref().map_or(done.len().saturating_sub(1), |&count| count);
                let mut count = 0;
                for (key, new) in done {
                    let old = entries.get(&key).cloned();
                    let now = store.get(&key).unwrap_or_else(|_| new.clone());
                    if now == old {
                        continue;
                    }
                    assert_eq!(now, new);
                    count += 1;
                    match new {
                        Some(new) => entries.insert(key, new),
                        None => entries.remove(&key),
                    };
                }
                assert!(count == changed || result.is_err() && count == changed + 1, "{count}");
                result?;
            }
            Step::Scan(limit) => {
                let mut found = HashMap::new();
                let mut next = Some(ScanCursor::START);
                while let Some(cursor) = next {
                    next = store.scan_dyn(cursor, *limit, &mut |key, value| {
                        let again = found.insert(key.to_vec(), value.to_vec());
                        assert!(again.is_none(), "{key:?} is shown twice");
                    })?;
                }
                assert_eq!(&found, entries, "what a scan shows, and what it should");
            }
            Step::Clear => {
                let result = store.clear();
                if result.is_err() {
                    self.forget_what_is_gone(store, |_, _| true);
                }
                result?;
                self.entries.clear();
            }
            Step::Reserve(additional) => store.reserve(*additional)?,
            Step::Shrink => store.shrink()?,
            Step::Check => self.check(store),
        }
        assert_eq!(store.len(), Ok(self.entries.len()));
        Ok(())
    }

    /// Compares the whole content of the store with the model.
    pub(crate) fn check(&self, store: &dyn Keystore) {
        let mut found = HashMap::new();
        store
            .for_each_dyn(&mut |key, value| {
                assert!(
                    found.insert(key.to_vec(), value.to_vec()).is_none(),
                    "{key:?} is shown twice"
                );
                ControlFlow::Continue(())
            })
            .expect("for_each answers");
        assert_eq!(found, self.entries, "what for_each shows, and what it should");
        for (key, value) in &self.entries {
            let mut same = None;
            let read = store.read_dyn(key, &mut |found| same = Some(found == value));
            assert_eq!((read, same), (Ok(true), Some(true)), "read of {key:?}");
        }
        assert_eq!(store.len(), Ok(self.entries.len()));
        // The counters are sums over all writes, and the statistics look at every entry.
        let (counters, stats) = (store.counters().unwrap(), store.stats().unwrap());
        assert_eq!(counters.entries, self.entries.len() as u64);
        assert_eq!(counters.node_bytes, stats.memory.node_bytes);
    }

    fn exchange(
        &mut self,
        store: &dyn Keystore,
        n: usize,
        expected: Option<Vec<u8>>,
        new: Option<Value>,
    ) -> Result<(), Error> {
        let new_bytes = new.map(Value::bytes);
        let exchange =
            store.compare_exchange(&key(n), expected.as_deref(), new_bytes.as_deref())?;
        let now = self.entries.get(&key(n));
        if now == expected.as_ref() {
            assert_eq!(exchange, Exchange::Exchanged);
            self.put(n, new);
        } else {
            assert_eq!(exchange, Exchange::Differs(now.cloned()));
        }
        Ok(())
    }

    /// Updates the model after a call that failed half-way. Entries that the call might have
    /// removed may be gone, and no others.
    fn forget_what_is_gone(&mut self, store: &dyn Keystore, may_go: impl Fn(&[u8], &[u8]) -> bool) {
        self.entries.retain(|key, value| {
            let there = store.contains(key).expect("contains answers");
            assert!(there || may_go(key, value), "{key:?} is gone");
            there
        });
    }

    fn put(&mut self, n: usize, value: Option<Value>) {
        match value {
            Some(value) => self.entries.insert(key(n), value.bytes()),
            None => self.entries.remove(&key(n)),
        };
    }
}
