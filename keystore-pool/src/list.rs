//! An intrusive doubly linked list, whose links lie in the elements. Adding and removing an element
//! takes constant time and allocates nothing.

use std::ptr::{NonNull, null_mut};

/// The neighbours of an element in its list.
#[derive(Debug)]
pub(crate) struct Links<T> {
    previous: *mut T,
    next: *mut T,
}

impl<T> Links<T> {
    /// The links of an element that is in no list.
    pub(crate) const UNLINKED: Self = Self { previous: null_mut(), next: null_mut() };
}

/// An element that can be in a list.
///
/// # Safety
/// `links` returns the address of a field of the element, the same one in every call.
pub(crate) unsafe trait Linked: Sized {
    /// Returns the address of the element's links.
    ///
    /// # Safety
    /// `element` points to an initialised element.
    unsafe fn links(element: NonNull<Self>) -> NonNull<Links<Self>>;
}

/// A list. It does not own its elements.
#[derive(Debug)]
pub(crate) struct List<T> {
    first: *mut T,
}

impl<T: Linked> List<T> {
    /// A list without elements.
    pub(crate) const EMPTY: Self = Self { first: null_mut() };

    /// Returns the element that was pushed last.
    pub(crate) fn first(&self) -> Option<NonNull<T>> {
        NonNull::new(self.first)
    }

    /// Adds an element at the front.
    ///
    /// # Safety
    /// The element is in no list now. It is valid while it is in this list, and only the list uses
    /// its links.
    pub(crate) unsafe fn push(&mut self, element: NonNull<T>) {
        // SAFETY: the element is valid and only this list uses its links: the caller promises it
        // now, and did so for the first element when that was pushed.
        unsafe {
            T::links(element).write(Links { previous: null_mut(), next: self.first });
            if let Some(first) = self.first() {
                T::links(first).as_mut().previous = element.as_ptr();
            }
        }
        self.first = element.as_ptr();
    }

    /// Removes an element.
    ///
    /// # Safety
    /// The element is in this list.
    pub(crate) unsafe fn remove(&mut self, element: NonNull<T>) {
        // SAFETY: the element and its neighbours are in this list. So they are valid, and only the
        // list uses their links.
        unsafe {
            let Links { previous, next } = T::links(element).replace(Links::UNLINKED);
            match NonNull::new(previous) {
                Some(previous) => T::links(previous).as_mut().next = next,
                None => self.first = next,
            }
            if let Some(next) = NonNull::new(next) {
                T::links(next).as_mut().previous = previous;
            }
        }
    }

    /// Removes and returns the first element.
    pub(crate) fn pop(&mut self) -> Option<NonNull<T>> {
        let first = self.first()?;
        // SAFETY: the first element is in this list.
        unsafe { self.remove(first) };
        Some(first)
    }
}

// SAFETY: a list reads and writes nothing but its elements, which may be sent.
unsafe impl<T: Send> Send for List<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Element(Links<Element>);

    // SAFETY: the links are the only field, so they have the element's address.
    unsafe impl Linked for Element {
        unsafe fn links(element: NonNull<Self>) -> NonNull<Links<Self>> {
            element.cast()
        }
    }

    #[test]
    fn elements_leave_from_the_front_the_middle_and_the_end() {
        let element = |()| NonNull::from(Box::leak(Box::new(Element(Links::UNLINKED))));
        let [a, b, c] = [(); 3].map(element);
        for removed in [a, b, c] {
            let mut list = List::EMPTY;
            // SAFETY: the elements live until the end of the test. They are in no list when they
            // are pushed, and in this one when they are removed.
            unsafe {
                list.push(a);
                list.push(b);
                list.push(c);
                list.remove(removed);
            }
            let left: Vec<_> = std::iter::from_fn(|| list.pop()).collect();
            assert_eq!(left, [c, b, a].into_iter().filter(|e| *e != removed).collect::<Vec<_>>());
            assert!(list.first().is_none());
        }
        for element in [a, b, c] {
            // SAFETY: it was leaked from a box above, and is in no list any more.
            let element = unsafe { Box::from_raw(element.as_ptr()) };
            assert!(element.0.next.is_null());
        }
    }
}
