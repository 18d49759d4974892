//! Inserting a key that is not there, so that no key is ever in the table twice.
//!
//! Replacing and removing are one exchange on the slot that has the key. Inserting is harder: two
//! threads that found the same key absent may take two different empty slots. So an insertion has
//! three steps:
//!
//! 1. *Place*: exchange an empty slot for the pointer, marked pending. Readers do not see it.
//! 2. *Resolve*: look through the whole chain for the same key in other slots.
//!    - The key is live in another slot: give up, the key is there.
//!    - It is pending further back: abort that insertion.
//!    - It is pending further ahead: that insertion has precedence. So resolve it first, on behalf
//!      of its thread. That aborts this insertion, or takes the other out of the way.
//! 3. *Commit*: exchange the pending pointer for the live one. Here the insertion takes effect.
//!
//! # Why no key is committed twice
//!
//! Say P and Q are pending insertions of one key, and P is ahead of Q. Placing and looking are
//! sequentially consistent. So of the two, the one that was placed second is in nobody's view who
//! looked before; but a thread that resolves it sees the first. A thread that resolves an
//! insertion, its own or another's, starts to look after that insertion was placed.
//!
//! - If the insertion was placed second, the first is in view, pending or live. A thread that
//!   resolves P aborts Q, or finds Q live and gives up. A thread that resolves Q resolves P first;
//!   if that commits, the thread finds P live and gives up.
//! - If it was placed first and its resolver did not see the other, then the resolvers of the other
//!   see it.
//!
//! Either way at most one of the two commits.
//!
//! # Why nobody waits
//!
//! A thread that stops between two steps leaves a pending pointer. Any other thread with the same
//! key resolves it, and threads with other keys pass over it. Precedence has one direction, towards
//! the front of the chain, so helping ends.
//!
//! # Why a late helper does no harm
//!
//! A slot is exchanged for exactly what was read, and a node is placed at most once: a thread whose
//! insertion failed retires the node and starts over with another. Say a helper is stopped just
//! before its exchange, and wakes when the slot has long been used for something else. Its exchange
//! fails, since while it is pinned no other node can have the address that it expects.

use super::bucket::{Bucket, TOMBSTONE};
use super::failpoint::{self, Failpoint};
use super::reclaim::Guard;
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::error::Result;
use crate::sync::primitive::atomic::{AtomicU64, Ordering};

/// Outcome of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insertion {
    /// The entry is in, `deep` if in an overflow bucket.
    Committed { deep: bool },
    /// It was not placed: the bucket is frozen.
    NotPlaced,
    /// It was pending and failed: the key is there, or the bucket is frozen.
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
    // Whichever thread resolved it, the slot has the outcome: a failed insertion stays there until
    // its own thread removes it.
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

/// Places the pointer, pending, in an empty slot. Returns `None` if the bucket is frozen.
fn place<'g>(
    bucket: &'g Bucket,
    word: TaggedPtr,
    guard: &'g Guard,
) -> Result<Option<(&'g AtomicU64, bool)>> {
    let mut deep = false;
    for current in bucket.chain(guard) {
        for slot in current.slots() {
            // Acquire: a thread that sees the slot frozen sees the link frozen too. It migrates
            // the unit then, instead of coming here again.
            let found = TaggedPtr(slot.load(Ordering::Acquire));
            if found.is_frozen() {
                return Ok(None);
            }
            // Sequentially consistent against the loads in `resolve`. Release: the node's content
            // goes before its word.
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
                // Another overflow bucket is there by now, or the link is frozen. The next turn of
                // the loop finds out. SAFETY: nobody has seen it.
                unsafe { Bucket::free(overflow) };
            }
        }
    }
    // The chain ended although every link got an overflow bucket or was found frozen: the last one
    // froze in between.
    Ok(None)
}

/// Resolves the pending pointer in `slot`. Afterwards it is not pending there, or it is frozen.
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

/// Returns whether a pointer has a node with this key. Aborted and empty slots have none.
fn has_key(word: TaggedPtr, key: &[u8]) -> bool {
    if word.is_aborted() {
        return false;
    }
    // SAFETY: the thread has been pinned since before it read the word. A node that is live or
    // pending in a slot is retired only after it was taken out of it, or frozen in it, so it is
    // alive while the pin lasts.
    word.node().is_some_and(|node| unsafe { node.key() } == key)
}
