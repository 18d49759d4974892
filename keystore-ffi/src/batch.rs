//! Operations on many keys at once. A batch is one operation for each key, in order. It is not a
//! transaction. It is faster than single calls, because the waits for memory of several keys
//! overlap.
//!
//! Arrays from C are turned into slices one group at a time, in an array on the stack. So a batch
//! of any length allocates nothing here. Since a batch is one operation for each key, no caller can
//! tell that it was cut into groups.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use keystore_core::BatchError;

use crate::bytes::{BytesError, Out, Owned, array, ks_bytes, out_array, slice};
use crate::callback::{calling_back, function};
use crate::failure::{Failure, guard};
use crate::handle::{self, ks_store};

/// Number of keys that are passed to the store together. The store prefetches this many together,
/// so a larger group would only use more stack.
const GROUP: usize = 32;

/// A value that the caller owns. Free `data` of each with ks_free.
#[repr(C)]
pub struct ks_value {
    /// The value, followed by a NUL; NULL if the key has none.
    pub data: *mut c_void,
    /// Its length in bytes, without that NUL.
    pub len: usize,
}

/// The callback of ks_read_many, which is shown each value. `index` is the key's position, from 0.
/// `value` is NULL if the key has no value. Otherwise the rules of ks_read_fn apply.
pub type ks_read_many_fn = Option<
    unsafe extern "C-unwind" fn(
        context: *mut c_void,
        index: usize,
        value: *const c_void,
        value_len: usize,
    ),
>;

/// Turns the items into `T`s with `turn`, one group at a time, and calls `run` with each group and
/// the position of its first item. An item that cannot be turned ends the batch, after `run` got
/// the items before it.
fn in_groups<I, T: Copy>(
    items: &[I],
    empty: T,
    turn: impl Fn(usize, &I) -> Result<T, BytesError>,
    mut run: impl FnMut(usize, &[T]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut group = [empty; GROUP];
    for (start, items) in (0..).step_by(GROUP).zip(items.chunks(GROUP)) {
        let mut refused = None;
        let mut turned = 0;
        for (place, item) in group.iter_mut().zip(items) {
            match turn(start + turned, item) {
                Ok(item) => *place = item,
                Err(error) => {
                    refused = Some(Failure::Entry { index: start + turned, error });
                    break;
                }
            }
            turned += 1;
        }
        run(start, &group[..turned])?;
        if let Some(failure) = refused {
            return Err(failure);
        }
    }
    Ok(())
}

/// Adds the position of a group's first entry to the position in a failure of that group.
fn at(start: usize) -> impl Fn(BatchError) -> Failure {
    move |batch| BatchError { index: start + batch.index, error: batch.error }.into()
}

/// [`slice`] for a key of a batch.
///
/// # Safety
/// As for [`slice`].
unsafe fn key_of<'a>(key: &ks_bytes) -> Result<&'a [u8], BytesError> {
    // SAFETY: the caller promises what `slice` requires.
    unsafe { slice("key", key.data, key.len) }
}

/// Shows the value of each key to a callback in place, in order.
///
/// @param keys `count` keys.
/// @param visit is called once for each key, before ks_read_many returns, on this thread.
/// @param context is passed to `visit` unchanged; may be NULL.
/// @return KS_OK, whether keys have values or not; otherwise a failure of ks_read. The last message
/// then names the position of the key; `visit` was called only for the keys before it.
///
/// # Safety
/// `keys` is NULL or points to `count` keys, each of which is NULL or points to its bytes;
/// `visit` keeps the rules of ks_read_many_fn. Any thread may call this while the store
/// is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_read_many(
    store: *mut ks_store,
    keys: *const ks_bytes,
    count: usize,
    visit: ks_read_many_fn,
    context: *mut c_void,
) -> c_int {
    guard(|| {
        let visit = function("visit", visit)?;
        // SAFETY: the caller promises that no thread closes the store during this call.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises `count` keys.
        let keys = unsafe { array("keys", keys, count) }?;
        in_groups(
            keys,
            &[][..],
            // SAFETY: the caller promises that each key is NULL or can be read.
            |_, key| unsafe { key_of(key) },
            |start, keys| {
                let mut show = |index: usize, value: Option<&[u8]>| {
                    let (data, len) =
                        value.map_or((ptr::null(), 0), |v| (v.as_ptr().cast(), v.len()));
                    // SAFETY: the caller promises a function of this type; the value is
                    // readable until it returns.
                    unsafe { visit(context, start + index, data, len) }
                };
                calling_back(store, || opened.read_many_dyn(keys, &mut show)).map_err(at(start))
            },
        )
    })
}

/// Copies the value of each key into memory that the caller owns, in order.
///
/// @param keys `count` keys.
/// @param values room for `count` values. The caller frees each with ks_free. NULL and 0 go there
/// if a key has no value, and everywhere if the call fails.
/// @return KS_OK, whether keys have values or not; otherwise a failure of ks_get_owned. The last
/// message then names the position of the key, and there is nothing to free.
///
/// # Safety
/// `keys` is NULL or points to `count` keys, each of which is NULL or points to its bytes;
/// `values` is NULL or has room for `count` values, and does not overlap the keys. Any thread
/// may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_get_many(
    store: *mut ks_store,
    keys: *const ks_bytes,
    count: usize,
    values: *mut ks_value,
) -> c_int {
    /// Frees the values that were copied, unless the batch succeeds.
    struct Values {
        first: NonNull<ks_value>,
        copied: usize,
    }
    impl Drop for Values {
        fn drop(&mut self) {
            for index in 0..self.copied {
                // SAFETY: the batch wrote this many places, each NULL or memory from `malloc`.
                unsafe {
                    let value = self.first.add(index);
                    libc::free(value.as_ref().data);
                    value.write(ks_value { data: ptr::null_mut(), len: 0 });
                }
            }
        }
    }

    guard(|| {
        let values = out_array("values", values, count)?;
        for index in 0..count {
            // SAFETY: the caller promises room for `count` values.
            unsafe { values.add(index).write(ks_value { data: ptr::null_mut(), len: 0 }) };
        }
        // SAFETY: the caller promises that no thread closes the store during this call.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises `count` keys.
        let keys = unsafe { array("keys", keys, count) }?;
        let mut copied = Values { first: values, copied: 0 };
        in_groups(
            keys,
            &[][..],
            // SAFETY: the caller promises that each key is NULL or can be read.
            |_, key| unsafe { key_of(key) },
            |start, keys| {
                let mut failed = None;
                let mut copy = |index: usize, value: Option<&[u8]>| {
                    if failed.is_some() {
                        return;
                    }
                    let (data, len) = match value.map(Owned::copy).transpose() {
                        Ok(value) => value.map_or((ptr::null_mut(), 0), Owned::into_raw),
                        Err(error) => {
                            failed = Some(Failure::Entry { index: start + index, error });
                            return;
                        }
                    };
                    // SAFETY: the caller promises room for `count` values, and the position is
                    // less.
                    unsafe { values.add(start + index).write(ks_value { data, len }) };
                    copied.copied = start + index + 1;
                };
                opened.read_many_dyn(keys, &mut copy).map_err(at(start))?;
                failed.map_or(Ok(()), Err)
            },
        )?;
        copied.copied = 0;
        Ok(())
    })
}

/// Does what ks_set does for each entry, in order: the key at each position gets the value at the
/// same position.
///
/// @param keys `count` keys.
/// @param values `count` values.
/// @param created where the number of keys goes that had no value before; may be NULL. If the call
/// fails, the number may be too small.
/// @return KS_OK; otherwise a failure of ks_set. The last message then names the position of the
/// entry. The entries before it are set; this entry and those after it are not.
///
/// # Safety
/// `keys` and `values` are NULL or point to `count` byte strings, each of which is NULL or
/// points to its bytes; `created` is NULL or can be written. Any thread may call this
/// while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_set_many(
    store: *mut ks_store,
    keys: *const ks_bytes,
    values: *const ks_bytes,
    count: usize,
    created: *mut usize,
) -> c_int {
    // SAFETY: the caller promises that `created` is NULL or can be written.
    let total = unsafe { Total::new(created) };
    guard(|| {
        // SAFETY: the caller promises that no thread closes the store during this call.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises `count` keys.
        let keys = unsafe { array("keys", keys, count) }?;
        // SAFETY: the caller promises `count` values.
        let values = unsafe { array("values", values, count) }?;
        let mut total = total;
        in_groups(
            keys,
            (&[][..], &[][..]),
            |index, key| {
                let value = &values[index];
                // SAFETY: the caller promises that each key and each value is NULL or can be
                // read.
                unsafe { Ok((key_of(key)?, slice("value", value.data, value.len)?)) }
            },
            |start, entries| {
                total.add(opened.set_many(entries).map_err(at(start))?);
                Ok(())
            },
        )
    })
}

/// Does what ks_delete does for each key, in order.
///
/// @param keys `count` keys.
/// @param deleted where the number of keys goes that had a value; may be NULL. If the call fails,
/// the number may be too small.
/// @return KS_OK, whether keys had values or not; otherwise a failure of ks_delete. The last
/// message then names the position of the key. The keys before it are removed; this key and those
/// after it are not.
///
/// # Safety
/// `keys` is NULL or points to `count` keys, each of which is NULL or points to its bytes;
/// `deleted` is NULL or can be written. Any thread may call this while the store is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_delete_many(
    store: *mut ks_store,
    keys: *const ks_bytes,
    count: usize,
    deleted: *mut usize,
) -> c_int {
    // SAFETY: the caller promises that `deleted` is NULL or can be written.
    let total = unsafe { Total::new(deleted) };
    guard(|| {
        // SAFETY: the caller promises that no thread closes the store during this call.
        let opened = unsafe { handle::opened(store) }?.keystore()?;
        // SAFETY: the caller promises `count` keys.
        let keys = unsafe { array("keys", keys, count) }?;
        let mut total = total;
        in_groups(
            keys,
            &[][..],
            // SAFETY: the caller promises that each key is NULL or can be read.
            |_, key| unsafe { key_of(key) },
            |start, keys| {
                total.add(opened.delete_many(keys).map_err(at(start))?);
                Ok(())
            },
        )
    })
}

/// A running total, written to the caller's place after every step unless that is NULL.
struct Total {
    sum: usize,
    out: Option<Out<usize>>,
}

impl Total {
    /// # Safety
    /// `out` is NULL or as [`Out::new`] requires.
    unsafe fn new(out: *mut usize) -> Self {
        // SAFETY: the caller promises it; NULL means that the caller does not want the number.
        let mut total = Self { sum: 0, out: unsafe { Out::new("total", out) }.ok() };
        total.add(0);
        total
    }

    fn add(&mut self, more: usize) {
        self.sum += more;
        if let Some(out) = self.out {
            out.write(self.sum);
        }
    }
}
