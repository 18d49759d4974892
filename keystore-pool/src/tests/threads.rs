//! Tests of pools with several threads.

use std::sync::mpsc::sync_channel;
use std::thread;

use keystore_core::{NodeAllocator, PoolStats};
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};

use super::{Block, layout, pools};

/// Checks that no block is live.
fn assert_quiet(stats: &PoolStats, pool: &impl std::fmt::Display) {
    assert_eq!((stats.live_nodes, stats.live_bytes, stats.fallback_bytes), (0, 0, 0), "{pool}");
}

fn some_size(random: &mut impl Rng) -> usize {
    match random.random_range(0..100) {
        0 => random.random_range(1..20_000),
        1..10 => random.random_range(257..2000),
        _ => random.random_range(1..=256),
    }
}

#[test]
fn blocks_freed_on_another_thread_come_back() {
    let blocks = if cfg!(miri) { 300 } else { 200_000 };
    for pool in pools() {
        let (sender, receiver) = sync_channel::<Block>(1000);
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..blocks {
                    sender.send(Block::allocate(&pool, layout(88), number as u8).unwrap()).unwrap();
                }
                drop(sender);
            });
            for block in receiver {
                block.free(&pool);
            }
        });
        let stats = pool.stats();
        assert_quiet(&stats, &pool.kind());
        let kind = pool.kind();
        assert!(stats.held_bytes <= 2 << 20, "{kind}: 1000 blocks at a time take {stats:?}");
    }
}

#[test]
fn threads_that_come_and_go_leak_nothing() {
    let (rounds, blocks) = if cfg!(miri) { (2, 4) } else { (5, 500) };
    for pool in pools() {
        let mut held = Vec::new();
        for _ in 0..rounds {
            let left: Vec<Block> = thread::scope(|scope| {
                // 200 threads at once: most of them have no exclusive slot.
                let threads: Vec<_> = (0..if cfg!(miri) { 70 } else { 200 })
                    .map(|seed| {
                        let pool = &pool;
                        scope.spawn(move || {
                            let mut random = SmallRng::seed_from_u64(seed);
                            let mut live: Vec<Block> = Vec::new();
                            for number in 0..blocks {
                                let size = some_size(&mut random);
                                let block = Block::allocate(pool, layout(size), number as u8);
                                live.push(block.unwrap());
                                if random.random_bool(0.4) {
                                    let victim = random.random_range(0..live.len());
                                    live.swap_remove(victim).free(pool);
                                }
                            }
                            live
                        })
                    })
                    .collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(pool.stats().live_nodes, left.len() as u64, "{}", pool.kind());
            left.into_iter().for_each(|block| block.free(&pool));
            assert_quiet(&pool.stats(), &pool.kind());
            held.push(pool.stats().held_bytes);
        }
        assert!(held[rounds - 1] <= held[0] + (40 << 20), "{} grows: {held:?}", pool.kind());
    }
}

#[test]
fn threads_that_swap_blocks_keep_them_apart() {
    let (threads, steps, shelf) = if cfg!(miri) { (3, 60, 20) } else { (8, 50_000, 1000) };
    for pool in pools() {
        // Every thread puts blocks on a shelf, and frees the blocks that it replaces there. Any
        // thread may have allocated these.
        let places: Vec<_> = (0..shelf).map(|_| std::sync::Mutex::new(None::<Block>)).collect();
        thread::scope(|scope| {
            for seed in 0..threads {
                let (pool, places) = (&pool, &places);
                scope.spawn(move || {
                    let mut random = SmallRng::seed_from_u64(seed);
                    for step in 0..steps {
                        let size = some_size(&mut random);
                        let block = Block::allocate(pool, layout(size), step as u8).unwrap();
                        let place = random.random_range(0..shelf);
                        let old = places[place].lock().unwrap().replace(block);
                        if let Some(old) = old {
                            old.free(pool);
                        }
                    }
                });
            }
        });
        let left = places.into_iter().filter_map(|place| place.into_inner().unwrap());
        let left: Vec<Block> = left.collect();
        assert_eq!(pool.stats().live_nodes, left.len() as u64);
        left.into_iter().for_each(|block| block.free(&pool));
        assert_quiet(&pool.stats(), &pool.kind());
    }
}

#[test]
fn stats_while_threads_work_do_not_run_away() {
    let steps = if cfg!(miri) { 50 } else { 100_000 };
    for pool in pools() {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for step in 0..steps {
                            Block::allocate(&pool, layout(88), step as u8).unwrap().free(&pool);
                        }
                    })
                })
                .collect();
            while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                // At most one block of each thread is live. While the counts are summed, it may be
                // freed and another one allocated.
                assert!(pool.stats().live_nodes < 1000);
            }
        });
        assert_quiet(&pool.stats(), &pool.kind());
    }
}
