//! The options that a store is opened with.

use std::ffi::c_int;
use std::mem::offset_of;
use std::ptr;
use std::time::Duration;

use keystore_core::{BackendKind, Concurrency, Config};
use keystore_pool::PoolKind;

use crate::bytes::BytesError;
use crate::failure::{Failure, guard};

/// Algorithm of a store: one of KS_BACKEND_…
pub type ks_backend = i32;
/// A lock in every bucket. Overwrites values in place and frees memory at once. A call inside a
/// callback is refused if it needs a lock that is held. The default.
pub const KS_BACKEND_RWLOCK: ks_backend = 1;
/// Lock-free: readers never wait.
pub const KS_BACKEND_EPOCH: ks_backend = 2;
/// A lock in every shard of a dashmap.
pub const KS_BACKEND_DASHMAP: ks_backend = 3;

/// Source of the memory of entries: one of KS_POOL_…
pub type ks_pool = i32;
/// Fixed size classes, preallocated; freed nodes are reused. The default.
pub const KS_POOL_SLAB: ks_pool = 1;
/// Large chunks that are handed out from front to back. A chunk is reused once all of its nodes are
/// freed.
pub const KS_POOL_ARENA: ks_pool = 2;
/// The system's allocator.
pub const KS_POOL_SYSTEM: ks_pool = 3;

/// Whether threads may share a store: one of KS_CONCURRENCY_…
pub type ks_concurrency = i32;
/// Any number of threads may use the store at once. The default.
pub const KS_CONCURRENCY_MULTI_THREADED: ks_concurrency = 1;
/// Only the thread that opens the store uses it. Every call from another thread is refused with
/// KS_UNSUPPORTED. The backend rwlock then takes no locks.
pub const KS_CONCURRENCY_SINGLE_THREADED: ks_concurrency = 2;

/// Value of ks_options.memory_limit for a store without a limit.
pub const KS_NO_MEMORY_LIMIT: u64 = 0;

/// Value of ks_options.lock_timeout_ns for a store whose calls wait for locks without a limit.
pub const KS_NO_LOCK_TIMEOUT: u64 = 0;

/// The options that a store is opened with. Fill them with ks_options_init, then change the fields
/// that you want different.
///
/// Later versions add fields at the end. `size` tells the library which fields a program knows.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ks_options {
    /// sizeof(ks_options), set by ks_options_init.
    pub size: usize,
    /// The algorithm: KS_BACKEND_RWLOCK unless changed.
    pub backend: ks_backend,
    /// The source of the memory of entries: KS_POOL_SLAB unless changed.
    pub pool: ks_pool,
    /// Number of buckets at the start: a power of two, 1 to 2^32 (2^24 on 32-bit targets). The
    /// store grows from there as entries are added. 256 unless changed.
    pub initial_buckets: usize,
    /// Nodes that the pool reserves up front, as a fraction of the initial buckets: 0 (none) to 1
    /// (one node for each bucket). 0 unless changed.
    pub preallocation: f64,
    /// Largest number of bytes that entries may take. A call that would exceed it returns
    /// KS_OUT_OF_MEMORY and changes nothing. KS_NO_MEMORY_LIMIT unless changed.
    pub memory_limit: u64,
    /// Whether threads may share the store: KS_CONCURRENCY_MULTI_THREADED unless changed.
    pub concurrency: ks_concurrency,
    /// Whether calls are counted for ks_store_stats: 1 (yes) unless changed, or 0 (no). The number
    /// of entries is always counted.
    pub counters: i32,
    /// The lock time-out in nanoseconds: how long a call waits for a lock that other threads hold.
    /// After that time the call returns KS_LOCK_NOT_ACQUIRED and has done nothing, except that
    /// ks_for_each, ks_clear and ks_shrink keep what they did until then. During a resize, a call
    /// may wait this long several times. The backend epoch never waits. KS_NO_LOCK_TIMEOUT unless
    /// changed.
    pub lock_timeout_ns: u64,
}

/// The sizes that [`ks_options`] had in versions before this one. A size between two of them would
/// cut a field in half, so it is invalid.
const EARLIER_SIZES: [usize; 1] = [offset_of!(ks_options, lock_timeout_ns)];
/// Upper bound for the size of [`ks_options`] in every version; a larger size is invalid.
const MAX_SIZE: usize = 1024;

impl Default for ks_options {
    fn default() -> Self {
        let config = Config::default();
        Self {
            size: size_of::<Self>(),
            backend: KS_BACKEND_RWLOCK,
            pool: KS_POOL_SLAB,
            initial_buckets: config.initial_buckets,
            preallocation: config.preallocation,
            memory_limit: config.memory_limit.unwrap_or(KS_NO_MEMORY_LIMIT),
            concurrency: KS_CONCURRENCY_MULTI_THREADED,
            counters: i32::from(config.counters),
            lock_timeout_ns: config.lock_timeout.map_or(KS_NO_LOCK_TIMEOUT, whole_nanoseconds),
        }
    }
}

/// The options of a store, checked and in Rust types.
pub(crate) struct Choice {
    pub(crate) backend: BackendKind,
    pub(crate) pool: PoolKind,
    pub(crate) config: Config,
}

impl ks_options {
    /// Reads the options of a program that may be older or newer than this library. Fields that the
    /// program does not know keep their defaults. Fields that this library does not know must be
    /// zero, which is the default of every field that a later version adds.
    ///
    /// # Safety
    /// `options` is NULL, or can be read for as many bytes as its first field says.
    pub(crate) unsafe fn read(options: *const Self) -> Result<Self, Failure> {
        let mut known = Self::default();
        if options.is_null() {
            return Ok(known);
        }
        // SAFETY: the first field can be read.
        let size = unsafe { (&raw const (*options).size).read_unaligned() };
        check_size("options->size", size)?;
        let shared = size.min(size_of::<Self>());
        // SAFETY: `size` bytes can be read, `known` has as many as are copied, and any bytes
        // are valid numbers.
        unsafe {
            ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut known).cast::<u8>(), shared)
        };
        for offset in shared..size {
            // SAFETY: `size` bytes can be read.
            let byte = unsafe { options.cast::<u8>().add(offset).read() };
            if byte != 0 {
                return Err(Failure::UnknownField { offset, byte });
            }
        }
        Ok(known)
    }

    /// Converts the numbers to the settings that they stand for, and checks them.
    pub(crate) fn choose(&self) -> Result<Choice, Failure> {
        let backend = match self.backend {
            KS_BACKEND_RWLOCK => BackendKind::RwLock,
            KS_BACKEND_EPOCH => BackendKind::Epoch,
            KS_BACKEND_DASHMAP => BackendKind::DashMap,
            other => {
                return Err(invalid(
                    "backend",
                    other,
                    "1 (rwlock), 2 (epoch) or 3 (dashmap): see KS_BACKEND_EPOCH",
                ));
            }
        };
        let pool = match self.pool {
            KS_POOL_SLAB => PoolKind::Slab,
            KS_POOL_ARENA => PoolKind::Arena,
            KS_POOL_SYSTEM => PoolKind::System,
            other => {
                return Err(invalid(
                    "pool",
                    other,
                    "1 (slab), 2 (arena) or 3 (system): see KS_POOL_SLAB",
                ));
            }
        };
        let concurrency = match self.concurrency {
            KS_CONCURRENCY_MULTI_THREADED => Concurrency::MultiThreaded,
            KS_CONCURRENCY_SINGLE_THREADED => Concurrency::SingleThreaded,
            other => {
                return Err(invalid(
                    "concurrency",
                    other,
                    "1 (multi-threaded) or 2 (single-threaded)",
                ));
            }
        };
        let counters = match self.counters {
            0 => false,
            1 => true,
            other => return Err(invalid("counters", other, "0 or 1")),
        };
        let config = Config {
            initial_buckets: self.initial_buckets,
            preallocation: self.preallocation,
            memory_limit: (self.memory_limit != KS_NO_MEMORY_LIMIT).then_some(self.memory_limit),
            concurrency,
            counters,
            lock_timeout: (self.lock_timeout_ns != KS_NO_LOCK_TIMEOUT)
                .then(|| Duration::from_nanos(self.lock_timeout_ns)),
            ..Config::default()
        };
        config.validate()?;
        Ok(Choice { backend, pool, config })
    }
}

const fn invalid(field: &'static str, value: i32, expected: &'static str) -> Failure {
    Failure::Option { field, value, expected }
}

/// Returns a duration in nanoseconds, or the largest number, which is 584 years, if it is longer.
fn whole_nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn check_size(argument: &'static str, size: usize) -> Result<(), Failure> {
    let known = size_of::<ks_options>();
    let is_whole = size.is_multiple_of(align_of::<ks_options>());
    if EARLIER_SIZES.contains(&size) || is_whole && (known..=MAX_SIZE).contains(&size) {
        return Ok(());
    }
    Err(Failure::StructSize { argument, size, expected: "ks_options", known })
}

/// Fills `options` with the defaults.
///
/// @param options the struct to fill; need not be initialised.
/// @param size sizeof(ks_options). With it, a library that is newer than the program writes only
/// the fields that the program knows.
/// @return KS_OK, or KS_INVALID_ARGUMENT if `options` is NULL or `size` is not a size that
/// ks_options has in some version.
///
/// # Safety
/// `options` is NULL or has room for `size` bytes. Any thread may call this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_options_init(options: *mut ks_options, size: usize) -> c_int {
    guard(|| {
        if options.is_null() {
            return Err(BytesError::Null { argument: "options", expected: "a ks_options" }.into());
        }
        check_size("size", size)?;
        let defaults = ks_options { size, ..ks_options::default() };
        // SAFETY: the caller has room for `size` bytes.
        unsafe { ptr::write_bytes(options.cast::<u8>(), 0, size) };
        let shared = size.min(size_of::<ks_options>());
        // SAFETY: both have as many bytes as are copied, and a local does not overlap the
        // caller's struct.
        unsafe {
            ptr::copy_nonoverlapping(
                (&raw const defaults).cast::<u8>(),
                options.cast::<u8>(),
                shared,
            )
        };
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The options of a newer program, whose struct is `extra` bytes longer than this library's.
    #[repr(C)]
    struct Newer {
        options: ks_options,
        extra: [u8; 16],
    }

    #[test]
    fn the_defaults_are_those_of_the_core() {
        let choice = ks_options::default().choose().map_err(|e| e.to_string()).unwrap();
        assert_eq!(choice.config, Config::default());
        assert_eq!((choice.backend, choice.pool), (BackendKind::default(), PoolKind::default()));
    }

    #[test]
    fn every_lock_timeout_is_one_and_zero_is_none() {
        let chosen = |lock_timeout_ns| {
            let options = ks_options { lock_timeout_ns, ..ks_options::default() };
            options.choose().map_err(|e| e.to_string()).unwrap().config.lock_timeout
        };
        assert_eq!(chosen(KS_NO_LOCK_TIMEOUT), None);
        assert_eq!(chosen(1), Some(Duration::from_nanos(1)));
        assert_eq!(chosen(u64::MAX), Some(Duration::from_nanos(u64::MAX)));
    }

    #[test]
    fn a_program_older_than_the_lock_timeout_has_none() {
        let options =
            ks_options { size: EARLIER_SIZES[0], lock_timeout_ns: 7, ..ks_options::default() };
        // SAFETY: the struct has at least the bytes that its size says.
        let read =
            unsafe { ks_options::read(&raw const options) }.map_err(|e| e.to_string()).unwrap();
        assert_eq!(read.lock_timeout_ns, KS_NO_LOCK_TIMEOUT);
    }

    #[test]
    fn a_newer_program_is_understood_unless_it_asks_for_more() {
        let mut newer = Newer { options: ks_options::default(), extra: [7; 16] };
        let size = size_of::<Newer>();
        // SAFETY: `size` is the struct's.
        assert_eq!(unsafe { ks_options_init((&raw mut newer).cast(), size) }, 0);
        assert_eq!((newer.options.size, newer.extra), (size, [0; 16]));
        // SAFETY: `size` is the struct's.
        assert!(unsafe { ks_options::read((&raw const newer).cast()) }.is_ok());
        newer.extra[3] = 1;
        // SAFETY: `size` is the struct's.
        let refused = unsafe { ks_options::read((&raw const newer).cast()) };
        let offset = size_of::<ks_options>() + 3;
        assert!(
            matches!(refused, Err(Failure::UnknownField { offset: at, byte: 1 }) if at == offset)
        );
    }

    #[test]
    fn a_size_that_cuts_a_field_is_refused() {
        let (first, known) = (EARLIER_SIZES[0], size_of::<ks_options>());
        // Later fields are aligned too, so no later version has one of these sizes.
        let unaligned = (known + 1..known + 8).chain([MAX_SIZE - 1]);
        let between = (0..first).chain(first + 1..known).chain(unaligned);
        for size in between.chain([MAX_SIZE + 1, isize::MAX as usize, usize::MAX]) {
            let mut options = ks_options::default();
            // SAFETY: a wrong size is refused before the struct is touched.
            assert_eq!(unsafe { ks_options_init(&raw mut options, size) }, -20, "{size}");
            options.size = size;
            // SAFETY: a wrong size is refused before the other fields are read.
            let refused = unsafe { ks_options::read(&raw const options) };
            assert!(matches!(refused, Err(Failure::StructSize { .. })), "{size}");
        }
    }
}
