//! Measures the cost of a block for each pool, and for mimalloc, which is the global allocator
//! here. So `SystemPool` is mimalloc with counters. `Global` is mimalloc without them, and a good
//! pool is faster than that.
//!
//! If a run reports a time for many blocks, it is the time to allocate and to free all of them.

use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use keystore_core::{Config, Global, NodeAllocator};
use keystore_pool::{AnyPool, ArenaPool, PoolKind, SlabPool, SystemPool};

#[global_allocator]
static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Size of a node with a 16-byte key and a 64-byte value, bytes.
const NODE: usize = 88;

/// A group of measurements.
type Group<'g> = BenchmarkGroup<'g, WallTime>;

/// Returns the layout of a node. The optimiser does not know its size, as with a real node.
fn layout() -> Layout {
    Layout::from_size_align(black_box(NODE), 8).expect("a valid layout")
}

/// Allocates a block and writes its header, as a node does.
fn allocate(pool: &impl NodeAllocator) -> NonNull<u8> {
    let block = pool.allocate(layout()).expect("memory");
    // SAFETY: the block was just allocated, is aligned to 8, and is longer than a word.
    unsafe { block.cast::<u64>().write(NODE as u64) };
    block
}

/// Reads the block's length from its header and frees it, as a node does.
///
/// # Safety
/// The block came from [`allocate`] with this pool, and is not used again.
unsafe fn free(pool: &impl NodeAllocator, block: NonNull<u8>) {
    // SAFETY: the caller promises that `allocate` made the block. So it starts with its size, and
    // has this layout.
    unsafe {
        let size = block.cast::<u64>().read() as usize;
        pool.deallocate(block, Layout::from_size_align_unchecked(size, 8));
    }
}

/// Allocates and frees one block at a time, on one thread.
fn pair(group: &mut Group<'_>, name: &str, pool: &impl NodeAllocator) {
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let block = allocate(pool);
            // SAFETY: it was allocated just above, and is not used again.
            unsafe { free(pool, black_box(block)) };
        });
    });
}

/// A linear congruential generator: Knuth's MMIX.
const FACTOR: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = 1_442_695_040_888_963_407;

/// Replaces a random one of many live blocks, as an overwriting store does.
fn churn(group: &mut Group<'_>, name: &str, pool: &impl NodeAllocator, live: usize) {
    group.bench_function(name, |bencher| {
        let mut blocks: Vec<_> = (0..live).map(|_| allocate(pool)).collect();
        let mut random = 1_u64;
        bencher.iter(|| {
            random = random.wrapping_mul(FACTOR).wrapping_add(INCREMENT);
            let victim = ((random >> 32) as usize * live) >> 32;
            let fresh = allocate(pool);
            // SAFETY: the block is live, and another one replaces it in the vector.
            unsafe { free(pool, std::mem::replace(&mut blocks[victim], fresh)) };
        });
        // SAFETY: the blocks are live, and the vector that had them ends here.
        blocks.into_iter().for_each(|block| unsafe { free(pool, block) });
    });
}

/// Allocates `count` blocks, then frees all of them in the order of their allocation.
fn bulk(group: &mut Group<'_>, name: &str, pool: &impl NodeAllocator, count: usize) {
    group.throughput(Throughput::Elements(count as u64));
    let mut blocks = Vec::with_capacity(count);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            blocks.extend((0..count).map(|_| allocate(pool)));
            // SAFETY: they were allocated just above, and the vector is drained.
            blocks.drain(..).for_each(|block| unsafe { free(pool, block) });
        });
    });
}

/// Measures allocating alone. The pool has memory for the few blocks, and must get more for the
/// many.
fn grow(group: &mut Group<'_>, name: &str, pool: &impl NodeAllocator, count: usize) {
    group.throughput(Throughput::Elements(count as u64));
    let mut blocks = Vec::with_capacity(count);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let start = Instant::now();
                blocks.extend((0..count).map(|_| allocate(pool)));
                spent += start.elapsed();
                // SAFETY: they were allocated just above, and the vector is drained.
                blocks.drain(..).for_each(|block| unsafe { free(pool, block) });
            }
            spent
        });
    });
}

/// Blocks on their way to the thread that frees them.
struct Sent(Vec<NonNull<u8>>);

// SAFETY: the blocks are memory that only the holder of this uses, on any thread.
unsafe impl Send for Sent {}

/// One thread allocates and another frees. Batches of blocks pass between them, so that the channel
/// costs little.
fn cross(group: &mut Group<'_>, name: &str, pool: &(impl NodeAllocator + Sync)) {
    const BATCH: usize = 500;
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let (there, arriving) = sync_channel::<Sent>(4);
            let (back, returning) = sync_channel::<Sent>(8);
            for _ in 0..4 {
                back.send(Sent(Vec::with_capacity(BATCH))).expect("room for four");
            }
            thread::scope(|scope| {
                scope.spawn(move || {
                    for mut sent in arriving {
                        // SAFETY: the blocks are live, and were sent to this thread.
                        sent.0.drain(..).for_each(|block| unsafe { free(pool, block) });
                        if back.send(sent).is_err() {
                            return;
                        }
                    }
                });
                let start = Instant::now();
                for _ in 0..rounds {
                    let mut sent = returning.recv().expect("the other thread runs");
                    sent.0.extend((0..BATCH).map(|_| allocate(pool)));
                    there.send(sent).expect("the other thread runs");
                }
                drop(there);
                // Waits until all blocks are freed.
                while returning.recv().is_ok() {}
                start.elapsed()
            })
        });
    });
}

/// Runs a bench on every pool.
macro_rules! every_pool {
    ($criterion:expr, $group:literal, |$named:ident, $name:ident, $pool:ident| $run:expr) => {{
        let mut $named = $criterion.benchmark_group($group);
        let run_on = |$named: &mut Group<'_>| {
            {
                let ($name, $pool) = ("mimalloc", &Global);
                $run;
            }
            {
                let ($name, $pool) = ("system", &SystemPool::new().expect("memory"));
                $run;
            }
            {
                let ($name, $pool) = ("slab", &SlabPool::new().expect("memory"));
                $run;
            }
            {
                let any = AnyPool::new(PoolKind::Slab, &Config::default()).expect("memory");
                let ($name, $pool) = ("any-slab", &any);
                $run;
            }
            {
                let ($name, $pool) = ("arena", &ArenaPool::new().expect("memory"));
                $run;
            }
        };
        run_on(&mut $named);
        $named.finish();
    }};
}

fn benches(criterion: &mut Criterion) {
    every_pool!(criterion, "pair, same thread", |group, name, pool| pair(group, name, pool));
    every_pool!(criterion, "1,000 blocks and back", |group, name, pool| {
        bulk(group, name, pool, 1_000);
    });
    every_pool!(criterion, "replace one of 100,000", |group, name, pool| {
        churn(group, name, pool, 100_000);
    });
    every_pool!(criterion, "freed on another thread", |group, name, pool| cross(group, name, pool));
    every_pool!(criterion, "allocate 10,000", |group, name, pool| grow(group, name, pool, 10_000));
    every_pool!(criterion, "allocate 1,000,000", |group, name, pool| {
        grow(group, name, pool, 1_000_000);
    });
}

criterion_group! {
    name = pools;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = benches
}
criterion_main!(pools);
