//! Walking a table that grows and shrinks meanwhile, meeting every entry once.
//!
//! A table chooses a bucket by the low bits of the hash, so when it doubles, a bucket's entries
//! part by the next higher bit. Read the hash backwards, lowest bit first, and each bucket is an
//! interval of the numbers from 0 to 2^64, which splits in two halves when the table doubles and
//! is put together again when it shrinks. A walk that goes up through these intervals, and
//! remembers only how far it has come, loses nothing and meets nothing twice, whatever the table
//! does between two steps: an entry's place in that order never changes. (The order is the one
//! that Redis' SCAN takes, after Pieter Noordhuis; the position within a bucket is added here, so
//! that merged buckets repeat nothing.)

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// All hashes that read backwards give less than this are behind the walk.
    position: u64,
    finished: bool,
}

impl Cursor {
    /// A hash that lies just ahead: its bucket is the next to visit. `None` at the end.
    pub(crate) fn next_hash(&self) -> Option<u64> {
        (!self.finished).then(|| self.position.reverse_bits())
    }

    /// Whether a bucket that is chosen by the low `bits` of the hash lies ahead as a whole, so
    /// that its entries need not be asked one by one.
    pub(crate) fn whole_bucket_ahead(&self, bits: u32) -> bool {
        bits >= u64::BITS - self.position.trailing_zeros().min(u64::BITS)
    }

    /// Whether an entry with this hash is still ahead.
    pub(crate) fn is_ahead(&self, hash: u64) -> bool {
        hash.reverse_bits() >= self.position
    }

    /// Puts the bucket that was visited behind: the one of [`next_hash`](Self::next_hash), by its
    /// low `bits`.
    pub(crate) fn pass_bucket(&mut self, bits: u32) {
        let below = u64::BITS - bits;
        let next = if below == u64::BITS {
            None
        } else {
            ((self.position >> below) + 1).checked_mul(1 << below)
        };
        match next {
            Some(position) => self.position = position,
            None => self.finished = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks a table of `bits_at(step)` bits, and says how often each of the hashes was met.
    fn walk(hashes: &[u64], mut bits_at: impl FnMut(usize) -> u32) -> Vec<u32> {
        let mut met = vec![0; hashes.len()];
        let mut cursor = Cursor::default();
        let mut step = 0;
        while let Some(next) = cursor.next_hash() {
            let bits = bits_at(step);
            let mask = (1_u64 << bits) - 1;
            for (met, &hash) in met.iter_mut().zip(hashes) {
                if hash & mask == next & mask
                    && (cursor.whole_bucket_ahead(bits) || cursor.is_ahead(hash))
                {
                    *met += 1;
                }
            }
            cursor.pass_bucket(bits);
            step += 1;
        }
        met
    }

    fn hashes() -> Vec<u64> {
        (0..2_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).chain([0, u64::MAX]).collect()
    }

    #[test]
    fn a_table_at_rest_is_walked_once() {
        for bits in [0, 1, 5, 10] {
            assert!(walk(&hashes(), |_| bits).iter().all(|&met| met == 1), "{bits} bits");
        }
    }

    #[test]
    fn a_table_that_grows_and_shrinks_is_walked_once() {
        let sizes = [3, 4, 5, 6, 7, 2, 1, 9, 0, 8, 4, 4, 3];
        assert!(walk(&hashes(), |step| sizes[step % sizes.len()]).iter().all(|&met| met == 1));
        assert!(walk(&hashes(), |step| 10 - (step as u32 / 9).min(10)).iter().all(|&met| met == 1));
        assert!(walk(&hashes(), |step| (step as u32 / 3).min(12)).iter().all(|&met| met == 1));
    }
}
