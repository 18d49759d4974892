//! The content of a slot: a tag and a node pointer in one 64-bit word.
//!
//! ```text
//! bit 63        48 47                 3 2     0
//!     | tag: 16   | address of the node | flags |
//! ```
//!
//! Nodes are aligned to 8 bytes, and user-space addresses have 48 bits. So the word has space for a
//! tag of the key's hash and for three flags. A lookup compares tags, and follows a pointer only if
//! its tag is equal.
//!
//! `backend/epoch/bucket.rs` defines what each flag means in the lock-free backend. The locked
//! backend uses only [`TaggedPtr::SECOND`].

use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::hash::{TAG_BITS, TAG_SHIFT};
use crate::node::Node;

/// The content of a slot. It is all zeros if the slot never held anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct TaggedPtr(pub(crate) u64);

const ADDRESS_BITS: u32 = 48;
const ADDRESS: u64 = ((1 << ADDRESS_BITS) - 1) & !0b111;

impl TaggedPtr {
    /// Bits of the flags.
    pub(crate) const FLAGS: u64 = 0b111;

    /// Flag of a pointer in a bucket that splits: the pointer goes to the second half.
    pub(crate) const SECOND: u64 = 0b100;

    /// Bits of the tag.
    #[cfg(feature = "epoch")]
    pub(crate) const TAG: u64 = !((1 << ADDRESS_BITS) - 1);

    /// Content of an empty slot.
    #[cfg(feature = "rwlock")]
    pub(crate) const EMPTY: Self = Self(0);

    /// Makes a pointer to `node` with this tag and without flags.
    ///
    /// # Errors
    /// Returns [`Error::Unsupported`] (-43) if the address of the node has more than 48 bits.
    /// Today's systems return such addresses only to programs that request them.
    #[inline]
    pub(crate) fn new(tag: u16, node: Node) -> Result<Self> {
        let address = node.as_ptr().expose_provenance() as u64;
        if address & !ADDRESS != 0 {
            return Err(Error::Unsupported {
                operation: "storing a node",
                reason: "its address has more than 48 bits",
            });
        }
        Ok(Self(Self::under(tag).0 | address))
    }

    /// Makes a pointer with this tag and nothing else.
    #[inline]
    pub(crate) const fn under(tag: u16) -> Self {
        Self((tag as u64) << ADDRESS_BITS)
    }

    /// Returns the node, or `None` if there is none.
    #[inline]
    pub(crate) fn node(self) -> Option<Node> {
        let address = (self.0 & ADDRESS) as usize;
        NonNull::new(std::ptr::with_exposed_provenance_mut(address)).map(Node::from_ptr)
    }

    /// Returns the pointer without flags.
    #[inline]
    pub(crate) fn bare(self) -> Self {
        Self(self.0 & !Self::FLAGS)
    }

    /// Returns the pointer with the flag that says which half of a split it goes to, and without
    /// other flags.
    #[inline]
    #[cfg(feature = "rwlock")]
    pub(crate) fn going_to_second(self, second: bool) -> Self {
        Self(self.bare().0 | if second { Self::SECOND } else { 0 })
    }

    /// Returns whether the pointer goes to the second half of a split.
    #[inline]
    pub(crate) fn goes_to_second(self) -> bool {
        self.0 & Self::SECOND != 0
    }

    /// Returns the tag.
    #[inline]
    pub(crate) fn tag(self) -> u16 {
        (self.0 >> ADDRESS_BITS) as u16
    }

    /// Returns whether bit `bit` of the key's hash is set. If the tag does not hold that bit, this
    /// calls `hash`, which returns the whole hash.
    #[inline]
    pub(crate) fn hash_bit(self, bit: u32, hash: impl FnOnce() -> u64) -> bool {
        match bit.checked_sub(TAG_SHIFT).filter(|&in_tag| in_tag < TAG_BITS) {
            Some(in_tag) => self.tag() >> in_tag & 1 == 1,
            None => hash() >> bit & 1 == 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Global;
    use crate::hash::tag;

    #[test]
    fn a_word_gives_back_its_node_and_tag() {
        let node = Node::create(&Global, b"key", b"value").unwrap();
        let word = TaggedPtr::new(0xbeef, node).unwrap();
        assert_eq!(word.node(), Some(node));
        assert_eq!(word.tag(), 0xbeef);
        assert_eq!(
            TaggedPtr(word.0 | 0b101).node(),
            Some(node),
            "flags do not disturb the address"
        );
        assert_eq!(TaggedPtr(0).node(), None);
        // SAFETY: created above, and not used again.
        unsafe { node.destroy(&Global) };
    }

    #[test]
    fn the_tag_knows_the_bits_of_the_hash_that_it_holds() {
        let node = Node::create(&Global, b"key", b"value").unwrap();
        let hash = 0x1234_5678_9abc_def0_u64;
        let word = TaggedPtr::new(tag(hash), node).unwrap();
        for bit in 0..64 {
            let mut asked = false;
            let is_set = word.hash_bit(bit, || {
                asked = true;
                hash
            });
            assert_eq!(is_set, hash >> bit & 1 == 1, "bit {bit}");
            assert_eq!(asked, !(14..30).contains(&bit), "bit {bit}");
        }
        // SAFETY: created above, and not used again.
        unsafe { node.destroy(&Global) };
    }
}
