//! Checks that an operation returns the error if the allocator refuses, and that the store stays
//! whole and usable.

use keystore::{Change, Config, Error, Keystore, Update, code};

use crate::allocators::{Audit, Refusing};
use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{assert_holds, assert_whole, bytes, contents, fill, key, one_bucket, sealed};
use crate::script::script;
use crate::steps::{Model, Step, Value};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        whichever_allocation_is_refused_nothing_is_lost,
        a_store_that_is_refused_every_third_allocation_goes_on,
        without_any_memory_what_needs_none_still_works;
    shared:
        refusals_among_many_threads_lose_nothing
];

fn whichever_allocation_is_refused_nothing_is_lost(combination: &Combination) {
    for nth in 1.. {
        let audit = Audit::new(combination, &one_bucket());
        let refusing = Refusing::over(&audit);
        let store = combination.open_over(&one_bucket(), refusing.clone()).unwrap();
        refusing.refuse_nth(nth);
        let mut model = Model::default();
        let mut errors = 0;
        for step in &script() {
            if let Err(error) = model.take(&*store, step) {
                assert_eq!(error.code(), code::OUT_OF_MEMORY, "{step:?}: {error}");
                model.check(&*store);
                // The same call succeeds the second time.
                assert_eq!(model.take(&*store, step), Ok(()), "{step:?} again");
                errors += 1;
            }
        }
        model.check(&*store);
        let refusals = refusing.refusals();
        // One refusal causes at most one error. It may cause none, because moving entries can be
        // put off.
        assert!(errors <= refusals, "{errors} errors from {refusals} refusals");
        drop(store);
        audit.assert_all_returned();
        if refusals == 0 {
            assert!(nth > 50, "the script allocates {nth} times");
            return;
        }
    }
}

fn a_store_that_is_refused_every_third_allocation_goes_on(combination: &Combination) {
    for each in [1, 2, 3, 7] {
        let audit = Audit::new(combination, &one_bucket());
        let refusing = Refusing::over(&audit);
        let store = combination.open_over(&one_bucket(), refusing.clone()).unwrap();
        let mut model = Model::default();
        for n in 0..100 {
            model.take(&*store, &Step::Set(n, Value(n as u8, n))).unwrap();
        }
        refusing.refuse_each_nth(each);
        let mut refused = 0;
        for round in 0..20 {
            for step in &script() {
                // The step `Clear` is left out, because an empty store has nothing to lose.
                if matches!(step, Step::Clear) {
                    continue;
                }
                if let Err(error) = model.take(&*store, step) {
                    assert_eq!(error.code(), code::OUT_OF_MEMORY, "{step:?}: {error}");
                    refused += 1;
                }
            }
            if round % 5 == 0 {
                model.check(&*store);
            }
        }
        assert!(refused > 20, "{refused} calls refused");
        refusing.refuse_each_nth(0);
        for step in &script() {
            assert_eq!(model.take(&*store, step), Ok(()));
        }
        model.check(&*store);
        drop(store);
        audit.assert_all_returned();
    }
}

fn without_any_memory_what_needs_none_still_works(combination: &Combination) {
    let audit = Audit::new(combination, &one_bucket());
    let refusing = Refusing::over(&audit);
    let store = combination.open_over(&one_bucket(), refusing.clone()).unwrap();
    let mut expected = fill(&*store, 1_000);
    refusing.refuse_each_nth(1);
    let refused =
        |result: Result<(), Error>| assert_eq!(result.unwrap_err().code(), code::OUT_OF_MEMORY);
    refused(store.set(b"new", b"value").map(drop));
    refused(store.insert(b"new", b"value").map(drop));
    refused(store.update(b"new", |_| Update::set(vec![1])).map(drop));
    refused(store.compare_exchange(b"new", None, Some(b"value")).map(drop));
    refused(store.set(&key(0), &[1; 10_000]).map(drop));
    let batch = store.set_many(&[(b"new", b"value")]).unwrap_err();
    assert_eq!((batch.index, batch.error.code()), (0, code::OUT_OF_MEMORY));
    assert_holds(&*store, &expected);
    // Operations that read, keep or remove an entry need no new node.
    assert_eq!(store.insert(&key(1), b"value"), Ok(false));
    assert_eq!(store.update(&key(1), |_| Update::Keep), Ok(Change::Kept));
    for n in (0..1_000).step_by(2) {
        match n % 3 {
            0 => assert_eq!(store.delete(&key(n)), Ok(true)),
            1 => assert_eq!(store.take(&key(n)), Ok(Some(bytes(n, n % 100)))),
            _ => assert_eq!(store.update(&key(n), |_| Update::Delete), Ok(Change::Deleted)),
        }
        expected.remove(&key(n));
    }
    assert_holds(&*store, &expected);
    let removed = store.retain(|_, value| value.len() > 50).unwrap();
    let before = expected.len();
    expected.retain(|_, value| value.len() > 50);
    assert_eq!(removed, before - expected.len());
    assert_holds(&*store, &expected);
    assert_eq!(store.clear(), Ok(()));
    assert_eq!(store.len(), Ok(0));
    refusing.refuse_each_nth(0);
    let expected = fill(&*store, 500);
    assert_holds(&*store, &expected);
    drop(store);
    audit.assert_all_returned();
}

fn refusals_among_many_threads_lose_nothing(combination: &Combination) {
    const KEYS: usize = 300;
    let audit = Audit::new(combination, &Config::default());
    let refusing = Refusing::over(&audit);
    let store = keystore::open(combination.backend, &one_bucket(), refusing.clone()).unwrap();
    for n in 0..KEYS {
        store.set(&key(n), &sealed(&key(n), &mut rand::rng())).unwrap();
    }
    refusing.refuse_each_nth(5);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let mut rng = rand::rng();
                for n in 0..5_000 {
                    // The first hundred keys are only overwritten. The others are also removed and
                    // added again.
                    let key = key((n * 7 + thread * 31) % KEYS);
                    let set = store.set(&key, &sealed(&key, &mut rng));
                    assert!(
                        set.as_ref().map_err(Error::code).err().is_none_or(|code| code == -10),
                        "{set:?}"
                    );
                    let found = store.read(&key, |value| assert_whole(&key, value)).unwrap();
                    if (n * 7 + thread * 31) % KEYS < 100 {
                        assert!(found.is_some(), "{key:?} is always there");
                    } else if n % 3 == 0 {
                        store.delete(&key).unwrap();
                    }
                }
            });
        }
    });
    assert!(refusing.refusals() > 100);
    let left = contents(&*store);
    for n in 0..100 {
        assert!(left.contains_key(&key(n)), "key {n} is gone");
    }
    assert_holds(&*store, &left);
    drop(store);
    audit.assert_all_returned();
}
