//! Exports a store's [`counters`](keystore_core::Keystore::counters) to monitoring systems.
//!
//! There are two ways. With the feature `metrics`, [`Recorder`] sends the numbers to whatever
//! recorder of the crate `metrics` the program has installed. With the feature `prometheus`,
//! [`Collector`] shows them to a registry of the crate `prometheus-client`. Both use the names that
//! `docs/metrics.md` lists, with a label `store`.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "prometheus")]
mod prometheus;

#[cfg(feature = "metrics")]
pub use self::metrics::Recorder;
#[cfg(feature = "prometheus")]
pub use self::prometheus::Collector;

use keystore_core::Counters;

/// Name of the label that says which store a number is of.
const LABEL: &str = "store";

/// An exported number.
struct Metric {
    /// Name without the suffix `_total` that counters get.
    name: &'static str,
    help: &'static str,
    kind: Kind,
    value: fn(&Counters) -> u64,
}

/// What an exported number counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Events since the store was opened.
    Events,
    /// Bytes now.
    Bytes,
    /// Any other number of now.
    Number,
}

/// All exported numbers.
const METRICS: &[Metric] = &[
    Metric {
        name: "keystore_entries",
        help: "Number of entries",
        kind: Kind::Number,
        value: |counters| counters.entries,
    },
    Metric {
        name: "keystore_hits",
        help: "Reads whose key was present",
        kind: Kind::Events,
        value: |counters| counters.hits,
    },
    Metric {
        name: "keystore_misses",
        help: "Reads whose key was absent",
        kind: Kind::Events,
        value: |counters| counters.misses,
    },
    Metric {
        name: "keystore_sets",
        help: "Calls that write and have not failed",
        kind: Kind::Events,
        value: |counters| counters.sets,
    },
    Metric {
        name: "keystore_deletes",
        help: "Entries that were removed",
        kind: Kind::Events,
        value: |counters| counters.deletes,
    },
    Metric {
        name: "keystore_node_bytes",
        help: "Bytes of live nodes: headers, keys, values and spare bytes",
        kind: Kind::Bytes,
        value: |counters| counters.node_bytes,
    },
    Metric {
        name: "keystore_pool_held_bytes",
        help: "Bytes of the system's memory that the pool holds",
        kind: Kind::Bytes,
        value: |counters| counters.pool_held_bytes,
    },
    Metric {
        name: "keystore_garbage_bytes",
        help: "Bytes that were removed and wait until no reader can see them",
        kind: Kind::Bytes,
        value: |counters| counters.garbage_bytes,
    },
    Metric {
        name: "keystore_table_bytes",
        help: "Bytes of the table, without overflow buckets",
        kind: Kind::Bytes,
        value: |counters| counters.table_bytes,
    },
    Metric {
        name: "keystore_resizing",
        help: "1 while the table is being resized, otherwise 0",
        kind: Kind::Number,
        value: |counters| u64::from(counters.is_resizing),
    },
];
