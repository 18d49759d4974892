//! The cursor of a scan, which visits every entry once even if the table grows and shrinks during
//! the scan.
//!
//! A table chooses a bucket by the low bits of the hash. So when the table doubles, the next higher
//! bit divides the entries of each bucket. If the bits of a hash are reversed, lowest bit first,
//! each bucket is an interval of the numbers from 0 to 2^64. Doubling the table cuts each interval
//! in two, and shrinking joins the halves again. An entry's reversed hash, its place in this order,
//! never changes. A scan goes up through the intervals and remembers only its position. So it
//! visits every entry once, no matter how the table grows or shrinks between two steps.
//!
//! The SCAN command of Redis uses the same order (by Pieter Noordhuis). The cursor here adds a
//! position inside a bucket. Without it, the scan would visit entries again after their bucket was
//! merged with another one.
//!
//! # Example
//!
//! With hashes of four bits, positions go from 0 to 16. In this example, the table starts with 4
//! buckets, grows to 8 and then shrinks to 2:
//!
//! ```text
//! position  next hash  buckets  bucket  its interval  visited             position then
//!     0       0000        4       00      0 to 4      the whole bucket          4
//!                     the table grows to 8 buckets
//!     4       0010        8      010      4 to 6      the whole bucket          6
//!                     the table shrinks to 2 buckets
//!     6       0110        2        0      0 to 8      hashes 0110 and 1110      8
//!     8       0001        2        1      8 to 16     the whole bucket         end
//! ```
//!
//! The next hash is the position with its bits reversed: 0010 for position 4 (0100), and 0110 for
//! position 6 (0110). The third step visits a bucket that was joined from four buckets, of which
//! the scan has visited the first three. In that bucket, the reversed hash of 0110 is 6 and that of
//! 1110 is 7. All other reversed hashes are less than 6, so the scan skips their entries.

/// The position of a scan, in the order of the reversed hashes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// End of the interval that was scanned. Entries whose reversed hashes are less were already
    /// visited.
    position: u64,
    finished: bool,
}

impl Cursor {
    /// Returns a cursor at a position that [`position`](Self::position) returned.
    pub(crate) fn at(position: u64) -> Self {
        Self { position, finished: false }
    }

    /// Returns the position, or `None` at the end of the scan.
    pub(crate) fn position(&self) -> Option<u64> {
        (!self.finished).then_some(self.position)
    }

    /// Moves to a position further on, or to the end of the scan.
    pub(crate) fn move_to(&mut self, position: Option<u64>) {
        match position {
            Some(position) => self.position = position,
            None => self.finished = true,
        }
    }
}

/// The steps of a table whose buckets are chosen by the low bits of the hash.
#[cfg(any(feature = "rwlock", feature = "epoch"))]
impl Cursor {
    /// Returns the hash at the position. Its bucket is the next one to visit. Returns `None` at the
    /// end of the scan.
    pub(crate) fn next_hash(&self) -> Option<u64> {
        (!self.finished).then(|| self.position.reverse_bits())
    }

    /// Returns whether all entries of the next bucket are still ahead. The low `bits` of the hash
    /// choose the bucket. If this returns true, the caller need not call
    /// [`is_ahead`](Self::is_ahead) for the entries.
    pub(crate) fn whole_bucket_ahead(&self, bits: u32) -> bool {
        bits >= u64::BITS - self.position.trailing_zeros().min(u64::BITS)
    }

    /// Returns whether an entry with this hash was not visited yet.
    pub(crate) fn is_ahead(&self, hash: u64) -> bool {
        hash.reverse_bits() >= self.position
    }

    /// Moves the position to the end of the bucket of [`next_hash`](Self::next_hash). The low
    /// `bits` of the hash choose the bucket.
    pub(crate) fn pass_bucket(&mut self, bits: u32) {
        let below = u64::BITS - bits;
        let index = self.position.checked_shr(below);
        self.move_to(index.and_then(|index| (index + 1).checked_mul(1 << below)));
    }
}

#[cfg(all(test, any(feature = "rwlock", feature = "epoch")))]
mod tests {
    use super::*;

    /// Scans a table that has `bits_at(step)` bits at each step. Returns how often the scan visited
    /// each of the hashes.
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
