//! Tests that debug builds detect broken promises. Each test breaks a promise in another process,
//! and checks that this process ends.
#![cfg(debug_assertions)]

use std::ptr::NonNull;

use keystore_core::{Config, NodeAllocator};

use super::{layout, run_in_own_process};
use crate::{AnyPool, PoolKind};

const FAULT: &str = "KEYSTORE_POOL_TEST_FAULT";

/// Breaks the promise that the environment variable names, if it is set.
#[test]
fn commit_the_fault_that_is_asked_for() {
    let Ok(asked) = std::env::var(FAULT) else { return };
    let (kind, fault) = asked.split_once(' ').unwrap();
    let pool = AnyPool::new(kind.parse::<PoolKind>().unwrap(), &Config::default()).unwrap();
    let block = pool.allocate(layout(88)).unwrap();
    let _keep = pool.allocate(layout(88)).unwrap();
    let free = |block: NonNull<u8>, size| {
        // SAFETY: none. The promises are broken on purpose, and the pool ends the process before
        // that does harm.
        unsafe { pool.deallocate(block, layout(size)) };
    };
    match fault {
        "twice" => {
            free(block, 88);
            free(block, 88);
        }
        "foreign" => {
            let foreign = Box::leak(Box::new([0_u64; 11]));
            free(NonNull::from(foreign).cast(), 88);
        }
        "inside" => free(NonNull::new(block.as_ptr().wrapping_add(8)).unwrap(), 80),
        "class" => free(block, 40),
        other => panic!("unknown fault {other}"),
    }
}

fn expect(fault: &str, message: &str) {
    const TEST: &str = "tests::faults::commit_the_fault_that_is_asked_for";
    let output = run_in_own_process(TEST, FAULT, fault);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.status.code() != Some(101), "{fault}: {errors}");
    assert!(errors.contains("error -52") && errors.contains(message), "{fault}: {errors}");
}

#[test]
fn a_block_freed_twice_is_caught() {
    expect("slab twice", "freed twice");
    expect("arena twice", "freed twice");
}

#[test]
fn a_block_of_another_allocator_is_caught() {
    expect("slab foreign", "is not of this pool");
    expect("arena foreign", "is not of this pool");
}

#[test]
fn an_address_within_a_block_is_caught() {
    expect("slab inside", "not the start of a block");
    expect("arena inside", "not the start of a block");
}

#[test]
fn a_block_freed_as_one_of_another_size_is_caught() {
    expect("slab class", "another layout");
}
