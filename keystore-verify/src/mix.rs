//! A mixing function for numbers.

/// Returns the number mixed by the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
///
/// It is a bijection, and every bit of the result depends on every bit of the number.
#[inline]
#[must_use]
pub const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
