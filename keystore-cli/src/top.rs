//! Search for the entries with the largest numeric values.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use keystore_core::{Keystore, Result};

/// An entry with a numeric value.
#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl Ranked {
    fn rank(&self) -> (Option<Decimal<'_>>, Reverse<&[u8]>) {
        (Decimal::parse(&self.value), Reverse(&self.key))
    }
}

/// Orders by number. Of two equal numbers, the entry whose key comes first in byte order is larger.
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// Returns the `most` entries with the largest numbers, the largest first, and the number of
/// entries without a numeric value.
pub(crate) fn largest(store: &impl Keystore, most: usize) -> Result<(Vec<Ranked>, u64)> {
    // The smallest kept entry is on top of the heap, where a larger one replaces it.
    let mut kept: BinaryHeap<Reverse<Ranked>> = BinaryHeap::new();
    let mut without = 0;
    store.for_each(|key, value| {
        let Some(number) = Decimal::parse(value) else {
            without += 1;
            return ControlFlow::Continue(());
        };
        let is_beaten = kept.len() == most
            && kept.peek().is_none_or(|Reverse(least)| (Some(number), Reverse(key)) < least.rank());
        if !is_beaten {
            kept.push(Reverse(Ranked { key: key.to_vec(), value: value.to_vec() }));
            if kept.len() > most {
                kept.pop();
            }
        }
        ControlFlow::Continue(())
    })?;
    let ranked = kept.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked).collect();
    Ok((ranked, without))
}

/// A decimal number of any length, kept as its digits and thus exact: `-12`, `7.50`, `1e3`.
#[derive(Clone, Copy, Debug)]
struct Decimal<'a> {
    is_negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'a [u8],
    /// Digits after the point; without leading zeros if `whole` is empty.
    fraction: &'a [u8],
    /// Position of the point, counted from the first nonzero digit, after applying the exponent:
    /// 0.05 has -1, 0.5 has 0 and 50 has 2. `None` stands for the number zero.
    magnitude: Option<i128>,
}

impl<'a> Decimal<'a> {
    /// Parses a number. Notations of programming languages, such as `inf` and `0x10`, are not
    /// numbers.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (is_negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (number, exponent) = match rest.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e'))
        {
            None => (rest, 0),
            Some(at) => {
                (&rest[..at], std::str::from_utf8(&rest[at + 1..]).ok()?.parse::<i64>().ok()?)
            }
        };
        let point = number.iter().position(|&byte| byte == b'.');
        let (whole, fraction) =
            point.map_or((number, &[][..]), |at| (&number[..at], &number[at + 1..]));
        if whole.len() + fraction.len() == 0
            || !whole.iter().chain(fraction).all(u8::is_ascii_digit)
        {
            return None;
        }
        let whole = without_zeros(whole);
        let (fraction, zeros) = if whole.is_empty() {
            let significant = without_zeros(fraction);
            (significant, fraction.len() - significant.len())
        } else {
            (fraction, 0)
        };
        let is_zero = whole.is_empty() && fraction.is_empty();
        let magnitude =
            (!is_zero).then(|| whole.len() as i128 - zeros as i128 + i128::from(exponent));
        Some(Self { is_negative: is_negative && !is_zero, whole, fraction, magnitude })
    }

    fn cmp_size(&self, other: &Self) -> Ordering {
        self.magnitude.cmp(&other.magnitude).then_with(|| {
            let digits = |number: &Self| number.whole.len() + number.fraction.len();
            let most = digits(self).max(digits(other));
            self.padded(most).cmp(other.padded(most))
        })
    }

    /// Returns the significant digits, padded with zeros to a length.
    fn padded(&self, length: usize) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied().chain(std::iter::repeat(b'0')).take(length)
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.cmp_size(other),
            (true, true) => other.cmp_size(self),
            (is_negative, _) => {
                if is_negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use keystore_core::RwLockKeystore;
    use proptest::prelude::*;

    use super::*;

    fn compare(a: &str, b: &str) -> Ordering {
        Decimal::parse(a.as_bytes()).unwrap().cmp(&Decimal::parse(b.as_bytes()).unwrap())
    }

    #[test]
    fn the_largest_come_first_and_ties_by_key() {
        let store = RwLockKeystore::default();
        for (key, value) in [
            ("a", "7"),
            ("b", "-3"),
            ("c", "7"),
            ("d", "1e3"),
            ("e", "many"),
            ("f", "7.5"),
            ("g", "inf"),
        ] {
            store.set(key.as_bytes(), value.as_bytes()).unwrap();
        }
        let names = |most| {
            let (ranked, without) = largest(&store, most).unwrap();
            assert_eq!(without, 2);
            ranked
                .into_iter()
                .map(|entry| String::from_utf8(entry.key).unwrap())
                .collect::<String>()
        };
        assert_eq!(names(100), "dfacb");
        assert_eq!(names(3), "dfa");
        assert_eq!(names(2), "df");
        assert_eq!(names(1), "d");
    }

    #[test]
    fn numbers_that_a_float_cannot_tell_apart_are_told_apart() {
        let sorted = [
            "-1e400",
            "-9007199254740993",
            "-9007199254740992",
            "-0.10",
            "0",
            "1e-400",
            "0.1",
            "0.1000000000000000000000000000000000001",
            "9007199254740992",
            "9007199254740993",
            "9007199254740993.5",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
            "340282366920938463463374607431768211457",
            "1e400",
            "1e9223372036854775807",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        for (a, b) in
            [("7", "007.0"), ("-0", "0.00e5"), ("1e3", "+1000"), ("0.05e2", "5."), (".5", "50e-2")]
        {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn words_are_no_numbers() {
        for word in [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "inf",
            "NaN",
            "0x10",
            "1 ",
            "1,5",
            "--1",
            "1.2.3",
            "1e5.0",
            "1e99999999999999999999",
        ] {
            assert!(Decimal::parse(word.as_bytes()).is_none(), "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_ordered_as_whole_numbers_are(a in any::<i128>(), b in any::<i128>(), shift in 0_i64..60) {
            prop_assert_eq!(compare(&a.to_string(), &b.to_string()), a.cmp(&b));
            prop_assert_eq!(compare(&format!("{a}e-{shift}"), &format!("{b}e-{shift}")), a.cmp(&b));
        }
    }
}
