//! libkeystore_legacy: the interface of the C predecessor, `key_store.h` and `type_definition.h`,
//! together with the interface of `keystore.h`.
//!
//! A program that was written for the predecessor compiles against the two headers unchanged.
//! Names, types, codes and ownership are the same, and there is one store for the whole process
//! (`process`). The headers are written by hand, because programs were compiled against exactly
//! these declarations. A test compares the layout of every struct with the one here.
//!
//! This is a separate library because of its names: they would clash with a program's own
//! `get_key`. The library also has the functions of `keystore.h`, because it is built from the
//! crate that defines them; `ks_last_error_message` explains what the functions here return.
//!
//! Only the interface is the predecessor's. The store is this project's, on the pool slab and the
//! backend rwlock, which is the backend most like the predecessor's buckets with a lock each.

#![allow(non_camel_case_types, reason = "the types are named as in the C headers")]
#![allow(
    clippy::unnecessary_lazy_evaluations,
    reason = "a failure that is made ahead of time is dropped again on every call that succeeds: 15 ns each"
)]

mod process;
mod statistics;

use std::ffi::{CStr, c_char, c_int, c_uchar, c_uint, c_void};
use std::ptr;

use keystore_core::{Concurrency, Config, Error, Keystore, MAX_KEY_LEN};
use keystore_ffi::KS_INVALID_ARGUMENT;
use keystore_ffi::border::{BytesError, Failure, Out, Owned, guard, slice};

use self::process::{Operation, Process};
pub use self::statistics::{
    bucket_operation_counter_stats, data_node_operation_counters, key_collision_stats,
    key_entry_stats, keystore_stats, memory_pool_stats, metadata_stats,
};

/// A value. The caller owns the one that it passes to [`set_key`], and frees the one that
/// [`get_key`] fills in.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct key_store_value {
    /// The first byte.
    pub data: *mut c_uchar,
    /// Number of bytes.
    pub data_size: usize,
}

/// Returns the bytes of a key that C passes as a string.
///
/// # Safety
/// `key` is NULL or points to a string, which no thread changes while the returned slice is in use.
#[inline]
unsafe fn key_of<'a>(key: *const c_char) -> Result<&'a [u8], Failure> {
    if key.is_null() {
        return Err(BytesError::Null { argument: "key", expected: "a string" }.into());
    }
    // SAFETY: the caller promises a string.
    let key = unsafe { CStr::from_ptr(key) }.to_bytes();
    if key.is_empty() || key.len() > MAX_KEY_LEN {
        return Err(Error::KeyLength { length: key.len(), max: MAX_KEY_LEN }.into());
    }
    Ok(key)
}

/// Returns the bytes of a value to be set.
///
/// # Safety
/// `value` is NULL or points to a value whose data is NULL or has as many bytes as it says. No
/// thread changes the value or its data while the returned slice is in use.
#[inline]
unsafe fn value_of<'a>(value: *const key_store_value) -> Result<&'a [u8], Failure> {
    // SAFETY: the caller promises that a value can be read if the address is not NULL.
    let Some(&key_store_value { data, data_size }) = (unsafe { value.as_ref() }) else {
        return Err(BytesError::Null { argument: "value", expected: "a key_store_value" }.into());
    };
    if data.is_null() {
        return Err(BytesError::Null { argument: "value->data", expected: "its bytes" }.into());
    }
    if data_size == 0 {
        return Err(Failure::Fixed {
            status: KS_INVALID_ARGUMENT,
            text: "value->data_size is 0: a value has at least 1 byte",
        });
    }
    // SAFETY: the caller promises as many bytes as the value says.
    Ok(unsafe { slice("value->data", data.cast::<c_void>(), data_size) }?)
}

impl Process {
    /// Returns the arguments of a call, and counts the call if they are refused.
    #[inline]
    fn arguments<T, E: Into<Failure>>(
        &self,
        operation: Operation,
        arguments: Result<T, E>,
    ) -> Result<T, Failure> {
        if arguments.is_err() {
            self.refused.argument(operation);
        }
        arguments.map_err(Into::into)
    }
}

/// Creates the store of the process, unless there is one: see `key_store.h`.
///
/// Returns -21 unless `bucket_size` is a power of two and `pre_memory_allocation_factor` is over 0
/// and at most 1.
#[unsafe(no_mangle)]
pub extern "C" fn initialise_key_store(
    bucket_size: c_uint,
    pre_memory_allocation_factor: f64,
    is_concurrency_enabled: bool,
) -> c_int {
    let config = || {
        let buckets = usize::try_from(bucket_size).unwrap_or(usize::MAX);
        if !buckets.is_power_of_two() {
            return Err(Error::invalid_config("bucket_size", bucket_size, "a power of two").into());
        }
        if !(pre_memory_allocation_factor > 0.0 && pre_memory_allocation_factor <= 1.0) {
            let (field, limit) = ("pre_memory_allocation_factor", "over 0 and at most 1");
            return Err(Error::invalid_config(field, pre_memory_allocation_factor, limit).into());
        }
        Ok(Config {
            initial_buckets: buckets,
            preallocation: pre_memory_allocation_factor,
            concurrency: if is_concurrency_enabled {
                Concurrency::MultiThreaded
            } else {
                Concurrency::SingleThreaded
            },
            ..Config::default()
        })
    };
    guard(|| process::initialise(config))
}

/// Removes the store of the process and frees its memory. Returns -40 if there is none. See
/// `key_store.h`.
#[unsafe(no_mangle)]
pub extern "C" fn cleanup_key_store() -> c_int {
    guard(process::clean_up)
}

/// Sets the value of the key: see `key_store.h`.
///
/// # Safety
/// `key` is NULL or points to a string; `value` is NULL or points to a value whose data is NULL or
/// has as many bytes as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn set_key(key: *const c_char, value: *mut key_store_value) -> c_int {
    guard(|| {
        process::with(|process| {
            // SAFETY: the caller promises a string or NULL.
            let key = process.arguments(Operation::Add, unsafe { key_of(key) })?;
            // SAFETY: the caller promises a value or NULL.
            let value = process.arguments(Operation::Add, unsafe { value_of(value) })?;
            process.store(|store| store.set(key, value))?;
            Ok(())
        })
    })
}

/// Copies the value of the key into memory from `malloc`, which the caller frees: see
/// `key_store.h`.
///
/// # Safety
/// `key` is NULL or points to a string; `value_out` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_key(key: *const c_char, value_out: *mut key_store_value) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that `value_out` is NULL or can be written.
        let out = unsafe { Out::new("value_out", value_out) };
        if let Ok(out) = out {
            out.write(key_store_value { data: ptr::null_mut(), data_size: 0 });
        }
        process::with(|process| {
            let out = process.arguments(Operation::Find, out)?;
            // SAFETY: the caller promises a string or NULL.
            let key = process.arguments(Operation::Find, unsafe { key_of(key) })?;
            let found = process.store(|store| Keystore::read(&store, key, Owned::copy))?;
            let copy = found
                .ok_or_else(|| Failure::KeyNotFound)?
                .inspect_err(|_| process.refused.copy())?;
            let (data, data_size) = copy.into_raw();
            out.write(key_store_value { data: data.cast(), data_size });
            Ok(())
        })
    })
}

/// Removes the key: see `key_store.h`.
///
/// # Safety
/// `key` is NULL or points to a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn delete_key(key: *const c_char) -> c_int {
    guard(|| {
        process::with(|process| {
            // SAFETY: the caller promises a string or NULL.
            let key = process.arguments(Operation::Delete, unsafe { key_of(key) })?;
            let deleted = process.store(|store| store.delete(key))?;
            if deleted { Ok(()) } else { Err(Failure::KeyNotFound) }
        })
    })
}

/// Returns the statistics of the store; all zeros if there is none. See `key_store.h`.
#[unsafe(no_mangle)]
pub extern "C" fn get_keystore_stats() -> keystore_stats {
    let mut picture = keystore_stats::default();
    guard(|| {
        picture = process::with(Process::statistics)?;
        Ok(())
    });
    picture
}
