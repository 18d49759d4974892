//! Computes how far one store is ahead of another, and the confidence of that lead.
//!
//! If nine stores are equally fast, one of them is still the fastest in any run, by chance. If the
//! same rounds pick the winner and measure its lead, that chance looks like a difference. So the
//! rounds are split. The odd rounds pick the stores to compare ([`picks`]), and the even rounds
//! measure the lead. The first round is round 0, which is even. Odd and even rounds alternate
//! because a machine may become slower during the measurement.
//!
//! The two stores of an even round ran shortly after one another, so they are compared round by
//! round. The comparison is a paired t-test (Student 1908) on the logarithms of the ratios.
//!
//! # Example
//!
//! This table has five rounds of two stores, in millions of operations a second:
//!
//! | round | 0 | 1 | 2 | 3 | 4 |
//! |---|---|---|---|---|---|
//! | a | 11 | 12 | 5.6 | 13 | 12 |
//! | b | 10 | 10 | 5.0 | 10 | 11 |
//!
//! Rounds 1 and 3 pick `a`. Rounds 0, 2 and 4 have the ratios 1.10, 1.12 and 1.09. Their mean is
//! 1.10, with bounds of 1.07 and 1.14 at 95 % confidence, so the difference is significant. The
//! machine was slow in round 2, but that slowed both stores and hardly changes the ratio.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Confidence of the bounds of a [`Lead`].
pub const CONFIDENCE: f64 = 0.95;

/// Least ratio that counts as a difference.
pub const LEAST_LEAD: f64 = 1.05;

/// Ratio of the rates of two stores, measured in rounds that did not pick the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead {
    /// Geometric mean of the ratio over the rounds.
    pub ratio: f64,
    /// The lower bound of the ratio, with a confidence of [`CONFIDENCE`].
    pub low: f64,
    /// The upper bound of the ratio, with the same confidence.
    pub high: f64,
    /// Confidence that the ratio is above 1, from 0 to 1.
    pub confidence: f64,
}

impl Lead {
    /// Compares the even rounds of two stores. Returns `None` if there are fewer than two even
    /// rounds.
    #[must_use]
    pub fn of(rates: &[f64], others: &[f64]) -> Option<Self> {
        Self::of_one_in(1, rates, others)
    }

    /// Compares the even rounds of two stores as one of `tests` tests of which only the best is
    /// reported.
    ///
    /// The best of many tests often looks significant by chance. So the permitted error is divided
    /// by the number of tests (the Bonferroni correction). Then the bounds of all tests hold
    /// together with [`CONFIDENCE`], and `confidence` allows for the other tests too.
    #[must_use]
    pub fn of_one_in(tests: usize, rates: &[f64], others: &[f64]) -> Option<Self> {
        let tests = tests.max(1) as f64;
        let even = rates.iter().zip(others).step_by(2);
        let logs: Vec<f64> = even
            .map(|(rate, other)| (rate.max(f64::MIN_POSITIVE) / other.max(f64::MIN_POSITIVE)).ln())
            .collect();
        let count = logs.len() as f64;
        if logs.len() < 2 {
            return None;
        }
        let mean = logs.iter().sum::<f64>() / count;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let error = (squares / (count - 1.0) / count).sqrt();
        let student = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
        let half = error * student.inverse_cdf(1.0 - (1.0 - CONFIDENCE) / 2.0 / tests);
        let confidence = match mean {
            mean if error > 0.0 => student.cdf(mean / error),
            mean if mean > 0.0 => 1.0,
            mean if mean < 0.0 => 0.0,
            _ => 0.5,
        };
        let confidence = (1.0 - tests * (1.0 - confidence)).max(0.0);
        Some(Self {
            ratio: mean.exp(),
            low: (mean - half).exp(),
            high: (mean + half).exp(),
            confidence,
        })
    }

    /// Returns whether the lead is significant: both bounds are above 1, and the ratio is at least
    /// [`LEAST_LEAD`].
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.low > 1.0 && self.ratio >= LEAST_LEAD
    }
}

/// Returns the rates of the rounds that pick the stores to compare: the odd rounds, or all rounds
/// if there are too few for [`Lead::of`].
#[must_use]
pub fn picks(rates: &[f64]) -> Vec<f64> {
    if rates.len() < 3 {
        rates.to_vec()
    } else {
        rates.iter().skip(1).step_by(2).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 0.002 * expected, "{value}, {expected} expected");
    }

    #[test]
    fn a_lead_has_the_bounds_of_the_tables() {
        let lead = Lead::of(&[11.0, 0.0, 5.6, 0.0, 12.0], &[10.0, 9.0, 5.0, 9.0, 11.0]).unwrap();
        // The mean of the logarithms is 0.09855, the standard error is 0.00777, and t is 4.303 for
        // two degrees of freedom.
        near(lead.ratio, 1.1036);
        near(lead.low, 1.0662);
        near(lead.high, 1.1423);
        near(lead.confidence, 0.9967);
        assert!(lead.is_significant());
        let ratio = 2.0_f64;
        let two = Lead::of(&[ratio, 0.0, ratio * 1.1], &[1.0, 0.0, 1.0]).unwrap();
        // t is 12.706 for one degree of freedom.
        near(two.high / two.ratio, (0.5 * 1.1_f64.ln() * 12.706).exp());
    }

    #[test]
    fn one_of_many_tests_has_the_wider_bounds_of_all_of_them() {
        let (rates, others) = ([11.0, 0.0, 5.6, 0.0, 12.0], [10.0, 9.0, 5.0, 9.0, 11.0]);
        let lead = Lead::of_one_in(10, &rates, &others).unwrap();
        // t is 14.089 for two degrees of freedom at 99.5 %.
        near(lead.ratio, 1.1036);
        near(lead.low, 0.9891);
        near(lead.confidence, 0.969);
        assert!(!lead.is_significant());
        // A lead that is significant in one test may have no confidence left in a thousand tests.
        assert_eq!(Lead::of_one_in(1000, &rates, &others).unwrap().confidence, 0.0);
    }

    #[test]
    fn what_lies_within_the_bounds_is_no_difference_however_great_the_ratio() {
        let wide = Lead::of(&[30.0, 1.0, 10.0, 1.0, 20.0], &[10.0, 1.0, 11.0, 1.0, 10.0]).unwrap();
        assert!(wide.ratio > 1.5 && wide.low < 1.0 && !wide.is_significant(), "{wide:?}");
        let small = Lead::of(&[10.3, 1.0, 10.3, 1.0, 10.3], &[10.0; 5]).unwrap();
        assert!(
            small.low > 1.0 && !small.is_significant(),
            "3 percent are not worth a choice: {small:?}"
        );
    }

    #[test]
    fn one_round_or_two_tell_no_difference() {
        assert_eq!(Lead::of(&[2.0], &[1.0]), None);
        assert_eq!(Lead::of(&[2.0, 2.0], &[1.0, 1.0]), None);
        assert_eq!(Lead::of(&[2.0; 3], &[1.0; 3]).unwrap().confidence, 1.0);
        assert_eq!(picks(&[1.0, 2.0]), [1.0, 2.0]);
        assert_eq!(picks(&[0.0, 1.0, 2.0, 3.0, 4.0]), [1.0, 3.0]);
    }

    #[test]
    fn of_stores_that_are_alike_a_winner_is_seldom_claimed() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand::rngs::SmallRng::seed_from_u64(5);
        let (mut claimed, mut in_all_rounds) = (0, 0);
        for _ in 0..2000 {
            // Nine stores run five rounds. All of them have the same noise of 20 %.
            let mut rounds =
                || std::array::from_fn::<f64, 5, _>(|_| 1.0 + rng.random::<f64>() / 5.0);
            let stores: [[f64; 5]; 9] = std::array::from_fn(|_| rounds());
            let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
            let by = |key: &dyn Fn(&[f64; 5]) -> f64| {
                let mut order: Vec<&[f64; 5]> = stores.iter().collect();
                order.sort_by(|a, b| key(b).total_cmp(&key(a)));
                order
            };
            let picked = by(&|rates| mean(&picks(rates)));
            claimed += usize::from(
                Lead::of(picked[0], picked[8]).is_some_and(|lead| lead.is_significant()),
            );
            let seen = by(&|rates| mean(rates));
            in_all_rounds += usize::from((0..5).all(|round| seen[0][round] > seen[8][round]));
        }
        assert!(claimed < 60, "{claimed} of 2,000 claims, and 50 expected");
        assert!(in_all_rounds > 200, "the same rounds would have claimed it {in_all_rounds} times");
    }
}
