//! Operations that show values in place to a callback.
//!
//! While a callback runs, its thread is using the store, so the callback must not close the store.
//! The calls with callbacks that are running on a thread form a linked list on its stack, innermost
//! first.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ops::ControlFlow;
use std::ptr;

use keystore_core::ScanCursor;

use crate::bytes::{BytesError, slice};
use crate::failure::{Failure, guard};
use crate::handle::{self, ks_store};

/// A call that may run callbacks, while it is running on this thread.
struct Call {
    store: *mut ks_store,
    outer: *const Call,
}

thread_local! {
    static INNERMOST: Cell<*const Call> = const { Cell::new(ptr::null()) };
}

/// Runs `call`, which may run callbacks of `store`, with `store` on the list.
pub(crate) fn calling_back<R>(store: *mut ks_store, call: impl FnOnce() -> R) -> R {
    /// Takes the innermost call off the list, also if a panic unwinds.
    struct Leave(*const Call);
    impl Drop for Leave {
        fn drop(&mut self) {
            INNERMOST.set(self.0);
        }
    }

    let this = Call { store, outer: INNERMOST.get() };
    let _leave = Leave(this.outer);
    INNERMOST.set(&raw const this);
    call()
}

/// Returns whether this thread is inside a callback of `store`.
pub(crate) fn is_inside(store: *mut ks_store) -> bool {
    let mut next = INNERMOST.get();
    // SAFETY: the calls on the list are on this thread's stack, and each leaves the list before
    // its frame ends.
    while let Some(call) = unsafe { next.as_ref() } {
        if call.store == store {
            return true;
        }
        next = call.outer;
    }
    false
}

/// The callback of ks_read, which is shown a value.
///
/// `value` points to `value_len` bytes that belong to the store: read them, and keep no pointer
/// into them after the callback returns. The callback may call any function of the store except
/// ks_close. A call that would have to wait for a held lock returns KS_LOCK_NOT_ACQUIRED. The
/// callback must return: an exception that leaves it ends the process, and a longjmp out of it is
/// undefined behaviour.
pub type ks_read_fn = Option<
    unsafe extern "C-unwind" fn(context: *mut c_void, value: *const c_void, value_len: usize),
>;

/// The callback of ks_for_each, which is shown each entry. It returns 0 to go on to the next entry,
/// or another number to stop.
///
/// The rules of ks_read_fn apply to the key and to the value.
pub type ks_for_each_fn = Option<
    unsafe extern "C-unwind" fn(
        context: *mut c_void,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> c_int,
>;

/// Returns the callback, or the failure if it is NULL.
pub(crate) fn function<F>(argument: &'static str, callback: Option<F>) -> Result<F, Failure> {
    callback.ok_or_else(|| BytesError::Null { argument, expected: "a function" }.into())
}

/// Shows the value of `key` to a callback in place, without a copy. If the key has no value, the
/// callback is not called.
///
/// @param visit is called at most once, before ks_read returns, on this thread.
/// @param context is passed to `visit` unchanged; may be NULL.
/// @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `visit` is NULL or for
/// a key outside its limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call is
/// inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the store is not
/// open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
///
/// # Safety
/// `key` is NULL or points to `key_len` bytes; `visit` keeps the rules of ks_read_fn. Any
/// thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_read(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    visit: ks_read_fn,
    context: *mut c_void,
) -> c_int {
    guard(|| {
        let visit = function("visit", visit)?;
        // SAFETY: the caller promises that no thread closes the store during this call.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        // SAFETY: the caller promises a function of this type, and the value is readable until
        // it returns.
        let mut show = |value: &[u8]| unsafe { visit(context, value.as_ptr().cast(), value.len()) };
        let found = calling_back(store, || opened.read_dyn(key, &mut show))?;
        if found { Ok(()) } else { Err(Failure::KeyNotFound) }
    })
}

/// Shows entries to a callback, in no particular order, until all are shown or the callback stops.
/// Each entry that is there during the whole call is shown, and none twice, also while other
/// threads write. O(n).
///
/// @param visit is called on this thread, before ks_for_each returns. It returns 0 to go on,
/// another number to stop.
/// @param context is passed to `visit` unchanged; may be NULL.
/// @return KS_OK, stopped or not; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `visit` is NULL;
/// KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call is inside a callback and would
/// have to wait for a lock; KS_NOT_INITIALISED if the store is not open; KS_UNSUPPORTED if the
/// store is single-threaded and another thread opened it.
///
/// # Safety
/// `visit` keeps the rules of ks_read_fn. Any thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_for_each(
    store: *mut ks_store,
    visit: ks_for_each_fn,
    context: *mut c_void,
) -> c_int {
    guard(|| {
        let visit = function("visit", visit)?;
        // SAFETY: the caller promises that no thread closes the store during this call.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        let mut show = |key: &[u8], value: &[u8]| {
            let (key, key_len) = (key.as_ptr().cast(), key.len());
            // SAFETY: the caller promises a function of this type; key and value are readable
            // until it returns.
            let answer =
                unsafe { visit(context, key, key_len, value.as_ptr().cast(), value.len()) };
            if answer == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        calling_back(store, || opened.for_each_dyn(&mut show))?;
        Ok(())
    })
}

/// The callback of ks_scan, which is shown each entry.
///
/// The rules of ks_read_fn apply to the key and to the value.
pub type ks_scan_fn = Option<
    unsafe extern "C-unwind" fn(
        context: *mut c_void,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ),
>;

/// Shows about `limit` entries to a callback, and moves the cursor past them. The calls of one scan
/// together show each entry that is there during the whole scan, and none twice, whatever happens
/// to the store between them.
///
/// A scan starts with a cursor of 0, and is over as soon as the cursor is 0 again. The cursor is a
/// number: it holds no memory and no lock, so it can be kept, sent, or thrown away. Other values
/// than 0 belong to one open store. A call shows a few entries more than `limit` if they are
/// in one bucket. Expected O(limit); on the backend dashmap each call also looks at all entries of
/// one shard.
///
/// @param cursor the position; it is unchanged if the call fails.
/// @param limit number of entries, at least 1.
/// @param visit is called on this thread, before ks_scan returns.
/// @param context is passed to `visit` unchanged; may be NULL.
/// @return KS_OK; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `cursor` or `visit` is NULL, if `limit`
/// is 0, or if the cursor is of another store; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or
/// if the call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the
/// store is not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
/// After a failure no entry of this call was shown.
///
/// # Safety
/// `cursor` is NULL, or can be read and written; `visit` keeps the rules of ks_read_fn. Any thread
/// may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_scan(
    store: *mut ks_store,
    cursor: *mut u64,
    limit: usize,
    visit: ks_scan_fn,
    context: *mut c_void,
) -> c_int {
    guard(|| {
        let visit = function("visit", visit)?;
        if cursor.is_null() {
            return Err(BytesError::Null { argument: "cursor", expected: "a position" }.into());
        }
        // SAFETY: the caller promises that no thread closes the store during this call.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises a function of this type, and the entry is readable until
        // it returns.
        let mut show = |key: &[u8], value: &[u8]| unsafe {
            visit(context, key.as_ptr().cast(), key.len(), value.as_ptr().cast(), value.len());
        };
        // SAFETY: the caller promises that the cursor can be read.
        let position = ScanCursor::from_bits(unsafe { cursor.read() });
        let next = calling_back(store, || opened.scan_dyn(position, limit, &mut show))?;
        // SAFETY: the caller promises that the cursor can be written.
        unsafe { cursor.write(next.map_or(0, ScanCursor::to_bits)) };
        Ok(())
    })
}
