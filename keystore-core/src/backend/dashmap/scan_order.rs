//! The order in which a scan visits the entries of dashmap's shards.
//!
//! A scan goes through the shards in order. Within a shard it goes through the entries by their
//! hashes, since hashbrown moves entries when it grows. The *place* of an entry is the index of its
//! shard in the high bits, and the hash in the other bits. It never changes.
//!
//! A shard has no index by hash. So each call looks at all entries of the shard, to find those with
//! the lowest places.

use crate::error::Result;
use crate::fallible::try_vec;

/// Bits of a place that are the same for entries that are always visited together. A public cursor
/// has other data in these bits.
const GROUPED: u32 = 16;

/// The places of the entries in a map with a fixed number of shards.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanOrder {
    /// Number of bits below the index of the shard.
    below: u32,
}

impl ScanOrder {
    /// Returns the order for this number of shards, a power of two.
    pub(super) fn new(shards: usize) -> Self {
        Self { below: u64::BITS - shards.trailing_zeros() }
    }

    /// Returns the index of the shard of a place.
    pub(super) fn shard_of(self, place: u64) -> usize {
        place.checked_shr(self.below).unwrap_or(0) as usize
    }

    /// Returns the place of a hash in the shard with this index.
    pub(super) fn place(self, index: usize, hash: u64) -> u64 {
        let first = (index as u64).checked_shl(self.below).unwrap_or(0);
        // dashmap chooses the shard by the bits below the highest seven. In a shard, all hashes
        // have the same value there, so they go to the end.
        let mixed = hash.rotate_left(7 + u64::BITS - self.below);
        first | mixed.checked_shr(u64::BITS - self.below).unwrap_or(0)
    }

    /// Returns the last place to visit, so that about `limit` entries lie between `from` and that
    /// place. `places` are those of the shard's entries, `entries` in number.
    ///
    /// # Errors
    /// Returns -10 if there is no memory for `limit` places, twice.
    pub(super) fn last_of(
        self,
        from: u64,
        limit: usize,
        places: impl Iterator<Item = u64>,
        entries: usize,
    ) -> Result<u64> {
        let whole_shard = u64::MAX.checked_shl(self.below).map_or(u64::MAX, |high| from | !high);
        if entries <= limit {
            return Ok(whole_shard);
        }
        // The lowest `limit` places so far are among these. When the vector is full, the others
        // are dropped, so that the whole selection takes linear time.
        let mut lowest = try_vec(2 * limit)?;
        let mut dropped = false;
        for place in places.filter(|&place| place >= from) {
            if lowest.len() == 2 * limit {
                lowest.select_nth_unstable(limit);
                lowest.truncate(limit);
                dropped = true;
            }
            lowest.push(place);
        }
        if !dropped && lowest.len() <= limit {
            return Ok(whole_shard);
        }
        let (_, last, _) = lowest.select_nth_unstable(limit - 1);
        Ok(*last | ((1 << GROUPED) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_a_limit_visit_every_place_once() {
        for (shards, limit) in [(1, 3), (4, 1), (4, 7), (64, 1000)] {
            let order = ScanOrder::new(shards);
            let hashes = (0..500_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut places: Vec<Vec<u64>> = vec![Vec::new(); shards];
            for hash in hashes {
                // As dashmap does it.
                let index = (hash << 7).checked_shr(order.below).unwrap_or(0) as usize;
                places[index].push(order.place(index, hash));
                assert_eq!(order.shard_of(order.place(index, hash)), index);
            }
            let (mut from, mut visited) = (Some(0), Vec::<u64>::new());
            while let Some(first) = from {
                let shard = &places[order.shard_of(first)];
                let last = order.last_of(first, limit, shard.iter().copied(), shard.len()).unwrap();
                let before = visited.len();
                visited.extend(shard.iter().filter(|&place| (first..=last).contains(place)));
                assert!(visited.len() - before <= limit, "no two of these places are so close");
                assert_eq!(last & 0xffff, 0xffff, "the next place has no low bits");
                from = last.checked_add(1);
            }
            visited.sort_unstable();
            let mut all = places.concat();
            all.sort_unstable();
            assert_eq!(visited, all);
        }
    }
}
