//! A store that does nothing, which measures the cost of the harness itself.

use std::ops::ControlFlow;

use keystore::{BatchError, Change, Exchange, Keystore, Result, Stats, Update};

/// A store that keeps nothing and always behaves as if it were empty: a lookup finds nothing, a
/// write reports a created key, and a scan visits nothing.
///
/// The time of a workload on it is the cost of the harness: the loop, the clock, the virtual call,
/// and making the values. An update calls its closure once, because the harness makes the new value
/// there. The check of the content fails, unless the workload only reads and starts with an empty
/// store.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullStore;

impl Keystore for NullStore {
    fn read<R>(&self, _: &[u8], _: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(None)
    }

    fn read_dyn(&self, _: &[u8], _: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(false)
    }

    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn contains(&self, _: &[u8]) -> Result<bool> {
        Ok(false)
    }

    fn set(&self, _: &[u8], _: &[u8]) -> Result<Change> {
        Ok(Change::Created)
    }

    fn insert(&self, _: &[u8], _: &[u8]) -> Result<bool> {
        Ok(true)
    }

    fn update<'v>(
        &self,
        _: &[u8],
        mut decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        Ok(match decide(None) {
            Update::Set(_) => Change::Created,
            Update::Keep | Update::Delete => Change::Absent,
        })
    }

    fn update_dyn<'v>(
        &self,
        key: &[u8],
        decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>,
    ) -> Result<Change> {
        self.update(key, decide)
    }

    fn compare_exchange(
        &self,
        _: &[u8],
        expected: Option<&[u8]>,
        _: Option<&[u8]>,
    ) -> Result<Exchange> {
        Ok(if expected.is_none() { Exchange::Exchanged } else { Exchange::Differs(None) })
    }

    fn delete(&self, _: &[u8]) -> Result<bool> {
        Ok(false)
    }

    fn take(&self, _: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn read_many(
        &self,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        (0..keys.len()).for_each(|index| visit(index, None));
        Ok(())
    }

    fn read_many_dyn(
        &self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>),
    ) -> Result<(), BatchError> {
        self.read_many(keys, visit)
    }

    fn set_many(&self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError> {
        Ok(entries.len())
    }

    fn delete_many(&self, _: &[&[u8]]) -> Result<usize, BatchError> {
        Ok(0)
    }

    fn len(&self) -> Result<usize> {
        Ok(0)
    }

    fn for_each(&self, _: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        Ok(())
    }

    fn for_each_dyn(&self, _: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        Ok(())
    }

    fn retain(&self, _: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        Ok(0)
    }

    fn retain_dyn(&self, _: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        Ok(0)
    }

    fn clear(&self) -> Result<()> {
        Ok(())
    }

    fn reserve(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn shrink(&self) -> Result<()> {
        Ok(())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(Stats::default())
    }

    fn table_bytes(&self) -> Result<u64> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use keystore::BoxedKeystore;

    use super::*;
    use crate::measure::control::RunControl;
    use crate::measure::driver::run;
    use crate::workload::keys::Keys;
    use crate::workload::operation::Mix;
    use crate::workload::scenario::{Length, Scenario};

    #[test]
    fn it_answers_as_an_empty_store() {
        assert_eq!(NullStore.set(b"key", b"value").unwrap(), Change::Created);
        assert_eq!(NullStore.get(b"key").unwrap(), None);
        assert!(!NullStore.read_dyn(b"key", &mut |_| panic!("there is nothing to show")).unwrap());
        assert_eq!(
            NullStore.compare_exchange(b"key", Some(b"value"), None).unwrap(),
            Exchange::Differs(None)
        );
        assert_eq!(
            NullStore.update(b"key", |old| Update::set(old.unwrap_or(b"new").to_vec())).unwrap(),
            Change::Created
        );
        assert!(NullStore.is_empty().unwrap());
    }

    #[test]
    fn the_harness_runs_on_it_and_every_key_is_a_miss() {
        let scenario = Scenario {
            mix: Mix {
                get: 25,
                get_many: 25,
                set: 20,
                insert: 10,
                update: 10,
                delete: 10,
                ..Mix::default()
            },
            preload: 0.0,
            length: Length::Operations(10_000),
            keys: 100,
            batch: 7,
            ..Scenario::default()
        };
        let keys = Keys::make(scenario.keys, &scenario.key_size).unwrap();
        let streams = scenario.draw(2, 0, &keys);
        let store: BoxedKeystore = Box::new(NullStore);
        let run = run(&store, &scenario, &streams, &RunControl::default()).unwrap();
        assert_eq!(run.operations, 10_000);
        let reads = streams
            .iter()
            .zip(&run.executed)
            .flat_map(|(stream, &done)| stream.operations().iter().cycle().take(done as usize))
            .filter(|operation| !operation.kind.is_write())
            .count();
        assert_eq!(run.misses, reads as u64);
    }
}
