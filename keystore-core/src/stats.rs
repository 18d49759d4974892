//! Statistics of a store: its entries, their distribution over buckets, its memory, its operations.
//!
//! Numbers are exact while no other thread writes. While others write, each number was true at some
//! instant, but two numbers need not be from the same instant.
//!
//! Later versions may add numbers. A store or pool of another crate that makes statistics begins
//! with `Stats::default()` and sets the fields that it has.

use crate::error::Result;
use crate::error_counts::ErrorCounts;
use crate::fallible::try_reserve;

/// The statistics of a store, from [`Keystore::stats`](crate::Keystore::stats).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Stats {
    /// Times at which the store was opened and last cleaned up.
    pub metadata: Metadata,
    /// Number of entries, and their distribution over the buckets.
    pub entries: EntryStats,
    /// Buckets that hold more than one entry.
    pub collisions: CollisionStats,
    /// Bytes that the table and its entries take.
    pub memory: MemoryStats,
    /// Numbers of the pool that the nodes come from. If several stores share a pool, it counts for
    /// all of them.
    pub pool: PoolStats,
    /// Calls by operation. Zero if [`Config::counters`](crate::Config::counters) is off.
    pub operations: OperationStats,
    /// What the calls did to nodes. Zero if [`Config::counters`](crate::Config::counters) is
    /// off.
    pub nodes: NodeOperationStats,
    /// Calls that failed, by error code. Zero if [`Config::counters`](crate::Config::counters)
    /// is off.
    pub errors: ErrorCounts,
}

/// The numbers of a store that are cheap to read, from
/// [`Keystore::counters`](crate::Keystore::counters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Counters {
    /// Number of entries in the store.
    pub entries: u64,
    /// Number of reads whose key was present. Like the three numbers below and `node_bytes`, it is
    /// zero if [`Config::counters`](crate::Config::counters) is off.
    pub hits: u64,
    /// Number of reads whose key was absent.
    pub misses: u64,
    /// Number of calls that write and have not failed: `set`, `insert`, `update`,
    /// `compare_exchange`, and each entry of their batches.
    pub sets: u64,
    /// Number of entries that were removed.
    pub deletes: u64,
    /// Bytes of live nodes: headers, keys, values and spare bytes.
    pub node_bytes: u64,
    /// Bytes of the system's memory that the pool holds, in use or not. If several stores share a
    /// pool, it counts for all of them.
    pub pool_held_bytes: u64,
    /// Bytes of nodes and tables that were removed and wait until no reader can see them.
    pub garbage_bytes: u64,
    /// Bytes of the table, without overflow buckets.
    pub table_bytes: u64,
    /// Whether the table is being resized.
    pub is_resizing: bool,
}

/// Times of a store's life, in seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Metadata {
    /// Time at which the store was opened.
    pub opened_at: u64,
    /// Time at which [`clear`](crate::Keystore::clear) or [`shrink`](crate::Keystore::shrink) last
    /// finished; 0 if neither has ever finished.
    pub cleaned_up_at: u64,
}

/// Entries, and their distribution over the buckets.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct EntryStats {
    /// Number of entries in the store.
    pub count: u64,
    /// Number of buckets of the table. For dashmap, its shards count as buckets: each has one lock.
    pub buckets: u64,
    /// Number of buckets that hold an entry.
    pub nonempty_buckets: u64,
    /// Number of buckets that hold no entry.
    pub empty_buckets: u64,
    /// Greatest number of entries in one bucket.
    pub max_in_bucket: u64,
    /// Smallest number of entries in one bucket.
    pub min_in_bucket: u64,
    /// Mean number of entries in a bucket, over the buckets that hold an entry.
    pub mean_per_nonempty_bucket: f64,
    /// Standard deviation of the number of entries in a bucket, over all buckets.
    pub stddev_per_bucket: f64,
    /// Median of the number of entries in a bucket, over all buckets.
    pub median_per_bucket: f64,
    /// Empty buckets as a percentage of all buckets.
    pub empty_bucket_percent: f64,
}

/// Buckets that hold more than one entry. Each entry past a bucket's first is a collision.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct CollisionStats {
    /// Number of buckets with two entries or more.
    pub buckets: u64,
    /// Buckets with two entries or more, as a percentage of all buckets.
    pub percent: f64,
    /// Greatest number of collisions in one bucket.
    pub max_in_bucket: u64,
    /// Mean number of collisions in a bucket, over the buckets that hold an entry.
    pub mean_per_nonempty_bucket: f64,
}

/// Bytes that a store takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct MemoryStats {
    /// Bytes of live nodes: headers, keys, values and spare bytes.
    pub node_bytes: u64,
    /// Bytes of the table: buckets, overflow buckets, directories.
    pub table_bytes: u64,
    /// Bytes of nodes and tables that were removed and wait until no reader can see them.
    pub garbage_bytes: u64,
    /// Bytes of the table for which huge pages were requested. The system may not have given them.
    pub huge_page_bytes: u64,
}

/// The numbers of a pool: the memory that it holds and has handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct PoolStats {
    /// Number of nodes handed out and not yet freed.
    pub live_nodes: u64,
    /// Bytes requested for the live nodes.
    pub live_bytes: u64,
    /// Bytes of the system's memory that the pool holds, in use or not.
    pub held_bytes: u64,
    /// Bytes within `held_bytes` for which huge pages were requested.
    pub huge_page_bytes: u64,
    /// Number of fallbacks since the pool was made. A fallback is a node that the pool could not
    /// serve from its own memory and took from the system's allocator.
    pub fallbacks: u64,
    /// Bytes of fallbacks that are still live. They count in `live_bytes` and `held_bytes`, too.
    pub fallback_bytes: u64,
}

impl PoolStats {
    /// Returns the held bytes that no live node requested, as a percentage of the held bytes.
    #[must_use]
    pub fn fragmentation_percent(&self) -> f64 {
        percent(self.held_bytes.saturating_sub(self.live_bytes), self.held_bytes)
    }

    /// Returns the bytes requested for live nodes, as a percentage of the held bytes.
    #[must_use]
    pub fn utilization_percent(&self) -> f64 {
        percent(self.live_bytes, self.held_bytes)
    }
}

/// Calls by operation. An add fails if it returns an error. A find or delete fails if its key is
/// absent, or if it returns an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct OperationStats {
    /// Number of calls that write: `set`, `insert`, `update`, `compare_exchange`, and each entry of
    /// their batches.
    pub adds: u64,
    /// Number of calls that read: `read`, `get`, `contains`, and each key of their batches.
    pub finds: u64,
    /// Number of calls that remove: `delete`, `take`, each key of their batches, and each entry
    /// that `retain` or `clear` removed.
    pub deletes: u64,
    /// Number of failed adds.
    pub failed_adds: u64,
    /// Number of failed finds.
    pub failed_finds: u64,
    /// Number of failed deletes.
    pub failed_deletes: u64,
}

/// Effects of calls on nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct NodeOperationStats {
    /// Number of entries that were created.
    pub creates: u64,
    /// Number of values that were replaced.
    pub updates: u64,
    /// Number of values that were read.
    pub reads: u64,
    /// Number of entries that were removed.
    pub deletes: u64,
    /// Number of calls that write and failed. It equals
    /// [`failed_adds`](OperationStats::failed_adds).
    pub failed_creates: u64,
}

/// Returns `part` as a percentage of `whole`; 0 if `whole` is 0.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// The distribution of entries over buckets, gathered one bucket at a time. For each number of
/// entries, it has the number of buckets that hold so many.
#[derive(Debug, Default)]
pub(crate) struct Distribution {
    /// Pairs of a number of entries and the number of buckets that hold so many, in ascending
    /// order.
    buckets_with: Vec<(usize, u64)>,
}

impl Distribution {
    /// Counts a bucket that holds `entries` entries. Returns -10 if there is no memory to count it.
    pub(crate) fn add(&mut self, entries: usize) -> Result<()> {
        match self.buckets_with.binary_search_by_key(&entries, |&(entries, _)| entries) {
            Ok(at) => self.buckets_with[at].1 += 1,
            Err(at) => {
                try_reserve(&mut self.buckets_with, 1)?;
                self.buckets_with.insert(at, (entries, 1));
            }
        }
        Ok(())
    }

    /// Returns the statistics of the buckets that were counted.
    pub(crate) fn summarise(&self) -> (EntryStats, CollisionStats) {
        let sum = |part: fn(u64, u64) -> u64| {
            self.buckets_with.iter().map(|&(n, b)| part(n as u64, b)).sum()
        };
        let buckets: u64 = sum(|_, buckets| buckets);
        if buckets == 0 {
            return Default::default();
        }
        let count: u64 = sum(|entries, buckets| entries * buckets);
        let empty: u64 = sum(|entries, buckets| if entries == 0 { buckets } else { 0 });
        let colliding: u64 = sum(|entries, buckets| if entries > 1 { buckets } else { 0 });
        let nonempty = buckets - empty;
        let max = self.buckets_with.last().map_or(0, |&(entries, _)| entries as u64);
        let mean = count as f64 / buckets as f64;
        let squares: f64 =
            self.buckets_with.iter().map(|&(n, b)| (n as f64 - mean).powi(2) * b as f64).sum();
        let per_nonempty =
            |total: u64| if nonempty == 0 { 0.0 } else { total as f64 / nonempty as f64 };
        let entries = EntryStats {
            count,
            buckets,
            nonempty_buckets: nonempty,
            empty_buckets: empty,
            max_in_bucket: max,
            min_in_bucket: self.buckets_with.first().map_or(0, |&(entries, _)| entries as u64),
            mean_per_nonempty_bucket: per_nonempty(count),
            stddev_per_bucket: (squares / buckets as f64).sqrt(),
            median_per_bucket: (self.nth((buckets - 1) / 2) + self.nth(buckets / 2)) as f64 / 2.0,
            empty_bucket_percent: percent(empty, buckets),
        };
        let collisions = CollisionStats {
            buckets: colliding,
            percent: percent(colliding, buckets),
            max_in_bucket: max.saturating_sub(1),
            mean_per_nonempty_bucket: per_nonempty(count - nonempty),
        };
        (entries, collisions)
    }

    /// Returns the number of entries of the bucket at `rank`, in ascending order of the buckets'
    /// numbers of entries.
    fn nth(&self, rank: u64) -> u64 {
        let mut seen = 0;
        for &(entries, buckets) in &self.buckets_with {
            seen += buckets;
            if rank < seen {
                return entries as u64;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_summarised_exactly() {
        let mut distribution = Distribution::default();
        for entries in [0, 0, 1, 3, 6] {
            distribution.add(entries).unwrap();
        }
        let (entries, collisions) = distribution.summarise();
        assert_eq!((entries.count, entries.buckets), (10, 5));
        assert_eq!((entries.nonempty_buckets, entries.empty_buckets), (3, 2));
        assert_eq!((entries.min_in_bucket, entries.max_in_bucket), (0, 6));
        assert_eq!(entries.median_per_bucket, 1.0);
        assert!((entries.mean_per_nonempty_bucket - 10.0 / 3.0).abs() < 1e-12);
        assert!((entries.stddev_per_bucket - (26.0_f64 / 5.0).sqrt()).abs() < 1e-12);
        assert_eq!(entries.empty_bucket_percent, 40.0);
        assert_eq!((collisions.buckets, collisions.max_in_bucket), (2, 5));
        assert_eq!(collisions.percent, 40.0);
        assert!((collisions.mean_per_nonempty_bucket - 7.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_median_of_an_even_number_of_buckets_lies_between() {
        let mut distribution = Distribution::default();
        for entries in [2, 5, 5, 2] {
            distribution.add(entries).unwrap();
        }
        assert_eq!(distribution.summarise().0.median_per_bucket, 3.5);
    }

    #[test]
    fn nothing_counted_is_all_zero() {
        assert_eq!(Distribution::default().summarise(), Default::default());
        assert_eq!(PoolStats::default().fragmentation_percent(), 0.0);
    }
}
