//! Boxes and vectors that report a lack of memory.
//!
//! `Box::new` and `Vec::push` end the process if there is no memory. The functions of this module
//! return [`Error::OutOfMemory`] instead, and leave everything as it was. They are public so that
//! the pools can use them too. They are no part of the documented interface.

use crate::error::{Error, Result};

/// Puts a value in a box.
///
/// # Errors
/// Returns -10 if there is no memory for it. The value is dropped.
pub fn try_box<T>(value: T) -> Result<Box<T>> {
    let mut one = try_vec(1)?;
    one.push(value);
    // SAFETY: a boxed slice of one element is a box of that element: the same address, size and
    // alignment.
    Ok(unsafe { Box::from_raw(Box::into_raw(one.into_boxed_slice()).cast()) })
}

/// Returns an empty vector with memory for exactly `capacity` elements.
///
/// # Errors
/// Returns -10 if there is no memory for them.
#[inline]
pub fn try_vec<T>(capacity: usize) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    match vector.try_reserve_exact(capacity) {
        Ok(()) => Ok(vector),
        Err(_) => Err(out_of_memory::<T>(capacity)),
    }
}

/// Returns a boxed slice of `length` elements, which `element` makes from their indices.
///
/// # Errors
/// Returns -10 if there is no memory for them.
pub fn try_boxed_slice<T>(length: usize, element: impl FnMut(usize) -> T) -> Result<Box<[T]>> {
    let mut elements = try_vec(length)?;
    elements.extend((0..length).map(element));
    Ok(elements.into_boxed_slice())
}

/// Makes sure that `additional` more elements can be pushed without an allocation.
///
/// # Errors
/// Returns -10 if there is no memory for them. The vector is unchanged.
#[inline]
pub fn try_reserve<T>(vector: &mut Vec<T>, additional: usize) -> Result<()> {
    vector.try_reserve(additional).map_err(|_| out_of_memory::<T>(additional))
}

/// Appends a value to a vector.
///
/// # Errors
/// Returns -10 if the vector is full and there is no memory for more. The vector is unchanged, and
/// the value is dropped.
#[inline]
pub fn try_push<T>(vector: &mut Vec<T>, value: T) -> Result<()> {
    try_reserve(vector, 1)?;
    vector.push(value);
    Ok(())
}

#[cold]
fn out_of_memory<T>(count: usize) -> Error {
    Error::OutOfMemory { requested: count.saturating_mul(size_of::<T>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_in_their_order() {
        assert_eq!(*try_box([1, 2, 3]).unwrap(), [1, 2, 3]);
        assert_eq!(*try_boxed_slice(3, |index| index * 2).unwrap(), [0, 2, 4]);
        let mut vector = try_vec(2).unwrap();
        (0..5).for_each(|value| try_push(&mut vector, value).unwrap());
        assert_eq!(vector, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_box_of_nothing_takes_no_memory() {
        let nothing = try_box(()).unwrap();
        assert_eq!(*nothing, ());
        assert_eq!(try_boxed_slice(4, |_| ()).unwrap().len(), 4);
    }

    #[test]
    fn more_than_memory_has_is_an_error_with_its_bytes() {
        const HALF: usize = usize::MAX / 2;
        let expected = |requested| Error::OutOfMemory { requested };
        assert_eq!(try_vec::<u8>(HALF + 1).unwrap_err(), expected(HALF + 1));
        assert_eq!(try_vec::<u64>(HALF).unwrap_err(), expected(usize::MAX));
        assert_eq!(try_boxed_slice(HALF, |_| 0_u64).unwrap_err(), expected(usize::MAX));
        let mut vector = vec![7_u64];
        assert_eq!(try_reserve(&mut vector, HALF).unwrap_err(), expected(usize::MAX));
        assert_eq!(vector, [7]);
    }
}
