use super::*;
use crate::chunk::CHUNK;
use crate::tests::{Block, layout};

#[test]
fn blocks_lie_one_behind_another_whatever_their_size() {
    let pool = ArenaPool::new().unwrap();
    let allocate = |size| Block::allocate(&pool, layout(size), size as u8).unwrap();
    let blocks = [8, 88, 17, 1000, 1].map(allocate);
    let step = |pair: &[Block]| pair[1].address() - pair[0].address();
    let steps: Vec<_> = blocks.windows(2).map(step).collect();
    assert_eq!(steps, [8, 88, 24, 1000]);
    blocks.into_iter().for_each(|block| block.free(&pool));
}

#[test]
fn memory_stays_flat_over_rounds_of_filling_and_clearing() {
    let pool = ArenaPool::new().unwrap();
    let (rounds, nodes) = if cfg!(miri) { (3, 1000) } else { (100, 50_000) };
    let mut held = Vec::new();
    for round in 0..rounds {
        let live: Vec<_> =
            (0..nodes).map(|_| Block::allocate(&pool, layout(88), round as u8).unwrap()).collect();
        held.push(pool.stats().held_bytes);
        live.into_iter().for_each(|block| block.free(&pool));
        assert_eq!(pool.stats().live_nodes, 0);
    }
    let most = *held.iter().max().unwrap();
    assert!(most <= held[0] + CHUNK as u64, "{held:?}");
    let stats = pool.stats();
    assert!(stats.held_bytes <= 2 * CHUNK as u64, "chunks that are dead go back: {stats:?}");
}

#[test]
fn one_live_block_keeps_its_span_and_no_other() {
    let pool = ArenaPool::new().unwrap();
    let nodes = if cfg!(miri) { 1000 } else { 100_000 };
    let allocate = |pattern| Block::allocate(&pool, layout(88), pattern).unwrap();
    let mut live: Vec<_> = (0..nodes).map(|_| allocate(3)).collect();
    let first = live.swap_remove(0);
    live.into_iter().for_each(|block| block.free(&pool));
    // The same number of blocks fits again where the others were, but not in the first block's
    // span.
    for _ in 0..10 {
        let span = first.address() & !(SPAN - 1);
        let again: Vec<_> = (0..nodes).map(|_| allocate(4)).collect();
        assert!(again.iter().all(|block| block.address() != first.address()));
        let in_span = |block: &Block| block.address() & !(SPAN - 1) == span;
        assert!(nodes < 2000 || !again.iter().any(in_span));
        again.into_iter().for_each(|block| block.free(&pool));
    }
    first.free(&pool);
    pool.trim();
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
fn a_reset_frees_all_at_once() {
    let options = ArenaOptions { preallocated_bytes: CHUNK, ..ArenaOptions::default() };
    let pool = ArenaPool::with_options(&options).unwrap();
    for round in 0..5_u8 {
        for _ in 0..if cfg!(miri) { 1000 } else { 50_000 } {
            Block::allocate(&pool, layout(88), round).unwrap();
        }
        let large = Block::allocate(&pool, layout(100_000), round).unwrap();
        // SAFETY: of these blocks only the large one is used again, and this is the only thread.
        unsafe { pool.reset() };
        assert_eq!((pool.stats().live_nodes, pool.stats().live_bytes), (1, 100_000));
        assert_eq!(pool.stats().held_bytes, CHUNK as u64 + 100_000);
        large.free(&pool);
    }
}

#[test]
fn a_system_that_refuses_is_an_error_and_nothing_is_lost() {
    let pool = ArenaPool::new().unwrap();
    pool.spans.refuse.store(true, Relaxed);
    assert_eq!(pool.allocate(layout(88)).unwrap_err().code(), -10);
    assert_eq!(pool.stats(), PoolStats::default());
    pool.spans.refuse.store(false, Relaxed);
    let mut live = vec![Block::allocate(&pool, layout(88), 1).unwrap()];
    pool.spans.refuse.store(true, Relaxed);
    // The pool's chunk serves until it is full. Then each call fails.
    let error = loop {
        match Block::allocate(&pool, layout(8000), 2) {
            Ok(block) => live.push(block),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), -10);
    assert_eq!(pool.stats().live_nodes, live.len() as u64);
    live.into_iter().for_each(|block| block.free(&pool));
    assert_eq!(pool.stats().live_nodes, 0);
    Block::allocate(&pool, layout(8000), 3).unwrap().free(&pool);
}
