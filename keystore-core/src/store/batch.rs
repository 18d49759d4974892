//! Batches: many keys in one call, whose waits for memory overlap.
//!
//! A batch enters the table once and takes its keys in groups of [`GROUP`]. For each group it
//!
//! 1. computes all hashes and prefetches all buckets,
//! 2. prefetches all nodes,
//! 3. runs the operations in order.
//!
//! So the waits of a group overlap instead of adding up (the idea of DRAMHiT and of DLHT's
//! batches).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::Store;
use super::session::Entered;
use crate::account::counters::Operation;
use crate::error::{BatchError, Result};
use crate::table::Table;

/// Number of keys of a batch that are in flight together. They fill a core's line buffers twice
/// over, and are few enough that a prefetched line is still in the first-level cache when its turn
/// comes.
const GROUP: usize = 32;

#[expect(private_bounds, reason = "tables are the crate's own")]
impl<T: Table> Store<T> {
    /// Runs `each` on every item of a batch, in order, after it prefetched the buckets and nodes of
    /// the item's group.
    pub(super) fn in_groups<I>(
        &self,
        operation: Operation,
        items: &[I],
        key_of: impl Fn(&I) -> &[u8],
        mut each: impl FnMut(&Entered<'_, T, false>, usize, u64, &I) -> Result<()>,
    ) -> Result<(), BatchError> {
        let mut entered = self.enter(operation).map_err(|error| BatchError { index: 0, error })?;
        let mut hashes = [0; GROUP];
        for (group, items) in items.chunks(GROUP).enumerate() {
            let mut refused = None;
            let mut valid = 0;
            // The user's hasher may panic. Then the keys before that one are done first, as single
            // operations would be.
            let hashing = catch_unwind(AssertUnwindSafe(|| {
                for item in items {
                    match self.checked_hash(operation, key_of(item)) {
                        Ok(hash) => {
                            hashes[valid] = hash;
                            self.table.prefetch_bucket(&entered.session, hash);
                            valid += 1;
                        }
                        Err(error) => {
                            refused = Some(error);
                            break;
                        }
                    }
                }
            }));
            for &hash in &hashes[..valid] {
                self.table.prefetch_node(&entered.session, hash);
            }
            for (at, (item, &hash)) in items.iter().zip(&hashes[..valid]).enumerate() {
                let index = group * GROUP + at;
                each(&entered, index, hash, item).map_err(|error| BatchError { index, error })?;
            }
            hashing.unwrap_or_else(|panic| resume_unwind(panic));
            entered.refresh();
            if let Some(error) = refused {
                return Err(BatchError { index: group * GROUP + valid, error });
            }
        }
        Ok(())
    }
}
