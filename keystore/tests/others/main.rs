//! Bugs of other maps that cannot happen here. Each check is named after a bug report of another
//! project, and puts a store into the situation of that report.
//!
//! The page `docs/other-maps.md` lists the reports. The module [`page`] checks that the page and
//! the checks agree. Each check runs on every backend and pool, under a watchdog that turns a hang
//! into a failure. All nodes come from an allocator that overwrites freed blocks with a pattern, so
//! a read of freed memory shows.

#[path = "../support/check.rs"]
mod check;
#[path = "../support/combination.rs"]
mod combination;
#[path = "../support/hashing.rs"]
mod hashing;

mod closures;
mod iteration;
mod limits;
mod page;
mod reclamation;
mod resizing;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use keystore::{AnyPool, BackendKind, BoxedKeystore, Config, EpochKeystore, Error, Keystore, open};

use self::check::Check;
use self::combination::{Combination, Scribbling};

/// The checks of each module, without those of the page.
const MODULES: &[(&str, &[Check])] = &[
    ("closures", closures::CHECKS),
    ("iteration", iteration::CHECKS),
    ("limits", limits::CHECKS),
    ("reclamation", reclamation::CHECKS),
    ("resizing", resizing::CHECKS),
];

/// A lock-free store whose freed nodes are overwritten.
type EpochStore = EpochKeystore<Scribbling<AnyPool>>;

impl Combination {
    /// Opens a store of this combination that threads may share.
    fn open_shared(&self, config: &Config) -> BoxedKeystore {
        open(self.backend, config, self.pool(config)).expect("the store opens")
    }

    /// Opens a store of this combination with one bucket, if the backend is lock-free.
    fn open_lock_free(&self) -> Option<EpochStore> {
        (self.backend == BackendKind::Epoch).then(|| {
            EpochKeystore::open(&one_bucket(), self.pool(&one_bucket())).expect("the store opens")
        })
    }

    /// Checks the result of a call that needs a lock which another guard holds. A backend with
    /// locks must refuse it at once, and the lock-free one must answer.
    #[track_caller]
    fn assert_refused_or_lock_free<T>(&self, result: &Result<T, Error>) {
        match (self.backend, result) {
            (BackendKind::Epoch, Ok(_)) | (_, Err(Error::Busy { .. })) => {}
            (_, Ok(_)) => panic!("{self}: the call ran although a lock was held"),
            (_, Err(error)) => panic!("{self}: {error}"),
        }
    }
}

/// Returns a configuration with one initial bucket: all entries collide and the table grows early.
fn one_bucket() -> Config {
    Config { initial_buckets: 1, ..Config::default() }
}

/// Returns the key of number `n`.
fn key(n: usize) -> Vec<u8> {
    format!("key {n}").into_bytes()
}

/// Sets the keys from 0 to `count` to their own bytes.
fn fill(store: &dyn Keystore, count: usize) {
    for n in 0..count {
        store.set(&key(n), &key(n)).expect("set answers");
    }
}

/// Returns all entries of `store`, and checks that `for_each` shows each of them once.
fn contents(store: &dyn Keystore) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut entries = BTreeMap::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        assert_eq!(entries.insert(key.to_vec(), value.to_vec()), None, "{key:?} is shown twice");
        ControlFlow::Continue(())
    };
    store.for_each_dyn(&mut visit).expect("for_each answers");
    entries
}

fn main() -> std::process::ExitCode {
    let mut modules = MODULES.to_vec();
    modules.push(("page", page::CHECKS));
    check::run(&modules)
}
