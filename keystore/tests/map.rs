//! Tests of the typed map: every method against the map of the standard library, on every backend.

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use keystore::map::{Codec, DecodeError, Encode, EncodeError, MapError, Standard};
use keystore::{
    Bytes, Change, Config, DashMapKeystore, EpochKeystore, Keystore, Map, Pod, RwLockKeystore,
    SlabPool, code,
};
use proptest::prelude::*;

/// Runs a generic function for a store of each backend. The argument is the store.
macro_rules! on_each_backend {
    ($function:ident $(, $argument:expr)*) => {{
        $function(RwLockKeystore::default() $(, $argument)*);
        $function(EpochKeystore::default() $(, $argument)*);
        $function(DashMapKeystore::default() $(, $argument)*);
    }};
}

/// An operation of the map, with its key and its operands.
#[derive(Clone, Debug)]
enum Step {
    Get(String),
    Insert(String, i64),
    Set(String, i64),
    InsertIfAbsent(String, i64),
    GetOrInsert(String, i64),
    TryInsert(String, Result<i64, u8>),
    Update(String, i64),
    UpdateOrInsert(String, i64, i64),
    Compute(String, Option<i64>),
    CompareExchange(String, Option<i64>, Option<i64>),
    Remove(String),
    RemoveIf(String, i64),
    Add(String, i64),
    Sub(String, i64),
    Max(String, i64),
    Min(String, i64),
    Retain(i64),
    Extend(Vec<(String, i64)>),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Step::*;

    let key = || "[a-d]{1,2}";
    let value = || prop_oneof![0..4_i64, Just(i64::MAX), Just(i64::MIN), any::<i64>()];
    let option = || proptest::option::of(0..4_i64);
    let step = prop_oneof![
        key().prop_map(Get),
        (key(), value()).prop_map(|(k, v)| Insert(k, v)),
        (key(), value()).prop_map(|(k, v)| Set(k, v)),
        (key(), value()).prop_map(|(k, v)| InsertIfAbsent(k, v)),
        (key(), value()).prop_map(|(k, v)| GetOrInsert(k, v)),
        (key(), proptest::result::maybe_ok(value(), any::<u8>()))
            .prop_map(|(k, v)| TryInsert(k, v)),
        (key(), value()).prop_map(|(k, v)| Update(k, v)),
        (key(), value(), value()).prop_map(|(k, v, w)| UpdateOrInsert(k, v, w)),
        (key(), option()).prop_map(|(k, v)| Compute(k, v)),
        (key(), option(), option()).prop_map(|(k, v, w)| CompareExchange(k, v, w)),
        key().prop_map(Remove),
        (key(), value()).prop_map(|(k, v)| RemoveIf(k, v)),
        (key(), value()).prop_map(|(k, v)| Add(k, v)),
        (key(), value()).prop_map(|(k, v)| Sub(k, v)),
        (key(), value()).prop_map(|(k, v)| Max(k, v)),
        (key(), value()).prop_map(|(k, v)| Min(k, v)),
        value().prop_map(Retain),
        proptest::collection::vec((key(), value()), 0..8).prop_map(Extend),
        Just(Clear),
    ];
    proptest::collection::vec(step, 1..80)
}

/// Does a step on the map and on the model, and compares the results.
fn take<S: Keystore>(
    map: &Map<String, i64, Standard, S>,
    model: &mut HashMap<String, i64>,
    step: &Step,
) -> Result<(), MapError> {
    match step {
        Step::Get(k) => {
            assert_eq!(map.get(k)?, model.get(k).copied());
            assert_eq!(map.get_with(k.as_str(), |v| v)?, model.get(k).copied());
            assert_eq!(map.contains_key(k)?, model.contains_key(k));
        }
        Step::Insert(k, v) => assert_eq!(map.insert(k.clone(), *v)?, model.insert(k.clone(), *v)),
        Step::Set(k, v) => {
            let expected = match model.insert(k.clone(), *v) {
                None => Change::Created,
                Some(_) => Change::Replaced,
            };
            assert_eq!(map.set(k.as_str(), v)?, expected);
        }
        Step::InsertIfAbsent(k, v) => {
            assert_eq!(map.insert_if_absent(k.clone(), *v)?, !model.contains_key(k));
            model.entry(k.clone()).or_insert(*v);
        }
        Step::GetOrInsert(k, v) => {
            let expected = *model.entry(k.clone()).or_insert(*v);
            assert_eq!(map.get_or_insert_with(k, || *v)?, expected);
        }
        Step::TryInsert(k, v) => {
            let expected = match (model.get(k), v) {
                (Some(v), _) => Ok(*v),
                (None, Ok(v)) => Ok(*model.entry(k.clone()).or_insert(*v)),
                (None, Err(error)) => Err(*error),
            };
            assert_eq!(map.get_or_try_insert_with(k, || *v)?, expected);
        }
        Step::Update(k, v) => {
            let expected = model.get_mut(k).map(|old| {
                *old ^= v;
                *old
            });
            assert_eq!(map.update(k, |old| old ^ v)?, expected);
        }
        Step::UpdateOrInsert(k, v, w) => {
            let new = model.get(k).map_or(*w, |old| old ^ v);
            model.insert(k.clone(), new);
            assert_eq!(map.update_or_insert_with(k, |old| old ^ v, || *w)?, new);
        }
        Step::Compute(k, new) => {
            let old = match new {
                Some(new) => model.insert(k.clone(), *new),
                None => model.remove(k),
            };
            let mut seen = None;
            let computed = map.compute(k, |old| {
                seen = old;
                *new
            })?;
            assert_eq!((computed, seen), (*new, old));
        }
        Step::CompareExchange(k, expected, new) => {
            let found = model.get(k).copied();
            let outcome = map.compare_exchange(k, expected.as_ref(), new.as_ref())?;
            if found != *expected {
                assert_eq!(outcome, Err(found));
                return Ok(());
            }
            assert_eq!(outcome, Ok(()));
            match new {
                Some(new) => model.insert(k.clone(), *new),
                None => model.remove(k),
            };
        }
        Step::Remove(k) => assert_eq!(map.remove(k)?, model.remove(k)),
        Step::RemoveIf(k, limit) => {
            let expected = model.get(k).copied().filter(|v| v < limit);
            if expected.is_some() {
                model.remove(k);
            }
            assert_eq!(map.remove_if(k, |v| v < limit)?, expected);
        }
        Step::Add(k, v) => {
            let old = model.get(k).copied();
            model.insert(k.clone(), old.unwrap_or(0).wrapping_add(*v));
            assert_eq!(map.fetch_add(k, *v)?, old);
        }
        Step::Sub(k, v) => {
            let old = model.get(k).copied();
            model.insert(k.clone(), old.unwrap_or(0).wrapping_sub(*v));
            assert_eq!(map.fetch_sub(k, *v)?, old);
        }
        Step::Max(k, v) => {
            let old = model.get(k).copied();
            model.insert(k.clone(), old.map_or(*v, |old| old.max(*v)));
            assert_eq!(map.fetch_max(k, *v)?, old);
        }
        Step::Min(k, v) => {
            let old = model.get(k).copied();
            model.insert(k.clone(), old.map_or(*v, |old| old.min(*v)));
            assert_eq!(map.fetch_min(k, *v)?, old);
        }
        Step::Retain(limit) => {
            let before = model.len();
            model.retain(|k, v| k.len() == 1 || *v < *limit);
            let removed = map.retain(|k, v| k.len() == 1 || v < limit)?;
            assert_eq!(removed, before - model.len());
        }
        Step::Extend(entries) => {
            map.extend(entries.iter().cloned())?;
            model.extend(entries.iter().cloned());
        }
        Step::Clear => {
            map.clear()?;
            model.clear();
        }
    }
    Ok(())
}

/// Checks that the map has the entries of the model.
fn assert_holds<S: Keystore>(
    map: &Map<String, i64, Standard, S>,
    model: &HashMap<String, i64>,
) -> Result<(), MapError> {
    let sorted = |mut values: Vec<i64>| {
        values.sort_unstable();
        values
    };
    assert_eq!(map.iter().collect::<Result<HashMap<_, _>, _>>()?, *model);
    let keys = map.keys().collect::<Result<Vec<_>, _>>()?;
    assert!(keys.len() == model.len() && keys.iter().all(|key| model.contains_key(key)));
    let values = map.values().collect::<Result<_, _>>()?;
    assert_eq!(sorted(values), sorted(model.values().copied().collect()));
    assert_eq!((map.len()?, map.is_empty()?), (model.len(), model.is_empty()));
    assert_eq!(format!("{map:?}"), format!("Map {{ entries: {}, .. }}", model.len()));
    Ok(())
}

fn does_what_a_hash_map_does<S: Keystore>(store: S, steps: &[Step]) {
    let (map, mut model) = (Map::over(store), HashMap::new());
    for step in steps {
        take(&map, &mut model, step).unwrap();
    }
    assert_holds(&map, &model).unwrap();
}

proptest! {
    #[test]
    fn every_method_does_what_a_hash_map_does(steps in steps()) {
        on_each_backend!(does_what_a_hash_map_does, &steps);
        does_what_a_hash_map_does::<keystore::BoxedKeystore>(
            Box::new(RwLockKeystore::default()),
            &steps,
        );
    }
}

#[test]
fn a_map_is_made_from_entries_and_extended_by_them() {
    let entries = || (0..1_000_u64).map(|n| (n, n.to_string()));
    let mut map: Map<u64, String> = entries().take(300).collect();
    Extend::extend(&mut map, entries().skip(300));
    assert_eq!(map.len(), Ok(1_000));
    let found = (&map).into_iter().collect::<Result<HashMap<_, _>, _>>().unwrap();
    assert_eq!(found, entries().collect());
}

/// A codec that cannot encode the number 40.
struct NotForty;

impl Encode<u64> for NotForty {
    type Encoded<'a> = [u8; 8];

    fn encode(value: &u64) -> Result<[u8; 8], MapError> {
        if *value == 40 {
            Err(EncodeError::new::<u64>("it is 40").into())
        } else {
            Ok(value.to_be_bytes())
        }
    }
}

impl Codec<u64> for NotForty {
    fn decode(bytes: &[u8]) -> Result<u64, MapError> {
        Ok(u64::from_be_bytes(
            bytes.try_into().map_err(|_| DecodeError::length::<u64>(bytes.len(), 8))?,
        ))
    }
}

#[test]
fn extending_stops_at_the_entry_that_cannot_be_encoded_and_keeps_those_before_it() {
    let map: Map<u64, u64, (NotForty, NotForty)> = Map::new();
    let error = map.extend((0..100).map(|n| (n, n + 1))).unwrap_err();
    assert!(error.to_string().contains("it is 40"), "{error}");
    assert_eq!(map.len(), Ok(39), "the entries of 0 to 38");
    assert_eq!(map.get(&38), Ok(Some(39)));
}

/// Asserts that `result` is the error of a value that cannot be decoded.
#[track_caller]
fn assert_undecoded<T: std::fmt::Debug>(result: Result<T, MapError>) {
    let error = result.unwrap_err();
    assert_eq!(error, DecodeError::length::<u64>(3, 8).into());
    assert_eq!(error.code(), code::INVALID_ARGUMENT);
    assert_eq!(error.to_string(), "cannot decode u64 from 3 bytes: it has 8 bytes");
}

fn a_value_of_a_wrong_length_is_an_error_and_stays<S: Keystore>(store: S) {
    store.set(&7_u64.to_ne_bytes(), b"abc").unwrap();
    let map: Map<u64, u64, Pod, S> = Map::over(store);
    map.insert(8, 80).unwrap();
    let mut calls = 0;
    let mut called = |_: u64| {
        calls += 1;
        1
    };
    assert_undecoded(map.get(&7));
    assert_undecoded(map.get_with(&7, |value| value));
    assert_undecoded(map.insert(7, 1));
    assert_undecoded(map.get_or_insert_with(&7, || 1));
    assert_undecoded(map.get_or_try_insert_with(&7, || Ok::<_, Infallible>(1)));
    assert_undecoded(map.update(&7, &mut called));
    assert_undecoded(map.update_or_insert_with(&7, &mut called, || 1));
    assert_undecoded(map.compute(&7, |_| Some(1)));
    assert_undecoded(map.compare_exchange(&7, None, Some(&1)));
    assert_undecoded(map.remove(&7));
    assert_undecoded(map.remove_if(&7, |_| true));
    assert_undecoded(map.fetch_add(&7, 1));
    assert_undecoded(map.fetch_sub(&7, 1));
    assert_undecoded(map.fetch_max(&7, 1));
    assert_undecoded(map.fetch_min(&7, 1));
    assert_eq!(calls, 0, "a closure sees only what could be decoded");
    assert_eq!(map.store().get(&7_u64.to_ne_bytes()), Ok(Some(b"abc".to_vec())));
    // These do not decode the value.
    assert_eq!(map.contains_key(&7), Ok(true));
    assert_eq!(map.insert_if_absent(7, 1), Ok(false));
    // The other entry is visited, and the one that cannot be decoded is an error and stays.
    let (entries, errors): (Vec<_>, Vec<_>) = map.iter().partition(Result::is_ok);
    assert_eq!(entries, [Ok((8, 80))]);
    assert_eq!(errors.len(), 1);
    assert_undecoded(errors.into_iter().next().unwrap());
    assert_undecoded(map.retain(|_, _| false));
    assert_eq!(map.len(), Ok(1));
    // A value of the right length replaces it.
    assert_eq!(map.set(&7, &70), Ok(Change::Replaced));
    assert_eq!(map.remove(&7), Ok(Some(70)));
}

#[test]
fn a_value_of_a_wrong_length_is_an_error_and_stays_on_each_backend() {
    on_each_backend!(a_value_of_a_wrong_length_is_an_error_and_stays);
}

#[test]
fn bytes_that_are_no_value_are_named() {
    let map: Map<u8, String> = Map::new();
    map.store().set(&[1], b"abc\xff").unwrap();
    let error = map.get(&1).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot decode alloc::string::String from 4 bytes: it is not UTF-8 from byte 3 on"
    );
    let flags: Map<u8, bool> = Map::new();
    flags.store().set(&[1], &[2]).unwrap();
    let error = flags.get(&1).unwrap_err().to_string();
    assert_eq!(error, "cannot decode bool from 1 bytes: the type has no value with these bits");
    let arrays: Map<u8, [u8; 3], (Pod, Bytes)> = Map::new();
    arrays.store().set(&[1], &[2]).unwrap();
    let error = arrays.get(&1).unwrap_err().to_string();
    assert_eq!(error, "cannot decode [u8; 3] from 1 bytes: it has 3 bytes");
}

#[test]
fn the_limits_of_the_store_are_those_of_the_map() {
    let map: Map<String, u64> = Map::new();
    for key in [String::new(), "k".repeat(65_536)] {
        let expected = map.store().get(key.as_bytes()).unwrap_err();
        for error in [
            map.get(&key).unwrap_err(),
            map.insert(key.clone(), 1).unwrap_err(),
            map.fetch_add(&key, 1).unwrap_err(),
            map.remove(&key).unwrap_err(),
        ] {
            assert_eq!(error, expected.clone().into());
            assert_eq!((error.code(), error.to_string()), (-20, expected.to_string()));
        }
    }
    assert_eq!(map.is_empty(), Ok(true));
    let longest = "k".repeat(65_535);
    assert_eq!(map.insert(longest.clone(), 1), Ok(None));
    assert_eq!(map.get(&longest), Ok(Some(1)));
}

#[test]
fn values_of_each_codec_come_back() {
    let map: Map<Box<str>, Box<[u8]>, Bytes> = Map::new();
    map.insert("a".into(), vec![1, 2].into()).unwrap();
    assert_eq!(map.get("a"), Ok(Some(vec![1, 2].into())));
    assert_eq!(map.get_with("a", <[u8]>::len), Ok(Some(2)));
    let map: Map<Vec<u8>, String, Bytes> = Map::new();
    map.set(&b"a"[..], "text").unwrap();
    assert_eq!(map.get_with(&b"a"[..], str::len), Ok(Some(4)));
    // A value of more than 64 bytes, the most that an update takes as an array.
    let map: Map<[u16; 3], [u64; 20], Pod> = Map::new();
    map.insert([1, 2, 3], [7; 20]).unwrap();
    assert_eq!(map.update(&[1, 2, 3], |old| old.map(|n| n + 1)), Ok(Some([8; 20])));
    assert_eq!(map.get(&[1, 2, 3]), Ok(Some([8; 20])));
}

const THREADS: usize = 8;

/// Lets eight threads ask for the same absent keys at once. Returns the number of closures that ran
/// for each key. Every second key's closure fails.
fn runs_of_closures<S: Keystore + Sync>(store: S) -> Vec<usize> {
    const KEYS: usize = 200;
    let map: Map<u64, u64, Pod, S> = Map::over(store);
    let runs: Vec<_> = (0..KEYS).map(|_| AtomicUsize::new(0)).collect();
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (map, runs, barrier) = (&map, &runs, &barrier);
            scope.spawn(move || {
                for (key, runs) in runs.iter().enumerate() {
                    barrier.wait();
                    let found = map.get_or_try_insert_with(&(key as u64), || {
                        let nth = runs.fetch_add(1, Relaxed);
                        std::thread::yield_now();
                        if nth == 0 && key % 2 == 1 { Err(thread) } else { Ok(thread as u64) }
                    });
                    match found.unwrap() {
                        Ok(value) => assert_eq!(map.get(&(key as u64)), Ok(Some(value))),
                        Err(failed) => assert_eq!((failed, key % 2), (thread, 1)),
                    }
                }
            });
        }
    });
    assert_eq!(map.len(), Ok(KEYS), "each key was inserted by a closure that did not fail");
    runs.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn the_closure_runs_once_for_each_key_under_a_lock() {
    // If the first closure fails, one more runs.
    let expected: Vec<_> = (0..200).map(|key| 1 + key % 2).collect();
    assert_eq!(runs_of_closures(RwLockKeystore::default()), expected);
    assert_eq!(runs_of_closures(DashMapKeystore::default()), expected);
}

#[test]
fn without_a_lock_the_closure_runs_at_most_once_in_each_thread() {
    let runs = runs_of_closures(EpochKeystore::default());
    assert!(runs.iter().all(|&runs| (1..=THREADS).contains(&runs)), "{runs:?}");
}

fn threads_lose_no_update<S: Keystore + Sync>(store: S) {
    const ROUNDS: u64 = 2_000;
    let map: Map<u64, [u64; 10], Pod, _> = Map::over(&store);
    let sums: Map<u64, u64, Pod, _> = Map::over(&store);
    let texts: Map<u64, String, (Pod, Bytes), _> = Map::over(&store);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..ROUNDS {
                    sums.fetch_add(&1, n).unwrap();
                    let new = map
                        .update_or_insert_with(&2, |old| old.map(|n| n + 1), || [1; 10])
                        .unwrap();
                    assert!(new.iter().all(|&n| n == new[0]));
                    let more = |text: String| text + "+";
                    let text = texts.update_or_insert_with(&3, more, || "+".to_owned()).unwrap();
                    assert!(text.bytes().all(|byte| byte == b'+'));
                    sums.compute(&4, |old| Some(old.map_or(1, |old| old + 1))).unwrap();
                }
            });
        }
    });
    assert_eq!(sums.get(&1), Ok(Some(4 * ROUNDS * (ROUNDS - 1) / 2)));
    assert_eq!(map.get(&2), Ok(Some([4 * ROUNDS; 10])));
    assert_eq!(texts.get_with(&3, str::len), Ok(Some(4 * ROUNDS as usize)));
    assert_eq!(sums.get(&4), Ok(Some(4 * ROUNDS)));
}

#[test]
fn threads_lose_no_update_on_each_backend() {
    on_each_backend!(threads_lose_no_update);
}

/// Unwinds as a panic does, without the message on the terminal.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("a panic of a caller's closure"))
}

/// A call with a closure, which panics.
type Panicking<S> = fn(&Map<u64, u64, Pod, S>) -> Result<(), MapError>;

fn a_panic_leaves_the_map_usable<S: Keystore>(store: S) {
    let map: Map<u64, u64, Pod, S> = Map::over(store);
    map.insert(1, 10).unwrap();
    let calls: [Panicking<S>; 8] = [
        |map| map.get_with(&1, |_| panic_quietly()).map(drop::<Option<()>>),
        |map| map.get_or_insert_with(&2, || panic_quietly()).map(drop),
        |map| map.get_or_try_insert_with::<_, ()>(&2, || panic_quietly()).map(drop),
        |map| map.update(&1, |_| panic_quietly()).map(drop),
        |map| map.update_or_insert_with(&2, |old| old, || panic_quietly()).map(drop),
        |map| map.compute(&1, |_| panic_quietly()).map(drop),
        |map| map.remove_if(&1, |_| panic_quietly()).map(drop),
        |map| map.retain(|_, _| panic_quietly()).map(drop),
    ];
    for (nth, call) in calls.iter().enumerate() {
        assert!(catch_unwind(AssertUnwindSafe(|| call(&map))).is_err(), "call {nth} panics");
        assert_eq!(map.iter().collect::<Vec<_>>(), [Ok((1, 10))], "after call {nth}");
        // If the panic had left a lock held, this would never end.
        assert_eq!(map.insert(1, 10), Ok(Some(10)));
        assert_eq!(map.insert(2, 20), Ok(None));
        assert_eq!(map.remove(&2), Ok(Some(20)));
    }
}

#[test]
fn a_panic_in_a_closure_leaves_the_map_usable_on_each_backend() {
    on_each_backend!(a_panic_leaves_the_map_usable);
}

#[test]
fn a_map_has_the_store_that_it_was_given() {
    let config = Config::default();
    let pool = SlabPool::from_config(&config).unwrap();
    let map: Map<u64, u64, Pod, _> = Map::over(RwLockKeystore::open(&config, pool).unwrap());
    map.insert(1, 2).unwrap();
    assert_eq!(map.store().len(), Ok(1));
    let again: Map<u64, u64, Pod, _> = Map::over(map.into_store());
    assert_eq!(again.get(&1), Ok(Some(2)));
    assert_eq!(Map::<u64, u64, Pod>::open(&config).unwrap().len(), Ok(0));
}

#[cfg(feature = "serde")]
mod with_serde {
    use std::collections::BTreeMap;

    use keystore::Serde;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Account {
        name: String,
        cents: i64,
        tags: BTreeMap<String, Option<char>>,
    }

    fn account(tags: usize) -> Account {
        let tags = (0..tags).map(|n| (n.to_string(), char::from_u32(n as u32))).collect();
        Account { name: "Ann".to_owned(), cents: -5, tags }
    }

    fn accounts_come_back<S: Keystore>(store: S) {
        let map: Map<String, Account, Serde, S> = Map::over(store);
        // The longest account is long enough to be probed for.
        for tags in [0, 3, 2_000] {
            let key = format!("account {tags}");
            assert_eq!(map.insert(key.clone(), account(tags)), Ok(None));
            assert_eq!(map.get(key.as_str()), Ok(Some(account(tags))));
            assert_eq!(map.get_with(&key, |account| account.cents), Ok(Some(-5)));
            let richer = Account { cents: 100, ..account(tags) };
            let update = |account| Account { cents: 100, ..account };
            assert_eq!(map.update(&key, update), Ok(Some(richer.clone())));
            assert_eq!(map.remove(&key), Ok(Some(richer)));
        }
    }

    #[test]
    fn accounts_come_back_on_each_backend() {
        on_each_backend!(accounts_come_back);
    }

    #[test]
    fn bytes_that_are_no_account_are_named() {
        let map: Map<u8, (String, u8), (Pod, Serde)> = Map::new();
        let message = |bytes: &[u8]| {
            map.store().set(&[1], bytes).unwrap();
            map.get(&1).unwrap_err().to_string()
        };
        let name = "cannot decode (alloc::string::String, u8) from";
        assert_eq!(message(&[1, b'a']), format!("{name} 2 bytes: they end within the value"));
        assert_eq!(message(&[1, b'a', 7, 9, 9]), format!("{name} 5 bytes: it has 3 bytes"));
        assert_eq!(message(&[1, 0xff, 7]), format!("{name} 3 bytes: a text is not UTF-8"));
    }

    #[test]
    fn a_value_that_cannot_be_serialised_is_an_error_and_changes_nothing() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Refusing(u8);

        impl Serialize for Refusing {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if self.0 == 0 {
                    return Err(serde::ser::Error::custom("zero"));
                }
                serializer.serialize_newtype_struct("Refusing", &self.0)
            }
        }

        let map: Map<u8, Refusing, (Pod, Serde)> = Map::new();
        map.insert(1, Refusing(1)).unwrap();
        for error in [
            map.insert(1, Refusing(0)).unwrap_err(),
            map.update(&1, |_| Refusing(0)).unwrap_err(),
            map.get_or_insert_with(&2, || Refusing(0)).unwrap_err(),
            map.set(&2, &Refusing(0)).unwrap_err(),
        ] {
            assert!(
                matches!(&error, MapError::Encode(error) if error.type_name.contains("Refusing"))
            );
            assert_eq!(error.code(), -20);
        }
        assert_eq!(map.iter().collect::<Vec<_>>(), [Ok((1, Refusing(1)))]);
    }
}
