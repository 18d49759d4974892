//! Checks that a scan with a cursor shows each entry that stays, and none twice, no matter what
//! happens to the store between its calls. Also checks what is built of such scans.

use std::collections::HashMap;

use keystore::{Config, Error, Keystore, ScanCursor, Update};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{Entries, assert_holds, assert_whole, bytes, fill, key, one_bucket};
use crate::iteration::{STABLE, churn, stable_key};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        a_scan_cut_at_every_step_shows_each_entry_once,
        a_call_shows_about_as_many_entries_as_its_limit,
        a_table_that_grows_and_shrinks_between_the_calls_is_shown_once,
        a_cursor_may_be_kept_as_a_number_and_used_again,
        a_cursor_of_another_store_and_a_limit_of_0_are_refused,
        a_call_that_cannot_go_on_keeps_what_it_has_shown,
        the_iterator_copies_each_entry_once,
        update_all_changes_each_entry_once;
    shared:
        a_scan_shows_what_is_there_throughout_while_others_write,
        update_all_changes_each_entry_once_while_others_write
];

/// Scans a store with this limit for each call. Runs `between` before each call but the first.
fn scan(store: &dyn Keystore, limit: usize, mut between: impl FnMut()) -> Entries {
    let mut entries = Entries::new();
    let mut next = Some(ScanCursor::START);
    while let Some(cursor) = next {
        if cursor != ScanCursor::START {
            between();
        }
        let shown = entries.len();
        next = store
            .scan_dyn(cursor, limit, &mut |key, value| {
                let again = entries.insert(key.to_vec(), value.to_vec());
                assert!(again.is_none(), "{key:?} is shown twice");
            })
            .expect("scan answers");
        assert!(next.is_none() || entries.len() > shown, "a call shows at least one entry");
    }
    entries
}

fn a_scan_cut_at_every_step_shows_each_entry_once(combination: &Combination) {
    for config in [one_bucket(), Config::default()] {
        for count in [0, 1, 2, 10, 333, 4_000] {
            let store = combination.open(&config);
            let expected = fill(&*store, count);
            for limit in [1, 2, 7, 100, 5_000, usize::MAX] {
                assert_eq!(scan(&*store, limit, || ()), expected, "{count} entries, {limit}");
            }
        }
    }
}

fn a_call_shows_about_as_many_entries_as_its_limit(combination: &Combination) {
    /// More than the entries of a bucket and its overflow buckets, in a table that grows.
    const BUCKET: usize = 40;
    let store = combination.open(&one_bucket());
    fill(&*store, 20_000);
    for limit in [1, 10, 1_000] {
        let (mut next, mut shown) = (Some(ScanCursor::START), 0);
        for _ in 0..5 {
            let before = shown;
            next = store.scan_dyn(next.unwrap(), limit, &mut |_, _| shown += 1).unwrap();
            let call = shown - before;
            assert!((limit..limit + BUCKET).contains(&call), "{call} entries, limit {limit}");
        }
    }
}

fn a_table_that_grows_and_shrinks_between_the_calls_is_shown_once(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let stable = fill(&*store, 700);
    let volatile = |n: usize| format!("volatile {n}").into_bytes();
    let (mut turn, mut made) = (0, 0);
    let shown = scan(&*store, 5, || {
        match turn % 4 {
            0 => (0..400).for_each(|_| {
                // No key is used twice, so no key may be shown twice.
                store.set(&volatile(made), b"").unwrap();
                made += 1;
            }),
            1 => store.reserve(5_000 << (turn % 3)).unwrap(),
            2 => store.retain_dyn(&mut |key, _| !key.starts_with(b"volatile")).map(drop).unwrap(),
            _ => store.shrink().unwrap(),
        }
        turn += 1;
    });
    assert!(turn > 40, "only {turn} calls");
    for (key, value) in &stable {
        assert_eq!(shown.get(key), Some(value));
    }
}

fn a_cursor_may_be_kept_as_a_number_and_used_again(combination: &Combination) {
    let store = combination.open(&one_bucket());
    fill(&*store, 500);
    let rest = |cursor: ScanCursor| {
        let (mut next, mut entries) = (Some(cursor), Vec::new());
        while let Some(cursor) = next {
            let mut visit = |key: &[u8], _: &[u8]| entries.push(key.to_vec());
            next = store.scan_dyn(cursor, 9, &mut visit).unwrap();
        }
        entries.sort();
        entries
    };
    let middle = store.scan_dyn(ScanCursor::START, 200, &mut |_, _| ()).unwrap().unwrap();
    let kept = middle.to_bits();
    assert_ne!(kept, 0);
    let first = rest(middle);
    assert_eq!(rest(ScanCursor::from_bits(kept)), first, "a cursor is not used up");
    assert!((1..=300).contains(&first.len()));
    assert_eq!(rest(ScanCursor::from_bits(0)).len(), 500);
}

fn a_cursor_of_another_store_and_a_limit_of_0_are_refused(combination: &Combination) {
    let (store, other) = (combination.open(&one_bucket()), combination.open(&one_bucket()));
    let expected = fill(&*store, 100);
    fill(&*other, 100);
    let foreign = other.scan_dyn(ScanCursor::START, 5, &mut |_, _| ()).unwrap().unwrap();
    let mut nothing = |_: &[u8], _: &[u8]| panic!("nothing is shown");
    let error = store.scan_dyn(foreign, 5, &mut nothing).unwrap_err();
    assert_eq!(error.code(), -20);
    assert!(error.to_string().contains(&foreign.to_bits().to_string()), "{error}");
    let error = store.scan_dyn(ScanCursor::START, 0, &mut nothing).unwrap_err();
    assert_eq!(error.to_string(), "limit is 0: it must be at least 1");
    assert_eq!(error.code(), -20);
    assert_holds(&*store, &expected);
}

/// Inside a closure that holds a lock, a scan may meet that lock. It then returns the cursor of the
/// place that it has come to, or the error if it has come nowhere.
fn a_call_that_cannot_go_on_keeps_what_it_has_shown(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let expected = fill(&*store, 300);
    let (mut next, mut shown) = (Some(ScanCursor::START), Entries::new());
    let mut scan_on = |next: &mut Option<ScanCursor>| -> Result<(), Error> {
        while let Some(cursor) = *next {
            *next = store.scan_dyn(cursor, usize::MAX, &mut |key, value| {
                assert_eq!(shown.insert(key.to_vec(), value.to_vec()), None);
            })?;
        }
        Ok(())
    };
    let mut inside = Ok(());
    store
        .update_dyn(&key(17), &mut |_| {
            inside = scan_on(&mut next);
            Update::Keep
        })
        .unwrap();
    if let Err(error) = inside {
        assert_eq!(error, Error::Busy { operation: "scan" });
        assert_eq!(scan_on(&mut next), Ok(()));
    }
    assert_eq!(next, None);
    assert_eq!(shown, expected);
}

fn the_iterator_copies_each_entry_once(combination: &Combination) {
    for count in [0, 1, 1_000] {
        let store = combination.open(&one_bucket());
        let expected = fill(&*store, count);
        let all: Vec<_> = store.iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(all.len(), count);
        assert_eq!(all.into_iter().collect::<Entries>(), expected);
        // The store may be written while an iterator is in use.
        let mut iterator = store.iter();
        for entry in iterator.by_ref() {
            store.delete(&entry.unwrap().0).unwrap();
        }
        assert!(iterator.next().is_none());
        assert_holds(&*store, &Entries::new());
    }
}

fn update_all_changes_each_entry_once(combination: &Combination) {
    let store = combination.open(&one_bucket());
    let mut expected = fill(&*store, 1_000);
    let changed = store.update_all(|key, value| match key.len() % 3 {
        0 => Update::Keep,
        1 => Update::Delete,
        _ => Update::set([value, b"!"].concat()),
    });
    let before = expected.clone();
    expected.retain(|key, _| key.len() % 3 != 1);
    for (key, value) in &mut expected {
        if key.len() % 3 == 2 {
            value.push(b'!');
        }
    }
    let kept = before.keys().filter(|key| key.len() % 3 == 0).count();
    assert_eq!(changed, Ok(1_000 - kept));
    assert_holds(&*store, &expected);
    assert_eq!(store.update_all(|_, _| Update::Delete), Ok(expected.len()));
    assert_holds(&*store, &Entries::new());
    assert_eq!(store.update_all(|_, _| Update::set(bytes(1, 1))), Ok(0));
}

fn a_scan_shows_what_is_there_throughout_while_others_write(combination: &Combination) {
    let store = combination.open_shared(&one_bucket());
    churn(&store, || {
        for limit in [1, 3, 10, 33, 100, 1_000, 10_000] {
            let mut shown: HashMap<Vec<u8>, u32> = HashMap::new();
            let mut next = Some(ScanCursor::START);
            while let Some(cursor) = next {
                let mut visit = |key: &[u8], value: &[u8]| {
                    assert_whole(key, value);
                    *shown.entry(key.to_vec()).or_default() += 1;
                };
                next = store.scan_dyn(cursor, limit, &mut visit).unwrap();
            }
            for n in 0..STABLE {
                assert_eq!(shown.get(&stable_key(n)), Some(&1), "limit {limit}: stable key {n}");
            }
            let twice: Vec<_> = shown.iter().filter(|&(_, &times)| times > 1).collect();
            assert!(twice.is_empty(), "limit {limit}: shown more than once: {twice:?}");
        }
    });
}

/// Adds one to counters by `update_all` while other threads add to them too. No addition is lost.
fn update_all_changes_each_entry_once_while_others_write(combination: &Combination) {
    const KEYS: u64 = 300;
    const ROUNDS: u64 = 40;
    let store = combination.open_shared(&one_bucket());
    let count = |old: &[u8]| u64::from_le_bytes(old.try_into().expect("eight bytes"));
    let more = |old: &[u8]| Update::set((count(old) + 1).to_le_bytes());
    for n in 0..KEYS {
        store.set(&key(n as usize), &0_u64.to_le_bytes()).unwrap();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                for n in 0..KEYS {
                    store.update(&key(n as usize), |old| more(old.unwrap())).unwrap();
                }
                store.reserve(10_000).unwrap();
                store.shrink().unwrap();
            }
        });
        for _ in 0..ROUNDS {
            assert_eq!(store.update_all(|_, old| more(old)), Ok(KEYS as usize));
        }
    });
    for n in 0..KEYS {
        let value = store.get(&key(n as usize)).unwrap().unwrap();
        assert_eq!(count(&value), 2 * ROUNDS, "key {n}");
    }
}
