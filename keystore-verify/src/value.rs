//! Values that can be verified.
//!
//! Every value identifies its key, the thread that wrote it, and the number of that thread's
//! operation. Every word of a value depends on all three and on the length. So a value that is
//! truncated, or that is made of parts of two values, is recognised.

/// Size of the smallest value that can be verified, in bytes.
pub const MIN_VALUE_SIZE: usize = 16;

/// Number of bits of a stamp that hold the number of a thread's operation.
const SEQUENCE_BITS: u32 = 40;

/// The writer of a value: a thread and its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// Stamp of values written while the store was loaded, before the threads ran.
    pub const LOADED: Self = Self(0);

    /// Returns the stamp of a thread's operation number `sequence`, from 0.
    #[inline]
    #[must_use]
    pub const fn new(thread: usize, sequence: u64) -> Self {
        Self((thread as u64 + 1) << SEQUENCE_BITS | sequence)
    }

    /// Returns the thread and its operation; `None` for a loaded value.
    #[must_use]
    pub const fn origin(self) -> Option<(usize, u64)> {
        match (self.0 >> SEQUENCE_BITS) as usize {
            0 => None,
            thread => Some((thread - 1, self.0 & ((1 << SEQUENCE_BITS) - 1))),
        }
    }
}

/// Writes the value of the key at position `key` with this stamp. This runs while time is measured,
/// so it is as cheap as possible.
///
/// # Panics
/// If the value has fewer than [`MIN_VALUE_SIZE`] bytes.
#[inline]
pub fn write_value(value: &mut [u8], key: u32, stamp: Stamp) {
    // A product of 128 bits, folded: every bit of stamp, key and length
    // changes each half of it.
    let seed = stamp.0 ^ u64::from(key).rotate_left(32) ^ (value.len() as u64).rotate_left(48);
    let product = u128::from(seed ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    let proof = product as u64 ^ (product >> 64) as u64;
    // Two words at a time.
    let pair = |low: u64, high: u64| (u128::from(low) | u128::from(high) << 64).to_le_bytes();
    let ([first, rest @ ..], tail) = value.as_chunks_mut::<16>() else {
        unreachable!("a value has at least two words");
    };
    *first = pair(stamp.0, u64::from(key) | proof << 32);
    rest.fill(pair(proof, proof));
    if !tail.is_empty() {
        let length = tail.len();
        tail.copy_from_slice(&pair(proof.swap_bytes(), proof)[..length]);
    }
}

/// Returns the key and the stamp of a value that is whole, otherwise `None`. `scratch` is any
/// buffer; reuse it between calls.
#[must_use]
pub fn read_value(value: &[u8], scratch: &mut Vec<u8>) -> Option<(u32, Stamp)> {
    let word =
        |at| value.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let stamp = Stamp(word(0)?);
    let key = word(8)? as u32;
    scratch.resize(value.len(), 0);
    write_value(scratch, key, stamp);
    (scratch == value).then_some((key, stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_gives_back_its_key_and_stamp() {
        let mut scratch = Vec::new();
        for size in [16, 17, 24, 64, 71, 1000] {
            let mut value = vec![0; size];
            let stamp = Stamp::new(3, 12_345_678_901);
            write_value(&mut value, 77, stamp);
            assert_eq!(read_value(&value, &mut scratch), Some((77, stamp)));
            assert_eq!(stamp.origin(), Some((3, 12_345_678_901)));
            value.push(0);
            assert_eq!(read_value(&value, &mut scratch), None, "another size is another value");
            assert_eq!(read_value(&value[..size - 1], &mut scratch), None, "cut");
        }
        assert_eq!(Stamp::LOADED.origin(), None);
    }

    #[test]
    fn a_value_of_two_halves_is_recognised() {
        let mut scratch = Vec::new();
        let (mut one, mut other) = ([0; 64], [0; 64]);
        write_value(&mut one, 5, Stamp::new(0, 1));
        write_value(&mut other, 5, Stamp::new(1, 1));
        for cut in 1..64 {
            let torn = [&one[..cut], &other[cut..]].concat();
            let whole = torn == one || torn == other;
            assert_eq!(read_value(&torn, &mut scratch).is_some(), whole, "cut at {cut}");
        }
        let mut flipped = one;
        flipped[40] ^= 1;
        assert_eq!(read_value(&flipped, &mut scratch), None);
    }
}
