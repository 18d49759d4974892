//! Checks that threads which share a store see each operation on a key as one step.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use keystore::{Change, Config, Exchange, Keystore, Update};
use rand::RngExt;

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{
    Stop, as_number, assert_holds, assert_whole, bytes, contents, key, number, one_bucket, sealed,
};

pub(crate) const CHECKS: &[Check] = checks![
    shared:
        updates_of_many_threads_add_up,
        exchanges_of_many_threads_add_up,
        an_insert_has_one_winner,
        a_removal_has_one_winner,
        whoever_inserts_a_key_owns_it_until_it_is_removed,
        each_thread_reads_back_what_it_wrote,
        a_value_is_never_torn,
        a_key_that_is_always_there_is_always_found,
        a_reader_never_goes_back_in_time,
        one_write_is_seen_before_the_next,
        threads_come_and_go
];

/// Runs `run` on `threads` threads that start together. Each call gets the number of its thread.
fn together(threads: usize, run: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (run, barrier) = (&run, &barrier);
            scope.spawn(move || {
                barrier.wait();
                run(thread);
            });
        }
    });
}

fn updates_of_many_threads_add_up(combination: &Combination) {
    const THREADS: usize = 8;
    const EACH: usize = 6_000;
    const KEYS: usize = 16;
    let store = combination.open_shared(&one_bucket());
    together(THREADS, |thread| {
        for n in 0..EACH {
            let counter = key((n + thread) % KEYS);
            // Some values are longer than the counter needs, so that the entry changes its node.
            let length = 8 + if n % 10 == 0 { n % 300 } else { 0 };
            let change = store.update(&counter, |old| {
                let count = as_number(old.map(|old| &old[..8])) + 1;
                let mut value = number(count);
                value.resize(length, 0);
                Update::set(value)
            });
            assert!(matches!(change, Ok(Change::Created | Change::Replaced)), "{change:?}");
        }
    });
    for n in 0..KEYS {
        let count = store.read(&key(n), |value| as_number(Some(&value[..8])));
        assert_eq!(count, Ok(Some((THREADS * EACH / KEYS) as u64)), "counter {n}");
    }
}

fn exchanges_of_many_threads_add_up(combination: &Combination) {
    const THREADS: usize = 4;
    const EACH: usize = 3_000;
    let store = combination.open_shared(&Config::default());
    together(THREADS, |_| {
        for n in 0..EACH {
            let counter = key(n % 3);
            let mut seen = store.get(&counter).unwrap();
            loop {
                let new = number(as_number(seen.as_deref()) + 1);
                match store.compare_exchange(&counter, seen.as_deref(), Some(&new)).unwrap() {
                    Exchange::Exchanged => break,
                    Exchange::Differs(now) => {
                        assert_ne!(now, seen, "it differs from what was expected");
                        seen = now;
                    }
                }
            }
        }
    });
    for n in 0..3 {
        assert_eq!(store.get(&key(n)), Ok(Some(number((THREADS * EACH / 3) as u64))));
    }
}

fn an_insert_has_one_winner(combination: &Combination) {
    const KEYS: usize = 4_000;
    const THREADS: usize = 4;
    let store = combination.open_shared(&one_bucket());
    let winners: Vec<_> = (0..KEYS).map(|_| AtomicUsize::new(0)).collect();
    together(THREADS, |thread| {
        for (n, winners) in winners.iter().enumerate() {
            let won = match n % 3 {
                0 => store.insert(&key(n), &bytes(thread, 20)) == Ok(true),
                1 => {
                    let exchange = store.compare_exchange(&key(n), None, Some(&bytes(thread, 20)));
                    exchange == Ok(Exchange::Exchanged)
                }
                _ => {
                    let change = store.update(&key(n), |old| match old {
                        Some(_) => Update::Keep,
                        None => Update::set(bytes(thread, 20)),
                    });
                    change == Ok(Change::Created)
                }
            };
            if won {
                // No other thread replaces the winner's value.
                assert_eq!(store.get(&key(n)), Ok(Some(bytes(thread, 20))));
                winners.fetch_add(1, Relaxed);
            }
        }
    });
    for (n, winners) in winners.iter().enumerate() {
        assert_eq!(winners.load(Relaxed), 1, "winners of key {n}");
    }
    assert_eq!(store.len(), Ok(KEYS));
}

fn a_removal_has_one_winner(combination: &Combination) {
    const KEYS: usize = 3_000;
    let store = combination.open_shared(&one_bucket());
    let removed = AtomicUsize::new(0);
    for n in 0..KEYS {
        store.set(&key(n), &bytes(n, 20)).unwrap();
    }
    together(4, |_| {
        for n in 0..KEYS {
            let won = match n % 4 {
                0 => store.delete(&key(n)).unwrap(),
                1 => match store.take(&key(n)).unwrap() {
                    Some(value) => {
                        assert_eq!(value, bytes(n, 20));
                        true
                    }
                    None => false,
                },
                2 => store.update(&key(n), |_| Update::Delete) == Ok(Change::Deleted),
                _ => {
                    let exchange = store.compare_exchange(&key(n), Some(&bytes(n, 20)), None);
                    exchange == Ok(Exchange::Exchanged)
                }
            };
            removed.fetch_add(usize::from(won), Relaxed);
        }
    });
    assert_eq!(removed.into_inner(), KEYS);
    assert_eq!(contents(&*store).len(), 0);
    assert_eq!(store.len(), Ok(0));
}

fn whoever_inserts_a_key_owns_it_until_it_is_removed(combination: &Combination) {
    // The keys are few, and are inserted and removed all the time. So insertions meet other
    // insertions and removals in the same slots. The table starts with one bucket, in which all
    // keys meet, and grows during the check.
    const KEYS: usize = 4;
    for round in 0..6 {
        let store = combination.open_shared(&one_bucket());
        let owners: Vec<_> = (0..KEYS).map(|_| AtomicUsize::new(0)).collect();
        let owned = AtomicUsize::new(0);
        together(4, |thread| {
            let mine = bytes(thread, 10 + thread * 20);
            for n in 0..4_000 {
                let at = (n / 3 + round) % KEYS;
                let key = key(at);
                let won = match n % 3 {
                    0 => store.insert(&key, &mine).unwrap(),
                    1 => {
                        store.compare_exchange(&key, None, Some(&mine)).unwrap()
                            == Exchange::Exchanged
                    }
                    _ => {
                        let take = |old: Option<&[u8]>| match old {
                            Some(_) => Update::Keep,
                            None => Update::set(mine.clone()),
                        };
                        store.update(&key, take).unwrap() == Change::Created
                    }
                };
                if !won {
                    continue;
                }
                assert_eq!(owners[at].fetch_add(1, Relaxed), 0, "key {at} has two owners");
                assert_eq!(store.get(&key), Ok(Some(mine.clone())), "the owner's value");
                owned.fetch_add(1, Relaxed);
                assert_eq!(owners[at].fetch_sub(1, Relaxed), 1, "key {at} has two owners");
                let removed = match n % 4 {
                    0 => store.delete(&key).unwrap(),
                    1 => store.take(&key) == Ok(Some(mine.clone())),
                    2 => store.compare_exchange(&key, Some(&mine), None) == Ok(Exchange::Exchanged),
                    _ => store.delete_many(&[&key]) == Ok(1),
                };
                assert!(removed, "the owner removes key {at}");
            }
        });
        assert!(owned.into_inner() > 1_000);
        assert_holds(&*store, &crate::entries::Entries::new());
    }
}

fn each_thread_reads_back_what_it_wrote(combination: &Combination) {
    const EACH: usize = 2_500;
    let store = combination.open_shared(&one_bucket());
    together(8, |thread| {
        let own = |n: usize| format!("{thread}/{n}").into_bytes();
        for n in 0..EACH {
            assert_eq!(store.set(&own(n), &bytes(n, n % 90)), Ok(Change::Created));
            assert_eq!(store.get(&own(n)), Ok(Some(bytes(n, n % 90))));
            if n % 2 == 0 {
                assert_eq!(store.set(&own(n), &bytes(n + 1, n % 70)), Ok(Change::Replaced));
                assert_eq!(store.get(&own(n)), Ok(Some(bytes(n + 1, n % 70))));
            }
            if n % 5 == 0 {
                assert_eq!(store.delete(&own(n)), Ok(true));
                assert_eq!(store.get(&own(n)), Ok(None));
                assert_eq!(store.insert(&own(n), b"again"), Ok(true));
            }
        }
        let keys: Vec<_> = (0..EACH).map(own).collect();
        let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
        store
            .read_many(&keys, |n, value| {
                let expected = match n {
                    n if n % 5 == 0 => b"again".to_vec(),
                    n if n % 2 == 0 => bytes(n + 1, n % 70),
                    n => bytes(n, n % 90),
                };
                assert_eq!(value, Some(&expected[..]), "{n}");
            })
            .unwrap();
    });
    assert_eq!(store.len(), Ok(8 * EACH));
}

fn a_value_is_never_torn(combination: &Combination) {
    const KEYS: usize = 40;
    let store = combination.open_shared(&one_bucket());
    let stop = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    let seen = |key: &[u8], value: Option<&[u8]>| {
        if let Some(value) = value {
            assert_whole(key, value);
            reads.fetch_add(1, Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let store = &store;
                scope.spawn(move || {
                    let mut rng = rand::rng();
                    for _ in 0..20_000 {
                        let key = key(rng.random_range(0..KEYS));
                        let value = sealed(&key, &mut rng);
                        match rng.random_range(0..8) {
                            0 => drop(store.delete(&key).unwrap()),
                            1 => drop(store.update(&key, |old| {
                                old.inspect(|old| assert_whole(&key, old));
                                Update::set(value.clone())
                            })),
                            2 => drop(store.set_many(&[(&key, &value)]).unwrap()),
                            3 => drop(
                                store.take(&key).unwrap().inspect(|old| assert_whole(&key, old)),
                            ),
                            _ => drop(store.set(&key, &value).unwrap()),
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let mut rng = rand::rng();
            while !stop.load(Relaxed) {
                let key = key(rng.random_range(0..KEYS));
                seen(&key, store.get(&key).unwrap().as_deref());
                // Looks at the value twice and lets other threads run in between: the value must
                // not change.
                let stayed = store.read(&key, |value| {
                    seen(&key, Some(value));
                    std::thread::yield_now();
                    seen(&key, Some(value));
                });
                assert!(stayed.is_ok(), "{stayed:?}");
            }
        });
        scope.spawn(|| {
            let keys: Vec<_> = (0..KEYS).map(key).collect();
            let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
            while !stop.load(Relaxed) {
                store.read_many(&keys, |at, value| seen(keys[at], value)).unwrap();
                store
                    .for_each(|key, value| {
                        seen(key, Some(value));
                        ControlFlow::Continue(())
                    })
                    .unwrap();
            }
        });
        let _stop = Stop(&stop);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    assert!(reads.into_inner() > 1_000, "the readers have seen something");
    let left = contents(&*store);
    left.iter().for_each(|(key, value)| assert_whole(key, value));
    assert_holds(&*store, &left);
}

fn a_key_that_is_always_there_is_always_found(combination: &Combination) {
    const STABLE: usize = 500;
    let store = combination.open_shared(&one_bucket());
    let stop = AtomicBool::new(false);
    let mut rng = rand::rng();
    for n in 0..STABLE {
        store.set(&key(n), &sealed(&key(n), &mut rng)).unwrap();
    }
    std::thread::scope(|scope| {
        let resizer = scope.spawn(|| {
            // The table grows and shrinks by a factor of about 2^5, by its content and by request.
            for round in 0..8_usize {
                let other = |n: usize| format!("other {round} {n}").into_bytes();
                (0..6_000)
                    .for_each(|n| assert_eq!(store.set(&other(n), b"value"), Ok(Change::Created)));
                if round % 2 == 0 {
                    store.reserve(30_000).unwrap();
                }
                (0..6_000).for_each(|n| assert_eq!(store.delete(&other(n)), Ok(true)));
                store.shrink().unwrap();
            }
        });
        scope.spawn(|| {
            let mut rng = rand::rng();
            while !stop.load(Relaxed) {
                let key = key(rng.random_range(0..STABLE));
                assert_eq!(store.set(&key, &sealed(&key, &mut rng)), Ok(Change::Replaced));
            }
        });
        scope.spawn(|| {
            let mut rng = rand::rng();
            while !stop.load(Relaxed) {
                let n = rng.random_range(0..STABLE);
                let found = store.read(&key(n), |value| assert_whole(&key(n), value));
                assert_eq!(found, Ok(Some(())), "key {n}");
                assert_eq!(store.insert(&key(n), b"never"), Ok(false), "key {n}");
            }
        });
        scope.spawn(|| {
            let keys: Vec<_> = (0..STABLE).map(key).collect();
            let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
            while !stop.load(Relaxed) {
                store
                    .read_many(&keys, |n, value| {
                        assert_whole(keys[n], value.expect("the key is always there"))
                    })
                    .unwrap();
            }
        });
        let _stop = Stop(&stop);
        resizer.join().unwrap();
    });
    assert_eq!(store.len(), Ok(STABLE));
}

fn a_reader_never_goes_back_in_time(combination: &Combination) {
    const KEYS: usize = 8;
    const WRITES: u64 = 15_000;
    let store = combination.open_shared(&one_bucket());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    for n in 1..=WRITES {
                        // Each key has one writer, which counts up. The lengths of the values
                        // differ, so that the entry sometimes changes its node.
                        let key = key(n as usize % (KEYS / 2) * 2 + writer);
                        let mut value = number(n);
                        value.resize(8 + n as usize % 60, 0);
                        store.set(&key, &value).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = [0; KEYS];
                while !stop.load(Relaxed) {
                    for (n, last) in last.iter_mut().enumerate() {
                        let now = store
                            .read(&key(n), |value| as_number(Some(&value[..8])))
                            .unwrap()
                            .unwrap_or(0);
                        assert!(now >= *last, "key {n} went from {last} back to {now}");
                        *last = now;
                    }
                }
            });
        }
        let _stop = Stop(&stop);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

fn one_write_is_seen_before_the_next(combination: &Combination) {
    // One thread writes a number to the first key and then to the second. A thread that reads a
    // number from the second key must then read this number or a later one from the first.
    let store = combination.open_shared(&Config::default());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 1..=20_000 {
                store.set(b"first", &number(n)).unwrap();
                store.set(b"second", &number(n)).unwrap();
                if n % 7 == 0 {
                    // An empty value, which a reader sees as 0.
                    store.set(b"second", &[]).unwrap();
                }
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let second = store.get(b"second").unwrap().filter(|value| !value.is_empty());
                    let first = store.get(b"first").unwrap();
                    let (first, second) =
                        (as_number(first.as_deref()), as_number(second.as_deref()));
                    assert!(
                        first >= second,
                        "the second write of {second} was seen, and then {first} on the first"
                    );
                }
            });
        }
        let _stop = Stop(&stop);
        writer.join().unwrap();
    });
}

fn threads_come_and_go(combination: &Combination) {
    const THREADS: usize = 200;
    let store = combination.open_shared(&one_bucket());
    let ids = std::sync::Mutex::new(HashSet::new());
    // At most twenty threads run at once, and a new one starts when an old one ends. In all there
    // are more threads than a store has shards of counters.
    std::thread::scope(|scope| {
        let mut running = std::collections::VecDeque::new();
        for thread in 0..THREADS {
            if running.len() == 20 {
                let oldest: std::thread::ScopedJoinHandle<'_, ()> =
                    running.pop_front().expect("twenty are running");
                oldest.join().unwrap();
            }
            let (store, ids) = (&store, &ids);
            running.push_back(scope.spawn(move || {
                ids.lock().unwrap().insert(std::thread::current().id());
                for n in 0..200 {
                    let own = format!("{thread} {n}").into_bytes();
                    store.set(&own, &bytes(n, n % 50)).unwrap();
                    store
                        .update(b"counter", |old| Update::set(number(as_number(old) + 1)))
                        .unwrap();
                    if n % 2 == 0 {
                        assert_eq!(store.take(&own), Ok(Some(bytes(n, n % 50))));
                    }
                }
            }));
        }
    });
    assert_eq!(ids.into_inner().unwrap().len(), THREADS);
    // The same number of threads at once.
    together(THREADS, |_| {
        for _ in 0..20 {
            store.update(b"counter", |old| Update::set(number(as_number(old) + 1))).unwrap();
        }
    });
    assert_eq!(store.get(b"counter"), Ok(Some(number((THREADS * 220) as u64))));
    assert_eq!(store.len(), Ok(THREADS * 100 + 1));
    let stats = store.stats().unwrap();
    assert_eq!(stats.operations.adds, (THREADS * 420) as u64);
    assert_eq!(stats.nodes.deletes, (THREADS * 100) as u64);
}
