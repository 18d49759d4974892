//! Checks that a batch is one operation for each entry, in order, and stops at the first that
//! fails.

use keystore::{BatchError, Config, Error, Keystore, MAX_KEY_LEN};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{Entries, assert_holds, bytes, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        a_batch_of_nothing_does_nothing,
        reads_come_in_order_with_their_positions,
        sets_and_deletes_say_how_many_keys_they_created_or_found,
        a_key_may_come_several_times,
        a_batch_grows_the_table_it_writes_to,
        what_stands_before_a_bad_key_is_in_effect_and_nothing_after_it,
        a_batch_stops_at_the_memory_limit
];

/// Sizes of batches, around the sizes of the groups into which a store may split a batch.
const SIZES: [usize; 13] = [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 500];

fn a_batch_of_nothing_does_nothing(combination: &Combination) {
    let store = combination.open(&Config::default());
    assert_eq!(store.read_many(&[], |_, _| panic!("there is nothing to show")), Ok(()));
    assert_eq!(store.set_many(&[]), Ok(0));
    assert_eq!(store.delete_many(&[]), Ok(0));
    assert_holds(&*store, &Entries::new());
}

fn reads_come_in_order_with_their_positions(combination: &Combination) {
    for config in [one_bucket(), Config::default()] {
        let store = combination.open(&config);
        let present = fill(&*store, 400);
        for size in SIZES {
            // Every third key is absent.
            let keys: Vec<_> = (0..size)
                .map(|n| if n % 3 == 0 { key(n + 10_000) } else { key(n % 400) })
                .collect();
            let mut next = 0;
            let read = store.read_many(&slices(&keys), |at, value| {
                assert_eq!(at, next);
                assert_eq!(
                    value,
                    present.get(&keys[at]).map(Vec::as_slice),
                    "position {at} of {size}"
                );
                next += 1;
            });
            assert_eq!((read, next), (Ok(()), size));
        }
    }
}

fn sets_and_deletes_say_how_many_keys_they_created_or_found(combination: &Combination) {
    for size in SIZES {
        let store = combination.open(&one_bucket());
        let mut expected = fill(&*store, size / 2);
        let batch: Vec<_> = (0..size).map(|n| (key(n), bytes(n + 1, n % 70))).collect();
        assert_eq!(store.set_many(&pairs(&batch)), Ok(size - size / 2));
        expected.extend(batch.iter().cloned());
        assert_holds(&*store, &expected);
        let keys: Vec<_> = (size / 2..size + 50).map(key).collect();
        assert_eq!(store.delete_many(&slices(&keys)), Ok(size - size / 2));
        expected.retain(|key, _| !keys.contains(key));
        assert_holds(&*store, &expected);
    }
}

fn a_key_may_come_several_times(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let batch: Vec<_> = (0..100).map(|n| (key(n % 3), bytes(n, n))).collect();
    assert_eq!(store.set_many(&pairs(&batch)), Ok(3));
    let expected: Entries = (97..100).map(|n| (key(n % 3), bytes(n, n))).collect();
    assert_holds(&*store, &expected);
    let keys: Vec<_> = (0..100).map(|n| key(n % 4)).collect();
    let mut found = 0;
    store
        .read_many(&slices(&keys), |at, value| {
            assert_eq!(value, expected.get(&keys[at]).map(Vec::as_slice));
            found += usize::from(value.is_some());
        })
        .unwrap();
    assert_eq!(found, 75);
    assert_eq!(store.delete_many(&slices(&keys)), Ok(3));
    assert_holds(&*store, &Entries::new());
}

fn a_batch_grows_the_table_it_writes_to(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let batch: Vec<_> = (0..20_000).map(|n| (key(n), bytes(n, n % 20))).collect();
    assert_eq!(store.set_many(&pairs(&batch)), Ok(20_000));
    assert_holds(&*store, &batch.iter().cloned().collect());
    let keys: Vec<_> = (0..20_000).map(key).collect();
    assert_eq!(store.delete_many(&slices(&keys)), Ok(20_000));
    assert_holds(&*store, &Entries::new());
}

fn what_stands_before_a_bad_key_is_in_effect_and_nothing_after_it(combination: &Combination) {
    for (length, bad) in [(0, vec![]), (MAX_KEY_LEN + 1, vec![1; MAX_KEY_LEN + 1])] {
        for index in [0, 1, 5, 30, 31, 32, 33, 63, 64, 65, 99] {
            let store = combination.open(&one_bucket());
            let error = BatchError { index, error: Error::KeyLength { length, max: MAX_KEY_LEN } };
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("entry {index} of the batch: a key of {length} bytes"))
            );
            let mut keys: Vec<_> = (0..100).map(key).collect();
            keys[index] = bad.clone();
            // The batch stops before it reaches this second bad key.
            keys.push(vec![]);
            let batch: Vec<_> =
                keys.iter().enumerate().map(|(n, key)| (key.clone(), bytes(n, 10))).collect();

            assert_eq!(store.set_many(&pairs(&batch)), Err(error.clone()));
            let mut expected: Entries = batch[..index].iter().cloned().collect();
            assert_holds(&*store, &expected);

            let mut visits = 0;
            let read = store.read_many(&slices(&keys), |at, value| {
                assert_eq!((at, value), (visits, expected.get(&keys[at]).map(Vec::as_slice)));
                visits += 1;
            });
            assert_eq!((read, visits), (Err(error.clone()), index));

            expected.extend(fill(&*store, 100));
            assert_eq!(store.delete_many(&slices(&keys)), Err(error));
            expected.retain(|key, _| !keys[..index].contains(key));
            assert_holds(&*store, &expected);
        }
    }
}

fn a_batch_stops_at_the_memory_limit(combination: &Combination) {
    // The limit has space for some 50 entries of 100 bytes.
    let store = combination.open(&Config { memory_limit: Some(5_600), ..one_bucket() });
    let batch: Vec<_> = (0..100).map(|n| (format!("{n:04}").into_bytes(), bytes(n, 100))).collect();
    let BatchError { index, error } = store.set_many(&pairs(&batch)).unwrap_err();
    assert!(matches!(error, Error::MemoryLimit { limit: 5_600, requested: 112, .. }), "{error:?}");
    assert_eq!(index, 50, "fifty nodes of 112 bytes are 5600");
    assert_holds(&*store, &batch[..index].iter().cloned().collect());
}

fn slices(keys: &[Vec<u8>]) -> Vec<&[u8]> {
    keys.iter().map(Vec::as_slice).collect()
}

fn pairs(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect()
}
