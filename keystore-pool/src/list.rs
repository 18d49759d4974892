//! A doubly linked list whose links lie in the elements: joining and leaving it allocates nothing and takes one step.

use std::ptr::{NonNull, null_mut};

/// An element's place in its list.
#[derive(Debug)]
pub(crate) struct Links<T> {
    previous: *mut T,
    next: *mut T,
}

impl<T> Links<T> {
    /// In no list.
    pub(crate) const UNLINKED: Self = Self { previous: null_mut(), next: null_mut() };
}

/// What can be in a list.
///
/// # Safety
/// `links` gives the address of the links within the element, always the same one.
pub(crate) unsafe trait Linked: Sized {
    /// Where the element keeps its links.
    ///
    /// # Safety
    /// `element` is valid.
    unsafe fn links(element: NonNull<Self>) -> NonNull<Links<Self>>;
}

/// The list. It does not own its elements.
#[derive(Debug)]
pub(crate) struct List<T> {
    first: *mut T,
}

impl<T: Linked> List<T> {
    /// Of nothing.
    pub(crate) const EMPTY: Self = Self { first: null_mut() };

    /// The element that was pushed last.
    pub(crate) fn first(&self) -> Option<NonNull<T>> {
        NonNull::new(self.first)
    }

    /// Puts `element` in front.
    ///
    /// # Safety
    /// The element is valid for as long as it is in the list, is in no list now, and its links are used by nobody else.
    pub(crate) unsafe fn push(&mut self, element: NonNull<T>) {
        // SAFETY: the caller's promise, for the element and for the first one when that was pushed.
        unsafe {
            T::links(element).write(Links { previous: null_mut(), next: self.first });
            if let Some(first) = self.first() {
                T::links(first).as_mut().previous = element.as_ptr();
            }
        }
        self.first = element.as_ptr();
    }

    /// Takes `element` out.
    ///
    /// # Safety
    /// The element is in this list.
    pub(crate) unsafe fn remove(&mut self, element: NonNull<T>) {
        // SAFETY: the element and its neighbours are in the list, so they are valid and their links are the list's.
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

    /// Takes the first element out.
    pub(crate) fn pop(&mut self) -> Option<NonNull<T>> {
        let first = self.first()?;
        // SAFETY: it is in this list.
        unsafe { self.remove(first) };
        Some(first)
    }
}

// SAFETY: a list is an address; whoever pushes answers for the elements.
unsafe impl<T: Send> Send for List<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Element(Links<Element>);

    // SAFETY: the links are the one field.
    unsafe impl Linked for Element {
        unsafe fn links(element: NonNull<Self>) -> NonNull<Links<Self>> {
            element.cast()
        }
    }

    #[test]
    fn elements_leave_from_the_front_the_middle_and_the_end() {
        let [a, b, c] = [(); 3].map(|()| NonNull::from(Box::leak(Box::new(Element(Links::UNLINKED)))));
        for removed in [a, b, c] {
            let mut list = List::EMPTY;
            // SAFETY: the elements live until the end of the test; each is in the list when it is removed.
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
            // SAFETY: leaked from a box above, and in no list any more.
            let element = unsafe { Box::from_raw(element.as_ptr()) };
            assert!(element.0.next.is_null());
        }
    }
}
