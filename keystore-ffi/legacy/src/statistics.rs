//! The statistics of `type_definition.h`, computed from the statistics of the store.

use std::ffi::{c_uint, c_ulong};

use keystore_core::Stats;
use keystore_ffi::{KS_INVALID_ARGUMENT, KS_KEY_NOT_FOUND, KS_OUT_OF_MEMORY};

use super::process::Refused;

/// Length of a table of error codes. The counter of -1 to -99 is at the index of the code without
/// its sign.
const CODES: usize = 100;

/// Times, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct metadata_stats {
    /// Time when the store was initialised.
    pub init_timestamp: usize,
    /// Time when the process last cleaned up a store; 0 for never.
    pub last_cleanup_timestamp: usize,
}

/// Numbers of keys, and their distribution over the buckets.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct key_entry_stats {
    /// Number of keys in the store.
    pub total_keys: c_uint,
    /// Number of buckets now; the store grows.
    pub total_buckets: c_uint,
    /// Number of buckets that hold a key.
    pub nonempty_buckets: c_uint,
    /// Number of buckets that hold no key.
    pub empty_buckets: c_uint,
    /// Largest number of keys in one bucket.
    pub max_keys_in_bucket: c_uint,
    /// Smallest number of keys in one bucket.
    pub min_keys_in_bucket: c_uint,
    /// Mean number of keys in the buckets that hold any.
    pub avg_keys_per_nonempty_bucket: f64,
    /// Standard deviation of the number of keys in a bucket, over all buckets.
    pub stddev_keys_per_bucket: f64,
    /// Median of the number of keys in a bucket, over all buckets.
    pub median_keys_per_bucket: f64,
    /// Mean number of keys after the first, in the buckets that hold any.
    pub avg_collisions_per_nonempty_bucket: f64,
    /// Empty buckets as a percentage of all buckets.
    pub empty_bucket_percent: f64,
}

/// Collisions: the keys of a bucket after its first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct key_collision_stats {
    /// Number of buckets with two or more keys.
    pub collision_buckets: c_uint,
    /// Buckets with two or more keys, as a percentage of all buckets.
    pub collision_percent: f64,
    /// Largest number of collisions in one bucket.
    pub highest_collision_in_bucket: c_uint,
    /// Mean number of collisions in the buckets that hold any key.
    pub avg_collisions_per_nonempty_bucket: f64,
}

/// Memory of the pool that holds keys and values.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct memory_pool_stats {
    /// Bytes that the pool holds of the system's memory.
    pub total_memory_bytes: usize,
    /// Bytes of them that were requested for keys and values.
    pub used_memory_bytes: usize,
    /// Bytes of them that are not used.
    pub free_memory_bytes: usize,
    /// Used bytes as a percentage of the total.
    pub memory_utilization_percent: f64,
    /// Used bytes per key, rounded down; 0 without keys.
    pub memory_per_key_bytes: usize,
    /// Free bytes as a percentage of the total.
    pub fragmentation_percent: f64,
}

/// Counts of calls.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct bucket_operation_counter_stats {
    /// Calls of set_key.
    pub total_add_ops: c_ulong,
    /// Calls of get_key.
    pub total_find_ops: c_ulong,
    /// Calls of delete_key.
    pub total_delete_ops: c_ulong,
    /// Adds that did not return 0.
    pub failed_add_ops: c_ulong,
    /// Finds that did not return 0.
    pub failed_find_ops: c_ulong,
    /// Deletes that did not return 0.
    pub failed_delete_ops: c_ulong,
    /// Number of calls that returned each code, at the index of the code without its sign.
    pub error_code_counters: [c_ulong; CODES],
}

/// Effects of the calls on keys and values.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct data_node_operation_counters {
    /// Values that were replaced.
    pub total_update_ops: c_ulong,
    /// Values that were read.
    pub total_read_ops: c_ulong,
    /// Keys that were removed.
    pub total_delete_ops: c_ulong,
    /// Keys that were created.
    pub total_create_ops: c_ulong,
    /// Always 0: an add that fails counts as a failed create.
    pub failed_update_ops: c_ulong,
    /// Values that could not be copied.
    pub failed_read_ops: c_ulong,
    /// Keys that could not be removed.
    pub failed_delete_ops: c_ulong,
    /// Adds that the store refused.
    pub failed_create_ops: c_ulong,
    /// Number of failed operations with each code, at the index of the code without its sign.
    pub error_code_counters: [c_ulong; CODES],
}

// `Default` is not implemented for arrays of 100.
impl Default for bucket_operation_counter_stats {
    fn default() -> Self {
        Self {
            total_add_ops: 0,
            total_find_ops: 0,
            total_delete_ops: 0,
            failed_add_ops: 0,
            failed_find_ops: 0,
            failed_delete_ops: 0,
            error_code_counters: [0; CODES],
        }
    }
}

impl Default for data_node_operation_counters {
    fn default() -> Self {
        Self {
            total_update_ops: 0,
            total_read_ops: 0,
            total_delete_ops: 0,
            total_create_ops: 0,
            failed_update_ops: 0,
            failed_read_ops: 0,
            failed_delete_ops: 0,
            failed_create_ops: 0,
            error_code_counters: [0; CODES],
        }
    }
}

/// All statistics.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct keystore_stats {
    /// Times.
    pub metadata: metadata_stats,
    /// Keys.
    pub key_entries: key_entry_stats,
    /// Collisions.
    pub collisions: key_collision_stats,
    /// Memory.
    pub memory_pool: memory_pool_stats,
    /// Calls.
    pub operation_counters: bucket_operation_counter_stats,
    /// Effects of the calls.
    pub data_node_counters: data_node_operation_counters,
}

/// Converts a count to a C type that may be narrower. A count that does not fit becomes the largest
/// value.
fn narrow<T: TryFrom<u64> + Bounded>(count: u64) -> T {
    T::try_from(count).unwrap_or(T::MOST)
}

/// A number with a largest value.
trait Bounded {
    const MOST: Self;
}

impl Bounded for u32 {
    const MOST: Self = Self::MAX;
}

impl Bounded for u64 {
    const MOST: Self = Self::MAX;
}

impl Bounded for usize {
    const MOST: Self = Self::MAX;
}

/// Counts calls that returned a code. Codes after the end of the table have no counter.
fn count(counters: &mut [u64; CODES], code: i32, calls: u64) {
    if let Some(counter) = counters.get_mut(code.unsigned_abs() as usize) {
        *counter += calls;
    }
}

impl keystore_stats {
    /// Computes the statistics from those of the store and the counts of the calls that failed
    /// outside it.
    pub(super) fn new(stats: &Stats, refused: &Refused, last_cleanup: u64) -> Self {
        let Stats { metadata, entries, collisions, pool, operations, nodes, errors, .. } = stats;
        let refused = refused.read();

        // The store gets only valid keys, and is never called from a closure, so its finds never
        // fail with an error. A find or delete that failed without an error had an absent key.
        let with_error: u64 = errors.total();
        let failed_deletes = with_error.saturating_sub(operations.failed_adds);
        let absent =
            (operations.failed_finds + operations.failed_deletes).saturating_sub(failed_deletes);

        let mut of_nodes = [0; CODES];
        for (code, calls) in errors.iter() {
            count(&mut of_nodes, code, calls);
        }
        count(&mut of_nodes, KS_OUT_OF_MEMORY, refused.copies);
        let mut of_calls = of_nodes;
        count(&mut of_calls, KS_KEY_NOT_FOUND, absent);
        count(&mut of_calls, KS_INVALID_ARGUMENT, refused.adds + refused.finds + refused.deletes);

        Self {
            metadata: metadata_stats {
                init_timestamp: narrow(metadata.opened_at),
                last_cleanup_timestamp: narrow(last_cleanup),
            },
            key_entries: key_entry_stats {
                total_keys: narrow(entries.count),
                total_buckets: narrow(entries.buckets),
                nonempty_buckets: narrow(entries.nonempty_buckets),
                empty_buckets: narrow(entries.empty_buckets),
                max_keys_in_bucket: narrow(entries.max_in_bucket),
                min_keys_in_bucket: narrow(entries.min_in_bucket),
                avg_keys_per_nonempty_bucket: entries.mean_per_nonempty_bucket,
                stddev_keys_per_bucket: entries.stddev_per_bucket,
                median_keys_per_bucket: entries.median_per_bucket,
                avg_collisions_per_nonempty_bucket: collisions.mean_per_nonempty_bucket,
                empty_bucket_percent: entries.empty_bucket_percent,
            },
            collisions: key_collision_stats {
                collision_buckets: narrow(collisions.buckets),
                collision_percent: collisions.percent,
                highest_collision_in_bucket: narrow(collisions.max_in_bucket),
                avg_collisions_per_nonempty_bucket: collisions.mean_per_nonempty_bucket,
            },
            memory_pool: memory_pool_stats {
                total_memory_bytes: narrow(pool.held_bytes),
                used_memory_bytes: narrow(pool.live_bytes),
                free_memory_bytes: narrow(pool.held_bytes.saturating_sub(pool.live_bytes)),
                memory_utilization_percent: pool.utilization_percent(),
                memory_per_key_bytes: narrow(
                    pool.live_bytes.checked_div(entries.count).unwrap_or(0),
                ),
                fragmentation_percent: pool.fragmentation_percent(),
            },
            operation_counters: bucket_operation_counter_stats {
                total_add_ops: narrow(operations.adds + refused.adds),
                total_find_ops: narrow(operations.finds + refused.finds),
                total_delete_ops: narrow(operations.deletes + refused.deletes),
                failed_add_ops: narrow(operations.failed_adds + refused.adds),
                failed_find_ops: narrow(operations.failed_finds + refused.finds + refused.copies),
                failed_delete_ops: narrow(operations.failed_deletes + refused.deletes),
                error_code_counters: of_calls.map(narrow),
            },
            data_node_counters: data_node_operation_counters {
                total_update_ops: narrow(nodes.updates),
                total_read_ops: narrow(nodes.reads),
                total_delete_ops: narrow(nodes.deletes),
                total_create_ops: narrow(nodes.creates),
                failed_update_ops: 0,
                failed_read_ops: narrow(refused.copies),
                failed_delete_ops: narrow(failed_deletes),
                failed_create_ops: narrow(nodes.failed_creates),
                error_code_counters: of_nodes.map(narrow),
            },
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::process::Operation;

    #[test]
    fn every_call_that_failed_is_counted_under_its_code() {
        // Seven adds, of which two found no memory; nine finds, of which three missed; five
        // deletes, of which one found no memory and one missed.
        let mut stats = Stats::default();
        let calls = &mut stats.operations;
        (calls.adds, calls.finds, calls.deletes) = (7, 9, 5);
        (calls.failed_adds, calls.failed_finds, calls.failed_deletes) = (2, 3, 2);
        let nodes = &mut stats.nodes;
        (nodes.creates, nodes.updates, nodes.reads, nodes.deletes, nodes.failed_creates) =
            (4, 1, 6, 3, 2);
        stats.errors = [(-10, 3)].into();
        let refused = Refused::default();
        refused.argument(Operation::Add);
        refused.argument(Operation::Delete);
        refused.copy();

        let stats = keystore_stats::new(&stats, &refused, 0);
        let calls = stats.operation_counters;
        assert_eq!((calls.total_add_ops, calls.total_find_ops, calls.total_delete_ops), (8, 9, 6));
        assert_eq!(
            (calls.failed_add_ops, calls.failed_find_ops, calls.failed_delete_ops),
            (3, 4, 3)
        );
        let counted = |code: usize| calls.error_code_counters[code];
        assert_eq!((counted(10), counted(20), counted(41)), (4, 2, 4));
        assert_eq!(calls.error_code_counters.iter().sum::<c_ulong>(), 3 + 4 + 3);

        let nodes = stats.data_node_counters;
        assert_eq!(
            (nodes.failed_create_ops, nodes.failed_read_ops, nodes.failed_delete_ops),
            (2, 1, 1)
        );
        assert_eq!(nodes.error_code_counters[10], 4);
        assert_eq!(nodes.error_code_counters.iter().sum::<c_ulong>(), 4);
    }

    #[test]
    fn a_count_that_is_too_large_is_the_largest() {
        assert_eq!(narrow::<u32>(7), 7);
        assert_eq!(narrow::<u32>(u64::from(u32::MAX) + 8), u32::MAX);
    }
}
