//! Runs a burst of threads: many threads that are alive at the same time, use the store once each,
//! and end.
//!
//! A store may keep state for each thread that has used it. This state must not slow down threads
//! that come later. So a scenario with a [`burst`](crate::Scenario::burst) is measured twice:
//! before the burst and after it.

use std::sync::Barrier;

use keystore::Keystore;
use keystore_verify::spawn_together;
use keystore_verify::value::{MIN_VALUE_SIZE, Stamp, write_value};

use crate::error::{Error, Result};
use crate::workload::keys::Keys;
use crate::workload::scenario::Scenario;

/// A guard that, when dropped, waits at the barrier for the other threads. It waits even if using
/// the store panicked.
struct Alive<'a>(&'a Barrier);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// Starts the scenario's burst of threads and returns when all of them have ended. Each thread
/// overwrites one of the loaded keys with a value as loading writes it, looks the key up, and stays
/// alive until all other threads have done the same.
///
/// # Errors
/// Returns [`Error::Threads`] if the system refuses one of the threads, or if one of them panics.
/// Returns [`Error::Store`] for the first error of the store.
pub(crate) fn run(
    name: &str,
    store: &(dyn Keystore + Send + Sync),
    scenario: &Scenario,
    keys: &Keys,
) -> Result<()> {
    let Some(threads) = scenario.burst else { return Ok(()) };
    let (all, loaded) = (Barrier::new(threads), scenario.loaded_keys());
    let size = scenario.value_size.min().max(MIN_VALUE_SIZE);
    let together = spawn_together(threads, |number| {
        let _alive = Alive(&all);
        let position = number % loaded;
        let mut value = vec![0; size];
        write_value(&mut value, position as u32, Stamp::LOADED);
        store.set(keys.get(position), &value)?;
        store.read_dyn(keys.get(position), &mut |_| {})
    });
    let failed =
        |reason: String| Error::Threads { scenario: scenario.name.clone(), threads, reason };
    for result in together.map_err(|error| failed(error.to_string()))?.results {
        let used = result.map_err(failed)?;
        used.map_err(|source| Error::Store {
            store: name.to_owned(),
            scenario: format!("{}, the burst of {threads} threads", scenario.name),
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::time::Duration;

    use keystore::{BackendKind, Config, Global, open};

    use super::*;
    use crate::measure::control::RunControl;
    use crate::measure::null_store::NullStore;

    #[test]
    fn every_thread_of_a_burst_uses_the_store_and_leaves_it_as_loading_did() {
        let scenario = Scenario { keys: 10, burst: Some(64), ..Scenario::default() };
        let keys = Keys::make(10, &scenario.key_size).unwrap();
        let store = open(BackendKind::RwLock, &Config::default(), Global).unwrap();
        crate::measure::driver::load(&*store, &scenario, &keys, &[], &RunControl::default())
            .unwrap();
        run("rwlock", &*store, &scenario, &keys).unwrap();
        let stats = store.stats().unwrap().operations;
        assert_eq!((stats.adds, stats.finds), (10 + 64, 64));
        let proof = crate::Proof { scenario: &scenario, keys: &keys, streams: &[], executed: &[] };
        assert!(proof.check(&*store, &RunControl::default()).unwrap().passed());
    }

    #[test]
    fn a_thread_that_has_used_the_store_stays_until_all_have() {
        let (all, used) = (Barrier::new(2), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let _alive = Alive(&all);
                used.store(true, SeqCst);
            });
            while !used.load(SeqCst) {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(30));
            assert!(!waiting.is_finished());
            drop(Alive(&all));
        });
    }

    #[test]
    fn a_burst_of_no_store_is_no_burst() {
        let keys = Keys::make(10, &16.into()).unwrap();
        run("nothing", &NullStore, &Scenario::default(), &keys).unwrap();
    }
}
