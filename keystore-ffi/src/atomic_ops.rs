//! Operations that read and write a key in one atomic step: no other write to the key comes
//! between.

use std::ffi::{c_int, c_void};
use std::ptr;

use keystore_core::{Error, Exchange, MAX_VALUE_LEN, Update};

use crate::bytes::{BytesError, Out, Owned, OwnedOut, ks_bytes, optional_slice, slice};
use crate::callback::{calling_back, function};
use crate::failure::{Failure, guard};
use crate::handle::{self, ks_store};

/// Answer of a ks_update_fn: leaves the key as it is.
pub const KS_UPDATE_KEEP: c_int = 0;
/// Answer of a ks_update_fn: gives the key the new value.
pub const KS_UPDATE_SET: c_int = 1;
/// Answer of a ks_update_fn: removes the key.
pub const KS_UPDATE_DELETE: c_int = 2;

/// The callback of ks_update, which decides what happens to a key. It returns one of KS_UPDATE_…
///
/// `old_value` is NULL if the key has no value. Otherwise it points to `old_len` bytes that belong
/// to the store; read them before the callback returns. With KS_UPDATE_SET, the callback writes the
/// new value's address and length to `new_value`. Those bytes stay the caller's. ks_update copies
/// them before it returns, so they must not change until then. If another thread changes the key in
/// the meantime, the callback is called again with the newer value, and only the last answer
/// counts. Otherwise the rules of ks_read_fn apply.
pub type ks_update_fn = Option<
    unsafe extern "C-unwind" fn(
        context: *mut c_void,
        old_value: *const c_void,
        old_len: usize,
        new_value: *mut ks_bytes,
    ) -> c_int,
>;

/// Removes `key`, and copies the value that it had into memory that the caller owns. This is one
/// atomic step: if several threads take one value, only one of them gets it. ks_store_stats counts
/// it among the adds, like every operation that reads and writes in one step.
///
/// @param value where the value's address goes. The caller owns the memory and frees it with
/// ks_free, as with ks_get_owned.
/// @param value_len where the value's length goes.
/// @return as ks_get_owned. If there is no memory for the copy, the key stays in the store.
///
/// # Safety
/// As for ks_get_owned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_take(
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
        // Copied before the key is removed, so that a value that cannot be copied is not lost.
        let mut taken = Err(Failure::KeyNotFound);
        store.update_dyn(key, &mut |old| {
            taken = match old {
                Some(old) => Owned::copy(old).map_err(Failure::from),
                None => Err(Failure::KeyNotFound),
            };
            if taken.is_ok() { Update::Delete } else { Update::Keep }
        })?;
        out.write(taken?);
        Ok(())
    })
}

/// Changes `key` from the value `expected` to the value `new_value`, as one atomic step, if its
/// value is `expected` now.
///
/// NULL with a length of 0 stands for "no value", as `expected` and as `new_value`. So a call can
/// create a key only if it is absent, or remove it only if it has a certain value. An address that
/// is not NULL, with a length of 0, stands for the value of 0 bytes.
///
/// @param exchanged where the answer goes: true if the key had the expected value and was changed;
/// false otherwise, and if the call fails.
/// @param actual where the address goes of a copy of the value that the key had instead. The caller
/// frees the copy with ks_free. NULL goes there if the key had no value, and if it was exchanged.
/// May be NULL together with actual_len; then there is no copy.
/// @param actual_len where that value's length goes.
/// @return KS_OK, exchanged or not; KS_INVALID_ARGUMENT if `exchanged` is NULL; otherwise the
/// failures of ks_set.
///
/// # Safety
/// `key`, `expected` and `new_value` are NULL or point to as many bytes as their lengths say;
/// `exchanged`, `actual` and `actual_len` are NULL or can be written. Any thread may call this
/// while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_compare_exchange(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    expected: *const c_void,
    expected_len: usize,
    new_value: *const c_void,
    new_len: usize,
    exchanged: *mut bool,
    actual: *mut *mut c_void,
    actual_len: *mut usize,
) -> c_int {
    guard(|| {
        // SAFETY: the caller promises that `exchanged` is NULL or can be written.
        let exchanged = unsafe { Out::new("exchanged", exchanged) }?;
        exchanged.write(false);
        let actual = if actual.is_null() && actual_len.is_null() {
            None
        } else {
            // SAFETY: the caller promises that both are NULL or can be written.
            Some(unsafe { OwnedOut::new("actual", actual, actual_len) }?)
        };
        // SAFETY: the caller promises that no thread closes the store during this call.
        let store = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        // SAFETY: the caller promises that the value is NULL or can be read.
        let expected = unsafe { optional_slice("expected", expected, expected_len) }?;
        // SAFETY: the caller promises that the value is NULL or can be read.
        let new = unsafe { optional_slice("new_value", new_value, new_len) }?;
        match (store.compare_exchange(key, expected, new)?, actual) {
            (Exchange::Exchanged, _) => exchanged.write(true),
            (Exchange::Differs(Some(value)), Some(actual)) => actual.write(Owned::copy(&value)?),
            (Exchange::Differs(_), _) => {}
        }
        Ok(())
    })
}

/// Shows the value of `key` to a callback, and keeps, sets or removes the key as the callback
/// answers, as one atomic step.
///
/// @param decide is called on this thread before ks_update returns. It is called again if another
/// thread changes the key in the meantime.
/// @param context is passed to `decide` unchanged; may be NULL.
/// @return KS_OK; KS_INVALID_ARGUMENT if `decide` is NULL, if its answer is none of KS_UPDATE_…, if
/// its new value is NULL with a length, or for a key or value outside its limits; and the other
/// failures of ks_set. After a failure the store is as before.
///
/// # Safety
/// `key` is NULL or points to `key_len` bytes; `decide` keeps the rules of ks_update_fn. Any
/// thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_update(
    store: *mut ks_store,
    key: *const c_void,
    key_len: usize,
    decide: ks_update_fn,
    context: *mut c_void,
) -> c_int {
    guard(|| {
        let decide = function("decide", decide)?;
        // SAFETY: the caller promises that no thread closes the store during this call.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises that the key is NULL or can be read.
        let key = unsafe { slice("key", key, key_len) }?;
        let ask = |old: Option<&[u8]>| -> Result<Update, Failure> {
            let (data, len) = old.map_or((ptr::null(), 0), |old| (old.as_ptr().cast(), old.len()));
            let mut new = ks_bytes { data: ptr::null(), len: 0 };
            // SAFETY: the caller promises a function of this type; the old value is readable
            // until it returns.
            match unsafe { decide(context, data, len, &raw mut new) } {
                KS_UPDATE_KEEP => Ok(Update::Keep),
                KS_UPDATE_DELETE => Ok(Update::Delete),
                KS_UPDATE_SET => {
                    // SAFETY: the callback promises that its bytes can be read.
                    let new = unsafe { slice("new_value", new.data, new.len) }?;
                    // Checked before the copy: a length that is too large may be wrong, with no
                    // such bytes there.
                    if new.len() > MAX_VALUE_LEN {
                        return Err(
                            Error::ValueLength { length: new.len(), max: MAX_VALUE_LEN }.into()
                        );
                    }
                    let mut copy = Vec::new();
                    copy.try_reserve_exact(new.len())
                        .map_err(|_| BytesError::OutOfMemory { requested: new.len() })?;
                    copy.extend_from_slice(new);
                    Ok(Update::set(copy))
                }
                answer => Err(Failure::UpdateAnswer { answer }),
            }
        };
        // Only the last answer counts, so only its failure does.
        let mut answered = Ok(());
        let mut decide = |old: Option<&[u8]>| match ask(old) {
            Ok(update) => {
                answered = Ok(());
                update
            }
            Err(failure) => {
                answered = Err(failure);
                Update::Keep
            }
        };
        calling_back(store, || opened.update_dyn(key, &mut decide))?;
        answered
    })
}
