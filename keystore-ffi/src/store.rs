//! Opening, closing, and the operations on one key.

use std::ffi::{c_int, c_void};
use std::ptr;

use keystore_core::{Concurrency, Keystore};
use keystore_pool::AnyPool;

use crate::bytes::{BytesError, Out, Owned, OwnedOut, slice};
use crate::callback;
use crate::failure::{Failure, guard};
use crate::handle::{self, Opened, ks_store};
use crate::options::{Choice, ks_options};

/// Opens a store.
///
/// @param options the options; NULL for the defaults. The library keeps no pointer to them.
/// @param store where the handle goes; close it with ks_close. NULL goes there if the call fails.
/// @return KS_OK; KS_INVALID_CONFIG for an option outside its limits; KS_INVALID_ARGUMENT if
/// `store` is NULL or options->size is wrong; KS_OUT_OF_MEMORY; KS_UNSUPPORTED if a field of a
/// later version is not at its default.
///
/// # Safety
/// `options` is NULL or was filled by ks_options_init; `store` is NULL or can be written.
/// Any thread may call this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_open(options: *const ks_options, store: *mut *mut ks_store) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that `store` is NULL or can be written.
        let store = unsafe { Out::new("store", store) }?;
        store.write(ptr::null_mut());
        // SAFETY: the caller promises that `options` is NULL or has the size that it says.
        let Choice { backend, pool, config } = unsafe { ks_options::read(options) }?.choose()?;
        let pool = AnyPool::new(pool, &config)?;
        let opened = match config.concurrency {
            Concurrency::MultiThreaded => {
                Opened::Shared(keystore_core::open(backend, &config, pool)?)
            }
            Concurrency::SingleThreaded => {
                Opened::local(keystore_core::open_local(backend, &config, pool)?)
            }
        };
        store.write(handle::open(opened)?);
        Ok(())
    })
}

/// Closes a store and frees all its memory. From here on the handle and every copy of it are
/// invalid. Values from ks_get_owned and the like stay the caller's.
///
/// @return KS_OK; KS_NOT_INITIALISED if the handle is NULL or was closed already;
/// KS_LOCK_NOT_ACQUIRED if called inside a callback of this store, which stays open; KS_UNSUPPORTED
/// if the store is single-threaded and another thread opened it.
///
/// # Safety
/// No other thread is inside a call with this store, or starts one until ks_close returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_close(store: *mut ks_store) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that no other thread uses the store, so no thread closes it
        // during this check.
        unsafe { handle::opened(store) }?.keystore()?;
        if callback::is_inside(store) {
            return Err(Failure::CloseInCallback);
        }
        drop(handle::close(store)?);
        Ok(())
    })
}

/// Runs `operation` on the store and the key that C named.
///
/// # Safety
/// Promises that every operation requires: see [`ks_set`].
#[inline]
unsafe fn on_key<'a>(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    operation: impl FnOnce(&'a dyn Keystore, &'a [u8]) -> Result<(), Failure>,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that no thread closes the store during this call.
        let store = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        operation(store, unsafe { slice("key", key, key_len) }?)
    })
}

/// Sets the value of `key` to `value`, whether or not it had one.
///
/// Keys have 1 to 65,535 bytes, values 0 to 4 GiB - 1; a value of 0 bytes may be NULL. Both are
/// copied.
///
/// @return KS_OK; KS_INVALID_ARGUMENT for a key or value outside its limits; KS_OUT_OF_MEMORY;
/// KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call is inside a callback and would
/// have to wait for a lock; KS_NOT_INITIALISED if the store is not open; KS_UNSUPPORTED if the
/// store is single-threaded and another thread opened it. After a failure the store is as before.
///
/// # Safety
/// `key` and `value` are NULL or point to as many bytes as their lengths say. Any thread may
/// call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_set(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> c_int {
    let operation = |store: &dyn Keystore, key: &[u8]| {
        // SAFETY: the caller promises that the value is NULL or can be read.
        store.set(key, unsafe { slice("value", value, value_len) }?)?;
        Ok(())
    };
    // SAFETY: the caller's promises are the ones that `on_key` requires.
    unsafe { on_key(store, key, key_len, operation) }
}

/// Sets the value of `key` to `value` if it has none. This is one atomic step: if several threads
/// insert an absent key, one succeeds.
///
/// @return KS_OK; KS_KEY_EXISTS if the key has a value, which it keeps; and the failures of ks_set.
///
/// # Safety
/// As for ks_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_insert(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> c_int {
    let operation = |store: &dyn Keystore, key: &[u8]| {
        // SAFETY: the caller promises that the value is NULL or can be read.
        let inserted = store.insert(key, unsafe { slice("value", value, value_len) }?)?;
        if inserted { Ok(()) } else { Err(Failure::KeyExists) }
    };
    // SAFETY: the caller's promises are the ones that `on_key` requires.
    unsafe { on_key(store, key, key_len, operation) }
}

/// Copies the value of `key` into the caller's buffer.
///
/// @param buffer where the value goes. NULL with a capacity of 0 only requests the length.
/// @param capacity size of the buffer in bytes.
/// @param value_len where the value's length goes, also if the buffer is too small. 0 goes there if
/// the call fails for another reason.
/// @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if the buffer is too
/// small (then *value_len is greater than `capacity`, and the buffer is unchanged), if `value_len`
/// is NULL, or for a key outside its limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or
/// if the call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the
/// store is not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
///
/// # Safety
/// `key` is NULL or points to `key_len` bytes; `buffer` is NULL or has room for `capacity`
/// bytes and does not overlap the key; `value_len` is NULL or can be written. Any thread may
/// call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_get(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    value_len: *mut usize,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that `value_len` is NULL or can be written.
        let value_len = unsafe { Out::new("value_len", value_len) }?;
        value_len.write(0);
        if buffer.is_null() && capacity > 0 {
            return Err(BytesError::Null {
                argument: "buffer",
                expected: "as many bytes as capacity says",
            }
            .into());
        }
        // SAFETY: the caller promises that no thread closes the store during this call.
        let store = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        let mut needed = 0;
        let mut visit = |value: &[u8]| {
            needed = value.len();
            if needed <= capacity && !buffer.is_null() {
                // SAFETY: the buffer has room for `capacity` bytes, and no caller's buffer overlaps
                // the store's memory.
                unsafe { ptr::copy_nonoverlapping(value.as_ptr(), buffer.cast(), needed) };
            }
        };
        if !store.read_dyn(key, &mut visit)? {
            return Err(Failure::KeyNotFound);
        }
        value_len.write(needed);
        if needed <= capacity || buffer.is_null() {
            Ok(())
        } else {
            Err(Failure::BufferTooSmall { needed, capacity })
        }
    })
}

/// Copies the value of `key` into memory that the caller owns.
///
/// @param value where the value's address goes. The caller owns the memory and frees it with
/// ks_free. On success the address is never NULL, also for a value of 0 bytes. A NUL follows the
/// value, so that a text can be used as a string. NULL goes there if the call fails.
/// @param value_len where the value's length goes, without that NUL; 0 if the call fails.
/// @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `value` or `value_len`
/// is NULL, or for a key outside its limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or
/// if the call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the
/// store is not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
///
/// # Safety
/// `key` is NULL or points to `key_len` bytes; `value` and `value_len` are NULL or can be
/// written. Any thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_get_owned(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that both are NULL or can be written.
        let out = unsafe { OwnedOut::new("value", value, value_len) }?;
        // SAFETY: the caller promises that no thread closes the store during this call.
        let store = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        out.write(Keystore::read(&store, key, Owned::copy)?.ok_or_else(|| Failure::KeyNotFound)??);
        Ok(())
    })
}

/// Frees a value that ks_get_owned, ks_take, ks_get_many or ks_compare_exchange returned.
///
/// @param value the value, also after its store was closed; NULL does nothing.
///
/// # Safety
/// `value` came from this library and has not been freed. Any thread may call this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_free(value: *mut c_void) {
    // SAFETY: the caller passes what `Owned` got from `malloc`.
    unsafe { libc::free(value) }
}

/// Removes `key`.
///
/// @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT for a key outside its
/// limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call is inside a callback
/// and would have to wait for a lock; KS_NOT_INITIALISED if the store is not open; KS_UNSUPPORTED
/// if the store is single-threaded and another thread opened it.
///
/// # Safety
/// `key` is NULL or points to `key_len` bytes. Any thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_delete(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
) -> c_int {
    let operation = |store: &dyn Keystore, key: &[u8]| {
        if store.delete(key)? { Ok(()) } else { Err(Failure::KeyNotFound) }
    };
    // SAFETY: the caller's promises are the ones that `on_key` requires.
    unsafe { on_key(store, key, key_len, operation) }
}

/// Tells whether `key` has a value.
///
/// @param exists where the answer goes; false if the call fails.
/// @return KS_OK, whatever the answer; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `exists` is NULL or
/// for a key outside its limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call
/// is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the store is not
/// open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
///
/// # Safety
/// `key` is NULL or points to `key_len` bytes; `exists` is NULL or can be written. Any
/// thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_exists(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    exists: *mut bool,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that `exists` is NULL or can be written.
        let exists = unsafe { Out::new("exists", exists) }?;
        exists.write(false);
        // SAFETY: the caller promises that no thread closes the store during this call.
        let store = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        exists.write(store.contains(unsafe { slice("key", key, key_len) }?)?);
        Ok(())
    })
}

/// Counts the entries of the store. The number is exact if no thread writes during the call.
///
/// @param count where the number goes; 0 if the call fails.
/// @return KS_OK; KS_INVALID_ARGUMENT if `count` is NULL; KS_NOT_INITIALISED if the store is not
/// open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
///
/// # Safety
/// `count` is NULL or can be written. Any thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_count(store: *mut ks_store, count: *mut usize) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that `count` is NULL or can be written.
        let count = unsafe { Out::new("count", count) }?;
        count.write(0);
        // SAFETY: the caller promises that no thread closes the store during this call.
        count.write(unsafe { handle::opened(store) }?.keystore()?.len()?);
        Ok(())
    })
}

/// Removes every entry that is there during the whole call. O(n). The table keeps its size;
/// ks_shrink makes it smaller.
///
/// @return KS_OK; KS_OUT_OF_MEMORY; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the
/// call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the store is
/// not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
///
/// # Safety
/// Any thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_clear(store: *mut ks_store) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that no thread closes the store during this call.
        unsafe { handle::opened(store) }?.keystore()?.clear()?;
        Ok(())
    })
}

/// Makes the store large enough for `additional` more entries, so that setting them need not grow
/// it.
///
/// @return KS_OK; KS_OUT_OF_MEMORY if the store grew only as far as memory allowed; and the
/// failures of ks_clear.
///
/// # Safety
/// As for ks_clear.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_reserve(store: *mut ks_store, additional: usize) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that no thread closes the store during this call.
        unsafe { handle::opened(store) }?.keystore()?.reserve(additional)?;
        Ok(())
    })
}

/// Makes the store as small as its entries allow, but not smaller than it was when opened. O(n).
///
/// @return KS_OK; KS_OUT_OF_MEMORY if the store shrank only as far as memory allowed; and the
/// failures of ks_clear.
///
/// # Safety
/// As for ks_clear.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_shrink(store: *mut ks_store) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that no thread closes the store during this call.
        unsafe { handle::opened(store) }?.keystore()?.shrink()?;
        Ok(())
    })
}
