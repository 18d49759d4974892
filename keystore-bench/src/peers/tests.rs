use std::collections::HashMap;
use std::ops::ControlFlow;

use keystore::{Change, Exchange, Keystore, Update};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::PeerKind;
use crate::measure::control::RunControl;
use crate::measure::driver::{load, run};
use crate::measure::proof::Proof;
use crate::workload::distribution::KeyDistribution;
use crate::workload::keys::Keys;
use crate::workload::operation::Mix;
use crate::workload::scenario::{Length, Scenario};

type Model = HashMap<Vec<u8>, Vec<u8>>;

#[test]
fn kinds_parse_from_what_they_print_and_are_stored_so() {
    for kind in PeerKind::ALL {
        assert_eq!(kind.to_string().parse::<PeerKind>().unwrap(), kind);
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        assert_eq!(serde_json::from_str::<PeerKind>(&format!("\"{kind}\"")).unwrap(), kind);
    }
    assert_eq!(format!("{:8}|", PeerKind::Papaya), "papaya  |");
}

#[test]
fn an_unknown_peer_is_named_with_those_there_are() {
    let error = "btree".parse::<PeerKind>().unwrap_err();
    assert!(error.is_usage());
    assert!(error.to_string().starts_with("peer \"btree\" is unknown"), "{error}");
    assert!(error.to_string().ends_with("dashmap-boxes, flurry, sharded-rwlock"), "{error}");
}

#[test]
fn versions_are_those_of_the_lock_file() {
    let lock =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    for kind in PeerKind::ALL {
        let entry = format!("name = \"{}\"\nversion = \"{}\"\n", kind.package(), kind.version());
        assert!(lock.contains(&entry), "{kind}: the lock file has no {entry}");
    }
}

/// Checks that the store has exactly the entries of the model.
fn assert_holds(kind: PeerKind, store: &dyn Keystore, model: &Model) {
    let mut shown = Model::new();
    store
        .for_each_dyn(&mut |key, value| {
            assert!(
                shown.insert(key.to_vec(), value.to_vec()).is_none(),
                "{kind} shows an entry twice"
            );
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(&shown, model, "{kind}");
    assert_eq!(store.len().unwrap(), model.len(), "{kind}");
    assert_eq!(store.is_empty().unwrap(), model.is_empty(), "{kind}");
    assert_eq!(store.stats().unwrap().entries.count, model.len() as u64, "{kind}");
}

/// Applies to the model what `decide` returns, and returns the change that a store must report.
fn model_update<'v>(
    model: &mut Model,
    key: &[u8],
    decide: impl Fn(Option<&[u8]>) -> Update<'v>,
) -> Change {
    let old = model.get(key).cloned();
    match (decide(old.as_deref()), old) {
        (Update::Keep, Some(_)) => Change::Kept,
        (Update::Keep | Update::Delete, None) => Change::Absent,
        (Update::Delete, Some(_)) => {
            model.remove(key);
            Change::Deleted
        }
        (Update::Set(value), old) => {
            let new = value.bytes(old.as_deref()).unwrap().into_owned();
            model.insert(key.to_vec(), new);
            if old.is_some() { Change::Replaced } else { Change::Created }
        }
    }
}

/// Checks that a peer returns the same results as std's map: runs every operation in random order
/// on a few keys, with values of several lengths.
fn behaves_as_a_map(kind: PeerKind, seed: u64) {
    let store = kind.open().unwrap();
    let mut model = Model::new();
    let mut rng = SmallRng::seed_from_u64(seed);
    let word = |rng: &mut SmallRng| format!("key-{}", rng.random_range(0..300)).into_bytes();
    let some = |rng: &mut SmallRng| {
        vec![rng.random(); *[0, 3, 16, 16, 200].get(rng.random_range(0..5)).unwrap()]
    };
    for step in 0..30_000 {
        let (key, value) = (word(&mut rng), some(&mut rng));
        let present = model.contains_key(&key);
        match rng.random_range(0..14) {
            0 | 1 => {
                let change = if present { Change::Replaced } else { Change::Created };
                assert_eq!(store.set(&key, &value).unwrap(), change, "{kind}");
                model.insert(key, value);
            }
            2 => {
                assert_eq!(store.insert(&key, &value).unwrap(), !present, "{kind}");
                model.entry(key).or_insert(value);
            }
            3..=5 => {
                let wish = [Update::Keep, Update::Delete, Update::set(value)]
                    [rng.random_range(0..3)]
                .clone();
                let mut shown = None;
                let change = store
                    .update(&key, |old| {
                        shown = old.map(<[u8]>::to_vec);
                        wish.clone()
                    })
                    .unwrap();
                assert_eq!(shown.as_ref(), model.get(&key), "{kind}");
                assert_eq!(change, model_update(&mut model, &key, |_| wish.clone()), "{kind}");
            }
            6 => {
                assert_eq!(store.delete(&key).unwrap(), present, "{kind}");
                model.remove(&key);
            }
            7 => assert_eq!(store.take(&key).unwrap(), model.remove(&key), "{kind}"),
            8 => {
                let old = model.get(&key).cloned();
                let expected = if rng.random() { old.clone() } else { Some(value.clone()) };
                let new = rng.random::<bool>().then_some(value);
                let answer =
                    store.compare_exchange(&key, expected.as_deref(), new.as_deref()).unwrap();
                if expected == old {
                    assert_eq!(answer, Exchange::Exchanged, "{kind}");
                    model.remove(&key);
                    model.extend(new.map(|new| (key, new)));
                } else {
                    assert_eq!(answer, Exchange::Differs(old), "{kind}");
                }
            }
            9 => {
                let keys: Vec<Vec<u8>> =
                    (0..rng.random_range(0..5)).map(|_| word(&mut rng)).collect();
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let mut seen = Vec::new();
                store
                    .read_many(&keys, |index, value| seen.push((index, value.map(<[u8]>::to_vec))))
                    .unwrap();
                let expected: Vec<_> = keys
                    .iter()
                    .enumerate()
                    .map(|(index, &key)| (index, model.get(key).cloned()))
                    .collect();
                assert_eq!(seen, expected, "{kind}");
            }
            10 => {
                let other = word(&mut rng);
                let created = store.set_many(&[(&key, &value), (&other, b"x")]).unwrap();
                let before = model.len();
                model.insert(key, value);
                model.insert(other, b"x".to_vec());
                assert_eq!(created, model.len() - before, "{kind}");
            }
            11 => {
                let other = word(&mut rng);
                let deleted = store.delete_many(&[&key, &other]).unwrap();
                let before = model.len();
                model.remove(&key);
                model.remove(&other);
                assert_eq!(deleted, before - model.len(), "{kind}");
            }
            12 => {
                assert_eq!(store.contains(&key).unwrap(), present, "{kind}");
                assert_eq!(
                    store.read(&key, <[u8]>::to_vec).unwrap().as_ref(),
                    model.get(&key),
                    "{kind}"
                );
            }
            _ => assert_eq!(store.get(&key).unwrap().as_ref(), model.get(&key), "{kind}"),
        }
        if step % 3000 == 0 {
            assert_holds(kind, &store, &model);
            let removed = store.retain(|key, value| key.len() != 5 && value.len() != 3).unwrap();
            let before = model.len();
            model.retain(|key, value| key.len() != 5 && value.len() != 3);
            assert_eq!(removed, before - model.len(), "{kind}");
            assert_holds(kind, &store, &model);
        }
    }
    assert!(!model.is_empty());
    store.clear().unwrap();
    assert_holds(kind, &store, &Model::new());
}

#[test]
fn every_peer_behaves_as_a_map() {
    for kind in PeerKind::ALL {
        for seed in 0..3 {
            behaves_as_a_map(kind, seed);
        }
    }
}

#[test]
fn a_walk_ends_where_it_is_broken_off() {
    for kind in PeerKind::ALL {
        let store = kind.open().unwrap();
        for key in 0..100_u32 {
            store.set(&key.to_le_bytes(), b"").unwrap();
        }
        let mut shown = 0;
        store
            .for_each(|_, _| {
                shown += 1;
                if shown == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!(shown, 7, "{kind}");
    }
}

#[test]
fn what_a_peer_cannot_do_is_refused() {
    for kind in PeerKind::ALL {
        let store = kind.open().unwrap();
        assert_eq!(store.reserve(10).unwrap_err().code(), -43);
        assert_eq!(store.shrink().unwrap_err().code(), -43);
    }
}

/// Checks that no concurrent write is lost. Four threads each write their own keys while the map
/// grows. They also increment the same hundred counters, insert the same key, and create and remove
/// another key in turn.
#[test]
fn nothing_is_lost_among_four_threads() {
    const THREADS: u64 = 4;
    const OWN: u64 = 5000;
    const SHARED: u64 = 100;
    let counted =
        |old: Option<&[u8]>| old.map_or(0, |old| u64::from_le_bytes(old.try_into().unwrap()));
    for kind in PeerKind::ALL {
        let store = kind.open().unwrap();
        let created: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let store = &store;
                    scope.spawn(move || {
                        let mut created = 0;
                        for step in 0..OWN {
                            let own = [thread, step].map(u64::to_le_bytes).concat();
                            assert_eq!(store.set(&own, b"first").unwrap(), Change::Created);
                            assert_eq!(store.set(&own, &own).unwrap(), Change::Replaced);
                            assert_eq!(store.get(&own).unwrap().as_deref(), Some(&own[..]));
                            if step % 3 == 0 {
                                assert!(store.delete(&own).unwrap());
                            }
                            let shared = (step % SHARED).to_le_bytes();
                            store
                                .update(&shared, |old| {
                                    Update::set((counted(old) + 1).to_le_bytes().to_vec())
                                })
                                .unwrap();
                            created += u64::from(store.insert(b"once", b"").unwrap());
                            // The key is alternately absent and present, so updates meet it while
                            // it appears and disappears.
                            store
                                .update(b"blinks", |old| match old {
                                    Some(_) => Update::Delete,
                                    None => Update::set(vec![1]),
                                })
                                .unwrap();
                        }
                        created
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(created, 1, "{kind}: of many inserts one created the key");
        assert!(!store.contains(b"blinks").unwrap(), "{kind}: an even number of turns");
        for shared in 0..SHARED {
            let count = counted(store.get(&shared.to_le_bytes()).unwrap().as_deref());
            assert_eq!(count, THREADS * OWN / SHARED, "{kind}: an update was lost");
        }
        let mut shown = 0;
        store
            .for_each(|key, value| {
                shown += 1;
                if key.len() == 16 {
                    assert_eq!(key, value, "{kind}");
                    assert_ne!(u64::from_le_bytes(key[8..].try_into().unwrap()) % 3, 0, "{kind}");
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(shown, THREADS * (OWN - OWN.div_ceil(3)) + SHARED + 1, "{kind}");
        assert_eq!(store.len().unwrap() as u64, shown, "{kind}");
    }
}

#[test]
fn the_harness_runs_every_peer_and_finds_it_right() {
    let mut scenario = Scenario {
        mix: Mix {
            get: 25,
            get_many: 10,
            set: 15,
            set_many: 5,
            insert: 15,
            update: 15,
            delete: 10,
            delete_many: 5,
        },
        distribution: KeyDistribution::Zipfian { theta: 0.99 },
        length: Length::Operations(60_000),
        keys: 2000,
        batch: 7,
        ..Scenario::default()
    };
    let keys = Keys::make(scenario.keys, &scenario.key_size).unwrap();
    for preload in [1.0, 0.0] {
        scenario.preload = preload;
        scenario.validate().unwrap();
        let streams = scenario.draw(2, 0, &keys);
        for kind in PeerKind::ALL {
            let store = kind.open().unwrap();
            load(&*store, &scenario, &keys, &streams, &RunControl::default()).unwrap();
            let run = run(&store, &scenario, &streams, &RunControl::default()).unwrap();
            assert_eq!(run.operations, 60_000);
            let proof = Proof {
                scenario: &scenario,
                keys: &keys,
                streams: &streams,
                executed: &run.executed,
            };
            let verification = proof.check(&*store, &RunControl::default()).unwrap();
            assert!(verification.passed(), "{kind}: {verification:?}");
        }
    }
}
