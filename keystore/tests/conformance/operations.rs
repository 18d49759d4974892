//! Checks that every operation does what its documentation says, for every kind of key and value.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use keystore::{Change, Config, Exchange, Keystore, Update};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{Entries, assert_holds, bytes, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        a_new_store_is_empty,
        set_creates_then_replaces,
        insert_leaves_a_present_key_alone,
        update_does_what_the_closure_says,
        compare_exchange_changes_only_what_is_as_expected,
        delete_removes_once,
        take_removes_and_returns,
        read_shows_the_value_and_returns_the_answer,
        the_dyn_twins_do_the_same,
        keys_are_told_apart_byte_by_byte,
        values_of_every_length_come_back,
        keys_of_every_length_work,
        the_longest_key_and_a_value_of_megabytes_work_together,
        overwriting_with_shorter_and_longer_values_leaves_no_trace,
        retain_removes_what_the_closure_does_not_want,
        clear_removes_everything_and_the_store_goes_on,
        reserve_and_shrink_keep_every_entry
];

fn a_new_store_is_empty(combination: &Combination) {
    for config in [Config::default(), one_bucket()] {
        let store = combination.open(&config);
        assert_holds(&*store, &Entries::new());
        assert_eq!(store.get(b"key"), Ok(None));
        assert_eq!(store.contains(b"key"), Ok(false));
        assert_eq!(store.delete(b"key"), Ok(false));
        assert_eq!(store.take(b"key"), Ok(None));
        assert_eq!(store.clear(), Ok(()));
        assert_eq!(store.shrink(), Ok(()));
        assert_eq!(store.retain(|_, _| false), Ok(0));
    }
}

fn set_creates_then_replaces(combination: &Combination) {
    let store = combination.open(&Config::default());
    assert_eq!(store.set(b"key", b"first"), Ok(Change::Created));
    assert_eq!(store.set(b"key", b"second"), Ok(Change::Replaced));
    assert_eq!(store.set(b"key", b"second"), Ok(Change::Replaced), "the same value again");
    assert_eq!(store.set(b"other", b""), Ok(Change::Created));
    assert_eq!(store.contains(b"key"), Ok(true));
    assert_holds(&*store, &entries(&[(b"key", b"second"), (b"other", b"")]));
}

fn insert_leaves_a_present_key_alone(combination: &Combination) {
    let store = combination.open(&Config::default());
    assert_eq!(store.insert(b"key", b"first"), Ok(true));
    assert_eq!(store.insert(b"key", b"second"), Ok(false));
    assert_holds(&*store, &entries(&[(b"key", b"first")]));
    assert_eq!(store.delete(b"key"), Ok(true));
    assert_eq!(store.insert(b"key", b"third"), Ok(true));
    assert_holds(&*store, &entries(&[(b"key", b"third")]));
}

fn update_does_what_the_closure_says(combination: &Combination) {
    type Value = Option<&'static [u8]>;
    let present: Value = Some(b"value");
    let cases: [(Value, Update, Change, Value); 7] = [
        (None, Update::Keep, Change::Absent, None),
        (None, Update::Delete, Change::Absent, None),
        (None, Update::set(b"new".to_vec()), Change::Created, Some(b"new")),
        (present, Update::Keep, Change::Kept, present),
        (present, Update::Delete, Change::Deleted, None),
        (present, Update::set(b"new".to_vec()), Change::Replaced, Some(b"new")),
        (present, Update::set(vec![7; 5000]), Change::Replaced, Some(&[7; 5000])),
    ];
    for (before, answer, change, after) in cases {
        let store = combination.open(&one_bucket());
        let mut expected = fill(&*store, 20);
        if let Some(value) = before {
            store.set(b"key", value).unwrap();
        }
        let mut seen = Vec::new();
        let result = store.update(b"key", |value| {
            seen.push(value.map(<[u8]>::to_vec));
            answer.clone()
        });
        assert_eq!(result, Ok(change), "{before:?} and {answer:?}");
        // No other thread writes, so the closure is called only once.
        assert_eq!(seen, [before.map(<[u8]>::to_vec)]);
        expected.extend(after.map(|value| (b"key".to_vec(), value.to_vec())));
        assert_holds(&*store, &expected);
    }
}

fn compare_exchange_changes_only_what_is_as_expected(combination: &Combination) {
    let store = combination.open(&Config::default());
    let exchange =
        |expected: Option<&[u8]>, new: Option<&[u8]>| store.compare_exchange(b"key", expected, new);
    let differs = |found: Option<&[u8]>| Ok(Exchange::Differs(found.map(<[u8]>::to_vec)));
    // The key is absent.
    assert_eq!(exchange(None, None), Ok(Exchange::Exchanged));
    assert_eq!(exchange(Some(b"a"), None), differs(None));
    assert_eq!(exchange(Some(b"a"), Some(b"b")), differs(None));
    assert_eq!(
        exchange(Some(b""), Some(b"b")),
        differs(None),
        "an empty value is not an absent one"
    );
    assert_eq!(store.len(), Ok(0));
    assert_eq!(exchange(None, Some(b"a")), Ok(Exchange::Exchanged));
    assert_eq!(store.get(b"key"), Ok(Some(b"a".to_vec())));
    // The key is present.
    assert_eq!(exchange(None, Some(b"c")), differs(Some(b"a")));
    assert_eq!(exchange(None, None), differs(Some(b"a")));
    assert_eq!(exchange(Some(b"ab"), Some(b"c")), differs(Some(b"a")), "longer by a byte");
    assert_eq!(exchange(Some(b""), None), differs(Some(b"a")));
    assert_eq!(store.get(b"key"), Ok(Some(b"a".to_vec())));
    assert_eq!(exchange(Some(b"a"), Some(b"")), Ok(Exchange::Exchanged));
    assert_eq!(
        exchange(None, Some(b"c")),
        differs(Some(b"")),
        "an empty value is not an absent one"
    );
    assert_eq!(exchange(Some(b""), Some(&[9; 3000])), Ok(Exchange::Exchanged));
    assert_holds(&*store, &entries(&[(b"key", &[9; 3000])]));
    assert_eq!(exchange(Some(&[9; 3000]), None), Ok(Exchange::Exchanged));
    assert_holds(&*store, &Entries::new());
}

fn delete_removes_once(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 50);
    for n in (0..50).step_by(3) {
        assert_eq!(store.delete(&key(n)), Ok(true));
        assert_eq!(store.delete(&key(n)), Ok(false));
        assert_eq!(store.get(&key(n)), Ok(None));
        expected.remove(&key(n));
    }
    assert_holds(&*store, &expected);
}

fn take_removes_and_returns(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 50);
    for n in (0..50).step_by(3) {
        assert_eq!(store.take(&key(n)), Ok(expected.remove(&key(n))));
        assert_eq!(store.take(&key(n)), Ok(None));
    }
    assert_holds(&*store, &expected);
}

fn read_shows_the_value_and_returns_the_answer(combination: &Combination) {
    let store = combination.open(&Config::default());
    store.set(b"key", b"value").unwrap();
    assert_eq!(store.read(b"key", |value| value.to_ascii_uppercase()), Ok(Some(b"VALUE".to_vec())));
    let mut asked = false;
    assert_eq!(store.read(b"absent", |_| asked = true), Ok(None));
    assert!(!asked, "there is no value to show of an absent key");
}

fn the_dyn_twins_do_the_same(combination: &Combination) {
    let store = combination.open(&Config::default());
    let store: &dyn Keystore = &*store;
    let mut seen = Vec::new();
    assert_eq!(
        store.update_dyn(b"key", &mut |old| Update::set(old.unwrap_or(b"new").to_vec())),
        Ok(Change::Created)
    );
    assert_eq!(store.read_dyn(b"key", &mut |value| seen.push(value.to_vec())), Ok(true));
    assert_eq!(store.read_dyn(b"absent", &mut |value| seen.push(value.to_vec())), Ok(false));
    let mut many = Vec::new();
    let visit = &mut |at: usize, value: Option<&[u8]>| many.push((at, value.map(<[u8]>::to_vec)));
    assert_eq!(store.read_many_dyn(&[b"absent", b"key"], visit), Ok(()));
    assert_eq!(many, [(0, None), (1, Some(b"new".to_vec()))]);
    store
        .for_each_dyn(&mut |key, value| {
            seen.push([key, value].concat());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, [b"new".to_vec(), b"keynew".to_vec()]);
    assert_eq!(store.retain_dyn(&mut |key, value| key != b"key" || value != b"new"), Ok(1));
    assert_eq!(store.len(), Ok(0));
}

fn keys_are_told_apart_byte_by_byte(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    // Keys of zeros in many lengths, keys that are prefixes of each other, keys with a NUL in every
    // place, and keys that are not UTF-8.
    keys.extend((2..40).map(|length| vec![0; length]));
    keys.extend((2..40).map(|length| vec![b'a'; length]));
    keys.extend(
        (0..40).map(|at| (0..40).map(|place| if place == at { 0 } else { b'a' }).collect()),
    );
    keys.extend((0..=255).map(|byte| vec![0xff, 0xfe, byte]));
    keys.extend((0..=255).map(|byte| [&[7; 1000][..], &[byte]].concat()));
    let mut expected = Entries::new();
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(store.set(key, &bytes(n, 10)), Ok(Change::Created), "{key:?}");
        expected.insert(key.clone(), bytes(n, 10));
    }
    assert_eq!(expected.len(), keys.len());
    assert_holds(&*store, &expected);
    for key in keys.iter().step_by(2) {
        assert_eq!(store.take(key), Ok(expected.remove(key)));
    }
    assert_holds(&*store, &expected);
}

fn values_of_every_length_come_back(combination: &Combination) {
    let store = combination.open(&Config::default());
    let mut lengths: Vec<usize> = (0..=600).collect();
    lengths.extend((10..=22).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]));
    let mut expected = Entries::new();
    for &length in &lengths {
        let key = format!("value of {length}").into_bytes();
        let value = bytes(length, length);
        assert_eq!(store.set(&key, &value), Ok(Change::Created));
        expected.insert(key, value);
    }
    assert_holds(&*store, &expected);
    store.clear().unwrap();
    assert_holds(&*store, &Entries::new());
}

fn keys_of_every_length_work(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut lengths: Vec<usize> = (1..=300).collect();
    lengths.extend((9..16).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]));
    lengths.extend([65_534, 65_535]);
    let mut expected = Entries::new();
    for &length in &lengths {
        let (key, value) = (bytes(3, length), length.to_string().into_bytes());
        assert_eq!(store.insert(&key, &value), Ok(true), "{length}");
        expected.insert(key, value);
    }
    assert_holds(&*store, &expected);
    for &length in &lengths {
        assert_eq!(store.delete(&bytes(3, length)), Ok(true));
    }
    assert_holds(&*store, &Entries::new());
}

fn the_longest_key_and_a_value_of_megabytes_work_together(combination: &Combination) {
    let store = combination.open(&Config::default());
    let (key, value) = (bytes(1, 65_535), bytes(2, 9_000_001));
    assert_eq!(store.set(&key, &value), Ok(Change::Created));
    assert_eq!(store.read(&key, |found| found == value), Ok(Some(true)));
    let longer = bytes(3, 12_000_000);
    let answer = store.update(&key, |old| {
        assert!(old == Some(&value[..]));
        Update::set(longer.clone())
    });
    assert_eq!(answer, Ok(Change::Replaced));
    assert!(
        store.compare_exchange(&key, Some(&value), None)
            == Ok(Exchange::Differs(Some(longer.clone())))
    );
    let mut seen = 0;
    store
        .read_many(&[&key], |_, found| {
            assert!(found == Some(&longer[..]));
            seen += 1;
        })
        .unwrap();
    assert_eq!(seen, 1);
    assert_eq!(store.set(&key, b""), Ok(Change::Replaced));
    assert_eq!(store.take(&key), Ok(Some(Vec::new())));
    assert_holds(&*store, &Entries::new());
}

fn overwriting_with_shorter_and_longer_values_leaves_no_trace(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 30);
    let lengths =
        [0, 1, 300, 8, 7, 9, 5000, 4999, 4990, 64, 0, 100_000, 65, 64, 63, 1, 0, 70_000, 60_000, 3];
    for (step, &length) in lengths.iter().enumerate() {
        for n in [3, 4, 17] {
            let value = bytes(step * 7 + n, length);
            let change = match step % 3 {
                0 => store.set(&key(n), &value),
                1 => store.update(&key(n), |_| Update::set(value.clone())),
                _ => {
                    let old = expected.get(&key(n)).map(Vec::as_slice);
                    let exchange = store.compare_exchange(&key(n), old, Some(&value));
                    exchange.map(|exchange| {
                        assert_eq!(exchange, Exchange::Exchanged);
                        Change::Replaced
                    })
                }
            };
            assert_eq!(change, Ok(Change::Replaced), "to {length} bytes");
            expected.insert(key(n), value);
        }
        assert_holds(&*store, &expected);
    }
}

fn retain_removes_what_the_closure_does_not_want(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 1000);
    let mut asked: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let removed = store.retain(|key, value| {
        assert_eq!(expected.get(key).map(Vec::as_slice), Some(value));
        *asked.entry(key.to_vec()).or_default() += 1;
        value.len() < 30
    });
    assert!(
        asked.len() == 1000 && asked.values().all(|&times| times == 1),
        "each is asked about once"
    );
    expected.retain(|_, value| value.len() < 30);
    assert_eq!(removed, Ok(1000 - expected.len()));
    assert_holds(&*store, &expected);
    assert_eq!(store.retain(|_, _| true), Ok(0));
    assert_holds(&*store, &expected);
    assert_eq!(store.retain(|_, _| false), Ok(expected.len()));
    assert_holds(&*store, &Entries::new());
}

fn clear_removes_everything_and_the_store_goes_on(combination: &Combination) {
    let store = combination.open(&one_bucket());
    for round in 0..3 {
        let expected = fill(&*store, 500 * (round + 1));
        assert_holds(&*store, &expected);
        assert_eq!(store.clear(), Ok(()));
        assert_holds(&*store, &Entries::new());
    }
}

fn reserve_and_shrink_keep_every_entry(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 300);
    for additional in [0, 1, 10_000, 1_000] {
        assert_eq!(store.reserve(additional), Ok(()));
        assert_holds(&*store, &expected);
    }
    assert_eq!(store.shrink(), Ok(()));
    assert_holds(&*store, &expected);
    for n in 0..250 {
        assert_eq!(store.take(&key(n)), Ok(expected.remove(&key(n))));
    }
    for _ in 0..2 {
        assert_eq!(store.shrink(), Ok(()));
        assert_holds(&*store, &expected);
    }
    expected.extend(fill(&*store, 600));
    assert_holds(&*store, &expected);
}

fn entries(entries: &[(&[u8], &[u8])]) -> Entries {
    entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}
