//! Insertion of an absent key, such that no key is ever in the table twice.
//!
//! A key is replaced or removed by one exchange on its slot. Inserting is harder, since two threads
//! that found the same key absent may take two different empty slots. So an insertion has three
//! steps:
//!
//! 1. *Place*: put the pointer into an empty slot, by an exchange, and mark it as pending. Readers
//!    ignore pending pointers.
//! 2. *Resolve*: search the other slots of the whole chain for the same key.
//!    - If the key is live in another slot, abort this insertion.
//!    - If the key is pending in a later slot, abort that insertion.
//!    - If the key is pending in an earlier slot, that insertion has precedence. So resolve it
//!      first, on behalf of its thread. Afterwards it is no longer pending, and it may have aborted
//!      this insertion.
//! 3. *Commit*: replace the pending pointer by the live one. This exchange is the instant at which
//!    the insertion takes effect.
//!
//! # Why no key is committed twice
//!
//! Let P and Q be pending insertions of one key, and let P's slot come before Q's. The exchanges
//! that place and the loads that search are sequentially consistent. A thread that resolves an
//! insertion, its own or another thread's, starts to search after that insertion was placed. So
//! every thread that resolves the insertion that was placed second sees the one that was placed
//! first. A thread that resolves the first may have searched before the second was placed, and then
//! it does not see the second.
//!
//! - A thread that sees the other insertion sees it pending or live. If the thread resolves P, it
//!   aborts Q, or finds Q live and aborts P. If it resolves Q, it resolves P first; if P is then
//!   live, the thread finds it and aborts Q.
//! - If a thread that resolves the first insertion does not see the second, every thread that
//!   resolves the second sees the first.
//!
//! In both cases at most one of the two commits.
//!
//! # Why nobody waits
//!
//! A thread that stops between two steps leaves a pending pointer. Any other thread that inserts
//! the same key resolves it, and threads with other keys ignore it. An insertion only ever helps
//! one that is closer to the front of the chain, so helping ends.
//!
//! # Why a late helper does no harm
//!
//! A compare-and-exchange succeeds only if the slot still holds the pointer that was read. A node
//! is placed at most once: a thread whose insertion failed retires the node and starts over with a
//! new one. Suppose that a helper stops just before its exchange, and continues when the slot
//! already holds something else. Its exchange fails, since no other node can get the expected
//! address while the helper is pinned.

use super::bucket::{Bucket, TOMBSTONE};
use super::failpoint::{self, Failpoint};
use super::reclaim::Guard;
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::error::Result;
use crate::sync::primitive::atomic::{AtomicU64, Ordering};

/// Outcome of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insertion {
    /// The entry is in the table. `deep` is true if it is in an overflow bucket.
    Committed { deep: bool },
    /// The node was not placed, since the bucket is frozen.
    NotPlaced,
    /// The node was placed, but the insertion failed, since the key is there or the bucket is
    /// frozen.
    Lost,
}

/// Inserts `word`, whose node has this key, into a bucket in which the key was not found.
pub(super) fn insert(
    bucket: &Bucket,
    word: TaggedPtr,
    key: &[u8],
    guard: &Guard,
) -> Result<Insertion> {
    let Some((slot, deep)) = place(bucket, word, guard)? else { return Ok(Insertion::NotPlaced) };
    failpoint::hit(Failpoint::Placed);
    resolve(bucket, slot, word.pending(), key, guard);
    // The slot holds the outcome, no matter which thread resolved the insertion: a failed insertion
    // stays in its slot until its own thread removes it.
    let found = TaggedPtr(slot.load(Ordering::Acquire));
    if found.is_failed_insertion_of(word) {
        if !found.is_frozen() {
            // If this fails, the slot has just been frozen.
            let _ = slot.compare_exchange(found.0, TOMBSTONE, Ordering::AcqRel, Ordering::Relaxed);
        }
        return Ok(Insertion::Lost);
    }
    Ok(Insertion::Committed { deep })
}

/// Places the pointer in an empty slot, marked as pending. Returns the slot and whether it is in an
/// overflow bucket, or `None` if the bucket is frozen.
fn place<'g>(
    bucket: &'g Bucket,
    word: TaggedPtr,
    guard: &'g Guard,
) -> Result<Option<(&'g AtomicU64, bool)>> {
    let mut deep = false;
    for current in bucket.chain(guard) {
        for slot in current.slots() {
            // Acquire: a thread that sees a frozen slot also sees the frozen link. Then it migrates
            // the unit, and does not try this bucket again.
            let found = TaggedPtr(slot.load(Ordering::Acquire));
            if found.is_frozen() {
                return Ok(None);
            }
            // Sequentially consistent, to be ordered against the loads in `resolve`. It is also a
            // release: the node's content must be visible before its word.
            if found.is_free()
                && slot
                    .compare_exchange(
                        found.0,
                        word.pending().0,
                        Ordering::SeqCst,
                        Ordering::Relaxed,
                    )
                    .is_ok()
            {
                return Ok(Some((slot, deep)));
            }
        }
        deep = true;
        let link = current.link();
        if link.is_frozen() {
            return Ok(None);
        }
        if link.overflow().is_none() {
            let overflow = Bucket::allocate(&[], std::ptr::null_mut())?;
            if current.append(link, overflow).is_err() {
                // Another thread has linked an overflow bucket, or the link is frozen. The next
                // iteration of the loop finds out. SAFETY: no other thread has seen this overflow
                // bucket.
                unsafe { Bucket::free(overflow) };
            }
        }
    }
    // The loop links an overflow bucket wherever the chain ends. So if the chain ends all the same,
    // its last link was frozen by another thread.
    Ok(None)
}

/// Resolves the pending pointer in `slot`. Afterwards the slot no longer holds it as pending, or it
/// is frozen.
fn resolve(bucket: &Bucket, slot: &AtomicU64, pending: TaggedPtr, key: &[u8], guard: &Guard) {
    'look: loop {
        let mut ahead = true;
        for other in bucket.chain(guard).flat_map(Bucket::slots) {
            if std::ptr::eq(other, slot) {
                ahead = false;
                continue;
            }
            let mut word = TaggedPtr(other.load(Ordering::SeqCst));
            while word.tag() == pending.tag() && has_key(word, key) {
                if word.is_live() {
                    let _ = slot.compare_exchange(
                        pending.0,
                        pending.aborted().0,
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    );
                    return;
                }
                if !word.is_undecided() {
                    break;
                }
                if ahead {
                    resolve(bucket, other, word, key, guard);
                    continue 'look;
                }
                match other.compare_exchange(
                    word.0,
                    word.aborted().0,
                    Ordering::AcqRel,
                    Ordering::SeqCst,
                ) {
                    Ok(_) => break,
                    Err(now) => word = TaggedPtr(now),
                }
            }
        }
        failpoint::hit(Failpoint::Resolved);
        let _ = slot.compare_exchange(
            pending.0,
            pending.committed().0,
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        return;
    }
}

/// Returns whether a pointer has a node with this key. Returns false for aborted insertions and for
/// empty slots.
fn has_key(word: TaggedPtr, key: &[u8]) -> bool {
    if word.is_aborted() {
        return false;
    }
    // SAFETY: the thread has been pinned since before it read the word. A node that is live or
    // pending in a slot is retired only after it was removed from the slot, or frozen in it. So it
    // is alive while the pin lasts.
    word.node().is_some_and(|node| unsafe { node.key() } == key)
}
