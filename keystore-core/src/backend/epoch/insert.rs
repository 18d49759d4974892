//! Inserting a key that is not there, so that no key is ever in twice.
//!
//! Replacing and removing are one exchange on the slot that has the key. Inserting is harder: two
//! threads that found the same key absent may take two different free slots. So an insertion goes
//! through three steps:
//!
//! 1. *Place*: exchange a free slot for the word, marked pending. Readers do not see it.
//! 2. *Resolve*: look through the whole bucket for the same key in other slots. A live one: give
//!    up, the key is there. A pending one further back: kill it (mark it dead). A pending one
//!    further ahead: it has precedence, so decide it first, on its thread's behalf, which kills
//!    this one or removes it from the way.
//! 3. *Commit*: exchange the pending word for the live one. This is where an insertion takes
//!    effect.
//!
//! Why no key is committed twice: say P and Q are pending insertions of one key, P ahead of Q.
//! Placing and looking are sequentially consistent, so whoever is placed second is seen by nobody
//! who looked before, but sees the first when it looks. Whoever resolves either of them, for
//! itself or for another, begins to look after that one was placed. If it was placed second, the
//! first is in view, pending or live: P's resolvers kill Q, or find it live and give up; Q's
//! resolvers have P decided, and if that commits, they find it live and give up. If it was placed
//! first and its resolver did not see the other, the other's resolvers see it. Either way at most
//! one commits.
//!
//! Why nobody waits: a thread that stops between steps leaves a pending word, which any other
//! thread with the same key decides for it, and which others pass over. Precedence goes one way,
//! towards the front of the bucket, so helping ends.
//!
//! A word is exchanged for exactly what was read, and a node is placed at most once: a thread
//! whose insertion fails retires the node, and starts over with another. So a helper that was
//! stopped just before its exchange, and wakes when the slot has long been used for something
//! else, fails to do harm: while it is pinned no other word can look like the one it expects.

use super::bucket::{Bucket, TOMBSTONE};
use super::failpoint::{self, Failpoint};
use super::reclaim::Guard;
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::error::Result;
use crate::sync::primitive::atomic::{AtomicU64, Ordering};

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insertion {
    /// The entry is in, `deep` if in an overflow bucket.
    Committed { deep: bool },
    /// It never was in the bucket, which is being moved.
    NotPlaced,
    /// It was pending, and came to nothing: the key is there, or the bucket is being moved.
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
    // Whoever decided it, the slot tells how: a failed insertion stays there for its own thread to
    // clear away.
    let found = TaggedPtr(slot.load(Ordering::Acquire));
    if found.is_failed_insertion_of(word) {
        if !found.is_frozen() {
            // Where this fails, the slot has just been frozen.
            let _ = slot.compare_exchange(found.0, TOMBSTONE, Ordering::AcqRel, Ordering::Relaxed);
        }
        return Ok(Insertion::Lost);
    }
    Ok(Insertion::Committed { deep })
}

/// Takes a free slot for the word, pending. `None` where the bucket is being moved.
fn place<'g>(
    bucket: &'g Bucket,
    word: TaggedPtr,
    guard: &'g Guard,
) -> Result<Option<(&'g AtomicU64, bool)>> {
    let mut deep = false;
    for current in bucket.chain(guard) {
        for slot in current.slots() {
            // Acquire: who sees the slot frozen sees the link frozen too, and moves the unit
            // instead of coming here again.
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
                // Another overflow bucket is there by now, or the link is frozen: the next turn of
                // the loop sees. SAFETY: nobody has seen it.
                unsafe { Bucket::free(overflow) };
            }
        }
    }
    // The chain ended though every link in it got a follower or was found frozen: the last one
    // froze in between.
    Ok(None)
}

/// Decides the pending word in `slot`: afterwards it is not pending there, or frozen.
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

/// Whether a word has a node with this key. Dead and free words count as having none.
fn has_key(word: TaggedPtr, key: &[u8]) -> bool {
    if word.is_aborted() {
        return false;
    }
    // SAFETY: the thread has been pinned since before it read the word. A node that is live or
    // pending in a slot is retired only after it was taken out of it, or frozen in it, so it is
    // alive while the pin lasts.
    word.node().is_some_and(|node| unsafe { node.key() } == key)
}
