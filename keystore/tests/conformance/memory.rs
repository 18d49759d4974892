//! Checks that all memory is returned, that garbage is bounded, and that the memory limit holds.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use keystore::{Change, Config, Error, Keystore, Update, code};

use crate::allocators::Audit;
use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::entries::{
    Stop, assert_holds, assert_whole, bytes, contents, fill, key, one_bucket, sealed,
};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        everything_comes_back_on_drop,
        nodes_beyond_what_a_pool_preallocated_come_back_too,
        deleted_and_overwritten_memory_is_used_again,
        at_the_memory_limit_writers_fail_and_readers_go_on,
        the_memory_limit_counts_each_byte_once,
        at_the_memory_limit_a_value_may_be_replaced_by_one_no_longer;
    shared:
        everything_comes_back_after_threads_have_overwritten,
        the_memory_limit_holds_against_many_writers,
        a_refused_writer_takes_no_room_from_others,
        stores_may_share_a_pool;
    alone:
        garbage_is_bounded_while_threads_overwrite,
        garbage_of_threads_that_have_ended_is_freed_by_those_that_go_on,
        shrinking_frees_all_garbage
];

fn everything_comes_back_on_drop(combination: &Combination) {
    type Life = (&'static str, fn(&dyn Keystore));
    let lives: [Life; 9] = [
        ("never used", |_| ()),
        ("filled", |store| drop(fill(store, 3_000))),
        ("overwritten", |store| {
            for length in [10, 20, 500, 3, 40_000] {
                for n in 0..100 {
                    store.set(&key(n), &bytes(n, length)).unwrap();
                }
            }
        }),
        ("emptied", |store| {
            fill(store, 2_000);
            (0..2_000).for_each(|n| assert_eq!(store.delete(&key(n)), Ok(true)));
        }),
        ("cleared", |store| {
            fill(store, 2_000);
            store.clear().unwrap();
        }),
        ("shrunk", |store| {
            fill(store, 5_000);
            store.retain_dyn(&mut |_, value| value.len() == 7).unwrap();
            store.shrink().unwrap();
        }),
        ("reserved", |store| {
            store.reserve(50_000).unwrap();
            fill(store, 100);
        }),
        ("left in the middle of things", |store| {
            fill(store, 100);
            let mut decide =
                |_: Option<&[u8]>| -> Update { resume_unwind(Box::new("of a closure")) };
            assert!(
                catch_unwind(AssertUnwindSafe(|| store.update_dyn(&key(1), &mut decide))).is_err()
            );
            let mut left = 50;
            let mut keep = |_: &[u8], _: &[u8]| {
                left -= 1;
                if left > 0 { false } else { resume_unwind(Box::new("of a closure")) }
            };
            assert!(catch_unwind(AssertUnwindSafe(|| store.retain_dyn(&mut keep))).is_err());
        }),
        ("of large values", |store| {
            for n in 0..8 {
                store.set(&key(n), &bytes(n, 3_000_000)).unwrap();
                store.set(&key(n), &bytes(n, 2_000_000)).unwrap();
            }
        }),
    ];
    for (name, live) in lives {
        for config in [one_bucket(), Config::default()] {
            let audit = Audit::new(combination, &config);
            let store = combination.open_over(&config, audit.clone()).unwrap();
            live(&*store);
            let now = contents(&*store);
            assert_holds(&*store, &now);
            drop(store);
            let (blocks, bytes) = audit.live();
            assert_eq!((blocks, bytes), (0, 0), "a store that was {name} keeps blocks and bytes");
            audit.assert_all_returned();
        }
    }
}

fn nodes_beyond_what_a_pool_preallocated_come_back_too(combination: &Combination) {
    for preallocation in [0.1, 0.5, 1.0] {
        let config = Config { initial_buckets: 1 << 10, preallocation, ..Config::default() };
        let audit = Audit::new(combination, &config);
        let store = combination.open_over(&config, audit.clone()).unwrap();
        let mut expected = fill(&*store, 5_000);
        expected.retain(|key, _| key.len().is_multiple_of(2));
        store.retain(|key, _| key.len().is_multiple_of(2)).unwrap();
        expected.extend(fill(&*store, 2_000));
        assert_holds(&*store, &expected);
        drop(store);
        audit.assert_all_returned();
    }
}

fn deleted_and_overwritten_memory_is_used_again(combination: &Combination) {
    const ROUNDS: usize = 60;
    let audit = Audit::new(combination, &Config::default());
    let store = combination.open_over(&Config::default(), audit.clone()).unwrap();
    for round in 0..ROUNDS {
        for n in 0..2_000 {
            store.set(&key(n), &bytes(round + n, 100 + (round + n) % 200)).unwrap();
        }
        for n in 0..2_000 {
            if (n + round) % 2 == 0 {
                assert_eq!(store.delete(&key(n)), Ok(true));
            }
        }
    }
    // The live bytes are those of 2000 entries of at most 320 bytes, and of garbage within its
    // bound of 16 MiB.
    assert!(audit.allocations() > 60_000, "{} blocks handed out", audit.allocations());
    assert!(
        audit.most_live_bytes() < (17 << 20),
        "{} bytes were live at once",
        audit.most_live_bytes()
    );
    let held = store.stats().unwrap().pool.held_bytes;
    assert!(held < (40 << 20), "the pool holds {held} bytes for 0.6 MB of entries");
    drop(store);
    audit.assert_all_returned();
}

/// Returns the bytes of an entry that count against the memory limit.
fn size(key: &[u8], value: &[u8]) -> u64 {
    8 + key.len() as u64 + value.len() as u64
}

fn at_the_memory_limit_writers_fail_and_readers_go_on(combination: &Combination) {
    const LIMIT: u64 = 50_000;
    let store = combination.open(&Config { memory_limit: Some(LIMIT), ..one_bucket() });
    let mut n = 0;
    let error = loop {
        match store.set(&key(n), &bytes(n, 100)) {
            Ok(_) => n += 1,
            Err(error) => break error,
        }
    };
    let mut expected = contents(&*store);
    assert_eq!(expected.len(), n);
    let used: u64 = expected.iter().map(|(key, value)| size(key, value)).sum();
    let requested = size(&key(n), &[0; 100]);
    assert_eq!(error, Error::MemoryLimit { requested: requested as usize, used, limit: LIMIT });
    assert!(used <= LIMIT && used + requested > LIMIT, "{used}");
    assert_eq!(error.code(), code::OUT_OF_MEMORY);
    let text = error.to_string();
    for number in [requested, used, LIMIT] {
        assert!(text.contains(&number.to_string()), "{text} names {number}");
    }
    // Every operation that would add bytes is refused, and changes nothing. All others succeed.
    let large = [7; 500];
    let refused =
        |result: Result<(), Error>| assert_eq!(result.unwrap_err().code(), code::OUT_OF_MEMORY);
    refused(store.insert(b"new", &large).map(drop));
    refused(store.update(b"new", |_| Update::set(large.to_vec())).map(drop));
    refused(store.update(&key(0), |_| Update::set(large.to_vec())).map(drop));
    refused(store.compare_exchange(b"new", None, Some(&large)).map(drop));
    refused(store.compare_exchange(&key(0), Some(&bytes(0, 100)), Some(&large)).map(drop));
    refused(Ok(store.set_many(&[(&key(0), &large)]).map(drop)).and_then(|result| Ok(result?)));
    assert_holds(&*store, &expected);
    assert_eq!(store.set(&key(1), &bytes(9, 100)), Ok(Change::Replaced), "no longer than it was");
    expected.insert(key(1), bytes(9, 100));
    // A delete frees exactly the size of its entry, even while garbage waits to be reclaimed.
    assert_eq!(store.delete(&key(2)), Ok(true));
    assert_eq!(store.take(&key(3)), Ok(expected.remove(&key(3))));
    expected.remove(&key(2));
    for n in [n, n + 1] {
        assert_eq!(store.set(&key(n), &bytes(n, 90)), Ok(Change::Created));
        expected.insert(key(n), bytes(n, 90));
    }
    assert_holds(&*store, &expected);
    store.clear().unwrap();
    assert_eq!(store.set(b"large", &vec![1; 49_000]), Ok(Change::Created));
}

fn the_memory_limit_counts_each_byte_once(combination: &Combination) {
    // Exactly one entry fits, in every round, whichever operations add and remove it.
    let store = combination.open(&Config { memory_limit: Some(8 + 3 + 100), ..Config::default() });
    for round in 0..300 {
        assert_eq!(store.set(b"key", &bytes(round, 100)), Ok(Change::Created), "round {round}");
        assert_eq!(
            store.set(b"kez", b"").unwrap_err().code(),
            code::OUT_OF_MEMORY,
            "round {round}"
        );
        match round % 6 {
            0 => drop(store.delete(b"key").unwrap()),
            1 => drop(store.take(b"key").unwrap()),
            2 => drop(store.update(b"key", |_| Update::Delete).unwrap()),
            3 => store.clear().unwrap(),
            4 => drop(store.retain(|_, _| false).unwrap()),
            _ => drop(store.delete_many(&[b"key"]).unwrap()),
        }
        assert_eq!(store.set(b"key", &bytes(round, 101)).unwrap_err().code(), code::OUT_OF_MEMORY);
    }
}

fn at_the_memory_limit_a_value_may_be_replaced_by_one_no_longer(combination: &Combination) {
    for (long, short) in
        [(100, 100), (100, 99), (100, 40), (1_000, 10), (5_000, 4_000), (100_000, 0)]
    {
        let limit = size(b"key", &bytes(0, long));
        let store = combination.open(&Config { memory_limit: Some(limit), ..Config::default() });
        assert_eq!(store.set(b"key", &bytes(0, long)), Ok(Change::Created));
        assert_eq!(
            store.set(b"key", &bytes(1, short)),
            Ok(Change::Replaced),
            "{long} bytes by {short}"
        );
        assert_eq!(store.get(b"key"), Ok(Some(bytes(1, short))));
        assert_eq!(store.update(b"key", |_| Update::set(bytes(2, short))), Ok(Change::Replaced));
        assert_eq!(store.get(b"key"), Ok(Some(bytes(2, short))));
    }
}

fn everything_comes_back_after_threads_have_overwritten(combination: &Combination) {
    for round in 0..4 {
        let config = one_bucket();
        let audit = Audit::new(combination, &config);
        let store = keystore::open(combination.backend, &config, audit.clone()).unwrap();
        let store = Arc::new(store);
        // These threads end while the store and its garbage remain.
        let threads: Vec<_> = (0..6)
            .map(|thread| {
                let store = Arc::clone(&store);
                std::thread::spawn(move || {
                    let mut rng = rand::rng();
                    for n in 0..2_000 {
                        let key = key((n * 7 + thread) % 100);
                        match n % 5 {
                            0 => drop(store.delete(&key).unwrap()),
                            1 => drop(store.read(&key, |value| assert_whole(&key, value)).unwrap()),
                            _ => drop(store.set(&key, &sealed(&key, &mut rng)).unwrap()),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        if round % 2 == 0 {
            let now = contents(&**store);
            assert_holds(&**store, &now);
        }
        drop(store);
        audit.assert_all_returned();
    }
}

fn garbage_is_bounded_while_threads_overwrite(combination: &Combination) {
    const KEYS: usize = 200;
    const LENGTH: usize = 4_000;
    let audit = Audit::new(combination, &Config::default());
    let store = keystore::open(combination.backend, &Config::default(), audit.clone()).unwrap();
    let written = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (store, written) = (&store, &written);
            scope.spawn(move || {
                // Each thread writes 50 MB, so together they write nine times the bound.
                for n in 0..12_500 {
                    let key = key((n * 31 + thread) % KEYS);
                    store.set(&key, &vec![n as u8; LENGTH + n % 7]).unwrap();
                    written.fetch_add(LENGTH as u64, Relaxed);
                }
            });
        }
        scope.spawn(|| {
            while written.load(Relaxed) < 140_000_000 {
                let memory = store.stats().unwrap().memory;
                assert!(memory.garbage_bytes <= (16 << 20), "{memory:?}");
                assert!(memory.node_bytes <= (KEYS * (LENGTH + 40)) as u64, "{memory:?}");
            }
        });
    });
    // The sum of the bound, the live entries, and the nodes of writes that are under way.
    let most = audit.most_live_bytes();
    assert!(
        most < (16 << 20) + 2 * (KEYS * LENGTH) as u64,
        "{most} bytes of nodes were live at once"
    );
    drop(store);
    audit.assert_all_returned();
}

/// Runs four threads that fill the store, empty it again, and end.
fn fill_and_empty_by_threads(store: &(dyn Keystore + Send + Sync)) {
    for _ in 0..2 {
        let threads = (0..4).map(|thread| {
            move || {
                for n in (thread..160_000).step_by(4) {
                    store.set(&key(n), &bytes(n, 40)).unwrap();
                }
                for n in (thread..160_000).step_by(4) {
                    assert_eq!(store.delete(&key(n)), Ok(true));
                }
            }
        });
        std::thread::scope(|scope| threads.for_each(|thread| drop(scope.spawn(thread))));
    }
}

fn garbage_of_threads_that_have_ended_is_freed_by_those_that_go_on(combination: &Combination) {
    let store = combination.open_shared(&Config::default());
    fill_and_empty_by_threads(&*store);
    let garbage = || store.stats().unwrap().memory.garbage_bytes;
    // Some garbage remains: 16 bags that are not full yet, and some batches that wait for their
    // grace period.
    for n in 0..400_000 {
        store.set(&key(n % 10), &bytes(n, 40)).unwrap();
        if n % 10_000 == 0 && garbage() < 256 << 10 {
            return;
        }
    }
    panic!("{} bytes of garbage", garbage());
}

fn shrinking_frees_all_garbage(combination: &Combination) {
    let store = combination.open_shared(&Config::default());
    fill_and_empty_by_threads(&*store);
    store.shrink().unwrap();
    let memory = store.stats().unwrap().memory;
    assert_eq!((memory.node_bytes, memory.garbage_bytes), (0, 0), "{memory:?}");
}

fn the_memory_limit_holds_against_many_writers(combination: &Combination) {
    const LIMIT: u64 = 100_000;
    let store = combination.open_shared(&Config { memory_limit: Some(LIMIT), ..one_bucket() });
    let stop = AtomicBool::new(false);
    let refused = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let (store, refused) = (&store, &refused);
                scope.spawn(move || {
                    let mut rng = rand::rng();
                    for n in 0..6_000 {
                        let key = key((n * 13 + thread * 7) % 3_000);
                        match store.set(&key, &sealed(&key, &mut rng)) {
                            Ok(_) => {}
                            Err(Error::MemoryLimit { limit: LIMIT, .. }) => {
                                refused.fetch_add(1, Relaxed);
                                store.delete(&key).unwrap();
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let n = store.len().unwrap() % 3_000;
                store.read(&key(n), |value| assert_whole(&key(n), value)).unwrap();
            }
        });
        let _stop = Stop(&stop);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    assert!(refused.into_inner() > 100);
    let now = contents(&*store);
    let used: u64 = now.iter().map(|(key, value)| size(key, value)).sum();
    assert!(used <= LIMIT, "{used} bytes of entries");
    assert_holds(&*store, &now);
    // The whole limit is free again, so no byte was counted twice or forgotten.
    store.clear().unwrap();
    let value = vec![0; LIMIT as usize - 8 - 3];
    assert_eq!(store.set(b"all", &value), Ok(Change::Created));
    assert_eq!(store.set(b"a", b"").unwrap_err().code(), code::OUT_OF_MEMORY);
}

fn a_refused_writer_takes_no_room_from_others(combination: &Combination) {
    let store =
        combination.open_shared(&Config { memory_limit: Some(100_000), ..Config::default() });
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || {
                let too_large = vec![0; 200_000];
                while !stop.load(Relaxed) {
                    let error = store.set(&key(thread), &too_large).unwrap_err();
                    assert_eq!(error.code(), code::OUT_OF_MEMORY);
                }
            });
        }
        let _stop = Stop(&stop);
        // There are not more rounds, because a key may share a lock with the two threads' keys.
        // Then this thread competes with them for the lock in every call.
        for n in 0..20_000 {
            // The limit always has space for this entry.
            let key = format!("small {}", n % 10);
            let set = store.set(key.as_bytes(), &[0; 10]);
            assert!(set.is_ok(), "after {n} small writes: {set:?}");
            assert!(store.delete(key.as_bytes()).is_ok());
        }
    });
}

fn stores_may_share_a_pool(combination: &Combination) {
    let config = one_bucket();
    let audit = Audit::new(combination, &config);
    let open = || keystore::open(combination.backend, &config, audit.clone()).unwrap();
    let (one, other) = (open(), open());
    let expected = fill(&*one, 3_000);
    std::thread::scope(|scope| {
        scope.spawn(|| fill(&*other, 3_000));
        scope.spawn(|| {
            for n in 0..3_000 {
                assert_eq!(one.set(&key(n), &bytes(n, n % 100)), Ok(Change::Replaced));
            }
        });
    });
    assert_holds(&*one, &expected);
    drop(one);
    assert_holds(&*other, &expected);
    let third = open();
    fill(&*third, 3_000);
    drop(other);
    assert_holds(&*third, &expected);
    drop(third);
    audit.assert_all_returned();
}
