//! Scanning a table that grows and shrinks during the scan, and meeting every entry once.
//!
//! A table chooses a bucket by the low bits of the hash. So when it doubles, the next higher bit
//! divides the entries of each bucket. Read the hash backwards, lowest bit first. Then each bucket
//! is an interval of the numbers from 0 to 2^64: doubling the table cuts the interval in two, and
//! shrinking joins the halves again. An entry's place in this order never changes. A scan goes up
//! through the intervals and remembers only its position, so it loses nothing and meets nothing
//! twice, whatever the table does between two steps.
//!
//! Redis' SCAN takes the same order (by Pieter Noordhuis). The position inside a bucket is added
//! here: without it, a bucket that was merged during the scan would show entries again.
//!
//! # Example
//!
//! With hashes of four bits, positions go from 0 to 16. The table starts with 4 buckets, grows to 8
//! and then shrinks to 2:
//!
//! ```text
//! position  next hash  buckets  bucket  its interval  shown               position then
//!     0       0000        4       00      0 to 4      the whole bucket          4
//!                     the table grows to 8 buckets
//!     4       0010        8      010      4 to 6      the whole bucket          6
//!                     the table shrinks to 2 buckets
//!     6       0110        2        0      0 to 8      hashes 0110 and 1110      8
//!     8       0001        2        1      8 to 16     the whole bucket         end
//! ```
//!
//! The next hash is the position read backwards: position 4 is 0100, whose reverse is 0010, and
//! position 6 is 0110, whose reverse is 0110. The third step meets a bucket that was joined from
//! four, of which the first three were shown before. Backwards, the hashes 0110 and 1110 give 6 and
//! 7. All others of that bucket give less than 6, so the scan passes over them.

/// The position of a scan.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// The end of what was scanned: hashes that give less when read backwards are behind.
    position: u64,
    finished: bool,
}

impl Cursor {
    /// Returns the hash at the position, whose bucket is the next to visit; `None` at the end.
    pub(crate) fn next_hash(&self) -> Option<u64> {
        (!self.finished).then(|| self.position.reverse_bits())
    }

    /// Returns whether the next bucket, chosen by the low `bits` of the hash, is ahead as a whole.
    /// Then none of its entries needs [`is_ahead`](Self::is_ahead).
    pub(crate) fn whole_bucket_ahead(&self, bits: u32) -> bool {
        bits >= u64::BITS - self.position.trailing_zeros().min(u64::BITS)
    }

    /// Returns whether an entry with this hash is still ahead.
    pub(crate) fn is_ahead(&self, hash: u64) -> bool {
        hash.reverse_bits() >= self.position
    }

    /// Moves the position behind the bucket of [`next_hash`](Self::next_hash), which was chosen by
    /// the low `bits` of the hash.
    pub(crate) fn pass_bucket(&mut self, bits: u32) {
        let below = u64::BITS - bits;
        let index = self.position.checked_shr(below);
        match index.and_then(|index| (index + 1).checked_mul(1 << below)) {
            Some(position) => self.position = position,
            None => self.finished = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans a table of `bits_at(step)` bits, and returns how often each of the hashes was met.
    fn scan(hashes: &[u64], mut bits_at: impl FnMut(usize) -> u32) -> Vec<u32> {
        let mut met = vec![0; hashes.len()];
        let mut cursor = Cursor::default();
        let mut step = 0;
        while let Some(next) = cursor.next_hash() {
            let bits = bits_at(step);
            let mask = (1_u64 << bits) - 1;
            for (met, &hash) in met.iter_mut().zip(hashes) {
                let is_ahead = cursor.whole_bucket_ahead(bits) || cursor.is_ahead(hash);
                if hash & mask == next & mask && is_ahead {
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
            assert!(scan(&hashes(), |_| bits).iter().all(|&met| met == 1), "{bits} bits");
        }
    }

    #[test]
    fn a_table_that_grows_and_shrinks_is_walked_once() {
        let sizes = [3, 4, 5, 6, 7, 2, 1, 9, 0, 8, 4, 4, 3];
        let met = |bits_at: &dyn Fn(usize) -> u32| scan(&hashes(), bits_at);
        let once = |bits_at: &dyn Fn(usize) -> u32| met(bits_at).iter().all(|&n| n == 1);
        assert!(once(&|step| sizes[step % sizes.len()]));
        assert!(once(&|step| 10 - (step as u32 / 9).min(10)));
        assert!(once(&|step| (step as u32 / 3).min(12)));
    }
}
