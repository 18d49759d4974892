use super::*;
use crate::chunk::CHUNK;
use crate::tests::{Block, layout};

fn pool(options: SlabOptions) -> SlabPool {
    SlabPool::with_options(&options).unwrap()
}

/// Makes a pool that refuses what exceeds one chunk.
fn refusing_pool() -> SlabPool {
    let options = SlabOptions { capacity: Some(CHUNK), ..SlabOptions::default() };
    pool(SlabOptions { when_full: WhenFull::Refuse, ..options })
}

fn blocks(pool: &SlabPool, count: usize, size: usize) -> Vec<Block> {
    (0..count).map(|number| Block::allocate(pool, layout(size), number as u8).unwrap()).collect()
}

#[test]
fn a_freed_block_is_the_next_of_its_size() {
    let pool = SlabPool::new().unwrap();
    let block = Block::allocate(&pool, layout(88), 1).unwrap();
    let address = block.address();
    block.free(&pool);
    let other = Block::allocate(&pool, layout(96), 2).unwrap();
    let again = Block::allocate(&pool, layout(85), 3).unwrap();
    assert_eq!(again.address(), address);
    other.free(&pool);
    again.free(&pool);
}

#[test]
fn fresh_blocks_lie_one_behind_another() {
    let pool = SlabPool::new().unwrap();
    let blocks = blocks(&pool, 500, 88);
    assert!(blocks.windows(2).all(|pair| pair[1].address() == pair[0].address() + 88));
    blocks.into_iter().for_each(|block| block.free(&pool));
}

#[test]
fn a_full_pool_takes_blocks_from_the_system_and_counts_them() {
    let pool = pool(SlabOptions { capacity: Some(CHUNK), ..SlabOptions::default() });
    let size = 4096;
    let mut live = Vec::new();
    while pool.stats().fallbacks < 100 {
        live.push(Block::allocate(&pool, layout(size), live.len() as u8).unwrap());
        assert!(live.len() < 1000);
    }
    let stats = pool.stats();
    assert_eq!((stats.live_nodes, stats.fallback_bytes), (live.len() as u64, 100 * size as u64));
    assert_eq!(stats.live_bytes, (live.len() * size) as u64);
    assert_eq!(stats.held_bytes, CHUNK as u64 + stats.fallback_bytes);
    // Frees blocks of both kinds in turns. Each must go back to the allocator that it came from.
    live.rotate_left(50);
    live.into_iter().for_each(|block| block.free(&pool));
    let stats = pool.stats();
    assert_eq!((stats.live_nodes, stats.fallback_bytes, stats.held_bytes), (0, 0, CHUNK as u64));
    assert_eq!(stats.fallbacks, 100, "the count never decreases");
    let reused = blocks(&pool, 400, size);
    assert_eq!(pool.stats().fallbacks, 100, "freed memory of the pool's own is used first");
    reused.into_iter().for_each(|block| block.free(&pool));
}

#[test]
fn a_pool_that_refuses_says_how_much_it_has() {
    let pool = pool(SlabOptions {
        capacity: Some(CHUNK + 5000),
        when_full: WhenFull::Refuse,
        ..SlabOptions::default()
    });
    let mut live = Vec::new();
    let error = loop {
        match Block::allocate(&pool, layout(4000), 7) {
            Ok(block) => live.push(block),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::PoolExhausted { requested: 4000, capacity: CHUNK + 5000 });
    assert_eq!(error.code(), -51);
    assert!(live.len() * 4000 > CHUNK * 9 / 10);
    assert_eq!(pool.stats().live_nodes, live.len() as u64);
    // Blocks that are too large for a class count, too.
    let error = pool.allocate(layout(10_000)).unwrap_err();
    assert_eq!(error, Error::PoolExhausted { requested: 10_000, capacity: CHUNK + 5000 });
    live.pop().unwrap().free(&pool);
    live.push(Block::allocate(&pool, layout(4000), 8).unwrap());
    live.into_iter().for_each(|block| block.free(&pool));
    assert_eq!(pool.stats().live_nodes, 0);
}

#[test]
fn large_blocks_give_their_share_of_the_capacity_back() {
    let pool = refusing_pool();
    for _ in 0..10 {
        let large = Block::allocate(&pool, layout(CHUNK - 1), 1).unwrap();
        assert_eq!(pool.allocate(layout(88)).unwrap_err().code(), -51);
        large.free(&pool);
    }
    Block::allocate(&pool, layout(88), 2).unwrap().free(&pool);
}

#[test]
fn options_that_contradict_are_named() {
    let too_small = SlabOptions { capacity: Some(CHUNK - 1), ..SlabOptions::default() };
    let error = SlabPool::with_options(&too_small).unwrap_err();
    let expected = "pool capacity is 2097151: it must be at least 2097152 bytes (2 MiB)";
    assert_eq!(error.to_string(), expected);
    let contradicting =
        SlabOptions { capacity: Some(CHUNK), preallocated_bytes: CHUNK + 1, ..Default::default() };
    assert_eq!(SlabPool::with_options(&contradicting).unwrap_err().code(), -20);
}

#[test]
fn a_system_that_refuses_is_an_error_and_nothing_is_lost() {
    let pool = SlabPool::new().unwrap();
    pool.core.spans.refuse.store(true, Relaxed);
    assert_eq!(pool.allocate(layout(88)).unwrap_err(), Error::OutOfMemory { requested: CHUNK });
    assert_eq!(pool.stats(), PoolStats::default());
    pool.core.spans.refuse.store(false, Relaxed);
    let mut live = blocks(&pool, 10, 88);
    pool.core.spans.refuse.store(true, Relaxed);
    // The pool's chunk still serves.
    live.extend(blocks(&pool, if cfg!(miri) { 100 } else { 20_000 }, 88));
    live.into_iter().for_each(|block| block.free(&pool));
    assert_eq!((pool.stats().live_nodes, pool.stats().held_bytes), (0, CHUNK as u64));
}

#[cfg(not(miri))]
#[test]
fn chunks_that_have_become_empty_go_back() {
    // A shared slot is drained when any thread in it ends, which may happen during this test. While
    // other tests have many threads, this one waits for an exclusive slot.
    let has_exclusive_slot = || {
        let is_exclusive = current_slot() < keystore_core::thread_slot::OWNED;
        if is_exclusive {
            chunks_go_back();
        }
        is_exclusive
    };
    while !std::thread::spawn(has_exclusive_slot).join().unwrap() {
        std::thread::yield_now();
    }
}

#[cfg(not(miri))]
fn chunks_go_back() {
    let pool = SlabPool::new().unwrap();
    let mut live = blocks(&pool, 500_000, 88);
    let held = pool.stats().held_bytes;
    assert!(held < 500_000 * 88 * 11 / 10, "{held}");
    // This order visits all chunks in turns, because 7919 is a prime.
    for number in 0..live.len() {
        let other = number * 7919 % live.len();
        live.swap(number, other);
    }
    live.into_iter().for_each(|block| block.free(&pool));
    let stats = pool.stats();
    assert_eq!(stats.live_nodes, 0);
    // One chunk is kept, and two spans of the class may lie in two more.
    assert!(stats.held_bytes <= 3 * CHUNK as u64, "{} of {held}", stats.held_bytes);
    pool.trim();
    assert_eq!(pool.stats().held_bytes, 0);
}

#[cfg(not(miri))]
#[test]
fn a_content_that_is_replaced_ten_times_takes_a_tenth_more_than_it_asks() {
    use rand::{RngExt, SeedableRng, rngs::SmallRng};
    let pool = SlabPool::new().unwrap();
    let mut random = SmallRng::seed_from_u64(1);
    let mut live = blocks(&pool, 300_000, 88);
    for step in 0..live.len() * 10 {
        let victim = random.random_range(0..live.len());
        let fresh = Block::allocate(&pool, layout(88), step as u8).unwrap();
        std::mem::replace(&mut live[victim], fresh).free(&pool);
    }
    let stats = pool.stats();
    assert!(stats.held_bytes * 10 <= stats.live_bytes * 11, "{stats:?}");
    live.into_iter().for_each(|block| block.free(&pool));
}

#[cfg(not(miri))]
#[test]
fn threads_that_have_ended_strand_little() {
    let pool = SlabPool::new().unwrap();
    let free = |live: Vec<Block>| live.into_iter().for_each(|block| block.free(&pool));
    for _ in 0..1000 {
        std::thread::scope(|scope| {
            scope.spawn(|| (16..512).step_by(40).for_each(|size| free(blocks(&pool, 200, size))));
        });
    }
    assert_eq!(pool.stats().live_nodes, 0);
    assert!(pool.stats().held_bytes <= 4 * CHUNK as u64, "{:?}", pool.stats());
}

/// Runs `work` on 1,000 threads that use a pool and meet at the barrier. Waits until all have
/// ended.
#[cfg(not(miri))]
fn run_on_1000_threads(pool: &SlabPool, work: impl Fn(&SlabPool, &std::sync::Barrier) + Sync) {
    let barrier = std::sync::Barrier::new(1000);
    std::thread::scope(|scope| {
        let start = |_| {
            let thread = std::thread::Builder::new().stack_size(64 << 10);
            thread.spawn_scoped(scope, || work(pool, &barrier)).unwrap()
        };
        let threads: Vec<_> = (0..1000).map(start).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[cfg(not(miri))]
#[test]
fn a_thousand_threads_that_come_and_go_strand_no_more_than_64_kib_each() {
    const STRANDED: u64 = 1000 * (64 << 10);
    let pool = SlabPool::new().unwrap();
    for round in 0..2 {
        // Each thread allocates blocks of one size. The blocks of all threads are live at once, so
        // they lie in many spans.
        run_on_1000_threads(&pool, |pool, barrier| {
            let live = blocks(pool, 500, 88);
            barrier.wait();
            live.into_iter().for_each(|block| block.free(pool));
        });
        // Each thread allocates blocks of all sizes, enough to fill magazines of each.
        run_on_1000_threads(&pool, |pool, barrier| {
            barrier.wait();
            for class in TABLE {
                blocks(pool, 20, class.size).into_iter().for_each(|block| block.free(pool));
            }
        });
        assert_eq!((live_by_structure(&pool), pool.stats().live_nodes), (0, 0));
        let held = pool.stats().held_bytes;
        assert!(held <= STRANDED, "{held} bytes are stranded after round {round}");
    }
}

#[test]
fn a_thread_that_ends_leaves_nothing_in_its_magazines() {
    let pool = SlabPool::new().unwrap();
    let live = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            blocks(&pool, 100, 88).into_iter().for_each(|block| block.free(&pool));
            blocks(&pool, 10, 300)
        });
        thread.join().unwrap()
    });
    let classes = pool.core.caches.iter().flat_map(|cache| &cache.classes);
    let cached: u64 = classes.map(ClassCache::blocks).sum();
    assert_eq!((cached, live_by_structure(&pool), pool.stats().live_nodes), (0, 10, 10));
    live.into_iter().for_each(|block| block.free(&pool));
    pool.trim();
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
fn a_pool_ends_while_threads_that_used_it_do() {
    let rounds = if cfg!(miri) { 3 } else { 300 };
    for _ in 0..rounds {
        let pool = SlabPool::new().unwrap();
        // A scope waits for its threads' closures, not for their destructors.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let live = blocks(&pool, 70, 88);
                    live.into_iter().for_each(|block| block.free(&pool));
                });
            }
        });
    }
}

#[test]
fn a_class_that_shrinks_and_grows_is_cached_again() {
    let pool = SlabPool::new().unwrap();
    for _ in 0..3 {
        blocks(&pool, 2000, 88).into_iter().for_each(|block| block.free(&pool));
        assert_eq!(pool.stats().live_nodes, 0);
    }
    let class = class_of(layout(88)).unwrap();
    blocks(&pool, 100, 88).into_iter().for_each(|block| block.free(&pool));
    let cached: u64 = pool.core.caches.iter().map(|cache| cache.classes[class].blocks()).sum();
    assert!(cached >= 63, "{cached}");
}

/// Returns the number of live blocks, as the depots and the magazines count them. The pool itself
/// uses other counts.
fn live_by_structure(pool: &SlabPool) -> u64 {
    let out: u64 = pool.core.depots.iter().map(|depot| depot.blocks_out()).sum();
    let cached = |cache: &Cache| cache.classes.iter().map(ClassCache::blocks).sum::<u64>();
    out - pool.core.caches.iter().map(cached).sum::<u64>()
}

#[test]
fn magazines_and_depots_account_for_every_block() {
    let pool = SlabPool::new().unwrap();
    let count = if cfg!(miri) { 200 } else { 20_000 };
    let mut live = Vec::new();
    for size in [1_usize, 88, 300, 8192] {
        live.extend(blocks(&pool, count / size.div_ceil(100), size));
        assert_eq!(live_by_structure(&pool), live.len() as u64);
    }
    let kept = live.split_off(live.len() / 3);
    let kept = std::thread::scope(|scope| {
        let freeing = scope.spawn(|| {
            live.into_iter().for_each(|block| block.free(&pool));
            kept
        });
        freeing.join().unwrap()
    });
    assert_eq!(live_by_structure(&pool), kept.len() as u64);
    assert_eq!(pool.stats().live_nodes, kept.len() as u64);
    kept.into_iter().for_each(|block| block.free(&pool));
    assert_eq!(live_by_structure(&pool), 0);
}

#[test]
fn a_refused_block_leaves_the_thread_its_magazine() {
    let pool = refusing_pool();
    let mut live = Vec::new();
    while let Ok(block) = Block::allocate(&pool, layout(8192), 1) {
        live.push(block);
    }
    let class = class_of(layout(88)).unwrap();
    let magazine = || {
        assert_eq!(pool.allocate(layout(88)).unwrap_err().code(), -51);
        pool.core.caches.with(|cache| cache.classes[class].pair().loaded)
    };
    let first = magazine();
    assert!(first.is_some());
    assert_eq!(magazine(), first, "and no other is made for the next");
    live.into_iter().for_each(|block| block.free(&pool));
    Block::allocate(&pool, layout(88), 2).unwrap().free(&pool);
}

#[test]
fn a_thread_that_ends_looks_at_the_pools_that_it_used_and_at_no_others() {
    let pools: Vec<_> = (0..40).map(|_| pool(SlabOptions::default())).collect();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Other tests run at the same time. A thread with an exclusive slot shares its list
            // with no other thread.
            let before = thread_exit::registered_pools();
            for _ in 0..2 {
                Block::allocate(&pools[3], layout(88), 1).unwrap().free(&pools[3]);
                Block::allocate(&pools[7], layout(24), 2).unwrap().free(&pools[7]);
            }
            (before, thread_exit::registered_pools())
        });
        let (before, after) = thread.join().unwrap();
        assert_eq!(after, before + 2, "lists of 40 pools");
    });
    for pool in &pools {
        let is_loaded = |class: &ClassCache| class.pair().loaded.is_some();
        let loaded = |cache: &Cache| cache.classes.iter().any(is_loaded);
        assert!(!pool.core.caches.iter().any(loaded), "an ended thread has left a magazine");
    }
}

#[test]
fn a_pool_that_ends_before_a_thread_that_used_it_leaves_the_threads_list() {
    std::thread::spawn(|| {
        let before = thread_exit::registered_pools();
        let [first, second, third] = [(); 3].map(|()| pool(SlabOptions::default()));
        for used in [&first, &second, &third] {
            Block::allocate(used, layout(88), 1).unwrap().free(used);
        }
        for ended in [second, third, first] {
            drop(ended);
        }
        assert_eq!(thread_exit::registered_pools(), before);
    })
    .join()
    .unwrap();
}
