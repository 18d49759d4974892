//! The statistics of `type_definition.h`, made of those that the store keeps.

use std::ffi::{c_uint, c_ulong};

use keystore_core::Stats;
use keystore_ffi::{KS_INVALID_ARGUMENT, KS_KEY_NOT_FOUND, KS_OUT_OF_MEMORY};

use super::process::Refused;

/// How many error codes are counted: -1 to -99, at the index of the code without its sign.
const CODES: usize = 100;

/// Times, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct metadata_stats {
    /// When the store was initialised.
    pub init_timestamp: usize,
    /// When the process last cleaned a store up; 0 for never.
    pub last_cleanup_timestamp: usize,
}

/// Keys, and how they lie in the buckets.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct key_entry_stats {
    /// Keys in the store.
    pub total_keys: c_uint,
    /// Buckets now: the store grows.
    pub total_buckets: c_uint,
    /// Buckets that hold a key.
    pub nonempty_buckets: c_uint,
    /// Buckets that hold none.
    pub empty_buckets: c_uint,
    /// The most keys in one bucket.
    pub max_keys_in_bucket: c_uint,
    /// The fewest keys in one bucket.
    pub min_keys_in_bucket: c_uint,
    /// Keys to a bucket that holds any.
    pub avg_keys_per_nonempty_bucket: f64,
    /// Standard deviation over all buckets.
    pub stddev_keys_per_bucket: f64,
    /// Median over all buckets.
    pub median_keys_per_bucket: f64,
    /// Keys past a bucket's first, to a bucket that holds any.
    pub avg_collisions_per_nonempty_bucket: f64,
    /// Empty buckets in percent of all.
    pub empty_bucket_percent: f64,
}

/// Buckets that hold more than one key.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct key_collision_stats {
    /// Buckets with two keys or more.
    pub collision_buckets: c_uint,
    /// Those in percent of all buckets.
    pub collision_percent: f64,
    /// The most collisions in one bucket.
    pub highest_collision_in_bucket: c_uint,
    /// Collisions to a bucket that holds any key.
    pub avg_collisions_per_nonempty_bucket: f64,
}

/// The pool that keys and values lie in.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct memory_pool_stats {
    /// Bytes that the pool holds of the system's memory.
    pub total_memory_bytes: usize,
    /// Bytes of them that keys and values asked for.
    pub used_memory_bytes: usize,
    /// The rest.
    pub free_memory_bytes: usize,
    /// Used bytes in percent of the total.
    pub memory_utilization_percent: f64,
    /// Used bytes to a key, rounded down; 0 without keys.
    pub memory_per_key_bytes: usize,
    /// Free bytes in percent of the total.
    pub fragmentation_percent: f64,
}

/// Calls.
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
    /// How many calls returned each code, at the index of the code without its sign.
    pub error_code_counters: [c_ulong; CODES],
}

/// What calls did to keys and values.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct data_node_operation_counters {
    /// Values that were replaced.
    pub total_update_ops: c_ulong,
    /// Values that were read.
    pub total_read_ops: c_ulong,
    /// Keys that were removed.
    pub total_delete_ops: c_ulong,
    /// Keys that came into being.
    pub total_create_ops: c_ulong,
    /// Always 0: an add that fails counts as a failed create.
    pub failed_update_ops: c_ulong,
    /// Values that could not be copied.
    pub failed_read_ops: c_ulong,
    /// Keys that could not be removed.
    pub failed_delete_ops: c_ulong,
    /// Adds that the store refused.
    pub failed_create_ops: c_ulong,
    /// How many of the failed ones had each code, at the index of the code without its sign.
    pub error_code_counters: [c_ulong; CODES],
}

// An array of 100 has no `Default`.
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

/// All of it.
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
    /// What the calls did.
    pub data_node_counters: data_node_operation_counters,
}

/// A count in a C type that may be narrower: what does not fit is the most that does.
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

/// Counts calls that returned a code; codes past the table have no counter.
fn count(counters: &mut [u64; CODES], code: i32, calls: u64) {
    if let Some(counter) = counters.get_mut(code.unsigned_abs() as usize) {
        *counter += calls;
    }
}

impl keystore_stats {
    /// The picture of a store with these statistics of its own, to which come the calls that were
    /// refused before they reached it.
    pub(super) fn new(stats: &Stats, refused: &Refused, last_cleanup: u64) -> Self {
        let Stats { metadata, entries, collisions, pool, operations, nodes, errors, .. } = stats;
        let refused = refused.read();

        // Keys are checked before the store sees them, and nothing calls it from a closure: so its
        // finds never fail with an error. What failed with none is a key that was not there.
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
