//! Checks that a scan shows each entry that is there throughout, and none twice, also while other
//! threads write and the table is resized.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use keystore::{BoxedKeystore, Change, Config, Keystore, Update};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{
    Entries, Stop, assert_holds, assert_whole, bytes, contents, fill, key, one_bucket, sealed,
};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        at_rest_each_entry_is_shown_once,
        a_walk_ends_where_the_closure_breaks_off;
    shared:
        what_is_there_throughout_is_shown_once_while_others_write,
        retain_takes_only_what_it_was_told_to_while_others_write,
        retain_removes_only_the_value_it_saw,
        clear_removes_what_was_there_and_leaves_what_comes_later,
        stats_answers_while_others_write
];

fn at_rest_each_entry_is_shown_once(combination: &Combination) {
    for config in [one_bucket(), Config::default()] {
        for count in [0, 1, 2, 10, 333, 10_000] {
            let store = combination.open(&config);
            let expected = fill(&*store, count);
            assert_eq!(contents(&*store), expected);
        }
    }
}

fn a_walk_ends_where_the_closure_breaks_off(combination: &Combination) {
    let store = combination.open(&one_bucket());
    fill(&*store, 1000);
    for wanted in [1, 2, 50, 999, 1000] {
        let mut visits = 0;
        let walk = store.for_each(|_, _| {
            visits += 1;
            if visits == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((walk, visits), (Ok(()), wanted));
    }
    assert_eq!(store.set(b"after", b""), Ok(Change::Created), "no lock is left behind");
}

/// Number of keys that are never removed while [`churn`] runs.
pub(crate) const STABLE: usize = 3_000;

pub(crate) fn stable_key(n: usize) -> Vec<u8> {
    format!("stable {n}").into_bytes()
}

/// Runs `check` while two threads write. One overwrites the stable entries with values of other
/// lengths. The other adds volatile keys and removes them again, so that the table grows and
/// shrinks. No volatile key is added a second time, so a scan must not show any of them twice.
pub(crate) fn churn(store: &BoxedKeystore, check: impl FnOnce()) {
    for n in 0..STABLE {
        store.set(&stable_key(n), &sealed(&stable_key(n), &mut rand::rng())).unwrap();
    }
    let stop = AtomicBool::new(false);
    let (overwritten, waves) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let mut rng = rand::rng();
            while !stop.load(Relaxed) {
                for n in 0..STABLE {
                    let key = stable_key(n);
                    assert_eq!(store.set(&key, &sealed(&key, &mut rng)), Ok(Change::Replaced));
                    overwritten.fetch_add(1, Relaxed);
                }
            }
        });
        scope.spawn(|| {
            let mut rng = rand::rng();
            let volatile = |n: usize| format!("volatile {n}").into_bytes();
            let mut next = 0;
            while !stop.load(Relaxed) {
                let wave = next..next + 4_000;
                next = wave.end;
                for n in wave.clone() {
                    let key = volatile(n);
                    assert_eq!(store.set(&key, &sealed(&key, &mut rng)), Ok(Change::Created));
                }
                store.reserve(20_000).unwrap();
                for n in wave {
                    // A `retain` of the check may have removed the key already.
                    store.delete(&volatile(n)).unwrap();
                }
                store.shrink().unwrap();
                waves.fetch_add(1, Relaxed);
            }
        });
        // The check begins when both threads have done some work.
        while overwritten.load(Relaxed) == 0 || waves.load(Relaxed) == 0 {
            std::thread::yield_now();
        }
        check();
    });
}

fn what_is_there_throughout_is_shown_once_while_others_write(combination: &Combination) {
    let store = combination.open_shared(&one_bucket());
    churn(&store, || {
        for walk in 0..30 {
            let mut shown: HashMap<Vec<u8>, u32> = HashMap::new();
            store
                .for_each(|key, value| {
                    assert_whole(key, value);
                    *shown.entry(key.to_vec()).or_default() += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
            for n in 0..STABLE {
                assert_eq!(
                    shown.get(&stable_key(n)),
                    Some(&1),
                    "walk {walk}: how often stable key {n} is shown"
                );
            }
            let twice: Vec<_> = shown.iter().filter(|&(_, &times)| times > 1).collect();
            assert!(twice.is_empty(), "walk {walk}: shown more than once: {twice:?}");
        }
    });
}

fn retain_takes_only_what_it_was_told_to_while_others_write(combination: &Combination) {
    let store = combination.open_shared(&one_bucket());
    let mut removed = 0;
    churn(&store, || {
        for _ in 0..15 {
            let mut unwanted = 0;
            let told = store
                .retain(|key, value| {
                    assert_whole(key, value);
                    let keep = key.starts_with(b"stable");
                    unwanted += usize::from(!keep);
                    keep
                })
                .unwrap();
            assert!(told <= unwanted, "{told} removed, {unwanted} unwanted");
            removed += told;
        }
    });
    let stats = store.stats().unwrap();
    assert!(stats.operations.deletes >= removed as u64);
    let left = contents(&*store);
    for n in 0..STABLE {
        assert!(left.contains_key(&stable_key(n)), "stable key {n} is gone");
    }
    assert_holds(&*store, &left);
}

fn retain_removes_only_the_value_it_saw(combination: &Combination) {
    const KEYS: usize = 2_000;
    for round in 0..5 {
        let store = combination.open_shared(&one_bucket());
        for n in 0..KEYS {
            store.set(&key(n), b"unwanted").unwrap();
        }
        // One thread overwrites the entries that `retain` has not removed yet. In the end, exactly
        // the overwritten entries must be there.
        let saved: Vec<bool> = std::thread::scope(|scope| {
            let saver = scope.spawn(|| {
                (0..KEYS)
                    .map(|n| {
                        let change = store.update(&key(n), |old| match old {
                            Some(_) => Update::set(bytes(n, 6 + n % 5)),
                            None => Update::Keep,
                        });
                        assert!(
                            matches!(change, Ok(Change::Replaced | Change::Absent)),
                            "{change:?}"
                        );
                        change == Ok(Change::Replaced)
                    })
                    .collect()
            });
            store.retain(|_, value| value != b"unwanted").unwrap();
            saver.join().unwrap()
        });
        let expected: Entries =
            (0..KEYS).filter(|&n| saved[n]).map(|n| (key(n), bytes(n, 6 + n % 5))).collect();
        let left = contents(&*store);
        assert_eq!(left, expected, "round {round}");
        assert_holds(&*store, &expected);
    }
}

fn clear_removes_what_was_there_and_leaves_what_comes_later(combination: &Combination) {
    let store = combination.open_shared(&one_bucket());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done = Stop(&done);
        scope.spawn(|| {
            let mut n = 0;
            while !done.load(Relaxed) {
                store.set(format!("meanwhile {}", n % 5_000).as_bytes(), b"value").unwrap();
                n += 1;
            }
        });
        for _ in 0..20 {
            fill(&*store, 2_000);
            store.clear().unwrap();
            let left = (0..2_000).filter(|&n| store.contains(&key(n)).unwrap()).count();
            assert_eq!(left, 0, "entries that clear left behind");
            assert_eq!(store.set(b"later", b"value"), Ok(Change::Created));
            assert_eq!(store.get(b"later"), Ok(Some(b"value".to_vec())));
        }
    });
    let left = contents(&*store);
    assert_holds(&*store, &left);
}

fn stats_answers_while_others_write(combination: &Combination) {
    let store = combination.open_shared(&one_bucket());
    churn(&store, || {
        for _ in 0..20 {
            let stats = store.stats().unwrap();
            let entries = &stats.entries;
            assert_eq!(entries.nonempty_buckets + entries.empty_buckets, entries.buckets);
            // The stable entries are always there, and up to one wave of volatile ones.
            let range = STABLE as u64..=STABLE as u64 + 8_000;
            assert!(range.contains(&entries.count), "{} entries", entries.count);
            let len = store.len().unwrap() as u64;
            assert!(range.contains(&len), "a length of {len}");
        }
    });
}
