//! What a store is opened with.

use std::ffi::c_int;
use std::mem::offset_of;
use std::ptr;
use std::time::Duration;

use keystore_core::{BackendKind, Concurrency, Config};
use keystore_pool::PoolKind;

use crate::bytes::BytesError;
use crate::failure::{Failure, guard};

/// Which algorithm a store runs on: one of KS_BACKEND_…
pub type ks_backend = i32;
/// A lock in every bucket. Overwrites in place, gives memory back at once; a callback that
/// needs a lock which is held is refused. The default.
pub const KS_BACKEND_RWLOCK: ks_backend = 1;
/// Lock-free: readers wait for nobody.
pub const KS_BACKEND_EPOCH: ks_backend = 2;
/// A lock in every shard of a dashmap.
pub const KS_BACKEND_DASHMAP: ks_backend = 3;

/// Where the memory of entries comes from: one of KS_POOL_…
pub type ks_pool = i32;
/// Fixed size classes, preallocated, freed nodes reused. The default.
pub const KS_POOL_SLAB: ks_pool = 1;
/// Large chunks that are handed out from front to back, and reused once all of their nodes are
/// freed.
pub const KS_POOL_ARENA: ks_pool = 2;
/// The system's allocator.
pub const KS_POOL_SYSTEM: ks_pool = 3;

/// Whether threads share a store: one of KS_CONCURRENCY_…
pub type ks_concurrency = i32;
/// Any number of threads at once. The default.
pub const KS_CONCURRENCY_MULTI_THREADED: ks_concurrency = 1;
/// Only the thread that opens the store uses it; every call from another is refused with
/// KS_UNSUPPORTED. The backend rwlock takes no locks then.
pub const KS_CONCURRENCY_SINGLE_THREADED: ks_concurrency = 2;

/// ks_options.memory_limit of a store without one.
pub const KS_NO_MEMORY_LIMIT: u64 = 0;

/// ks_options.lock_timeout_ns of a store whose calls wait for a lock as long as it takes.
pub const KS_NO_LOCK_TIMEOUT: u64 = 0;

/// What a store is opened with. Fill it by ks_options_init, then change what you want
/// different.
///
/// Later versions add fields at the end: `size` tells the library which of them a program
/// knows.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ks_options {
    /// sizeof(ks_options), set by ks_options_init.
    pub size: usize,
    /// Which algorithm: KS_BACKEND_RWLOCK unless changed.
    pub backend: ks_backend,
    /// Where the memory of entries comes from: KS_POOL_SLAB unless changed.
    pub pool: ks_pool,
    /// Buckets at the start: a power of two, 1 to 2^32 (2^24 on 32-bit targets). A store grows
    /// from there with its content. 256 unless changed.
    pub initial_buckets: usize,
    /// The share of the initial buckets for which the pool reserves a node up front: 0 (none)
    /// to 1 (one node for each). 0 unless changed.
    pub preallocation: f64,
    /// The most bytes that entries may take: a call that would pass it returns KS_OUT_OF_MEMORY
    /// and changes nothing. KS_NO_MEMORY_LIMIT unless changed.
    pub memory_limit: u64,
    /// Whether threads share the store: KS_CONCURRENCY_MULTI_THREADED unless changed.
    pub concurrency: ks_concurrency,
    /// Whether calls are counted for ks_store_stats: 1 (yes) unless changed, or 0 (no). Entries
    /// are always counted.
    pub counters: i32,
    /// How long, in nanoseconds, a call waits for a lock that other threads hold: then it
    /// returns KS_LOCK_NOT_ACQUIRED and has done nothing, except that ks_for_each, ks_clear and
    /// ks_shrink have done what they did until then. A call that comes upon a table in motion
    /// may wait so long more than once. The backend epoch waits for nobody. KS_NO_LOCK_TIMEOUT
    /// unless changed.
    pub lock_timeout_ns: u64,
}

/// The sizes that [`ks_options`] had in versions before this one. A size between two of them
/// would cut a field in half, so it is none.
const EARLIER_SIZES: [usize; 1] = [offset_of!(ks_options, lock_timeout_ns)];
/// No version of [`ks_options`] is larger: a size past this one is no size.
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

/// What a store is to be.
pub(crate) struct Choice {
    pub(crate) backend: BackendKind,
    pub(crate) pool: PoolKind,
    pub(crate) config: Config,
}

impl ks_options {
    /// The options of a program that may be older or newer than this library: what it does not
    /// know keeps its default, and what this library does not know must be zero, which every
    /// later field's default will be.
    ///
    /// # Safety
    /// `options` is NULL, or as many bytes as its first field says can be read there.
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

    /// What the numbers stand for.
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

/// A time as C has it, where it fits: the longest is 584 years.
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
/// @param options the caller's, need not be initialised.
/// @param size sizeof(ks_options), so that a library that is newer than the program writes no
/// field too many.
/// @return KS_OK, or KS_INVALID_ARGUMENT if `options` is NULL or `size` is no size of
/// ks_options.
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

    /// Options as a program would have them that knows `extra` bytes more than this library.
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
        // Later fields are aligned too, so no later version has these.
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
