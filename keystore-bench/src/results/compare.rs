//! Compares two results of one suite row by row: each row became faster, became slower, or shows no
//! difference.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::measure::candidate::Candidate;
use crate::measure::metrics::Spread;
use crate::results::{Results, Row};

/// Result of comparing a row that was measured twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bounds of the two medians do not overlap, and the new median is higher.
    Faster,
    /// The bounds overlap, or there are too few rounds to distinguish a difference from chance.
    NoDifference,
    /// The bounds of the two medians do not overlap, and the new median is lower.
    Slower,
}

impl Verdict {
    /// Returns the name for display.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::NoDifference => "no difference",
            Self::Slower => "slower",
        }
    }
}

/// A row that both results have.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The store.
    pub store: Candidate,
    /// The scenario's name.
    pub scenario: String,
    /// Threads.
    pub threads: usize,
    /// The new median over the old one.
    pub ratio: f64,
    /// Least and greatest ratio that the bounds of the two medians allow.
    pub bounds: (f64, f64),
    /// Verdict on this row.
    pub verdict: Verdict,
}

impl Compared {
    /// Returns by how many percent the row became slower. A negative number means that it became
    /// faster.
    #[must_use]
    pub fn percent_slower(&self) -> f64 {
        100.0 * (1.0 - self.ratio)
    }
}

/// Two results of one suite.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Rows that both results have, in the order of the new results.
    pub rows: Vec<Compared>,
    /// Number of rows that only one of the results has, or whose scenario has changed.
    pub left_out: usize,
    /// Number of rows with too few rounds to show a difference.
    pub too_few_rounds: usize,
    /// Confidence of the bounds of the row with the fewest rounds, from 0 to 1.
    pub confidence: f64,
    /// Most rounds of any compared row, in the new results and in the old ones.
    most_rounds: (usize, usize),
}

/// Highest accepted probability that two equally fast rows differ by chance alone.
const CHANCE: f64 = 0.05;

/// Returns whether rows with these numbers of rounds can differ by more than chance. The clearest
/// difference is that all rounds of one row are faster than all rounds of the other. For equally
/// fast rows, each way to order the rounds is equally likely. There are `(new + old)! / (new!
/// old!)` ways to place the rounds of the two rows, and two of them separate the rows completely.
fn can_tell(new: usize, old: usize) -> bool {
    let ways: f64 = (1..=old).map(|n| (new + n) as f64 / n as f64).product();
    2.0 / ways <= CHANCE
}

/// Returns the least number of rounds that each of the two rows needs to show a difference.
fn rounds_needed() -> usize {
    (1..).find(|&rounds| can_tell(rounds, rounds)).unwrap_or(usize::MAX)
}

impl Comparison {
    /// Compares `new` with `old`.
    ///
    /// # Errors
    /// [`Error::NothingInCommon`], with the rows of both, if they have no row in common.
    pub fn of(new: &Results, old: &Results) -> Result<Self> {
        let alike = |row: &Row| match (new.measured(&row.scenario), old.measured(&row.scenario)) {
            (Some(new), Some(old)) => new.scenario == old.scenario,
            _ => false,
        };
        let pairs: Vec<(&Row, &Row)> = new
            .rows
            .iter()
            .filter(|row| alike(row))
            .filter_map(|row| Some((row, old.row(row.store, &row.scenario, row.threads)?)))
            .collect();
        let fewest = pairs
            .iter()
            .map(|(new, old)| new.rounds.len().min(old.rounds.len()))
            .min()
            .unwrap_or(0);
        let rows: Vec<Compared> = pairs.iter().map(|(new, old)| compare(new, old)).collect();
        if rows.is_empty() {
            let (new, old) = (overview(new), overview(old));
            return Err(Error::NothingInCommon { new, old });
        }
        let most = |of: fn(&(&Row, &Row)) -> usize| pairs.iter().map(of).max().unwrap_or(0);
        Ok(Self {
            left_out: new.rows.len() + old.rows.len() - 2 * rows.len(),
            too_few_rounds: pairs
                .iter()
                .filter(|(new, old)| !can_tell(new.rounds.len(), old.rounds.len()))
                .count(),
            confidence: Spread::confidence(fewest.max(1)),
            most_rounds: (most(|(new, _)| new.rounds.len()), most(|(_, old)| old.rounds.len())),
            rows,
        })
    }

    /// Returns the number of rows with this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// Checks that no row became slower by more than `percent`. A row whose bounds overlap always
    /// passes.
    ///
    /// # Errors
    /// [`Error::Slower`], with the number of slower rows and the worst of them.
    /// [`Error::TooFewRounds`] if no row has enough rounds to show a difference.
    pub fn check(&self, percent: f64) -> Result<()> {
        if self.too_few_rounds == self.rows.len() {
            let (new, old) = self.most_rounds;
            return Err(Error::TooFewRounds { new, old, needed: rounds_needed() });
        }
        let slower =
            |row: &&Compared| row.verdict == Verdict::Slower && row.percent_slower() > percent;
        let rows = self.rows.iter().filter(slower).count();
        let worst = self
            .rows
            .iter()
            .filter(slower)
            .min_by(|a, b| a.ratio.partial_cmp(&b.ratio).unwrap_or(Ordering::Equal));
        let Some(worst) = worst else { return Ok(()) };
        Err(Error::Slower {
            rows,
            of: self.rows.len(),
            percent,
            worst: format!(
                "{}, {}, threads {}: {:.0} % slower",
                worst.store,
                worst.scenario,
                worst.threads,
                worst.percent_slower()
            ),
        })
    }
}

/// Returns a summary of the rows, for example `18 rows: epoch+slab, papaya in get Zipf (threads 1,
/// 2), set uniform (threads 1)`.
fn overview(results: &Results) -> String {
    let stores: Vec<String> = results.candidates().iter().map(Candidate::to_string).collect();
    let runs = |name: &str| {
        let mut threads: Vec<usize> =
            results.rows.iter().filter(|row| row.scenario == name).map(|row| row.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        let threads: Vec<String> = threads.iter().map(usize::to_string).collect();
        format!("{name} (threads {})", threads.join(", "))
    };
    let scenarios: Vec<String> = results.scenarios.iter().map(|m| runs(&m.scenario.name)).collect();
    format!("{} rows: {} in {}", results.rows.len(), stores.join(", "), scenarios.join(", "))
}

fn compare(new: &Row, old: &Row) -> Compared {
    let (now, then) = (new.ops_per_sec, old.ops_per_sec);
    let over = |a: f64, b: f64| a / b.max(f64::MIN_POSITIVE);
    let verdict = match now.median.total_cmp(&then.median) {
        _ if now.overlaps(&then) || !can_tell(new.rounds.len(), old.rounds.len()) => {
            Verdict::NoDifference
        }
        Ordering::Less => Verdict::Slower,
        _ => Verdict::Faster,
    };
    Compared {
        store: new.store,
        scenario: new.scenario.clone(),
        threads: new.threads,
        ratio: over(now.median, then.median),
        bounds: (over(now.low, then.high), over(now.high, then.low)),
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::tiny;

    fn with_rate(results: &mut Results, row: usize, median: f64, half: f64) {
        results.rows[row].rounds = vec![median; 5];
        results.rows[row].ops_per_sec =
            Spread { median, low: median - half, high: median + half, ..Spread::default() };
    }

    #[test]
    fn what_overlaps_is_no_difference_and_what_does_not_is_told() {
        let (mut old, mut new) = (tiny(), tiny());
        for row in 0..old.rows.len() {
            with_rate(&mut old, row, 100.0, 5.0);
            with_rate(&mut new, row, 100.0, 5.0);
        }
        with_rate(&mut new, 1, 80.0, 4.0);
        with_rate(&mut new, 2, 92.0, 4.0);
        with_rate(&mut new, 3, 200.0, 50.0);
        let comparison = Comparison::of(&new, &old).unwrap();
        assert_eq!((comparison.rows.len(), comparison.left_out), (old.rows.len(), 0));
        let verdicts: Vec<Verdict> = comparison.rows[..4].iter().map(|row| row.verdict).collect();
        assert_eq!(
            verdicts,
            [Verdict::NoDifference, Verdict::Slower, Verdict::NoDifference, Verdict::Faster]
        );
        assert_eq!(comparison.count(Verdict::NoDifference), old.rows.len() - 2);
        assert_eq!(comparison.rows[1].ratio, 0.8);
        assert_eq!(comparison.rows[1].bounds, (76.0 / 105.0, 84.0 / 95.0));
        comparison.check(20.5).unwrap();
        let error = comparison.check(10.0).unwrap_err();
        assert!(!error.is_usage());
        let row = &new.rows[1];
        let expected = format!(
            "1 of {} rows became slower by more than 10 percent; the worst is {}, {}, threads {}: 20 % slower",
            new.rows.len(),
            row.store,
            row.scenario,
            row.threads
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn rows_that_one_lacks_or_that_ask_for_something_else_are_left_out() {
        let (old, mut new) = (tiny(), tiny());
        new.rows.remove(0);
        assert_eq!(Comparison::of(&new, &old).unwrap().left_out, 1);
        let changed = new.scenarios[1].scenario.name.clone();
        new.scenarios[1].scenario.keys += 1;
        let comparison = Comparison::of(&new, &old).unwrap();
        assert!(comparison.rows.iter().all(|row| row.scenario != changed));
        assert_eq!(Comparison::of(&old, &old).unwrap().confidence, 0.5, "two rounds");
    }

    #[test]
    fn results_without_a_row_in_common_are_an_error_that_names_the_rows_of_both() {
        let (mut old, mut new) = (tiny(), tiny());
        old.scenarios.truncate(1);
        let kept = old.scenarios[0].scenario.name.clone();
        old.rows.retain(|row| row.scenario == kept && row.threads == 1);
        new.rows.retain(|row| row.scenario != kept);
        let error = Comparison::of(&new, &old).unwrap_err();
        assert!(error.is_usage());
        let said = error.to_string();
        assert!(said.contains("no row of this run is in the baseline"), "{said}");
        assert!(said.contains("the baseline has 9 rows: rwlock+slab, rwlock+arena"), "{said}");
        assert!(said.contains(&format!("in {kept} (threads 1); rows are the same if")), "{said}");
        assert!(said.contains(&format!("this run has {} rows: ", new.rows.len())), "{said}");
    }

    #[test]
    fn too_few_rounds_tell_no_difference_and_are_no_check() {
        let (mut old, mut new) = (tiny(), tiny());
        for row in 0..old.rows.len() {
            for (results, rate) in [(&mut old, 100.0), (&mut new, 10.0)] {
                with_rate(results, row, rate, 1.0);
                results.rows[row].rounds.truncate(3);
            }
        }
        let comparison = Comparison::of(&new, &old).unwrap();
        assert_eq!(comparison.count(Verdict::NoDifference), old.rows.len());
        assert_eq!(comparison.too_few_rounds, old.rows.len());
        let error = comparison.check(10.0).unwrap_err();
        assert!(error.is_usage());
        assert!(
            error.to_string().ends_with("are 3 now and 3 in the baseline, and it takes 4 of each"),
            "{error}"
        );
        for results in [&mut old, &mut new] {
            let rate = results.rows[0].rounds[0];
            results.rows[0].rounds = vec![rate; 4];
        }
        let error = Comparison::of(&new, &old).unwrap().check(10.0).unwrap_err().to_string();
        assert!(error.starts_with("1 of "), "{error}");
    }
}
