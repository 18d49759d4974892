//! Models of a span's end: who finds that none of its blocks lives.
//!
//! A thread is on a span that is full, and of which the first two blocks live. They are freed, the thread leaves the span, and
//! whoever frees one then allocates two, so that it may get the very memory. So a thread that finds the span free too early, a second one that
//! finds it, and a use that does not come before fail the model. That it is found at all shows at the end, when the pool must hold
//! nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::models::{All, Block, blocks, explore, finish, free, spawn};
use crate::primitive::access;

/// A pool whose first thread is on a span that is full but for less than a block, and the blocks that live there: the first two.
fn full_span() -> (Arc<ArenaPool>, Block, Block) {
    access::reset();
    let options = ArenaOptions { huge_pages: false, ..ArenaOptions::default() };
    let pool = Arc::new(ArenaPool::with_options(&options).unwrap());
    let mut live = blocks(&*pool, (SPAN - FIRST_BLOCK) / LARGEST);
    free(&*pool, live.drain(2..));
    let second = live.pop().unwrap();
    (pool, live.pop().unwrap(), second)
}

/// What came of a model: whether the blocks that each thread got are in the span.
fn outcome(span: usize, got: &[Vec<Block>]) -> String {
    got.iter().map(|blocks| if blocks[0].address() / SPAN == span { "same " } else { "other " }).collect()
}

fn expect(outcomes: &BTreeSet<String>, expected: &[&str]) {
    assert!(outcomes.iter().map(String::as_str).eq(expected.iter().copied()), "{outcomes:?}");
}

/// One thread leaves the span, of which it has freed a block, while another frees the last: one of them has the span again.
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

/// Two threads free the last two blocks of a span that was left: the one that comes last passes it on.
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

/// One thread leaves, two free.
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

/// A chunk whose last block another thread frees goes back to the system at once, or when its turn comes.
#[test]
fn trimming_against_freeing() {
    let outcomes = explore("giving a chunk back against freeing its last block", [All, All], || {
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
