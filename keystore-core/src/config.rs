//! The options of a store: sizes, limits, and whether threads share it.

use std::time::Duration;

use crate::error::{Error, Result};

/// Options for opening a store. The defaults suit a store of unknown size. Later versions may add
/// fields, so end with `..Config::default()`.
///
/// ```
/// use keystore_core::Config;
/// let config = Config { initial_buckets: 1 << 16, ..Config::default() };
/// config.validate().unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Config {
    /// Number of buckets at the start: a power of two, 1 to 2^32 (2^24 on 32-bit targets). The
    /// table grows from there with its content.
    pub initial_buckets: usize,
    /// Share of the initial buckets for which the pool reserves a node when it is made: 0 (none) to
    /// 1 (one node for each bucket). Only pools that preallocate read it.
    pub preallocation: f64,
    /// Largest number of bytes that live entries may take (headers, keys and values); `None` is no
    /// limit. An operation that would exceed it returns -10 and changes nothing. Removed entries do
    /// not count, even if their memory is not freed yet because readers still look at them. The
    /// table does not count either. It takes another 12 to 28 bytes for each entry.
    pub memory_limit: Option<u64>,
    /// Sharing of the store between threads.
    pub concurrency: Concurrency,
    /// Whether to request huge pages for large tables, and for the chunks of pools that are made
    /// from this configuration. With huge pages, operations wait for memory less often, but memory
    /// is taken 2 MiB at a time. This has an effect on Linux only.
    pub huge_pages: bool,
    /// Longest time that a call waits for a lock that another thread holds; `None` is no limit.
    /// After that time the call returns [`Error::LockTimeout`], -30, and has changed nothing.
    /// (`for_each`, `retain`, `clear`, `reserve` and `shrink` have done part of their work.) During
    /// a resize, a call may wait this long several times. The lock-free backend has no locks to
    /// wait for.
    pub lock_timeout: Option<Duration>,
    /// Time at which a table gives memory back after entries were removed.
    pub shrinking: Shrinking,
    /// Counting of each operation for [`Stats`](crate::Stats). The number of entries is always
    /// counted.
    pub counters: bool,
}

/// When a table becomes smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Shrinking {
    /// Only when [`shrink`](crate::Keystore::shrink) is called. Until then the table keeps its
    /// size, because new entries may need it.
    #[default]
    OnRequest,
    /// Also when removals have left only an eighth of the table's capacity in use. In the lock-free
    /// backend the threads that write share the work. In the others, the thread that finds the
    /// table sparse does it. The table never becomes smaller than its initial buckets.
    Automatic,
}

/// Whether threads share a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Concurrency {
    /// Any number of threads at once. All buckets are initialised when the store is opened.
    #[default]
    MultiThreaded,
    /// One thread at a time. The locked backend takes no locks and initialises its buckets when
    /// they are first used. A store of this kind is not [`Sync`], so the compiler prevents two
    /// threads from using it at once. [`open_local`](crate::open_local) opens it.
    SingleThreaded,
}

impl Config {
    /// Largest number of buckets that a store can be opened with.
    pub const MAX_INITIAL_BUCKETS: usize = match 1_usize.checked_shl(32) {
        Some(buckets) => buckets,
        None => 1 << 24,
    };

    /// Checks every field.
    ///
    /// # Errors
    /// Returns [`Error::InvalidConfig`], -21, if a field is outside its limits. The error names the
    /// first such field, its value and the limit.
    pub fn validate(&self) -> Result<()> {
        if !self.initial_buckets.is_power_of_two()
            || self.initial_buckets > Self::MAX_INITIAL_BUCKETS
        {
            return Err(Error::invalid_config(
                "initial_buckets",
                self.initial_buckets,
                if usize::BITS > 32 {
                    "a power of two from 1 to 4294967296"
                } else {
                    "a power of two from 1 to 16777216"
                },
            ));
        }
        if !(0.0..=1.0).contains(&self.preallocation) {
            return Err(Error::invalid_config("preallocation", self.preallocation, "from 0 to 1"));
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            initial_buckets: 256,
            preallocation: 0.0,
            memory_limit: None,
            concurrency: Concurrency::MultiThreaded,
            huge_pages: true,
            lock_timeout: None,
            shrinking: Shrinking::OnRequest,
            counters: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn a_bucket_count_that_is_no_power_of_two_is_named() {
        for initial_buckets in [0, 3, 1000, Config::MAX_INITIAL_BUCKETS.saturating_mul(2)] {
            let error = Config { initial_buckets, ..Config::default() }.validate().unwrap_err();
            assert_eq!(error.code(), -21);
            assert!(error.to_string().contains(&initial_buckets.to_string()), "{error}");
        }
    }

    #[test]
    fn a_factor_outside_0_to_1_is_named() {
        for preallocation in [-0.1, 1.01, f64::NAN, f64::INFINITY] {
            let error = Config { preallocation, ..Config::default() }.validate().unwrap_err();
            assert_eq!(error.code(), -21);
            assert!(error.to_string().contains("preallocation"), "{error}");
        }
    }
}
