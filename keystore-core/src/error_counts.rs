//! Counts of failed calls, by error code.

use std::fmt;

use crate::error::code;

/// Number of codes that can be counted: more than a store returns.
const CODES: usize = 16;

/// Counts of failed calls by error code, from [`Stats::errors`](crate::Stats::errors).
///
/// It lies in place and allocates no memory, so a store that ran out of memory can still report how
/// often that happened.
///
/// ```
/// use keystore_core::{ErrorCounts, code};
///
/// let mut errors = ErrorCounts::default();
/// errors.add(code::OUT_OF_MEMORY, 3);
/// assert_eq!((errors.get(code::OUT_OF_MEMORY), errors.get(code::GENERAL)), (3, 0));
/// assert_eq!(errors.iter().collect::<Vec<_>>(), [(-10, 3)]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorCounts {
    /// Codes with their counts, ascending. Zeros follow the first `length`.
    counts: [(i32, u64); CODES],
    length: usize,
}

impl Default for ErrorCounts {
    fn default() -> Self {
        Self { counts: [(0, 0); CODES], length: 0 }
    }
}

impl ErrorCounts {
    /// Returns the number of calls that failed with this code.
    #[must_use]
    pub fn get(&self, code: i32) -> u64 {
        self.iter().find(|count| count.0 == code).map_or(0, |count| count.1)
    }

    /// Returns the number of calls that failed, over all codes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|count| count.1).sum()
    }

    /// Returns true if no call failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the codes with which calls failed, ascending, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (i32, u64)> {
        self.counts[..self.length].iter().copied()
    }

    /// Adds calls that failed with this code. If sixteen other codes have counts already, the calls
    /// are counted under [`code::GENERAL`].
    pub fn add(&mut self, code: i32, calls: u64) {
        if calls == 0 {
            return;
        }
        match self.counts[..self.length].binary_search_by_key(&code, |count| count.0) {
            Ok(at) => self.counts[at].1 += calls,
            Err(at) if self.length < CODES => {
                self.counts[at..=self.length].rotate_right(1);
                self.counts[at] = (code, calls);
                self.length += 1;
            }
            Err(_) if code != code::GENERAL => self.add(code::GENERAL, calls),
            Err(_) => self.counts[CODES - 1].1 += calls,
        }
    }
}

impl FromIterator<(i32, u64)> for ErrorCounts {
    fn from_iter<I: IntoIterator<Item = (i32, u64)>>(counts: I) -> Self {
        let mut errors = Self::default();
        counts.into_iter().for_each(|(code, calls)| errors.add(code, calls));
        errors
    }
}

impl<const N: usize> From<[(i32, u64); N]> for ErrorCounts {
    fn from(counts: [(i32, u64); N]) -> Self {
        counts.into_iter().collect()
    }
}

impl fmt::Debug for ErrorCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ErrorCounts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ErrorCounts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counts = std::collections::BTreeMap::<i32, u64>::deserialize(deserializer)?;
        Ok(counts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_code_in_order() {
        let mut errors = ErrorCounts::from([(-20, 1), (-10, 2), (-20, 3), (-43, 0)]);
        assert_eq!(errors.iter().collect::<Vec<_>>(), [(-20, 4), (-10, 2)]);
        assert_eq!(
            (errors.total(), errors.is_empty(), ErrorCounts::default().is_empty()),
            (6, false, true)
        );
        assert_eq!(format!("{errors:?}"), "{-20: 4, -10: 2}");
        for code in 1..=20 {
            errors.add(code, 1);
        }
        assert_eq!(errors.total(), 26, "no call is lost when there are more codes than places");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn counts_are_a_map_in_json() {
        let errors = ErrorCounts::from([(-20, 4), (-10, 2)]);
        let json = serde_json::to_string(&errors).unwrap();
        assert_eq!(json, r#"{"-20":4,"-10":2}"#);
        assert_eq!(serde_json::from_str::<ErrorCounts>(&json).unwrap(), errors);
    }
}
