//! The interface of a backend: a table of nodes, behind a few primitives.
//!
//! [`Store`](crate::Store) makes every operation of [`Keystore`](crate::Keystore) out of these, the
//! same way for all backends: checks, counts, batches, copies. So a backend holds only what makes
//! it different: where nodes lie, who may touch them when, and how the table grows.

use std::fmt;
use std::hash::BuildHasher;
use std::ops::ControlFlow;

use crate::account::Account;
use crate::allocator::NodeAllocator;
use crate::backend::common::cursor::Cursor;
use crate::error::{Error, Result};
use crate::keystore::Change;
use crate::open::BackendKind;
use crate::stats::Distribution;
use crate::sync::reentrancy::Closure;
use crate::update::Update;

/// A backend's table. `hash` is always the hash of `key` by the table's own account, and the
/// length of `key` was checked.
pub(crate) trait Table {
    /// The allocator of the nodes.
    type Allocator: NodeAllocator;
    /// The hasher of the keys.
    type Hasher: BuildHasher;
    /// The backend of this table.
    const BACKEND: BackendKind;
    /// Value that a thread holds while it uses the table: an epoch's pin, or nothing.
    type Session;

    fn account(&self) -> &Account<Self::Allocator, Self::Hasher>;

    /// Enters the table, or returns `None` if there is no memory to register the thread.
    fn enter(&self) -> Option<Self::Session>;

    /// Renews the session between two operations, so that garbage which it holds back can be freed.
    /// The thread holds no reference into the table at that time.
    #[inline]
    fn refresh(&self, _session: &mut Self::Session) {}

    /// Leaves the table after a write. (A session that only reads is dropped instead.)
    #[inline]
    fn leave(&self, session: Self::Session) {
        drop(session);
    }

    /// Prefetches the bucket of `hash`. Only a hint.
    #[inline]
    fn prefetch_bucket(&self, _session: &Self::Session, _hash: u64) {}

    /// Prefetches the node that a key with this hash likely has. Its bucket was prefetched before.
    /// Only a hint.
    #[inline]
    fn prefetch_node(&self, _session: &Self::Session, _hash: u64) {}

    /// Passes the value of `key` to `visit` and returns the closure's result. `C` says whether the
    /// closure is the user's or the crate's.
    fn read<C: Closure, R>(
        &self,
        session: &Self::Session,
        hash: u64,
        key: &[u8],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>>;

    /// Shows the value of `key` to `decide` and does the update that it returns, as one step.
    /// `decide` may be called again if another thread came between. `C` tells whose closure it is.
    /// `likely` is the value that it will most likely set: a backend may prepare a node of it
    /// while it waits for the bucket.
    ///
    /// `on_effect` is called once, as soon as the write has taken effect. It gets the result, and
    /// the number of bytes by which the nodes have become larger. Only
    /// then does the writer do its share of a resize, which calls the user's hasher. So a write is
    /// counted even if the hasher panics.
    fn update_entry<'v, C: Closure>(
        &self,
        session: &Self::Session,
        hash: u64,
        key: &[u8],
        likely: Option<&[u8]>,
        decide: impl FnMut(Option<&[u8]>) -> Update<'v>,
        on_effect: impl FnOnce(Change, i64),
    ) -> Result<Change>;

    /// Shows the entries ahead of the cursor to `visit`, and moves the cursor past them, until it
    /// has shown `limit` entries or more, or `visit` returns `Break`. From the start of the cursor
    /// to its end, it shows each entry that is there throughout, and none twice, no matter what
    /// happens to the table between the calls. The cursor has no meaning after a `Break`. An error
    /// leaves it at the entries that were not shown.
    fn scan(
        &self,
        session: &mut Self::Session,
        cursor: &mut Cursor,
        limit: usize,
        visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()>;

    /// Scans, and removes each entry for which `keep` returns false, with the value that `keep`
    /// saw. Returns the number of removed entries. Each removal is recorded at once, since `keep`
    /// may panic.
    fn retain(
        &self,
        session: &mut Self::Session,
        keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<usize>;

    /// Makes the table large enough for `entries` entries in all.
    fn reserve(&self, entries: usize) -> Result<()>;

    /// Makes the table as small as its entries allow.
    fn shrink(&self) -> Result<()>;

    /// Starts or finishes shrinking if the load factor is low. Lack of memory only delays it.
    fn shrink_if_sparse(&self, session: &Self::Session);

    /// Visits every bucket, and returns the distribution of entries and the bytes of nodes.
    fn survey(&self) -> Result<Survey>;

    /// Returns the bytes of the table's arrays, without overflow buckets. Visits no bucket.
    fn array_bytes(&self) -> Result<usize>;

    /// Returns the bytes of nodes and tables that were removed and are not freed yet. O(threads).
    fn garbage_bytes(&self) -> usize {
        0
    }

    /// Returns whether the table is being resized.
    fn is_resizing(&self) -> bool {
        false
    }

    /// Returns the bytes of the table itself, and those of its garbage.
    fn footprint(&self) -> Result<Footprint>;
}

/// Upper bound of the bytes that the first call of a thread takes.
const FIRST_CALL_BYTES: usize = 16 << 10;

/// Returns the error of a thread that cannot enter a table: there is no memory to register it.
#[cold]
pub(crate) fn enter_error() -> Error {
    Error::OutOfMemory { requested: FIRST_CALL_BYTES }
}

/// Enters a table.
///
/// # Errors
/// Returns -10 if there is no memory to register the thread.
#[inline(always)]
pub(crate) fn enter_table<T: Table>(table: &T) -> Result<T::Session> {
    table.enter().ok_or_else(enter_error)
}

/// Writes a line about a table: counts and sizes, but no keys, addresses or seeds.
pub(crate) fn describe<T: Table>(table: &T, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut line = f.debug_struct(name);
    line.field("backend", &format_args!("{}", T::BACKEND))
        .field("entries", &table.account().counters.entries());
    if let Ok(bytes) = table.array_bytes() {
        line.field("table_bytes", &bytes);
    }
    line.finish_non_exhaustive()
}

/// The memory that a table takes besides its live nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Footprint {
    pub(crate) table_bytes: u64,
    pub(crate) garbage_bytes: u64,
    pub(crate) huge_page_bytes: u64,
}

/// Result of a visit to every bucket.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) distribution: Distribution,
    pub(crate) node_bytes: u64,
}

impl Survey {
    /// Counts a bucket whose nodes have these sizes. Returns -10 if there is no memory to count it.
    pub(crate) fn add_bucket(&mut self, node_sizes: impl Iterator<Item = usize>) -> Result<()> {
        let mut entries = 0;
        for size in node_sizes {
            entries += 1;
            self.node_bytes += size as u64;
        }
        self.distribution.add(entries)
    }
}
