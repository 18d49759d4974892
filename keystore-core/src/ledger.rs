//! What every table keeps beside its buckets: the allocator, the hasher, the memory limit and the counts.
//!
//! All nodes are made and freed through the ledger, so that the limits on keys, values and memory are checked in one
//! place, and every call is recorded there once, as a verb and what came of it.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::allocator::NodeAllocator;
use crate::config::Config;
use crate::error::{Error, Result, code};
use crate::error_counts::ErrorCounts;
use crate::hash::hash_key;
use crate::keystore::Change;
use crate::node::Node;
use crate::stats::{NodeOperationStats, OperationStats};
use crate::striped::Striped;

/// A call, as it is counted: which verb, and what came of it.
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

/// The codes behind the `Failed…` events.
const FAILURES: [(Event, i32); 7] = [
    (Event::FailedOutOfMemory, code::OUT_OF_MEMORY),
    (Event::FailedInvalidArgument, code::INVALID_ARGUMENT),
    (Event::FailedInvalidConfig, code::INVALID_CONFIG),
    (Event::FailedBusy, code::LOCK_NOT_ACQUIRED),
    (Event::FailedUnsupported, code::UNSUPPORTED),
    (Event::FailedPoolExhausted, code::POOL_EXHAUSTED),
    (Event::FailedOther, code::GENERAL),
];

/// The kinds of call that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Add,
    Find,
    Delete,
}

/// See the module.
pub(crate) struct Ledger<A, S> {
    allocator: A,
    hasher: S,
    limit: Option<MemoryLimit>,
    counters: Striped<EVENTS>,
    counting: bool,
}

#[derive(Debug)]
struct MemoryLimit {
    limit: u64,
    used: AtomicU64,
}

/// Without the hasher, which may print its seed.
impl<A, S> fmt::Debug for Ledger<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<A: NodeAllocator, S: BuildHasher> Ledger<A, S> {
    /// A ledger for a store with this configuration, which is checked here.
    pub(crate) fn new(config: &Config, allocator: A, hasher: S) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            allocator,
            hasher,
            limit: config.memory_limit.map(|limit| MemoryLimit { limit, used: AtomicU64::new(0) }),
            counters: Striped::new()?,
            counting: config.counters,
        })
    }

    pub(crate) fn allocator(&self) -> &A {
        &self.allocator
    }

    /// The hash of `key`.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        hash_key(&self.hasher, key)
    }

    /// Whether there is a memory limit.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// A new node, with the limits on its parts and on memory checked. The key has passed [`Node::check_key`]. A node that is
    /// to take the place of one of `replaced` bytes (0: of none) needs room only for what it is larger.
    #[inline]
    pub(crate) fn create_node(&self, key: &[u8], value: &[u8], replaced: usize) -> Result<Node> {
        Node::check_value(value)?;
        if self.limit.is_none() {
            return Node::create(&self.allocator, key, value);
        }
        let bytes = Node::layout(key.len(), value.len())?.size();
        self.charge(bytes, replaced)?;
        Node::create(&self.allocator, key, value).inspect_err(|_| self.discharge(bytes))
    }

    /// Stops counting a node against the memory limit: it was removed, though a reader may be looking at it.
    ///
    /// # Safety
    /// The node is alive and came from this ledger.
    #[inline]
    pub(crate) unsafe fn retire_node(&self, node: Node) {
        if self.limit.is_some() {
            // SAFETY: the caller's promise.
            self.discharge(unsafe { node.size() });
        }
    }

    /// Frees a node that was retired.
    ///
    /// # Safety
    /// The node came from this ledger, was retired, is alive, and nobody uses it from here on.
    #[inline]
    pub(crate) unsafe fn free_node(&self, node: Node) {
        // SAFETY: the caller's promise.
        unsafe { node.destroy(&self.allocator) }
    }

    /// Retires and frees a node that nobody else has seen, or can see any more.
    ///
    /// # Safety
    /// The node came from this ledger, is alive, and nobody uses it from here on.
    #[inline]
    pub(crate) unsafe fn destroy_node(&self, node: Node) {
        // SAFETY: the caller's promise.
        unsafe {
            self.retire_node(node);
            self.free_node(node);
        }
    }

    /// Counts `bytes` more against the memory limit, or refuses them; `replaced` bytes of what is counted will go.
    fn charge(&self, bytes: usize, replaced: usize) -> Result<()> {
        let Some(limit) = &self.limit else { return Ok(()) };
        // In one step: a refused writer must not take room from others even for an instant.
        let fits = |used: u64| {
            let after = used.checked_add(bytes as u64)?;
            (after.saturating_sub(replaced as u64) <= limit.limit).then_some(after)
        };
        match limit.used.fetch_update(Relaxed, Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(used) => Err(Error::MemoryLimit { requested: bytes, used, limit: limit.limit }),
        }
    }

    /// Takes back what [`charge`](Self::charge) counted.
    #[inline]
    fn discharge(&self, bytes: usize) {
        if let Some(limit) = &self.limit {
            limit.used.fetch_sub(bytes as u64, Relaxed);
        }
    }

    /// The number of entries: those created less those removed. Exact while nobody writes.
    pub(crate) fn entries(&self) -> usize {
        let created = self.counters.sum(Event::AddCreated as usize);
        let removed =
            self.counters.sum(Event::AddDeleted as usize) + self.counters.sum(Event::DeleteHit as usize);
        usize::try_from(created - removed).unwrap_or(0)
    }

    /// Records a call. What creates or removes an entry is always counted, for the number of entries comes from it.
    #[inline]
    pub(crate) fn record(&self, event: Event) {
        if self.counting || matches!(event, Event::AddCreated | Event::AddDeleted | Event::DeleteHit) {
            self.counters.add_outside_pools(event as usize, 1);
        }
    }

    /// Records what a write did.
    #[inline]
    pub(crate) fn record_change(&self, verb: Verb, change: Change) {
        self.record(match (change, verb) {
            (Change::Created, _) => Event::AddCreated,
            (Change::Replaced, _) => Event::AddReplaced,
            (Change::Deleted, Verb::Delete) => Event::DeleteHit,
            (Change::Deleted, _) => Event::AddDeleted,
            (Change::Absent | Change::Kept, Verb::Delete) => Event::DeleteMiss,
            (Change::Absent, _) => Event::AddAbsent,
            (Change::Kept, _) => Event::AddKept,
        });
    }

    /// Records a call that failed.
    #[cold]
    pub(crate) fn record_failure(&self, verb: Verb, error: &Error) {
        self.record(match verb {
            Verb::Add => Event::AddFailed,
            Verb::Find => Event::FindFailed,
            Verb::Delete => Event::DeleteFailed,
        });
        let code = error.code();
        let event = FAILURES.iter().find(|failure| failure.1 == code).map_or(Event::FailedOther, |f| f.0);
        self.record(event);
    }

    /// The counted calls, by verb, by what they did to nodes, and by error code.
    pub(crate) fn operations(&self) -> (OperationStats, NodeOperationStats, ErrorCounts) {
        if !self.counting {
            return Default::default();
        }
        let count = |event: Event| u64::try_from(self.counters.sum(event as usize)).unwrap_or(0);
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
            deletes: count(Event::DeleteHit) + count(Event::DeleteMiss) + count(Event::DeleteFailed),
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
    use crate::allocator::Global;
    use crate::hash::DefaultHasher;

    fn ledger(config: &Config) -> Ledger<Global, DefaultHasher> {
        Ledger::new(config, Global, DefaultHasher::default()).unwrap()
    }

    #[test]
    fn a_node_past_the_memory_limit_is_refused_and_room_comes_back() {
        let ledger = ledger(&Config { memory_limit: Some(200), ..Config::default() });
        let node = ledger.create_node(b"key", &[0; 100], 0).unwrap();
        let error = ledger.create_node(b"key", &[0; 100], 0).unwrap_err();
        assert_eq!(error, Error::MemoryLimit { requested: 111, used: 111, limit: 200 });
        let in_its_place = ledger.create_node(b"key", &[0; 150], 111).unwrap();
        // SAFETY: created above by this ledger, and not used again.
        unsafe {
            ledger.destroy_node(node);
            ledger.destroy_node(in_its_place);
        }
        let node = ledger.create_node(b"key", &[0; 100], 0).unwrap();
        // SAFETY: as before.
        unsafe { ledger.destroy_node(node) };
    }

    #[test]
    fn calls_are_counted_by_verb_and_by_what_came_of_them() {
        let ledger = ledger(&Config::default());
        ledger.record_change(Verb::Add, Change::Created);
        ledger.record_change(Verb::Add, Change::Replaced);
        ledger.record_change(Verb::Add, Change::Kept);
        ledger.record_change(Verb::Delete, Change::Deleted);
        ledger.record_change(Verb::Delete, Change::Absent);
        ledger.record(Event::FindHit);
        ledger.record_failure(Verb::Find, &Error::KeyLength { length: 0, max: 1 });
        let (operations, nodes, errors) = ledger.operations();
        assert_eq!((operations.adds, operations.finds, operations.deletes), (3, 2, 2));
        assert_eq!((operations.failed_adds, operations.failed_finds, operations.failed_deletes), (0, 1, 1));
        assert_eq!((nodes.creates, nodes.updates, nodes.reads, nodes.deletes), (1, 1, 1, 1));
        assert_eq!(errors, ErrorCounts::from([(-20, 1)]));
        assert_eq!(ledger.entries(), 0);
    }

    #[test]
    fn entries_are_counted_where_calls_are_not() {
        let ledger = ledger(&Config { counters: false, ..Config::default() });
        ledger.record_change(Verb::Add, Change::Created);
        ledger.record(Event::FindHit);
        assert_eq!(ledger.entries(), 1);
        assert_eq!(ledger.operations(), Default::default());
    }
}
