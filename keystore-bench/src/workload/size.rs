//! Distributions of key and value sizes: a fixed size, a range, or a weighted list.

use rand::RngExt;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

/// A distribution of sizes in bytes. In a file: `64`, or `{ min = 16, max = 1024 }`, or
/// `[{ bytes = 64, share = 90 }, { bytes = 1024, share = 10 }]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a size must be a number of bytes, { min = A, max = B }, or a list of { bytes = N, share = PERCENT }"
)]
pub enum Size {
    /// A fixed size.
    Fixed(usize),
    /// A uniform choice from a range of sizes.
    Between(Between),
    /// A weighted list of sizes. The shares add up to 100.
    OneOf(Vec<Share>),
}

/// A range of sizes. Both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// Smallest size in bytes.
    pub min: usize,
    /// Largest size in bytes.
    pub max: usize,
}

/// A size and its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Size in bytes.
    pub bytes: usize,
    /// Share in percent.
    pub share: u8,
}

impl Size {
    /// Returns the smallest possible size in bytes.
    #[must_use]
    pub fn min(&self) -> usize {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Between(range) => range.min,
            Self::OneOf(shares) => shares.iter().map(|share| share.bytes).min().unwrap_or(0),
        }
    }

    /// Returns the largest possible size in bytes.
    #[must_use]
    pub fn max(&self) -> usize {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Between(range) => range.max,
            Self::OneOf(shares) => shares.iter().map(|share| share.bytes).max().unwrap_or(0),
        }
    }

    /// Returns the mean size in bytes.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self {
            Self::Fixed(bytes) => *bytes as f64,
            Self::Between(range) => (range.min + range.max) as f64 / 2.0,
            Self::OneOf(shares) => {
                shares.iter().map(|share| share.bytes as f64 * f64::from(share.share) / 100.0).sum()
            }
        }
    }

    /// Returns the size if only one is possible.
    #[must_use]
    pub fn fixed(&self) -> Option<usize> {
        (self.min() == self.max()).then(|| self.min())
    }

    /// Draws a size.
    pub(crate) fn draw(&self, rng: &mut SmallRng) -> usize {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Between(range) => rng.random_range(range.min..=range.max),
            Self::OneOf(shares) => {
                let percentile = rng.random_range(0..100_u32);
                let mut end = 0;
                for share in shares {
                    end += u32::from(share.share);
                    if percentile < end {
                        return share.bytes;
                    }
                }
                unreachable!("the shares of a validated size add up to 100")
            }
        }
    }

    /// Returns the invalid value and what it must be, or `None` if all sizes lie from `least` to
    /// `most`.
    pub(crate) fn fault(&self, least: usize, most: usize) -> Option<(String, String)> {
        let expected = || format!("from {least} to {most} bytes");
        match self {
            Self::Between(range) if range.min > range.max => Some((
                format!("from {} to {}", range.min, range.max),
                "a min that is at most the max".into(),
            )),
            Self::OneOf(shares)
                if shares.iter().map(|share| u32::from(share.share)).sum::<u32>() != 100 =>
            {
                let sum: u32 = shares.iter().map(|share| u32::from(share.share)).sum();
                Some((
                    format!("a list whose shares add up to {sum}"),
                    "shares that add up to 100".into(),
                ))
            }
            _ if self.min() < least => Some((self.min().to_string(), expected())),
            _ if self.max() > most => Some((self.max().to_string(), expected())),
            _ => None,
        }
    }
}

impl From<usize> for Size {
    fn from(bytes: usize) -> Self {
        Self::Fixed(bytes)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(bytes) => write!(f, "{bytes} B"),
            Self::Between(range) => write!(f, "{} to {} B", range.min, range.max),
            Self::OneOf(shares) => {
                for (n, share) in shares.iter().enumerate() {
                    let comma = if n == 0 { "" } else { ", " };
                    write!(f, "{comma}{} B ({} %)", share.bytes, share.share)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn drawn_sizes_are_those_of_the_distribution() {
        let mut rng = SmallRng::seed_from_u64(1);
        let between = Size::Between(Between { min: 20, max: 23 });
        let mut seen = [0; 4];
        for _ in 0..4000 {
            seen[between.draw(&mut rng) - 20] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        let shares =
            Size::OneOf(vec![Share { bytes: 64, share: 90 }, Share { bytes: 1000, share: 10 }]);
        let large = (0..10_000).filter(|_| shares.draw(&mut rng) == 1000).count();
        assert!((850..1150).contains(&large), "{large}");
        assert_eq!((shares.min(), shares.max(), shares.mean()), (64, 1000, 157.6));
        assert_eq!(shares.fixed(), None);
        assert_eq!(Size::from(7).fixed(), Some(7));
        assert_eq!(shares.to_string(), "64 B (90 %), 1000 B (10 %)");
    }

    #[test]
    fn what_is_wrong_with_a_size_is_told() {
        let fault =
            |size: Size| size.fault(16, 100).map(|(is, must)| format!("{is}: must be {must}"));
        assert_eq!(fault(Size::Fixed(16)), None);
        assert_eq!(fault(Size::Fixed(15)).unwrap(), "15: must be from 16 to 100 bytes");
        assert_eq!(
            fault(Size::Between(Between { min: 16, max: 101 })).unwrap(),
            "101: must be from 16 to 100 bytes"
        );
        let backwards = Size::Between(Between { min: 30, max: 20 });
        assert_eq!(
            fault(backwards).unwrap(),
            "from 30 to 20: must be a min that is at most the max"
        );
        let short = Size::OneOf(vec![Share { bytes: 20, share: 99 }]);
        assert_eq!(
            fault(short).unwrap(),
            "a list whose shares add up to 99: must be shares that add up to 100"
        );
    }
}
