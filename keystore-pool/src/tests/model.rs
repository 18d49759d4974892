//! Property tests: in any order of allocating and freeing, blocks do not overlap and the counts are
//! right.

use std::alloc::Layout;

use keystore_core::NodeAllocator;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{Block, pools};
use crate::{AnyPool, SlabOptions, SlabPool, WhenFull};

#[derive(Clone, Debug)]
enum Step {
    Allocate {
        size: usize,
        align: usize,
    },
    /// Frees the live block at this position.
    Free(prop::sample::Index),
    /// Frees all live blocks except for one in this many.
    FreeMost(usize),
    Trim,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![8 => 1..=256_usize, 3 => 257..=8192_usize, 1 => 8193..=100_000_usize];
    let align = prop_oneof![8 => Just(8), 1 => Just(1), 1 => Just(16), 1 => Just(64)];
    prop_oneof![
        60 => (size, align).prop_map(|(size, align)| Step::Allocate { size, align }),
        30 => any::<prop::sample::Index>().prop_map(Step::Free),
        1 => (1..5_usize).prop_map(Step::FreeMost),
        1 => Just(Step::Trim),
    ]
}

fn trim(pool: &AnyPool) {
    match pool {
        AnyPool::Slab(pool) => pool.trim(),
        AnyPool::Arena(pool) => pool.trim(),
        AnyPool::System(_) => {}
    }
}

/// Runs the steps. Each allocation and each freeing is done `repeat` times.
fn run_steps(pool: &AnyPool, steps: &[Step], repeat: usize) {
    let mut live: Vec<(Block, u64)> = Vec::new();
    let check = |live: &[(Block, u64)]| {
        let stats = pool.stats();
        assert_eq!(stats.live_nodes, live.len() as u64);
        assert_eq!(stats.live_bytes, live.iter().map(|(_, size)| size).sum::<u64>());
        assert!(stats.held_bytes >= stats.live_bytes);
        assert!(stats.fallback_bytes <= stats.live_bytes);
    };
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Allocate { size, align } => {
                let layout = Layout::from_size_align(size, align).unwrap();
                for _ in 0..repeat {
                    live.push((Block::allocate(pool, layout, number as u8).unwrap(), size as u64));
                }
            }
            Step::Free(index) => {
                for _ in 0..repeat.min(live.len()) {
                    live.swap_remove(index.index(live.len())).0.free(pool);
                }
            }
            Step::FreeMost(keep) => {
                let mut kept = Vec::new();
                for (number, block) in live.drain(..).enumerate() {
                    if number % keep == 1 { kept.push(block) } else { block.0.free(pool) }
                }
                live = kept;
            }
            Step::Trim => trim(pool),
        }
        check(&live);
    }
    for (block, _) in live.drain(..) {
        block.free(pool);
    }
    check(&live);
    trim(pool);
    assert_eq!(pool.stats().held_bytes, 0, "all memory is back");
}

/// Limits of the number of steps. Miri is slow, so it runs fewer.
const MANY: usize = if cfg!(miri) { 30 } else { 300 };
const FEW: usize = if cfg!(miri) { 4 } else { 60 };

proptest! {
    #![proptest_config(Config {
        cases: if cfg!(miri) { 2 } else { 64 },
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn any_order_of_calls_keeps_blocks_apart_and_counts(steps in vec(step(), 1..MANY)) {
        for pool in pools() {
            run_steps(&pool, &steps, 1);
        }
    }

    #[test]
    fn many_blocks_of_each_size_move_magazines(steps in vec(step(), 1..FEW)) {
        for pool in pools() {
            run_steps(&pool, &steps, 80);
        }
    }

    #[test]
    fn a_pool_that_is_full_half_of_the_time_keeps_blocks_apart(steps in vec(step(), 1..FEW)) {
        let when_full = WhenFull::UseSystem;
        let options = SlabOptions { capacity: Some(2 << 20), when_full, ..SlabOptions::default() };
        let pool = SlabPool::with_options(&options).unwrap();
        let pool = AnyPool::Slab(crate::Shared::new(pool).unwrap());
        run_steps(&pool, &steps, 80);
    }
}
