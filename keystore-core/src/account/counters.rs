//! The counters of a store: each call is one event, an operation with its outcome.
//!
//! All statistics are sums of these events. The number of entries is one too: entries created less
//! entries removed. The events that it needs are counted even if counters are turned off.

use crate::account::sharded::ShardedCounters;
use crate::config::Config;
use crate::error::{Error, Result, code};
use crate::error_counts::ErrorCounts;
use crate::keystore::Change;
use crate::stats::{NodeOperationStats, OperationStats};

/// A call as it is counted: the operation and its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    AddAbsent,
    AddKept,
    AddCreated,
    AddReplaced,
    AddDeleted,
    AddFailed,
    FindHit,
    FindMiss,
    FindFailed,
    DeleteHit,
    DeleteMiss,
    DeleteFailed,
    FailedOutOfMemory,
    FailedInvalidArgument,
    FailedInvalidConfig,
    FailedBusy,
    FailedUnsupported,
    FailedPoolExhausted,
    FailedOther,
}

const EVENTS: usize = Event::FailedOther as usize + 1;

/// Index of the counter of the bytes of all live nodes. It is no event.
const NODE_BYTES: usize = EVENTS;

/// The error code of each `Failed…` event.
const FAILURES: [(Event, i32); 7] = [
    (Event::FailedOutOfMemory, code::OUT_OF_MEMORY),
    (Event::FailedInvalidArgument, code::INVALID_ARGUMENT),
    (Event::FailedInvalidConfig, code::INVALID_CONFIG),
    (Event::FailedBusy, code::LOCK_NOT_ACQUIRED),
    (Event::FailedUnsupported, code::UNSUPPORTED),
    (Event::FailedPoolExhausted, code::POOL_EXHAUSTED),
    (Event::FailedOther, code::GENERAL),
];

/// The kinds of operation that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Find,
    Delete,
}

/// The counters of one store.
#[derive(Debug)]
pub(crate) struct EventCounters {
    counts: ShardedCounters<{ EVENTS + 1 }>,
    /// True if all events are counted; false if only those that the number of entries needs.
    counting: bool,
}

impl EventCounters {
    /// Creates the counters of a store with this configuration, all zero.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        Ok(Self { counts: ShardedCounters::new()?, counting: config.counters })
    }

    /// Returns the number of entries: those created less those removed. Exact while nobody writes.
    pub(crate) fn entries(&self) -> usize {
        let created = self.counts.sum(Event::AddCreated as usize);
        let removed = self.counts.sum(Event::AddDeleted as usize)
            + self.counts.sum(Event::DeleteHit as usize);
        usize::try_from(created - removed).unwrap_or(0)
    }

    /// Records a call. An event that creates or removes an entry is always counted, since the
    /// number of entries is made of them.
    #[inline]
    pub(crate) fn record(&self, event: Event) {
        if self.counting
            || matches!(event, Event::AddCreated | Event::AddDeleted | Event::DeleteHit)
        {
            self.counts.add_outside_pools(event as usize, 1);
        }
    }

    /// Records an event that has made the nodes larger by `bytes` in all.
    #[inline]
    pub(crate) fn record_with_bytes(&self, event: Event, bytes: i64) {
        self.record(event);
        // Most writes replace a value by one of the same length.
        if bytes != 0 && self.counting {
            self.add_node_bytes(bytes);
        }
    }

    /// This is a function of its own, to keep the code of an overwrite short.
    #[inline(never)]
    fn add_node_bytes(&self, bytes: i64) {
        self.counts.add_outside_pools(NODE_BYTES, bytes);
    }

    /// Records the outcome of a write, which has made the nodes larger by `bytes`.
    #[inline]
    pub(crate) fn record_change(&self, operation: Operation, change: Change, bytes: i64) {
        let event = match (change, operation) {
            (Change::Created, _) => Event::AddCreated,
            (Change::Replaced, _) => Event::AddReplaced,
            (Change::Deleted, Operation::Delete) => Event::DeleteHit,
            (Change::Deleted, _) => Event::AddDeleted,
            (Change::Absent | Change::Kept, Operation::Delete) => Event::DeleteMiss,
            (Change::Absent, _) => Event::AddAbsent,
            (Change::Kept, _) => Event::AddKept,
        };
        self.record_with_bytes(event, bytes);
    }

    /// Records a call that failed.
    #[cold]
    pub(crate) fn record_failure(&self, operation: Operation, error: &Error) {
        self.record(match operation {
            Operation::Add => Event::AddFailed,
            Operation::Find => Event::FindFailed,
            Operation::Delete => Event::DeleteFailed,
        });
        let code = error.code();
        let event =
            FAILURES.iter().find(|failure| failure.1 == code).map_or(Event::FailedOther, |f| f.0);
        self.record(event);
    }

    /// Returns the number of reads whose key was absent.
    pub(crate) fn misses(&self) -> u64 {
        u64::try_from(self.counts.sum(Event::FindMiss as usize)).unwrap_or(0)
    }

    /// Returns the bytes of all live nodes, or 0 if they are not counted. Exact while nobody
    /// writes.
    pub(crate) fn node_bytes(&self) -> u64 {
        u64::try_from(self.counts.sum(NODE_BYTES)).unwrap_or(0)
    }

    /// Returns the counted calls, by operation, by their effect on nodes, and by error code.
    pub(crate) fn operations(&self) -> (OperationStats, NodeOperationStats, ErrorCounts) {
        if !self.counting {
            return Default::default();
        }
        let count = |event: Event| u64::try_from(self.counts.sum(event as usize)).unwrap_or(0);
        let created = count(Event::AddCreated);
        let replaced = count(Event::AddReplaced);
        let operations = OperationStats {
            adds: created
                + replaced
                + count(Event::AddDeleted)
                + count(Event::AddKept)
                + count(Event::AddAbsent)
                + count(Event::AddFailed),
            finds: count(Event::FindHit) + count(Event::FindMiss) + count(Event::FindFailed),
            deletes: count(Event::DeleteHit)
                + count(Event::DeleteMiss)
                + count(Event::DeleteFailed),
            failed_adds: count(Event::AddFailed),
            failed_finds: count(Event::FindMiss) + count(Event::FindFailed),
            failed_deletes: count(Event::DeleteMiss) + count(Event::DeleteFailed),
        };
        let nodes = NodeOperationStats {
            creates: created,
            updates: replaced,
            reads: count(Event::FindHit),
            deletes: count(Event::DeleteHit) + count(Event::AddDeleted),
            failed_creates: count(Event::AddFailed),
        };
        let errors = FAILURES.iter().map(|&(event, code)| (code, count(event))).collect();
        (operations, nodes, errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_verb_and_by_what_came_of_them() {
        let counters = EventCounters::new(&Config::default()).unwrap();
        counters.record_change(Operation::Add, Change::Created, 0);
        counters.record_change(Operation::Add, Change::Replaced, 0);
        counters.record_change(Operation::Add, Change::Kept, 0);
        counters.record_change(Operation::Delete, Change::Deleted, 0);
        counters.record_change(Operation::Delete, Change::Absent, 0);
        counters.record(Event::FindHit);
        counters.record_failure(Operation::Find, &Error::KeyLength { length: 0, max: 1 });
        let (operations, nodes, errors) = counters.operations();
        assert_eq!((operations.adds, operations.finds, operations.deletes), (3, 2, 2));
        assert_eq!(
            (operations.failed_adds, operations.failed_finds, operations.failed_deletes),
            (0, 1, 1)
        );
        assert_eq!((nodes.creates, nodes.updates, nodes.reads, nodes.deletes), (1, 1, 1, 1));
        assert_eq!(errors, ErrorCounts::from([(-20, 1)]));
        assert_eq!(counters.entries(), 0);
    }

    #[test]
    fn entries_are_counted_where_calls_are_not() {
        let counters =
            EventCounters::new(&Config { counters: false, ..Config::default() }).unwrap();
        counters.record_change(Operation::Add, Change::Created, 0);
        counters.record(Event::FindHit);
        assert_eq!(counters.entries(), 1);
        assert_eq!(counters.operations(), Default::default());
    }

    #[test]
    fn bytes_of_nodes_are_summed() {
        let counters = EventCounters::new(&Config::default()).unwrap();
        counters.record_change(Operation::Add, Change::Created, 100);
        counters.record_change(Operation::Add, Change::Replaced, -30);
        counters.record_with_bytes(Event::DeleteHit, -70);
        assert_eq!((counters.node_bytes(), counters.entries()), (0, 0));
        counters.record_change(Operation::Add, Change::Created, 8);
        assert_eq!((counters.node_bytes(), counters.entries()), (8, 1));
    }
}
