//! Checks that `{:?}` of a store, a session or a pool is one line, which shows no address, no key
//! and nothing of the hasher.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use keystore::{
    AnyPool, ArenaPool, BackendKind, BoxedKeystore, Config, DashMapKeystore, EpochKeystore,
    Keystore, LocalKeystore, RwLockKeystore, SlabPool, SystemPool,
};

use crate::check::{Check, checks};
use crate::combination::{Combination, Sharing};
use crate::entries::{fill, key};

pub(crate) const CHECKS: &[Check] = checks![
    all: a_store_prints_as_one_line, a_pool_prints_as_one_line;
    shared: a_boxed_store_that_threads_share_prints_as_one_line
];

/// A hasher whose `Debug` output shows its seed.
#[derive(Clone, Default)]
struct Talkative(RandomState);

impl fmt::Debug for Talkative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the seed")
    }
}

impl BuildHasher for Talkative {
    type Hasher = <RandomState as BuildHasher>::Hasher;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// Checks that a line contains `says`, and that it shows no more than it should.
#[track_caller]
fn assert_line(line: &str, says: &[&str]) {
    assert!(line.len() < 120 && !line.contains('\n'), "{line}");
    for secret in ["0x", "seed", "key", "Bucket"] {
        assert!(!line.contains(secret), "{line} has {secret:?}");
    }
    for word in says {
        assert!(line.contains(word), "{line} has no {word:?}");
    }
}

#[track_caller]
fn assert_prints<S: Keystore + fmt::Debug + 'static>(store: S, backend: &str) {
    fill(&store, 300);
    let says = ["Keystore { backend: ", backend, "entries: 300", "table_bytes: "];
    assert_line(&format!("{store:?}"), &says);
    assert_line(&format!("{:?}", &&store), &says);
    let bytes = store.table_bytes().unwrap();
    let boxed: Box<dyn Keystore> = Box::new(store);
    assert_line(&format!("{boxed:?}"), &says);
    assert_line(&format!("{boxed:?}"), &[&bytes.to_string()]);
}

fn a_store_prints_as_one_line(combination: &Combination) {
    let (config, hasher) = (Config::default(), Talkative::default());
    let pool = combination.pool(&config);
    match (combination.backend, combination.sharing) {
        (BackendKind::RwLock, Sharing::Shared) => {
            type Locked<A> = RwLockKeystore<A, keystore::SharedLock, Talkative>;
            let store = Locked::with_hasher(&config, pool, hasher).unwrap();
            assert_line(&format!("{:?}", store.session()), &["Session { operations: 0"]);
            assert_prints(store, "rwlock");
        }
        (BackendKind::RwLock, Sharing::OneThread) => {
            let store = LocalKeystore::with_hasher(&config, pool, hasher).unwrap();
            assert_line(&format!("{:?}", store.session()), &["Session { operations: 0"]);
            assert_prints(store, "rwlock");
        }
        (BackendKind::Epoch, _) => {
            let store = EpochKeystore::with_hasher(&config, pool, hasher).unwrap();
            assert_line(&format!("{:?}", store.session()), &["Session { operations: 0"]);
            assert_prints(store, "epoch");
        }
        (BackendKind::DashMap, _) => {
            let store = DashMapKeystore::with_hasher(&config, pool, hasher).unwrap();
            assert_line(&format!("{:?}", store.session()), &["Session { operations: 0"]);
            assert_prints(store, "dashmap");
        }
        (backend, _) => panic!("{backend} is new: name its store here"),
    }
}

fn a_boxed_store_that_threads_share_prints_as_one_line(combination: &Combination) {
    let store: BoxedKeystore = combination.open_shared(&Config::default());
    fill(&*store, 3);
    let says = ["Keystore { backend: ", combination.backend.name(), "entries: 3"];
    assert_line(&format!("{store:?}"), &says);
    // The same from inside a closure, which holds a lock of the store.
    store.read(&key(2), |_| assert_line(&format!("{store:?}"), &says)).unwrap();
}

fn a_pool_prints_as_one_line(combination: &Combination) {
    let pool = AnyPool::new(combination.pool, &Config::default()).unwrap();
    let store = combination.open_over(&Config::default(), pool.clone()).unwrap();
    fill(&*store, 10);
    assert_line(&format!("{pool:?}"), &["Pool { live_nodes: 10"]);
    assert_line(
        &format!("{:?}", SlabPool::new().unwrap()),
        &["SlabPool { live_nodes: 0, live_bytes: 0"],
    );
    assert_line(
        &format!("{:?}", ArenaPool::new().unwrap()),
        &["ArenaPool { live_nodes: 0, live_bytes: 0"],
    );
    assert_line(
        &format!("{:?}", SystemPool::new().unwrap()),
        &["SystemPool { live_nodes: 0, live_bytes: 0"],
    );
}
