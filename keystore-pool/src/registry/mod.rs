//! Which addresses are a pool's own: a radix tree over the chunks that it holds.
//!
//! A pool that hands out blocks of its own and of the system must tell them apart when they come back, by nothing but
//! the address: what lies before a foreign block may not even be mapped. A lookup takes two loads and no lock.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use keystore_core::{Error, Result};

use crate::chunk::CHUNK;
use crate::primitive::atomic::{AtomicPtr, AtomicU64};

/// Address bits that systems hand out to a process: 47 or 48 on 64-bit machines unless it asks for more.
/// In a model they are few, for each place in the root is one more thing to keep in mind.
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

/// A set of chunks: 32 KiB, and 2 KiB for every 32 GiB of address space in which there is one.
#[derive(Debug)]
pub(crate) struct Registry {
    leaves: Box<[AtomicPtr<Leaf>]>,
}

/// Where a chunk's bit is: the leaf, the word in it, the bit in that.
#[inline]
fn place(address: usize) -> (usize, usize, u32) {
    let chunk = address / CHUNK;
    (chunk >> LEAF_BITS, (chunk >> 6) % LEAF_WORDS, (chunk % 64) as u32)
}

impl Registry {
    pub(crate) fn new() -> Result<Self> {
        let mut leaves = Vec::new();
        leaves
            .try_reserve_exact(ROOT)
            .map_err(|_| Error::OutOfMemory { requested: ROOT * size_of::<AtomicPtr<Leaf>>() })?;
        leaves.resize_with(ROOT, || AtomicPtr::new(null_mut()));
        Ok(Self { leaves: leaves.into_boxed_slice() })
    }

    /// Whether `address` lies in a chunk of the set. The answer is right for the address of a live block: its chunk was
    /// added before the block was handed out, and stays while the block lives.
    #[inline]
    pub(crate) fn contains(&self, address: usize) -> bool {
        let (leaf, word, bit) = place(address);
        let Some(leaf) = self.leaves.get(leaf).and_then(|leaf| NonNull::new(leaf.load(Acquire))) else {
            return false;
        };
        // SAFETY: a leaf lives as long as the registry.
        let leaf = unsafe { leaf.as_ref() };
        leaf[word].load(Relaxed) >> bit & 1 == 1
    }

    /// Adds a chunk. Calls of `insert` and `remove` do not overlap: the pool's lock is held.
    ///
    /// # Errors
    /// -10 where the tree cannot grow.
    pub(crate) fn insert(&self, chunk: NonNull<u8>) -> Result<()> {
        const LAYOUT: Layout = Layout::new::<Leaf>();
        let (leaf, word, bit) = place(chunk.addr().get());
        let out_of_memory = Error::OutOfMemory { requested: LAYOUT.size() };
        let Some(root) = self.leaves.get(leaf) else { return Err(out_of_memory) };
        let leaf = match NonNull::new(root.load(Relaxed)) {
            Some(leaf) => leaf,
            None => {
                // SAFETY: the layout has a size; zeros are a valid leaf.
                let leaf = NonNull::new(unsafe { alloc_zeroed(LAYOUT) }).ok_or(out_of_memory)?.cast::<Leaf>();
                #[cfg(loom)]
                // SAFETY: nobody has seen the leaf. The atomics of the model checker are more than their value.
                unsafe {
                    leaf.write(std::array::from_fn(|_| AtomicU64::new(0)));
                }
                root.store(leaf.as_ptr(), Release);
                leaf
            }
        };
        // SAFETY: a leaf lives as long as the registry.
        let leaf = unsafe { leaf.as_ref() };
        leaf[word].fetch_or(1 << bit, Relaxed);
        Ok(())
    }

    /// Takes a chunk out.
    pub(crate) fn remove(&self, chunk: NonNull<u8>) {
        let (leaf, word, bit) = place(chunk.addr().get());
        if let Some(leaf) = self.leaves.get(leaf).and_then(|leaf| NonNull::new(leaf.load(Relaxed))) {
            // SAFETY: a leaf lives as long as the registry.
            let leaf = unsafe { leaf.as_ref() };
            leaf[word].fetch_and(!(1 << bit), Relaxed);
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for leaf in &self.leaves {
            if let Some(leaf) = NonNull::new(leaf.load(Relaxed)) {
                // SAFETY: allocated with this layout by `insert`, and reachable from here alone.
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
        let chunk = |number: usize| NonNull::new(without_provenance_mut::<u8>(number * CHUNK)).unwrap();
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
