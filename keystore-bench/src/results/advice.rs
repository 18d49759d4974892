//! Chooses a store from the results of a whole comparison, and names the runs in which another
//! store is better.
//!
//! Sixteen rows with seven winners do not say which store to take. So every store gets a *share of
//! the best* in every run (a run is one scenario with one number of threads). The share is the
//! store's rate divided by the rate of the fastest store in that run. The store to take has the
//! greatest geometric mean of shares. All runs have the same weight. The advice also says in how
//! many runs a store is near the best, and what its lowest share is.
//!
//! Another store may be better for some loads. In each run, the odd rounds pick the fastest
//! candidate. If that is another store, the even rounds test it against the store to take
//! ([`Lead`]). Among many tests, one easily succeeds by chance, so each test needs a higher
//! confidence than a single test ([`Lead::of_one_in`]).
//!
//! A bootstrap (Efron 1979) estimates how sure the choice is: it draws the rounds again, with
//! replacement, and repeats the choice.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::format::threads_text;
use crate::measure::candidate::Candidate;
use crate::measure::metrics::Spread;
use crate::results::lead::Lead;
use crate::results::{Results, Row};

/// Least share of the best with which a store counts as near the best.
pub const NEAR: f64 = 0.95;

/// Number of times that the bootstrap draws the rounds again.
const DRAWS: usize = 400;

/// Number of processors below which results say little about machines with more processors.
pub const FEW_PROCESSORS: usize = 8;

/// Summary of one store over all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The store.
    pub store: Candidate,
    /// Geometric mean of the store's shares of the best, from 0 to 1.
    pub mean: f64,
    /// Number of runs in which the share is at least [`NEAR`].
    pub near: usize,
    /// Lowest share of the best.
    pub worst: f64,
    /// Run with the lowest share: the scenario and the number of threads.
    pub worst_run: String,
}

/// Advice on which store to take.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// Number of runs that the advice is based on.
    pub runs: usize,
    /// All stores, the one to take first.
    pub standings: Vec<Standing>,
    /// Fraction of the bootstrap's draws that choose the same store, from 0 to 1.
    pub stays: f64,
    /// The store that the other draws choose most often.
    pub rival: Option<Candidate>,
    /// The store to take instead in the runs of `better`, if there are any.
    pub other: Option<Standing>,
    /// Runs in which `other` is significantly ahead of the store to take, with its lead. The lead
    /// allows for the number of runs that were tested.
    pub better: Vec<(String, Lead)>,
}

/// One run: its name, and the row of each store.
struct Contest<'a> {
    name: String,
    rows: Vec<&'a Row>,
}

impl Contest<'_> {
    /// Returns each store's share of the best. `rates` returns a store's median rate.
    fn shares(&self, rates: impl Fn(&Row) -> f64) -> Vec<f64> {
        let rates: Vec<f64> = self.rows.iter().map(|row| rates(row)).collect();
        let best = rates.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        rates.iter().map(|rate| (rate / best).max(f64::MIN_POSITIVE)).collect()
    }
}

impl Results {
    /// Returns which store to take, peers included. Only stores with at least two rounds in every
    /// run can be chosen. Returns `None` if there are fewer than two of them, or if the comparison
    /// was interrupted, because then runs may be missing.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        if self.interrupted {
            return None;
        }
        let runs: Vec<(String, usize)> = self
            .scenarios
            .iter()
            .map(|measured| &measured.scenario)
            .filter(|scenario| scenario.rate.is_none())
            .flat_map(|scenario| {
                scenario.threads.iter().map(|&threads| (scenario.name.clone(), threads))
            })
            .filter(|(scenario, threads)| self.rows_of(scenario, *threads).next().is_some())
            .collect();
        let mut stores = self.candidates();
        stores.retain(|&store| {
            let rounds = |(scenario, threads): &(String, usize)| {
                self.row(store, scenario, *threads).map_or(0, |row| row.rounds.len())
            };
            runs.iter().map(rounds).min().unwrap_or(0) > 1
        });
        if stores.len() < 2 {
            return None;
        }
        let contests: Vec<Contest<'_>> = runs
            .iter()
            .map(|(scenario, threads)| Contest {
                name: format!("{scenario}, {}", threads_text(*threads)),
                rows: stores
                    .iter()
                    .filter_map(|&store| self.row(store, scenario, *threads))
                    .collect(),
            })
            .collect();
        let shares: Vec<Vec<f64>> =
            contests.iter().map(|c| c.shares(|row| row.ops_per_sec.median)).collect();
        let means = means(&shares);
        let first = best(&means);
        let (stays, rival) = stays(&contests, first);
        let standing = |index: usize| {
            let of_run = |(_, shares): &(usize, &Vec<f64>)| shares[index];
            let worst = shares.iter().enumerate().min_by(|a, b| of_run(a).total_cmp(&of_run(b)));
            let (run, worst) = worst.map_or((0, 0.0), |worst| (worst.0, of_run(&worst)));
            Standing {
                store: stores[index],
                mean: means[index],
                near: shares.iter().filter(|shares| shares[index] >= NEAR).count(),
                worst,
                worst_run: contests[run].name.clone(),
            }
        };
        let mut order: Vec<usize> = (0..stores.len()).collect();
        order.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
        // The runs whose odd rounds pick a store other than the first, each with that store.
        let picked: Vec<(&Contest<'_>, usize)> = contests
            .iter()
            .map(|contest| {
                (contest, best(&contest.rows.iter().map(|row| row.picking()).collect::<Vec<_>>()))
            })
            .filter(|&(_, pick)| pick != first)
            .collect();
        let better = |other: usize| -> Vec<(String, Lead)> {
            let lead = |contest: &Contest<'_>| {
                let (rates, of_first) = (&contest.rows[other].rounds, &contest.rows[first].rounds);
                let lead = Lead::of_one_in(picked.len(), rates, of_first)?;
                lead.is_significant().then(|| (contest.name.clone(), lead))
            };
            let of_other = picked.iter().filter(|&&(_, pick)| pick == other);
            of_other.filter_map(|(contest, _)| lead(contest)).collect()
        };
        // Among the stores that are ahead of the first in some run, choose the one that complements
        // the first best: the better of the two is nearest to the best over all runs.
        let together = |other: usize| {
            shares.iter().map(|shares| shares[first].max(shares[other]).ln()).sum::<f64>()
        };
        let others =
            order.iter().copied().filter(|&index| index != first && !better(index).is_empty());
        let other = others.max_by(|&a, &b| together(a).total_cmp(&together(b)));
        let mut told = other.map_or(Vec::new(), better);
        told.sort_by(|(_, a), (_, b)| b.ratio.total_cmp(&a.ratio));
        Some(Advice {
            runs: contests.len(),
            standings: order.into_iter().map(standing).collect(),
            stays,
            rival: rival.map(|index| stores[index]),
            other: other.map(standing),
            better: told,
        })
    }
}

/// Returns the geometric mean of each store's shares.
fn means(shares: &[Vec<f64>]) -> Vec<f64> {
    let stores = shares.first().map_or(0, Vec::len);
    let mean = |store: usize| {
        shares.iter().map(|shares| shares[store].ln()).sum::<f64>() / shares.len() as f64
    };
    (0..stores).map(|store| mean(store).exp()).collect()
}

/// Returns the index of the greatest mean, and the lowest index if several are equal.
fn best(means: &[f64]) -> usize {
    let greatest = means.iter().copied().fold(f64::MIN, f64::max);
    means.iter().position(|&mean| mean == greatest).unwrap_or(0)
}

/// Returns the fraction of draws that choose `first`, and the store that the other draws choose
/// most often. Each draw takes the rounds of every run again, with replacement.
fn stays(contests: &[Contest<'_>], first: usize) -> (f64, Option<usize>) {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut chosen = vec![0_usize; contests.first().map_or(0, |contest| contest.rows.len())];
    for _ in 0..DRAWS {
        let shares: Vec<Vec<f64>> = contests
            .iter()
            .map(|contest| {
                let rounds = contest.rows.iter().map(|row| row.rounds.len()).min().unwrap_or(0);
                let drawn: Vec<usize> = (0..rounds).map(|_| rng.random_range(0..rounds)).collect();
                contest.shares(|row| {
                    let rates: Vec<f64> = drawn.iter().map(|&round| row.rounds[round]).collect();
                    Spread::of(&rates).median
                })
            })
            .collect();
        chosen[best(&means(&shares))] += 1;
    }
    let stays = chosen[first] as f64 / DRAWS as f64;
    chosen[first] = 0;
    let most = chosen.iter().copied().max().unwrap_or(0);
    (stays, chosen.iter().position(|&times| times == most && most > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::PeerKind;
    use crate::results::tests::tiny;

    /// Returns results of two scenarios on one thread. Each of the five rounds has the rate that
    /// `rate` returns for a scenario and a store, with a little noise.
    fn with_rates(rate: impl Fn(usize, usize) -> f64) -> Results {
        let mut results = tiny();
        results.scenarios.truncate(2);
        let names: Vec<String> =
            results.scenarios.iter().map(|m| m.scenario.name.clone()).collect();
        for measured in &mut results.scenarios {
            measured.scenario.threads = vec![1];
        }
        results.rows.retain(|row| names.contains(&row.scenario) && row.threads == 1);
        let stores = results.candidates();
        for row in &mut results.rows {
            let scenario = names.iter().position(|name| *name == row.scenario).unwrap();
            let store = stores.iter().position(|store| *store == row.store).unwrap();
            row.rounds =
                [1.0, 1.02, 0.99, 1.01, 0.98].map(|noise| noise * rate(scenario, store)).to_vec();
            row.ops_per_sec = Spread::of(&row.rounds);
        }
        results
    }

    #[test]
    fn the_store_to_take_has_the_best_mean_and_the_other_is_better_where_it_is_said() {
        // Store 3 is near the best everywhere; store 5 is ahead in the second scenario and far
        // behind in the first.
        let results = with_rates(|scenario, store| match (scenario, store) {
            (0, 3) => 10e6,
            (1, 3) => 9e6,
            (0, 5) => 4e6,
            (1, 5) => 12e6,
            _ => 3e6,
        });
        let advice = results.advice().unwrap();
        let stores = results.candidates();
        assert_eq!((advice.standings[0].store, advice.runs), (stores[3], 2));
        assert!((advice.standings[0].mean - 0.75_f64.sqrt()).abs() < 1e-9);
        assert_eq!((advice.standings[0].near, advice.standings[0].worst), (1, 0.75));
        let second = &results.scenarios[1].scenario.name;
        assert_eq!(advice.standings[0].worst_run, format!("{second}, 1 thread"));
        assert_eq!((advice.stays, advice.rival), (1.0, None));
        assert_eq!(advice.other.unwrap().store, stores[5]);
        let [(run, lead)] = advice.better.as_slice() else { panic!("{:?}", advice.better) };
        assert_eq!(*run, format!("{second}, 1 thread"));
        assert!((lead.ratio - 4.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_map_of_others_that_is_best_is_the_store_to_take() {
        let mut results = with_rates(|_, store| 1e6 + store as f64);
        let best = *results.candidates().last().unwrap();
        for row in results.rows.iter_mut().filter(|row| row.store == best) {
            row.store = Candidate::Peer(PeerKind::Papaya);
            row.rounds.iter_mut().for_each(|rate| *rate *= 2.0);
            row.ops_per_sec = Spread::of(&row.rounds);
        }
        let advice = results.advice().unwrap();
        assert_eq!(advice.standings[0].store, Candidate::Peer(PeerKind::Papaya));
        assert_eq!((advice.standings[0].mean, advice.standings[0].near), (1.0, 2));
    }

    #[test]
    fn a_choice_that_chance_has_made_is_told_as_unsure() {
        let mut results = with_rates(|_, _| 1e6);
        let stores = results.candidates();
        for (n, row) in results.rows.iter_mut().enumerate() {
            row.rounds = (0..5)
                .map(|round| 1e6 * (1.0 + ((n * 7 + round * 13) % 10) as f64 / 10.0))
                .collect();
            row.ops_per_sec = Spread::of(&row.rounds);
        }
        let advice = results.advice().unwrap();
        assert!(
            advice.stays < 0.9 && advice.rival.is_some_and(|rival| stores.contains(&rival)),
            "{advice:?}"
        );
    }

    /// Returns results of nine equally fast stores in 16 runs of five rounds, with noise of 10 %.
    fn alike(seed: u64, template: &Results) -> Results {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut results = template.clone();
        let (measured, row) = (template.scenarios[0].clone(), template.rows[0].clone());
        (results.scenarios, results.rows) = (Vec::new(), Vec::new());
        let stores = template.candidates();
        for run in 0..16 {
            let mut measured = measured.clone();
            measured.scenario.name = format!("run {run}");
            measured.scenario.threads = vec![1];
            for &store in &stores {
                // The sum of twelve uniform numbers is close to normal.
                let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
                let rounds: Vec<f64> = (0..5).map(|_| 1e7 * (0.1 * normal()).exp()).collect();
                let ops_per_sec = Spread::of(&rounds);
                let scenario = measured.scenario.name.clone();
                results.rows.push(Row {
                    store,
                    scenario,
                    threads: 1,
                    rounds,
                    ops_per_sec,
                    ..row.clone()
                });
            }
            results.scenarios.push(measured);
        }
        results
    }

    #[test]
    fn of_stores_that_are_alike_the_verdict_seldom_claims_a_difference() {
        let (template, trials) = (tiny(), 60);
        let (mut better, mut decided) = (0, 0);
        for seed in 0..trials {
            let advice = alike(seed, &template).advice().unwrap();
            better += usize::from(advice.other.is_some());
            decided += usize::from(
                advice.other.is_some() || advice.stays >= crate::results::lead::CONFIDENCE,
            );
        }
        assert!(
            better < 6 && decided < 6,
            "{better} and {decided} of {trials} verdicts claim a difference"
        );
    }

    #[test]
    fn one_round_is_no_ground_for_advice() {
        let mut results = with_rates(|_, store| store as f64 + 1.0);
        results.rows.iter_mut().for_each(|row| row.rounds.truncate(1));
        assert_eq!(results.advice(), None);
    }
}
