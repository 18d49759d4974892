//! The set of chunks that a pool holds, as a radix tree over addresses.
//!
//! A pool that hands out its own blocks and the system's must tell them apart by their addresses
//! when they are freed. It cannot look at the bytes before a foreign block, which may not even be
//! mapped. A lookup takes two loads and no lock.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use keystore_core::fallible::try_boxed_slice;
use keystore_core::{Error, Result};

use crate::chunk::CHUNK;
use crate::primitive::atomic::{AtomicPtr, AtomicU64};

/// Number of bits of the addresses that systems give to a process: 47 or 48 on 64-bit machines,
/// unless the process asks for more. A model has few, because loom tracks each entry of the root.
const ADDRESS_BITS: u32 = if cfg!(loom) {
    33
} else if usize::BITS < 48 {
    usize::BITS
} else {
    48
};
const CHUNK_BITS: u32 = ADDRESS_BITS - CHUNK.trailing_zeros();
const LEAF_BITS: u32 = CHUNK_BITS / 2 + 1;
const ROOT: usize = 1 << (CHUNK_BITS - LEAF_BITS);
const LEAF_WORDS: usize = (1 << LEAF_BITS) / 64;

type Leaf = [AtomicU64; LEAF_WORDS];

/// A set of chunks. It takes 32 KiB, and 2 KiB for every 32 GiB of address space that has a chunk
/// of the set.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The root: a leaf for each 32 GiB of address space, null if it has no chunk of the set.
    leaves: Box<[AtomicPtr<Leaf>]>,
}

/// Returns the position of a chunk's bit: the index of its leaf, of the word there, and of the bit
/// in that word.
#[inline]
fn locate(address: usize) -> (usize, usize, u32) {
    let chunk = address / CHUNK;
    (chunk >> LEAF_BITS, (chunk >> 6) % LEAF_WORDS, (chunk % 64) as u32)
}

impl Registry {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { leaves: try_boxed_slice(ROOT, |_| AtomicPtr::new(null_mut()))? })
    }

    /// Returns true if `address` lies in a chunk of the set.
    ///
    /// The answer is exact for a live block: its chunk was inserted before the block was allocated,
    /// and stays while the block lives.
    #[inline]
    pub(crate) fn contains(&self, address: usize) -> bool {
        let (leaf, word, bit) = locate(address);
        let Some(root) = self.leaves.get(leaf) else { return false };
        let Some(leaf) = NonNull::new(root.load(Acquire)) else { return false };
        // SAFETY: a leaf in the root is initialised, and is freed with the registry.
        let leaf = unsafe { leaf.as_ref() };
        leaf[word].load(Relaxed) >> bit & 1 == 1
    }

    /// Adds a chunk. The caller holds the pool's lock, so calls of `insert` and `remove` do not
    /// overlap.
    ///
    /// # Errors
    /// -10 if there is no memory for a leaf.
    pub(crate) fn insert(&self, chunk: NonNull<u8>) -> Result<()> {
        let (leaf, word, bit) = locate(chunk.addr().get());
        let out_of_memory = Error::OutOfMemory { requested: size_of::<Leaf>() };
        let Some(root) = self.leaves.get(leaf) else { return Err(out_of_memory) };
        let leaf = match NonNull::new(root.load(Relaxed)) {
            Some(leaf) => leaf,
            None => {
                let leaf = allocate_leaf().ok_or(out_of_memory)?;
                root.store(leaf.as_ptr(), Release);
                leaf
            }
        };
        // SAFETY: a leaf in the root is initialised, and is freed with the registry.
        let leaf = unsafe { leaf.as_ref() };
        leaf[word].fetch_or(1 << bit, Relaxed);
        Ok(())
    }

    /// Removes a chunk.
    pub(crate) fn remove(&self, chunk: NonNull<u8>) {
        let (leaf, word, bit) = locate(chunk.addr().get());
        let root = self.leaves.get(leaf);
        if let Some(leaf) = root.and_then(|root| NonNull::new(root.load(Relaxed))) {
            // SAFETY: a leaf in the root is initialised, and is freed with the registry.
            let leaf = unsafe { leaf.as_ref() };
            leaf[word].fetch_and(!(1 << bit), Relaxed);
        }
    }
}

/// Allocates a leaf without chunks.
fn allocate_leaf() -> Option<NonNull<Leaf>> {
    // SAFETY: the layout has a size.
    let leaf = NonNull::new(unsafe { alloc_zeroed(Layout::new::<Leaf>()) })?.cast::<Leaf>();
    #[cfg(loom)]
    // SAFETY: the memory has the layout of a leaf, and no other thread has its address. It must be
    // written, because zeros are not a valid atomic of the model checker.
    unsafe {
        leaf.write(std::array::from_fn(|_| AtomicU64::new(0)));
    }
    Some(leaf)
}

impl Drop for Registry {
    fn drop(&mut self) {
        for leaf in &self.leaves {
            if let Some(leaf) = NonNull::new(leaf.load(Relaxed)) {
                // SAFETY: `allocate_leaf` used this layout, and no other thread can reach the leaf.
                unsafe { dealloc(leaf.as_ptr().cast(), Layout::new::<Leaf>()) };
            }
        }
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::ptr::without_provenance_mut;

    #[test]
    fn addresses_of_inserted_chunks_and_no_others_are_known() {
        let registry = Registry::new().unwrap();
        let chunks = [1, 2, 63, 64, 65, 12_345, 1 << LEAF_BITS, (1 << CHUNK_BITS) - 1];
        let address = |number: usize| without_provenance_mut::<u8>(number * CHUNK);
        let chunk = |number: usize| NonNull::new(address(number)).unwrap();
        for number in chunks {
            registry.insert(chunk(number)).unwrap();
        }
        for number in chunks {
            let start = number * CHUNK;
            assert!(registry.contains(start) && registry.contains(start + CHUNK - 1));
            for neighbour in [number - 1, number + 1] {
                let listed = chunks.contains(&neighbour);
                assert_eq!(registry.contains(neighbour.wrapping_mul(CHUNK)), listed, "{neighbour}");
            }
        }
        for number in chunks {
            registry.remove(chunk(number));
            assert!(!registry.contains(number * CHUNK));
        }
        assert!(!registry.contains(usize::MAX));
    }
}
