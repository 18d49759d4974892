//! Compares the single-threaded store with hashbrown: `cargo bench -p keystore-bench --bench
//! local`.
//!
//! The store is `LocalKeystore` on a slab. The map is hashbrown's `HashMap<Box<[u8]>, Box<[u8]>>`
//! with the same hasher. Both overwrite a value of the same length in place. Both are called
//! directly, as in a user's program.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hashbrown::HashMap;
use keystore::{Concurrency, Config, DefaultHasher, Keystore, LocalKeystore, SlabPool};
use keystore_bench::Keys;

const VALUE: [u8; 64] = [7; 64];

/// Number of keys that one bench looks up or sets. The keys lie one after another in memory, in the
/// order of their use, so that fetching the next key costs almost nothing.
const ASKED: usize = 1 << 20;

type Bytes = Box<[u8]>;

/// Draws keys at random from a uniform distribution.
fn draw(keys: &Keys) -> Vec<[u8; 16]> {
    let mut random = 1_u64;
    let mut next = || {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let position = ((random >> 32) as usize * keys.len()) >> 32;
        keys.get(position).try_into().expect("keys of 16 bytes")
    };
    (0..ASKED).map(|_| next()).collect()
}

fn local(criterion: &mut Criterion) {
    for entries in [20_000, 1_000_000] {
        let keys = Keys::make(entries, &16.into()).expect("there are that many keys");
        let asked = draw(&keys);
        let config = Config { concurrency: Concurrency::SingleThreaded, ..Config::default() };
        let store =
            LocalKeystore::open_local(&config, SlabPool::new().expect("memory")).expect("memory");
        let mut map = HashMap::<Bytes, Bytes, DefaultHasher>::default();
        for position in 0..entries {
            store.set(keys.get(position), &VALUE).expect("memory");
            map.insert(keys.get(position).into(), VALUE.into());
        }
        let mut group = criterion.benchmark_group("single-threaded");
        group
            .sample_size(20)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(2));
        let mut at = asked.iter().cycle();
        group.bench_function(BenchmarkId::new("get, local", entries), |bencher| {
            bencher.iter(|| {
                let key = at.next().expect("a cycle has no end");
                store
                    .read(key, |value| black_box(value[0]))
                    .expect("a valid key")
                    .expect("the key is there")
            });
        });
        group.bench_function(BenchmarkId::new("get, hashbrown", entries), |bencher| {
            bencher.iter(|| {
                let key = at.next().expect("a cycle has no end");
                black_box(map.get(&key[..]).expect("the key is there")[0])
            });
        });
        group.bench_function(BenchmarkId::new("set, local", entries), |bencher| {
            bencher.iter(|| {
                let key = at.next().expect("a cycle has no end");
                store.set(key, black_box(&VALUE)).expect("memory")
            });
        });
        group.bench_function(BenchmarkId::new("set, hashbrown", entries), |bencher| {
            bencher.iter(|| {
                let key = at.next().expect("a cycle has no end");
                let value = black_box(&VALUE[..]);
                match map.get_mut(&key[..]) {
                    Some(old) if old.len() == value.len() => old.copy_from_slice(value),
                    _ => drop(map.insert(key[..].into(), value.into())),
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, local);
criterion_main!(benches);
