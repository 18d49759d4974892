//! Reports about iterators: entries that are shown twice or not at all, and writers that an
//! iteration keeps waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::mpsc;

use keystore::{Change, Keystore, ScanCursor};

use crate::check::{Check, checks};
use crate::combination::Combination;
use crate::{contents, fill, key, one_bucket};

pub(crate) const CHECKS: &[Check] = checks![
    all:
        crossbeam_737_an_iterator_is_used_after_its_end,
        dashmap_95_keys_are_inserted_and_removed_at_random,
        onetbb_45_keys_are_looked_up_during_an_iteration,
        onetbb_1764_entries_are_loaded_with_repeated_keys;
    shared:
        dashmap_151_others_write_during_an_iteration
];

/// crossbeam-skiplist: an iterator that has returned `None` starts again from the first entry.
///
/// Here the iterator keeps that it has ended, also if entries are added later.
fn crossbeam_737_an_iterator_is_used_after_its_end(combination: &Combination) {
    let store = combination.open(&one_bucket());
    for count in [0, 1, 1_000] {
        fill(&*store, count);
        let mut entries = store.iter();
        assert_eq!(entries.by_ref().map(Result::unwrap).count(), count);
        store.set(b"later", b"").unwrap();
        assert_eq!((entries.next(), entries.next()), (None, None));
        store.delete(b"later").unwrap();
    }
}

/// dashmap 4.0.0-rc6: after some inserts and removals on one thread, an insert adds a key that is
/// there already, and the map has it twice.
///
/// Here an insert searches the whole bucket before it takes a free slot, also if it meets the slot
/// of a removed entry first. `for_each` shows each key once, with the newest value.
fn dashmap_95_keys_are_inserted_and_removed_at_random(combination: &Combination) {
    const KEYS: u64 = 48;
    let store = combination.open(&one_bucket());
    let (mut model, mut random) = (BTreeMap::new(), 1_u64);
    for step in 0..6_000_u64 {
        // A linear congruential generator; its high bits are random enough.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
        let key = key((random >> 33) as usize % KEYS as usize);
        if random >> 62 == 0 {
            assert_eq!(store.delete(&key), Ok(model.remove(&key).is_some()));
        } else {
            let value = step.to_le_bytes().to_vec();
            let created = model.insert(key.clone(), value.clone()).is_none();
            let change = if created { Change::Created } else { Change::Replaced };
            assert_eq!(store.set(&key, &value), Ok(change));
        }
        if step % 500 == 0 {
            assert_eq!(contents(&*store), model);
            assert_eq!(store.len(), Ok(model.len()));
        }
    }
    assert_eq!(contents(&*store), model);
}

/// oneTBB: `concurrent_hash_map` splits a bucket when the bucket is first used after the table has
/// grown. So a `find` during an iteration moves entries, and the iterator shows some of them twice
/// (1,262,143 of 1,000,000 in the report) and may skip others.
///
/// Here the order of a scan depends on the hashes alone, so it does not matter when a bucket is
/// split. Each entry is shown once, however many lookups come between.
fn onetbb_45_keys_are_looked_up_during_an_iteration(combination: &Combination) {
    const COUNT: usize = 5_000;
    let store = combination.open(&one_bucket());
    fill(&*store, COUNT);
    let mut shown = BTreeSet::new();
    let visit = |seen: &[u8], value: &[u8]| {
        assert_eq!(store.get(seen), Ok(Some(value.to_vec())));
        assert!(shown.insert(seen.to_vec()), "{seen:?} is shown twice");
        ControlFlow::Continue(())
    };
    assert_eq!(store.for_each(visit), Ok(()));
    assert_eq!(shown.len(), COUNT);

    // The same with an iterator, between whose steps the table grows and splits buckets.
    let (mut shown, mut added) = (BTreeSet::new(), 0);
    for entry in store.iter() {
        let (seen, value) = entry.unwrap();
        assert_eq!(store.get(&seen), Ok(Some(value)));
        if seen.starts_with(b"key") {
            assert!(shown.insert(seen), "an entry is shown twice");
        }
        if added < 4 * COUNT {
            added += 1;
            store.set(format!("added {added}").as_bytes(), b"").unwrap();
        }
    }
    assert_eq!(shown.len(), COUNT);
}

/// oneTBB: a map that is constructed from a list with a repeated key holds that key twice.
///
/// Here a batch is one `set` or `insert` for each entry, in order, so the last or the first value
/// wins.
fn onetbb_1764_entries_are_loaded_with_repeated_keys(combination: &Combination) {
    let entries: [(&[u8], &[u8]); 4] = [(b"0", b"a"), (b"1", b"b"), (b"0", b"c"), (b"0", b"d")];
    for (first_wins, value) in [(false, b"d"), (true, b"a")] {
        let store = combination.open(&one_bucket());
        let created =
            if first_wins { store.insert_many(&entries) } else { store.set_many(&entries) };
        assert_eq!(created.unwrap(), 2);
        assert_eq!(store.len(), Ok(2));
        let expected = [(b"0".to_vec(), value.to_vec()), (b"1".to_vec(), b"b".to_vec())];
        assert_eq!(contents(&*store), expected.into());
    }
}

/// dashmap: while a thread iterates, it holds the read lock of a shard, and all writes to that
/// shard wait. A thread that saves a large map to a disk so stops the others.
///
/// Here `iter` and `scan` hold no lock between two steps, on any backend. `for_each` of the
/// lock-free backend holds none at all. So the other thread's writes end while the iteration is
/// paused, and the iteration still shows each entry once.
fn dashmap_151_others_write_during_an_iteration(combination: &Combination) {
    const COUNT: usize = 500;
    let store = &*combination.open_shared(&one_bucket());
    fill(store, COUNT);
    let others_write = || {
        let (report, done) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..COUNT {
                    assert_eq!(store.set(&key(n), b"of the other"), Ok(Change::Replaced));
                }
                report.send(()).unwrap();
            });
            done.recv().expect("the writes end");
        });
    };

    let mut entries = keystore::Entries::new(store);
    let mut shown = BTreeSet::from([entries.next().unwrap().unwrap().0]);
    others_write();
    for entry in entries {
        assert!(shown.insert(entry.unwrap().0), "an entry is shown twice");
    }
    assert_eq!(shown.len(), COUNT);

    let mut shown = BTreeSet::new();
    let mut next = Some(ScanCursor::START);
    while let Some(cursor) = next {
        next = store
            .scan_dyn(cursor, 100, &mut |seen, _| assert!(shown.insert(seen.to_vec())))
            .unwrap();
        others_write();
    }
    assert_eq!(shown.len(), COUNT);

    if let Some(store) = combination.open_lock_free() {
        fill(&store, COUNT);
        let mut shown = 0;
        let visit = |_: &[u8], _: &[u8]| {
            shown += 1;
            if shown % 100 == 0 {
                std::thread::scope(|scope| {
                    let writes = scope.spawn(|| {
                        (0..COUNT).all(|n| store.set(&key(n), b"") == Ok(Change::Replaced))
                    });
                    assert!(writes.join().unwrap());
                });
            }
            ControlFlow::Continue(())
        };
        assert_eq!(store.for_each(visit), Ok(()));
        assert_eq!(shown, COUNT);
    }
}
