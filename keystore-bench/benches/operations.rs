//! Measures single operations of each backend on one thread: `cargo bench -p keystore-bench`.
//!
//! Use it while you work on a backend: criterion detects a change of a few nanoseconds. To find the
//! backend that suits a workload, use `cargo xtask bench`, which varies threads, distributions and
//! pools.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use keystore::{BackendKind, BoxedKeystore, Config, Global, Keystore, open};
use keystore_bench::Keys;

/// Number of entries in the store, which then exceeds the fast caches.
const ENTRIES: usize = 200_000;

/// Number of keys that are inserted, or deleted, in one timed block.
const BLOCK: usize = 10_000;

/// Number of keys in a batch.
const BATCH: usize = 32;

const VALUE: [u8; 64] = [7; 64];

/// A fixed sequence of key positions that lie far apart; every backend gets the same sequence.
struct Walk {
    position: usize,
    count: usize,
}

impl Walk {
    fn over(count: usize) -> Self {
        Self { position: 0, count }
    }

    fn next(&mut self) -> usize {
        // The step is coprime to 200,000, since it is a multiple of neither 2 nor 5. So the
        // sequence reaches every position.
        self.position = (self.position + 61_803_399) % self.count;
        self.position
    }
}

/// Returns a store that holds the first [`ENTRIES`] of the keys.
fn loaded(kind: BackendKind, keys: &Keys) -> BoxedKeystore {
    let store = open(kind, &Config::default(), Global).expect("the default configuration is valid");
    for position in 0..ENTRIES {
        store.set(keys.get(position), &VALUE).expect("there is memory");
    }
    store
}

/// Returns the time of `times` operations. Each call of `timed` executes a block of [`BLOCK`]
/// operations. `undo` restores the store before the next block and is not timed.
fn per_block(times: u64, timed: impl Fn(), undo: impl Fn()) -> Duration {
    let blocks = times.div_ceil(BLOCK as u64);
    let time: Duration = (0..blocks)
        .map(|_| {
            let begun = Instant::now();
            timed();
            let time = begun.elapsed();
            undo();
            time
        })
        .sum();
    time.mul_f64(times as f64 / (blocks * BLOCK as u64) as f64)
}

fn operations(criterion: &mut Criterion) {
    // The second half of the keys is not in the store.
    let keys = Keys::make(2 * ENTRIES, &16.into()).expect("there are that many keys");
    for kind in BackendKind::ALL {
        let store = loaded(kind, &keys);
        let store = &*store;
        let mut group = criterion.benchmark_group("operations");
        group
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1))
            .sample_size(20);

        let mut walk = Walk::over(ENTRIES);
        group.bench_function(BenchmarkId::new("get hit", kind), |bencher| {
            bencher.iter(|| {
                let mut seen = 0;
                let found = store.read_dyn(keys.get(walk.next()), &mut |value| seen = value[0]);
                assert!(found.expect("a valid key"));
                black_box(seen)
            });
        });
        group.bench_function(BenchmarkId::new("get miss", kind), |bencher| {
            bencher.iter(|| {
                let found = store.read_dyn(keys.get(ENTRIES + walk.next()), &mut |_| {});
                assert!(!found.expect("a valid key"));
            });
        });
        group.bench_function(BenchmarkId::new("set", kind), |bencher| {
            bencher.iter(|| store.set(keys.get(walk.next()), &VALUE).expect("there is memory"));
        });
        // Absent keys are inserted and deleted again, a block at a time. Only the operation that
        // the benchmark names is timed.
        let mut walk = Walk::over(ENTRIES);
        let absent: Vec<&[u8]> = (0..BLOCK).map(|_| keys.get(ENTRIES + walk.next())).collect();
        let insert = || {
            for key in &absent {
                assert!(store.insert(key, &VALUE).expect("there is memory"));
            }
        };
        let delete = || {
            for key in &absent {
                assert!(store.delete(key).expect("a valid key"));
            }
        };
        group.bench_function(BenchmarkId::new("insert", kind), |bencher| {
            bencher.iter_custom(|times| per_block(times, insert, delete));
        });
        group.bench_function(BenchmarkId::new("delete", kind), |bencher| {
            bencher.iter_custom(|times| {
                insert();
                let time = per_block(times, delete, insert);
                delete();
                time
            });
        });
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(BenchmarkId::new("get batch of 32", kind), |bencher| {
            bencher.iter_batched_ref(
                || -> Vec<&[u8]> { (0..BATCH).map(|_| keys.get(walk.next())).collect() },
                |batch| {
                    let mut seen = 0_u8;
                    let read = store.read_many_dyn(batch, &mut |_, value| {
                        seen ^= value.expect("the key is there")[0];
                    });
                    read.expect("valid keys");
                    black_box(seen)
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
