//! Scans of the table, one bucket at a time, while other threads write to it, grow it and shrink
//! it.

use std::hash::BuildHasher;
use std::ops::ControlFlow;

use super::EpochTable;
use super::reclaim::Guard;
use crate::allocator::NodeAllocator;
use crate::backend::common::cursor::Cursor;
use crate::backend::common::tagged_ptr::TaggedPtr;
use crate::error::Result;
use crate::fallible::try_push;
use crate::node::Node;
use crate::table::{Survey, Table};

impl<A, S> EpochTable<A, S>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Collects the live pointers of the bucket of `hash` in `words`, each key once. Returns the
    /// number of hash bits that choose the bucket.
    fn snapshot(&self, hash: u64, words: &mut Vec<TaggedPtr>, guard: &Guard) -> Result<u32> {
        words.clear();
        let (array, bucket) = self.bucket_to_read(hash, guard);
        for (_, word) in bucket.words(guard).filter(|(_, word)| word.is_live()) {
            // SAFETY: the thread has been pinned since before it read any of these words, and stays
            // pinned while they are in use.
            let has_key_of = |other: &TaggedPtr| unsafe { key_of(*other) == key_of(word) };
            // If a key is removed and inserted again during this loop, it may be found in both
            // slots.
            if words.iter().any(|other| other.tag() == word.tag() && has_key_of(other)) {
                continue;
            }
            try_push(words, word)?;
        }
        Ok(array.bits())
    }

    /// Visits every bucket's live entries that are still ahead of the cursor, and moves the cursor
    /// past them, until `limit` entries or more were visited.
    pub(super) fn scan_nodes(
        &self,
        guard: &mut Guard,
        cursor: &mut Cursor,
        limit: usize,
        mut visit: impl FnMut(Node, u64, &Guard) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (mut left, mut words) = (limit, Vec::new());
        while left > 0
            && let Some(hash) = cursor.next_hash()
        {
            let bits = self.snapshot(hash, &mut words, guard)?;
            for node in words.iter().filter_map(|word| word.node()) {
                // SAFETY: the node was live when its word was read, and the thread has been pinned
                // since.
                let hash = self.account().hash(unsafe { node.key() });
                if cursor.is_ahead(hash) {
                    left = left.saturating_sub(1);
                    if visit(node, hash, guard)?.is_break() {
                        return Ok(());
                    }
                }
            }
            cursor.pass_bucket(bits);
            guard.repin();
        }
        Ok(())
    }

    /// Collects the statistics of every bucket.
    pub(super) fn survey_buckets(&self, guard: &mut Guard) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut cursor = Cursor::default();
        let mut words = Vec::new();
        while let Some(hash) = cursor.next_hash() {
            let bits = self.snapshot(hash, &mut words, guard)?;
            let sizes = words.iter().filter_map(|word| word.node()).map(|node| {
                // SAFETY: the node was live when its word was read, and the thread has been pinned
                // since.
                unsafe { node.size() }
            });
            survey.add_bucket(sizes)?;
            cursor.pass_bucket(bits);
            guard.repin();
        }
        Ok(survey)
    }
}

/// Returns the key of a live word's node.
///
/// # Safety
/// This thread has been pinned since before it read the word, and stays pinned for `'g`.
unsafe fn key_of<'g>(word: TaggedPtr) -> Option<&'g [u8]> {
    // SAFETY: a node is not freed while a thread is pinned that could have read its word.
    word.node().map(|node| unsafe { node.key() })
}
