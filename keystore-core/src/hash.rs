//! The 64-bit hash of a key, and how its bits are used.
//!
//! A key is hashed once per operation. The low bits choose the bucket. Bits 14 to 29 are the *tag*,
//! which a slot holds beside its node pointer. A lookup follows a pointer only if its tag is equal.
//!
//! The position of the tag has a purpose. When a table with 2^k buckets doubles, an entry of bucket
//! `b` goes to `b` or to `b + 2^k`, and bit `k` of its hash decides which. If k is 14 to 29, that
//! bit is in the tag. So a large table grows without reading a node.
//!
//! The price is that in a table of 2^k buckets, all tags of one bucket agree in their lowest k - 14
//! bits. With 2^21 buckets (10 million entries), nine bits of the tag still differ between entries,
//! so that about one lookup in 100 reads a wrong node. If the tag began two bits higher, tables of
//! 2^14 and 2^15 buckets would have to read their nodes to grow, and these nodes no longer fit into
//! a cache. Growing to a million entries would take a sixth longer.
//!
//! The hasher is a type parameter. [`DefaultHasher`] is the quality variant of foldhash, with a
//! random seed for each store. It is fast, and all its bits are good. If an attacker chooses the
//! keys, use [`std::hash::RandomState`] (SipHash). It takes twice the time to hash a short key, but
//! there is no known way to choose keys that fall into one bucket.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

/// The default hasher of a store: foldhash with a random seed. Do not store its hashes: the
/// algorithm may change in any version.
#[derive(Clone)]
pub struct DefaultHasher(SeedableRandomState);

/// The state of a [`DefaultHasher`] while it hashes one key.
#[derive(Clone)]
pub struct KeyHasher(<SeedableRandomState as BuildHasher>::Hasher);

impl Default for DefaultHasher {
    /// Returns a hasher with a random seed. It allocates no memory, unlike foldhash's own random
    /// seed.
    fn default() -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        let shared = SHARED.get_or_init(|| SharedSeed::from_u64(random()));
        Self(SeedableRandomState::with_seed(random(), shared))
    }
}

/// Returns an unpredictable number. It is the SipHash of no bytes, with keys that the standard
/// library takes from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl BuildHasher for DefaultHasher {
    type Hasher = KeyHasher;

    #[inline]
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0.build_hasher())
    }
}

impl Hasher for KeyHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Does not print the seed, since an attacker who knows it can choose keys that collide.
impl fmt::Debug for DefaultHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DefaultHasher")
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher")
    }
}

/// Returns the hash of `key`. The store uses all 64 bits, so a hasher must be good in all of them.
#[inline]
pub(crate) fn hash_key(hasher: &impl BuildHasher, key: &[u8]) -> u64 {
    // The `Hash` implementation of `[u8]` also hashes the length, to separate the slice from the
    // next value. A key is the whole input, so it needs no length.
    let mut state = hasher.build_hasher();
    state.write(key);
    state.finish()
}

/// Number of bits of the hash that a slot keeps as its tag.
pub(crate) const TAG_BITS: u32 = 16;

/// Lowest bit of the hash that is in the tag.
pub(crate) const TAG_SHIFT: u32 = 14;

/// Returns the tag of a hash.
#[inline]
pub(crate) const fn tag(hash: u64) -> u16 {
    (hash >> TAG_SHIFT) as u16
}

/// Returns true for one hash in 32. Only a write to a key with such a hash reads the table's number
/// of entries, since that number is a sum over all threads. This uses bits of the hash that are
/// neither in the tag nor choose the bucket.
#[inline]
pub(crate) const fn samples_entries(hash: u64) -> bool {
    hash >> 59 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hasher_gives_one_hash_a_key() {
        let hasher = DefaultHasher::default();
        assert_eq!(hash_key(&hasher, b"key"), hash_key(&hasher, b"key"));
        assert_ne!(hash_key(&hasher, b"key"), hash_key(&hasher, b"kez"));
        assert_ne!(hash_key(&hasher, b"a\0"), hash_key(&hasher, b"a"));
    }

    #[test]
    fn the_seed_is_not_shown() {
        assert_eq!(format!("{:?}", DefaultHasher::default()), "DefaultHasher");
        let [one, other] = [(); 2].map(|()| hash_key(&DefaultHasher::default(), b"key"));
        assert_ne!(one, other, "each hasher has a seed of its own");
    }

    #[test]
    fn the_tag_is_bits_14_to_29() {
        assert_eq!(tag(0x1234_5678_9abc_def0), 0x6af3);
    }
}
