//! A node: one allocation that holds an entry.
//!
//! ```text
//! byte 0            4          6            8           8 + key       + value    + spare
//!      | value: u32 | key: u16 | spare: u16 | key bytes | value bytes | unused   |
//! ```
//!
//! Key and value lie side by side behind the header. So a lookup waits for memory once, if the
//! entry is smaller than a cache line. Nodes are aligned to 8 bytes: the three low bits of their
//! address are free for flags.
//!
//! A [`Node`] is a plain pointer: it is copied freely and owns nothing. Its holder must know that
//! the node is alive; the backends do, by a lock or by an epoch. The key never changes. The value
//! changes only through [`Node::overwrite`], which needs exclusive access to the node.

use std::alloc::Layout;
#[cfg(any(feature = "rwlock", feature = "dashmap"))]
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::allocator::NodeAllocator;
use crate::error::{Error, Result};
use crate::sync::primitive::access;

/// The greatest length of a key in bytes.
pub const MAX_KEY_LEN: usize = u16::MAX as usize;

/// The greatest length of a value in bytes: 4 GiB - 1.
pub const MAX_VALUE_LEN: usize = u32::MAX as usize;

#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    value_len: u32,
    key_len: u16,
    /// Bytes behind the value that belong to the node: what a shorter value left unused.
    spare: u16,
}

const HEADER: usize = size_of::<Header>();

/// A pointer to a node. See the module for who may use it when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node(NonNull<u8>);

impl Node {
    /// Checks the length of a key. Returns -20 if it is outside its limits.
    #[inline]
    pub(crate) fn check_key(key: &[u8]) -> Result<()> {
        if key.is_empty() || key.len() > MAX_KEY_LEN {
            return Err(Error::KeyLength { length: key.len(), max: MAX_KEY_LEN });
        }
        Ok(())
    }

    /// Checks the length of a value. Returns -20 if it is outside its limits.
    #[inline]
    pub(crate) fn check_value_len(length: usize) -> Result<()> {
        if length > MAX_VALUE_LEN {
            return Err(Error::ValueLength { length, max: MAX_VALUE_LEN });
        }
        Ok(())
    }

    /// Returns the size of a new node in bytes, for lengths that passed the checks above.
    #[inline]
    pub(crate) const fn size_for(key_len: usize, value_len: usize) -> usize {
        HEADER + key_len + value_len
    }

    /// Returns the layout of a node for lengths that passed the checks above.
    #[inline]
    pub(crate) fn layout(key_len: usize, value_len: usize) -> Result<Layout> {
        // The sum cannot overflow on 64-bit targets. On 32-bit targets a value of nearly 4 GiB can
        // make it overflow.
        HEADER
            .checked_add(key_len)
            .and_then(|size| size.checked_add(value_len))
            .and_then(|size| Layout::from_size_align(size, 8).ok())
            .ok_or(Error::OutOfMemory { requested: value_len })
    }

    /// Allocates a node with copies of `key` and `value`, whose lengths the caller has checked.
    #[inline]
    pub(crate) fn create(allocator: &impl NodeAllocator, key: &[u8], value: &[u8]) -> Result<Self> {
        debug_assert!(key.len() <= MAX_KEY_LEN && value.len() <= MAX_VALUE_LEN);
        let block = allocator.allocate(Self::layout(key.len(), value.len())?)?;
        let header = Header { value_len: value.len() as u32, key_len: key.len() as u16, spare: 0 };
        // SAFETY: the allocator promises a block that nobody else uses, aligned to 8 and as long as
        // header, key and value together.
        unsafe {
            block.cast::<Header>().write(header);
            let bytes = block.as_ptr().add(HEADER);
            copy_key(key, bytes);
            bytes.add(key.len()).copy_from_nonoverlapping(value.as_ptr(), value.len());
        }
        access::written(block.as_ptr());
        Ok(Self(block))
    }

    /// Allocates a node with a copy of `key` and a value of `value_len` zeros. The caller has
    /// checked both lengths.
    pub(crate) fn create_zeroed(
        allocator: &impl NodeAllocator,
        key: &[u8],
        value_len: usize,
    ) -> Result<Self> {
        debug_assert!(key.len() <= MAX_KEY_LEN && value_len <= MAX_VALUE_LEN);
        let block = allocator.allocate(Self::layout(key.len(), value_len)?)?;
        let header = Header { value_len: value_len as u32, key_len: key.len() as u16, spare: 0 };
        // SAFETY: the allocator promises a block that nobody else uses, aligned to 8 and as long as
        // header, key and value together.
        unsafe {
            block.cast::<Header>().write(header);
            let bytes = block.as_ptr().add(HEADER);
            copy_key(key, bytes);
            bytes.add(key.len()).write_bytes(0, value_len);
        }
        access::written(block.as_ptr());
        Ok(Self(block))
    }

    /// Frees the node.
    ///
    /// # Safety
    /// The node came from [`Node::create`] or [`Node::create_zeroed`] with this allocator, is
    /// alive, and nobody uses it from here on.
    #[inline]
    pub(crate) unsafe fn destroy(self, allocator: &impl NodeAllocator) {
        // SAFETY: the caller promises that the node is alive, so its header tells the layout that
        // it was allocated with, and that nobody else uses it.
        unsafe {
            let layout = Layout::from_size_align_unchecked(self.size(), 8);
            access::freed(self.as_ptr());
            allocator.deallocate(self.0, layout);
        }
    }

    /// Returns a copy of the header.
    ///
    /// # Safety
    /// The node is alive, and no [`Node::overwrite`] runs at the same time.
    #[inline]
    unsafe fn header(self) -> Header {
        access::read(self.as_ptr());
        // SAFETY: the caller promises that the node is alive and not written. It begins with its
        // header.
        unsafe { self.0.cast::<Header>().read() }
    }

    /// Returns the size of the allocation in bytes.
    ///
    /// # Safety
    /// The node is alive, and no [`Node::overwrite`] runs at the same time.
    #[inline]
    pub(crate) unsafe fn size(self) -> usize {
        // SAFETY: the caller promises that the node is alive and not written.
        let header = unsafe { self.header() };
        HEADER + usize::from(header.key_len) + header.value_len as usize + usize::from(header.spare)
    }

    /// The key.
    ///
    /// # Safety
    /// The node stays alive for `'a`, and no [`Node::overwrite`] runs during `'a`.
    #[inline]
    pub(crate) unsafe fn key<'a>(self) -> &'a [u8] {
        // SAFETY: the caller promises that the node is alive and not written for `'a`. The key
        // follows the header.
        unsafe {
            let length = usize::from(self.header().key_len);
            std::slice::from_raw_parts(self.0.as_ptr().add(HEADER), length)
        }
    }

    /// Returns whether the node's key is `key`.
    ///
    /// # Safety
    /// The node is alive, and no [`Node::overwrite`] runs at the same time.
    #[inline]
    pub(crate) unsafe fn has_key(self, key: &[u8]) -> bool {
        // SAFETY: the caller promises that the node is alive and not written; the key is not used
        // after this call.
        equal(unsafe { self.key() }, key)
    }

    /// Returns the value.
    ///
    /// # Safety
    /// The node stays alive for `'a`, and no [`Node::overwrite`] runs during `'a`.
    #[inline]
    pub(crate) unsafe fn value<'a>(self) -> &'a [u8] {
        // SAFETY: the caller promises that the node is alive and not written for `'a`. The value
        // follows the key.
        unsafe {
            let header = self.header();
            let bytes = self.0.as_ptr().add(HEADER + usize::from(header.key_len));
            std::slice::from_raw_parts(bytes, header.value_len as usize)
        }
    }

    /// Returns the value, to write to.
    ///
    /// # Safety
    /// The node stays alive for `'a`, and nobody else uses it during `'a`.
    pub(crate) unsafe fn value_mut<'a>(self) -> &'a mut [u8] {
        // SAFETY: the caller promises that the node is alive and that nobody else uses it for `'a`.
        // The value follows the key.
        unsafe {
            let header = self.header();
            let bytes = self.0.as_ptr().add(HEADER + usize::from(header.key_len));
            std::slice::from_raw_parts_mut(bytes, header.value_len as usize)
        }
    }

    /// Writes `value` over the old one if the node has space for it. Returns whether it did. A
    /// node with space for far more than the new value is refused too, so that a short value does
    /// not hold a long one's memory.
    ///
    /// # Safety
    /// The node is alive and nobody else uses it at the same time.
    #[inline]
    pub(crate) unsafe fn overwrite(self, value: &[u8]) -> bool {
        // SAFETY: the caller promises that nobody else uses the node. If the header can state the
        // value's length, `value` fits behind the key, within the allocation.
        unsafe {
            let header = self.header();
            if header.value_len as usize != value.len() && !self.resize(header, value.len()) {
                return false;
            }
            let bytes = self.0.as_ptr().add(HEADER + usize::from(header.key_len));
            bytes.copy_from_nonoverlapping(value.as_ptr(), value.len());
        }
        true
    }

    /// Sets the length of the value, if the node has space for it and not far more. Returns
    /// whether it did.
    ///
    /// # Safety
    /// The node is alive, nobody else uses it at the same time, and `header` is its header.
    unsafe fn resize(self, mut header: Header, length: usize) -> bool {
        let capacity = header.value_len as usize + usize::from(header.spare);
        let Some(spare) = capacity.checked_sub(length) else { return false };
        if spare > usize::from(u16::MAX) || spare > 64 + length {
            return false;
        }
        header.value_len = length as u32;
        header.spare = spare as u16;
        // SAFETY: the caller promises that the node is alive and that nobody else uses it.
        unsafe { self.0.cast::<Header>().write(header) };
        true
    }

    /// Returns the address, for packing into a slot.
    #[inline]
    pub(crate) fn as_ptr(self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Returns the node at an address that [`Node::as_ptr`] returned.
    #[inline]
    pub(crate) fn from_ptr(node: NonNull<u8>) -> Self {
        Self(node)
    }
}

// SAFETY: a `Node` is only an address. To use it is unsafe, and the functions that do demand the
// promises that make it right on any thread.
unsafe impl Send for Node {}
// SAFETY: a shared `Node` gives no more than a copy of the address, which is `Send`.
unsafe impl Sync for Node {}

/// A node that stays alive, and that nobody writes to, for `'a`. So it may be read without further
/// promises.
#[cfg(any(feature = "rwlock", feature = "dashmap"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeRef<'a> {
    node: Node,
    _borrowed: PhantomData<&'a [u8]>,
}

#[cfg(any(feature = "rwlock", feature = "dashmap"))]
impl<'a> NodeRef<'a> {
    /// Borrows a node.
    ///
    /// # Safety
    /// The node stays alive for `'a`, and no [`Node::overwrite`] runs during `'a`.
    #[inline]
    pub(crate) unsafe fn new(node: Node) -> Self {
        Self { node, _borrowed: PhantomData }
    }

    /// Returns the key.
    #[inline]
    pub(crate) fn key(self) -> &'a [u8] {
        // SAFETY: the promise of `new`.
        unsafe { self.node.key() }
    }

    /// Returns the value.
    #[inline]
    pub(crate) fn value(self) -> &'a [u8] {
        // SAFETY: the promise of `new`.
        unsafe { self.node.value() }
    }

    /// Returns whether the node's key is `key`.
    #[inline]
    #[cfg(feature = "dashmap")]
    pub(crate) fn has_key(self, key: &[u8]) -> bool {
        equal(self.key(), key)
    }

    /// Returns the size of the allocation in bytes.
    #[inline]
    pub(crate) fn size(self) -> usize {
        // SAFETY: the promise of `new`.
        unsafe { self.node.size() }
    }
}

/// Returns whether two keys are equal. It compares words and calls no function, since a call would
/// spill everything that a lookup has in registers.
#[inline]
fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // The first eight bytes and the last eight cover a key of 8 to 16 bytes.
    match (ends::<8>(one), ends::<8>(other)) {
        (Some(ends), Some(others)) => {
            let inner = |key| <[u8]>::as_chunks::<8>(key).0.iter().skip(1);
            ends == others
                && (one.len() <= 16
                    || inner(one).zip(inner(other)).all(|(one, other)| one == other))
        }
        _ => short_equal(one, other),
    }
}

/// Returns whether two keys of one length under eight are equal.
#[inline]
fn short_equal(one: &[u8], other: &[u8]) -> bool {
    if let Some(ends) = ends::<4>(one) {
        return Some(ends) == self::ends(other);
    }
    let middle = one.len() / 2;
    ends::<1>(one) == ends::<1>(other) && one.get(middle) == other.get(middle)
}

/// Copies a key to `to`. A key of 8 to 16 bytes needs no call.
///
/// # Safety
/// `key.len()` bytes may be written at `to`, and `key` does not overlap them.
#[inline]
unsafe fn copy_key(key: &[u8], to: *mut u8) {
    // SAFETY: the caller promises that the key's length may be written at `to`, and that the key
    // does not overlap it. The two ends lie within that length.
    unsafe {
        match ends::<8>(key) {
            Some((first, last)) if key.len() <= 16 => {
                to.cast::<[u8; 8]>().write(first);
                to.add(key.len() - 8).cast::<[u8; 8]>().write(last);
            }
            _ => to.copy_from_nonoverlapping(key.as_ptr(), key.len()),
        }
    }
}

/// Returns the first `N` bytes and the last `N` bytes, which may overlap.
#[inline]
fn ends<const N: usize>(key: &[u8]) -> Option<([u8; N], [u8; N])> {
    Some((*key.first_chunk()?, *key.last_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Global;

    #[test]
    fn a_node_gives_back_what_it_was_made_of() {
        for (key, value) in
            [(&b"k"[..], &b""[..]), (b"key", b"value"), (&[0; MAX_KEY_LEN], &[7; 100_000])]
        {
            let node = Node::create(&Global, key, value).unwrap();
            // SAFETY: alive until `destroy`, and used by this thread alone.
            unsafe {
                assert_eq!(node.key(), key);
                assert_eq!(node.value(), value);
                assert_eq!(node.size(), 8 + key.len() + value.len());
                node.destroy(&Global);
            }
        }
    }

    #[test]
    fn overwriting_stays_within_the_room_and_keeps_the_size() {
        let node = Node::create(&Global, b"key", &[1; 64]).unwrap();
        // SAFETY: alive until `destroy`, and used by this thread alone.
        unsafe {
            let size = node.size();
            assert!(node.overwrite(&[2; 40]));
            assert_eq!(node.value(), [2; 40]);
            assert_eq!(node.size(), size);
            assert!(
                node.overwrite(&[3; 64]),
                "the spare bytes of the shorter value are used again"
            );
            assert_eq!(node.value(), [3; 64]);
            assert!(!node.overwrite(&[4; 65]));
            assert_eq!(node.value(), [3; 64], "a refused overwrite changes nothing");
            assert_eq!(node.key(), b"key");
            node.destroy(&Global);
        }
    }

    #[test]
    fn a_long_node_is_not_kept_for_a_short_value() {
        let node = Node::create(&Global, b"key", &[1; 1000]).unwrap();
        // SAFETY: alive until `destroy`, and used by this thread alone.
        unsafe {
            assert!(!node.overwrite(&[2; 10]));
            node.destroy(&Global);
        }
    }

    #[test]
    fn keys_are_equal_where_every_byte_is() {
        for length in 0..40 {
            let key: Vec<u8> = (0..length).collect();
            assert!(equal(&key, &key.clone()));
            for at in 0..key.len() {
                let mut other = key.clone();
                other[at] ^= 0x80;
                assert!(!equal(&key, &other), "{length} bytes, another one at {at}");
                assert!(!equal(&key, &key[..at]));
            }
        }
    }

    #[test]
    fn lengths_past_the_limits_are_named() {
        assert_eq!(Node::check_key(b"").unwrap_err(), Error::KeyLength { length: 0, max: 65_535 });
        assert_eq!(
            Node::check_key(&[0; 65_536]).unwrap_err(),
            Error::KeyLength { length: 65_536, max: 65_535 }
        );
        assert!(Node::check_key(&[0; 65_535]).is_ok());
    }
}
