//! Models of magazines that pass through a depot, and of threads that end.
//!
//! A magazine of the largest class has two blocks. After a thread has freed five blocks, it has a
//! loaded and a spare magazine, and a full one is at the depot. A thread that allocates takes that
//! one, or free blocks of the spans.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::models::{All, Block, blocks, explore, finish, free, spawn};
use crate::primitive::access;

fn pool() -> Arc<SlabPool> {
    access::reset();
    let options = SlabOptions { huge_pages: false, ..SlabOptions::default() };
    Arc::new(SlabPool::with_options(&options).unwrap())
}

/// Returns the number of blocks that a thread got at the addresses of freed ones.
fn outcome(freed: &[usize], got: &[Block]) -> String {
    got.iter().filter(|block| freed.contains(&block.address())).count().to_string()
}

fn addresses(blocks: &[Block]) -> Vec<usize> {
    blocks.iter().map(Block::address).collect()
}

fn expect(outcomes: &BTreeSet<String>, expected: &[&str]) {
    assert!(outcomes.iter().map(String::as_str).eq(expected.iter().copied()), "{outcomes:?}");
}

/// Returns the number of live blocks, as the depots and the magazines count them.
fn live(pool: &SlabPool) -> u64 {
    let out: u64 = pool.core.depots.iter().map(|depot| depot.blocks_out()).sum();
    let cached = |cache: &Cache| cache.classes.iter().map(ClassCache::blocks).sum::<u64>();
    out - pool.core.caches.iter().map(cached).sum::<u64>()
}

/// One thread frees until a full magazine is at the depot. Another allocates, and gets both blocks
/// of the magazine, or fresh ones.
#[test]
fn freeing_against_allocating() {
    let outcomes = explore("a full magazine from one thread to another", [All, All], || {
        let pool = pool();
        let blocks_of_a_span = blocks(&*pool, 7);
        let freed = addresses(&blocks_of_a_span);
        let other = spawn(1, &pool, |pool| blocks(pool, 2));
        let mut kept = blocks_of_a_span;
        free(&*pool, kept.drain(..5));
        let got = other.join().unwrap();
        assert_eq!(live(&pool), 4);
        let outcome = outcome(&freed, &got);
        free(&*pool, kept);
        free(&*pool, got);
        finish(pool, 2, SlabPool::trim);
        outcome
    });
    expect(&outcomes, &["0", "2"]);
}

/// Both threads free until a full magazine is at the depot. Then each allocates until it needs a
/// full magazine from the depot. It gets the one that it filled, or the other thread's.
#[test]
fn trading_both_ways() {
    let outcomes = explore("full magazines both ways", [All, All], || {
        let pool = pool();
        let mut first = blocks(&*pool, 10);
        let second = first.split_off(5);
        let freed = addresses(&first);
        let trade = |pool: &SlabPool, given| {
            free(pool, given);
            blocks(pool, 5)
        };
        let other = spawn(1, &pool, move |pool| trade(pool, second));
        let own = trade(&pool, first);
        let got = other.join().unwrap();
        assert_eq!(live(&pool), 10);
        let outcome = outcome(&freed, &got);
        free(&*pool, own.into_iter().chain(got));
        finish(pool, 2, SlabPool::trim);
        outcome
    });
    expect(&outcomes, &["0", "1"]);
}

/// Two threads allocate while a third passes a full magazine to the depot.
#[test]
fn two_take_what_one_frees() {
    let outcomes = explore("a full magazine that two would take", [All, All], || {
        let pool = pool();
        let mut kept = blocks(&*pool, 7);
        let freed = addresses(&kept);
        let takes = |thread| spawn(thread, &pool, |pool| blocks(pool, 1));
        let others = [takes(1), takes(2)];
        free(&*pool, kept.drain(..5));
        let [one, two] = others.map(|other| other.join().unwrap());
        assert_eq!(live(&pool), 4);
        let outcome = outcome(&freed, &one) + &outcome(&freed, &two);
        free(&*pool, kept.into_iter().chain(one).chain(two));
        finish(pool, 3, SlabPool::trim);
        outcome
    });
    expect(&outcomes, &["00", "01", "10"]);
}

/// A thread ends with blocks in its magazines while another allocates. The other thread gets these
/// blocks or others.
#[test]
fn ending_against_allocating() {
    end_against_allocating("a thread that ends against allocating", 3, &["0", "2", "4"]);
}

/// A thread ends with all blocks of a span, while another allocates. The span returns to the pool
/// when all of its blocks are free.
#[test]
fn ending_with_a_span_against_allocating() {
    let name = "a thread that ends with a span against allocating";
    end_against_allocating(name, 0, &["0", "1", "2", "4"]);
}

/// Runs the model: the first thread keeps `kept` blocks, and the thread that ends has four.
fn end_against_allocating(name: &str, kept: usize, expected: &[&str]) {
    let outcomes = explore(name, [All, All], move || {
        let pool = pool();
        let mut given = blocks(&*pool, 4 + kept);
        let others = given.split_off(4);
        let freed = addresses(&given);
        let other = spawn(1, &pool, |pool| {
            free(pool, given);
            pool.core.drain_slot(current_slot());
        });
        let got = blocks(&*pool, 4);
        other.join().unwrap();
        assert_eq!(live(&pool), 4 + kept as u64);
        let outcome = outcome(&freed, &got);
        free(&*pool, got.into_iter().chain(others));
        finish(pool, 2, SlabPool::trim);
        outcome
    });
    expect(&outcomes, expected);
}

/// A thread ends with the last blocks of a chunk, while another trims the pool. The chunk goes back
/// to the system in that call, or later.
#[test]
fn ending_against_trimming() {
    let outcomes = explore("a thread that ends against giving a chunk back", [All, All], || {
        let pool = pool();
        let given = blocks(&*pool, 3);
        let other = spawn(1, &pool, |pool| {
            free(pool, given);
            pool.core.drain_slot(current_slot());
        });
        pool.trim();
        other.join().unwrap();
        let held = pool.stats().held_bytes;
        finish(pool, 2, SlabPool::trim);
        held.to_string()
    });
    expect(&outcomes, &["0", "2097152"]);
}
