//! The statistics and the counters of a store, as flat C structs.

use std::ffi::c_int;
use std::ptr;

use keystore_core::{Counters, Stats};

use crate::bytes::BytesError;
use crate::failure::{Failure, guard};
use crate::handle::{self, ks_store};

/// The statistics of a store, from ks_store_stats. They are exact if no other thread writes during
/// the call.
///
/// Later versions add fields at the end. That is why ks_store_stats takes the size of the struct.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ks_stats {
    /// Time when the store was opened, in seconds since the Unix epoch.
    pub opened_at: u64,
    /// Time when ks_clear or ks_shrink last finished, in seconds since the Unix epoch; 0 for never.
    pub cleaned_up_at: u64,

    /// Number of entries in the store.
    pub entries: u64,
    /// Number of buckets of the table; on the backend dashmap, number of shards.
    pub buckets: u64,
    /// Number of buckets that hold an entry.
    pub nonempty_buckets: u64,
    /// Number of buckets that hold no entry.
    pub empty_buckets: u64,
    /// Largest number of entries in one bucket.
    pub max_in_bucket: u64,
    /// Smallest number of entries in one bucket.
    pub min_in_bucket: u64,
    /// Mean number of entries in the buckets that hold any.
    pub mean_per_nonempty_bucket: f64,
    /// Standard deviation of the number of entries in a bucket, over all buckets.
    pub stddev_per_bucket: f64,
    /// Median of the number of entries in a bucket, over all buckets.
    pub median_per_bucket: f64,
    /// Empty buckets as a percentage of all buckets.
    pub empty_bucket_percent: f64,

    /// Number of buckets with two or more entries. Each entry after a bucket's first is a
    /// collision.
    pub collision_buckets: u64,
    /// Buckets with two or more entries, as a percentage of all buckets.
    pub collision_percent: f64,
    /// Largest number of collisions in one bucket.
    pub max_collisions_in_bucket: u64,
    /// Mean number of collisions in the buckets that hold any entry.
    pub mean_collisions_per_nonempty_bucket: f64,

    /// Bytes of live nodes: headers, keys, values and their spare space.
    pub node_bytes: u64,
    /// Bytes of the table.
    pub table_bytes: u64,
    /// Bytes that were removed but may still be read by other threads, and so are not yet freed.
    pub garbage_bytes: u64,

    /// Number of nodes that the pool has handed out and not yet got back.
    pub pool_live_nodes: u64,
    /// Bytes that were requested for those nodes.
    pub pool_live_bytes: u64,
    /// Bytes that the pool holds of the system's memory, in use or not.
    pub pool_held_bytes: u64,
    /// Number of nodes so far that the pool took from the system because its own memory had no
    /// room.
    pub pool_fallbacks: u64,
    /// Bytes of those nodes that are still live.
    pub pool_fallback_bytes: u64,

    /// Calls that write; each entry of a batch counts as one. This field and all that follow are 0
    /// if ks_options.counters is 0.
    pub adds: u64,
    /// Calls that read.
    pub finds: u64,
    /// Calls that remove, and entries that ks_clear removed.
    pub deletes: u64,
    /// Adds that failed.
    pub failed_adds: u64,
    /// Finds that failed or whose key was absent.
    pub failed_finds: u64,
    /// Deletes that failed or whose key was absent.
    pub failed_deletes: u64,

    /// Entries that were created.
    pub nodes_created: u64,
    /// Values that were replaced.
    pub nodes_updated: u64,
    /// Values that were read.
    pub nodes_read: u64,
    /// Entries that were removed.
    pub nodes_deleted: u64,
    /// Adds that failed while the key was absent, or before the store knew whether it was.
    pub nodes_failed_creates: u64,

    /// Calls that returned an error; an absent key is not an error.
    pub errors: u64,
}

impl From<&Stats> for ks_stats {
    fn from(stats: &Stats) -> Self {
        let Stats {
            metadata, entries, collisions, memory, pool, operations, nodes, errors, ..
        } = stats;
        Self {
            opened_at: metadata.opened_at,
            cleaned_up_at: metadata.cleaned_up_at,
            entries: entries.count,
            buckets: entries.buckets,
            nonempty_buckets: entries.nonempty_buckets,
            empty_buckets: entries.empty_buckets,
            max_in_bucket: entries.max_in_bucket,
            min_in_bucket: entries.min_in_bucket,
            mean_per_nonempty_bucket: entries.mean_per_nonempty_bucket,
            stddev_per_bucket: entries.stddev_per_bucket,
            median_per_bucket: entries.median_per_bucket,
            empty_bucket_percent: entries.empty_bucket_percent,
            collision_buckets: collisions.buckets,
            collision_percent: collisions.percent,
            max_collisions_in_bucket: collisions.max_in_bucket,
            mean_collisions_per_nonempty_bucket: collisions.mean_per_nonempty_bucket,
            node_bytes: memory.node_bytes,
            table_bytes: memory.table_bytes,
            garbage_bytes: memory.garbage_bytes,
            pool_live_nodes: pool.live_nodes,
            pool_live_bytes: pool.live_bytes,
            pool_held_bytes: pool.held_bytes,
            pool_fallbacks: pool.fallbacks,
            pool_fallback_bytes: pool.fallback_bytes,
            adds: operations.adds,
            finds: operations.finds,
            deletes: operations.deletes,
            failed_adds: operations.failed_adds,
            failed_finds: operations.failed_finds,
            failed_deletes: operations.failed_deletes,
            nodes_created: nodes.creates,
            nodes_updated: nodes.updates,
            nodes_read: nodes.reads,
            nodes_deleted: nodes.deletes,
            nodes_failed_creates: nodes.failed_creates,
            errors: errors.total(),
        }
    }
}

/// Collects the statistics of the store. O(n): it reads every bucket and entry.
///
/// @param stats where the statistics go; unchanged if the call fails.
/// @param size sizeof(ks_stats). With it, a library that is newer than the program writes only the
/// fields that the program knows. A library that is older fills the fields that it does not know
/// with zeros.
/// @return KS_OK; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `stats` is NULL or `size` is not a size
/// that ks_stats has in some version; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the
/// call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the store is
/// not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
///
/// # Safety
/// `stats` is NULL or has room for `size` bytes. Any thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_store_stats(
    store: *mut ks_store,
    stats: *mut ks_stats,
    size: usize,
) -> c_int {
    // SAFETY: the caller promises that `stats` is NULL or has room for `size` bytes.
    let place = unsafe { StructOut::new("stats", "ks_stats", stats, size) };
    guard(|| {
        let place = place?;
        // SAFETY: the caller promises that no thread closes the store during this call.
        place.write(ks_stats::from(&unsafe { handle::opened(store) }?.keystore()?.stats()?));
        Ok(())
    })
}

/// The numbers of a store that are cheap to read, from ks_store_counters. A number may be slightly
/// old while other threads write.
///
/// Later versions add fields at the end. That is why ks_store_counters takes the size of the
/// struct.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ks_counters {
    /// Number of entries in the store.
    pub entries: u64,
    /// Number of reads whose key was present. This field, misses, sets, deletes and node_bytes are
    /// 0 if ks_options.counters is 0.
    pub hits: u64,
    /// Number of reads whose key was absent.
    pub misses: u64,
    /// Number of calls that write and have not failed; each entry of a batch counts as one.
    pub sets: u64,
    /// Number of entries that were removed.
    pub deletes: u64,
    /// Bytes of live nodes: headers, keys, values and their spare space.
    pub node_bytes: u64,
    /// Bytes that the pool holds of the system's memory, in use or not.
    pub pool_held_bytes: u64,
    /// Bytes that were removed but may still be read by other threads, and so are not yet freed.
    pub garbage_bytes: u64,
    /// Bytes of the table, without overflow buckets.
    pub table_bytes: u64,
    /// 1 if the table is being resized, otherwise 0.
    pub is_resizing: u64,
}

impl From<&Counters> for ks_counters {
    fn from(counters: &Counters) -> Self {
        Self {
            entries: counters.entries,
            hits: counters.hits,
            misses: counters.misses,
            sets: counters.sets,
            deletes: counters.deletes,
            node_bytes: counters.node_bytes,
            pool_held_bytes: counters.pool_held_bytes,
            garbage_bytes: counters.garbage_bytes,
            table_bytes: counters.table_bytes,
            is_resizing: counters.is_resizing.into(),
        }
    }
}

/// Reads the counters of the store. It takes some microseconds, no matter how many entries there
/// are, so a monitoring system may call it often.
///
/// @param counters where the counters go; unchanged if the call fails.
/// @param size sizeof(ks_counters). With it, libraries and programs of different versions
/// understand each other, as with ks_store_stats.
/// @return KS_OK; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `counters` is NULL or `size` is not a
/// size that ks_counters has in some version; KS_LOCK_NOT_ACQUIRED on the backend dashmap as for
/// ks_store_stats; KS_NOT_INITIALISED if the store is not open; KS_UNSUPPORTED if the store is
/// single-threaded and another thread opened it.
///
/// # Safety
/// `counters` is NULL or has room for `size` bytes. Any thread may call this while the store is
/// open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_store_counters(
    store: *mut ks_store,
    counters: *mut ks_counters,
    size: usize,
) -> c_int {
    // SAFETY: the caller promises that `counters` is NULL or has room for `size` bytes.
    let place = unsafe { StructOut::new("counters", "ks_counters", counters, size) };
    guard(|| {
        let place = place?;
        // SAFETY: the caller promises that no thread closes the store during this call.
        place.write(ks_counters::from(&unsafe { handle::opened(store) }?.keystore()?.counters()?));
        Ok(())
    })
}

/// Place for a struct that may get more fields in later versions. The caller tells its size.
struct StructOut<T> {
    place: *mut T,
    size: usize,
}

/// Upper bound for the size of such a struct in every version.
const MAX_SIZE: usize = 4096;

impl<T: Copy> StructOut<T> {
    /// Checks the place for a struct that C calls `name`.
    ///
    /// # Errors
    /// Returns a failure if `place` is NULL, or if `size` is no size that the struct may have.
    ///
    /// # Safety
    /// `place` is NULL or has room for `size` bytes while the returned value lives.
    unsafe fn new(
        argument: &'static str,
        name: &'static str,
        place: *mut T,
        size: usize,
    ) -> Result<Self, Failure> {
        if place.is_null() {
            return Err(BytesError::Null { argument, expected: name }.into());
        }
        let known = size_of::<T>();
        if !(known..=MAX_SIZE).contains(&size) || !size.is_multiple_of(align_of::<T>()) {
            return Err(Failure::StructSize { argument: "size", size, expected: name, known });
        }
        Ok(Self { place, size })
    }

    /// Writes `value`, and zeros to the fields that this version does not know.
    fn write(self, value: T) {
        let known = size_of::<T>();
        // SAFETY: `new` was promised `size` bytes, and checked that these are no fewer than `T`
        // has.
        unsafe {
            ptr::write_bytes(self.place.cast::<u8>().add(known), 0, self.size - known);
            self.place.write_unaligned(value);
        }
    }
}
