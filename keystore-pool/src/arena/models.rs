//! Models of a span that becomes free. Exactly one thread must find that no block of the span is
//! live.
//!
//! At the start, a thread is on a span that is full, and the first two of its blocks are live. They
//! are freed, and the thread leaves the span. Each thread that frees one allocates two more
//! afterwards, so that it may get the same memory. The model fails if a thread finds the span free
//! too early, if two threads find it free, or if a use does not happen before the next one. If no
//! thread finds it free, the pool still holds memory at the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::models::{All, Block, blocks, explore, finish, free, spawn};
use crate::primitive::access;

/// Returns a pool whose first thread is on a span that has no space for another block, and the live
/// blocks there: the first two.
fn full_span() -> (Arc<ArenaPool>, Block, Block) {
    access::reset();
    let options = ArenaOptions { huge_pages: false, ..ArenaOptions::default() };
    let pool = Arc::new(ArenaPool::with_options(&options).unwrap());
    let mut live = blocks(&*pool, (SPAN - FIRST_BLOCK) / LARGEST);
    free(&*pool, live.drain(2..));
    let second = live.pop().unwrap();
    (pool, live.pop().unwrap(), second)
}

/// Returns the outcome, which says for each thread if its blocks are in the same span or in
/// another.
fn outcome(span: usize, got: &[Vec<Block>]) -> String {
    let is_same = |blocks: &Vec<Block>| blocks[0].address() / SPAN == span;
    got.iter().map(|blocks| if is_same(blocks) { "same " } else { "other " }).collect()
}

fn expect(outcomes: &BTreeSet<String>, expected: &[&str]) {
    assert!(outcomes.iter().map(String::as_str).eq(expected.iter().copied()), "{outcomes:?}");
}

/// One thread leaves the span, after it has freed a block there, while another frees the last
/// block. One of them allocates from the span again.
#[test]
fn leaving_against_freeing() {
    let outcomes = explore("leaving a span against freeing its last block", [All, All], || {
        let (pool, first, second) = full_span();
        let span = first.address() / SPAN;
        let other = spawn(1, &pool, move |pool| {
            second.free(pool);
            blocks(pool, 2)
        });
        first.free(&*pool);
        let got = [blocks(&*pool, 2), other.join().unwrap()];
        let outcome = outcome(span, &got);
        free(&*pool, got.into_iter().flatten());
        finish(pool, 2, ArenaPool::trim);
        outcome
    });
    expect(&outcomes, &["other same ", "same other "]);
}

/// Two threads free the last two blocks of a span that no thread is on. The later one releases it.
#[test]
fn freeing_against_freeing() {
    let outcomes = explore("freeing the last two blocks of a span", [All, All], || {
        let (pool, first, second) = full_span();
        let span = first.address() / SPAN;
        let elsewhere = Block::allocate(&*pool);
        let other = spawn(1, &pool, move |pool| {
            first.free(pool);
            blocks(pool, 2)
        });
        second.free(&*pool);
        let got = [other.join().unwrap()];
        let outcome = outcome(span, &got);
        free(&*pool, got.into_iter().flatten().chain([elsewhere]));
        finish(pool, 2, ArenaPool::trim);
        outcome
    });
    expect(&outcomes, &["other ", "same "]);
}

/// One thread leaves the span, while two others free its blocks.
#[test]
fn leaving_against_two_that_free() {
    let outcomes = explore("leaving a span against two that free", [All, All], || {
        let (pool, first, second) = full_span();
        let span = first.address() / SPAN;
        let frees = |thread, block: Block| {
            spawn(thread, &pool, move |pool| {
                block.free(pool);
                blocks(pool, 2)
            })
        };
        let others = [frees(1, first), frees(2, second)];
        let own = blocks(&*pool, 2);
        let [one, two] = others.map(|other| other.join().unwrap());
        let got = [own, one, two];
        let outcome = outcome(span, &got);
        free(&*pool, got.into_iter().flatten());
        finish(pool, 3, ArenaPool::trim);
        outcome
    });
    expect(&outcomes, &["other other same ", "other same other ", "same other other "]);
}

/// A thread trims the pool while another frees the last block of a chunk. The chunk goes back to
/// the system in that call, or later.
#[test]
fn trimming_against_freeing() {
    let outcomes =
        explore("giving a chunk back against freeing its last block", [All, All], || {
            let (pool, first, second) = full_span();
            let other = spawn(1, &pool, move |pool| free(pool, [first, second]));
            pool.trim();
            other.join().unwrap();
            let held = pool.stats().held_bytes;
            finish(pool, 2, ArenaPool::trim);
            held.to_string()
        });
    expect(&outcomes, &["0", "2097152"]);
}
