//! Checks the operations in generic code, without a dynamic call, on every type of store.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use keystore::{
    BackendKind, Change, Config, DashMapKeystore, EpochKeystore, Exchange, Global, Keystore,
    LocalKeystore, RwLockKeystore, Update,
};

use crate::check::{Check, checks};
use crate::combination::{Combination, Sharing};

pub(crate) const CHECKS: &[Check] = checks![
    all: the_verbs_work_without_dynamic_calls, a_store_behind_a_pointer_is_that_store;
    shared: stores_in_an_arc_and_on_the_global_allocator_work
];

/// Calls most operations on a store of a known type.
fn exercise<K: Keystore>(store: K) {
    assert_eq!(store.set(b"key", b"value"), Ok(Change::Created));
    assert_eq!(store.read(b"key", <[u8]>::len), Ok(Some(5)));
    assert_eq!(store.read(b"absent", <[u8]>::len), Ok(None));
    assert_eq!(
        store.update(b"key", |old| Update::set([old.unwrap(), b"!"].concat())),
        Ok(Change::Replaced)
    );
    assert_eq!(store.insert(b"other", b"1"), Ok(true));
    let mut seen = Vec::new();
    store
        .read_many(&[b"key", b"absent"], |at, value| seen.push((at, value.map(<[u8]>::to_vec))))
        .unwrap();
    assert_eq!(seen, [(0, Some(b"value!".to_vec())), (1, None)]);
    assert_eq!(store.set_many(&[(b"key", b"a"), (b"third", b"b")]), Ok(1));
    assert_eq!(store.compare_exchange(b"third", Some(b"b"), None), Ok(Exchange::Exchanged));
    let mut visits = 0;
    store
        .for_each(|_, _| {
            visits += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!((visits, store.len()), (1, Ok(2)));
    assert_eq!(store.retain(|key, _| key == b"key"), Ok(1));
    assert_eq!(store.delete_many(&[b"other", b"key"]), Ok(1));
    assert_eq!(store.is_empty(), Ok(true));
    assert_eq!(store.reserve(100), Ok(()));
    assert_eq!(store.shrink(), Ok(()));
    assert_eq!(store.stats().unwrap().entries.count, 0);
}

fn the_verbs_work_without_dynamic_calls(combination: &Combination) {
    let config = Config::default();
    let pool = combination.pool(&config);
    match (combination.backend, combination.sharing) {
        (BackendKind::RwLock, Sharing::Shared) => {
            exercise(RwLockKeystore::open(&config, pool).unwrap())
        }
        (BackendKind::RwLock, Sharing::OneThread) => {
            exercise(LocalKeystore::open_local(&config, pool).unwrap())
        }
        (BackendKind::Epoch, _) => exercise(EpochKeystore::open(&config, pool).unwrap()),
        (BackendKind::DashMap, _) => exercise(DashMapKeystore::open(&config, pool).unwrap()),
        (backend, _) => panic!("{backend} is new: name its store here"),
    }
}

fn a_store_behind_a_pointer_is_that_store(combination: &Combination) {
    let store: Rc<Box<dyn Keystore>> = Rc::new(combination.open(&Config::default()));
    exercise(&*store);
    exercise(Rc::clone(&store));
    exercise(&store);
    assert_eq!(store.len(), Ok(0));
}

fn stores_in_an_arc_and_on_the_global_allocator_work(combination: &Combination) {
    exercise(Arc::new(combination.open_shared(&Config::default())));
    match combination.backend {
        BackendKind::RwLock => exercise(RwLockKeystore::<Global>::default()),
        BackendKind::Epoch => exercise(EpochKeystore::<Global>::default()),
        BackendKind::DashMap => exercise(DashMapKeystore::<Global>::default()),
        backend => panic!("{backend} is new: name its store here"),
    }
}
