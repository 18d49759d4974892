//! Produces the tables of a report, as text in rows and columns.

use comfy_table::{CellAlignment, LineStyle, TableStyle};
use keystore_text::duration::nanoseconds_text;

use super::sentences::{against_peer, bounds_text, hits_text, level_text, reached, told};
use crate::format::digits_grouped;
use crate::format::{count_text, millions_text, threads_text, three_digits};
use crate::measure::candidate::Candidate;
use crate::measure::limit::Pages;
use crate::measure::metrics::{Latency, Memory, Spread};
use crate::plot::MANY_SCENARIOS;
use crate::results::lead::Lead;
use crate::results::{Results, Row, Winner};
use crate::workload::scenario::Scenario;

/// Table borders: above and below the column names, and at the end of the table.
const LINES: TableStyle = {
    let line = LineStyle::new('─', '─', '─', '─');
    TableStyle::new().top_border(line).header_separator(line).bottom_border(line)
};

/// Maximum length of a column name without a line break in a terminal, if the name can be broken.
const LONG_NAME: usize = 8;

/// A table: a title, column names, and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Title with the unit.
    pub(super) title: String,
    /// Names of the columns.
    pub(super) columns: Vec<String>,
    /// Number of leading columns that contain words. The other columns contain numbers.
    pub(super) words: usize,
    /// Lines of cells. The best cell of its kind ends with an asterisk.
    pub(super) lines: Vec<Vec<String>>,
}

fn with_first(first: &str, rest: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(rest).collect()
}

impl Table {
    fn new(
        title: impl Into<String>,
        words: usize,
        columns: Vec<String>,
        lines: Vec<Vec<String>>,
    ) -> Self {
        Self { title: title.into(), columns, words, lines }
    }

    /// Returns the title for a format that marks the best with `mark` instead of an asterisk.
    pub(super) fn title_with(&self, mark: &str) -> String {
        self.title.replace("* the best", &format!("{mark} the best"))
    }

    /// Returns the table for a terminal.
    pub(super) fn to_text(&self) -> String {
        let broken = |name: &String| match name.rfind(['+', '-', ' ']) {
            Some(at) if name.len() > LONG_NAME => format!("{}\n{}", &name[..=at], &name[at + 1..]),
            _ => name.clone(),
        };
        // Pad the other cells, so that numbers align with those that have an asterisk.
        let starred = |column: usize| {
            self.lines.iter().any(|line| line.get(column).is_some_and(|c| c.ends_with('*')))
        };
        let starred: Vec<bool> = (0..self.columns.len()).map(starred).collect();
        let mut table = comfy_table::Table::new();
        table.load_style(LINES).set_header(self.columns.iter().map(broken));
        for line in &self.lines {
            table.add_row(line.iter().zip(&starred).map(|(cell, starred)| {
                if *starred && !cell.ends_with('*') { format!("{cell}  ") } else { cell.clone() }
            }));
        }
        for column in table.column_iter_mut().skip(self.words) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{}\n{table}\n", self.title)
    }
}

/// Returns the scenarios that ran with this number of threads.
fn scenarios_with(results: &Results, threads: usize) -> Vec<&Scenario> {
    let scenarios = results.scenarios.iter().map(|measured| &measured.scenario);
    scenarios.filter(|scenario| scenario.threads.contains(&threads)).collect()
}

/// Returns every pair of a scenario and one of its numbers of threads.
fn runs(results: &Results) -> impl Iterator<Item = (&Scenario, usize)> {
    let scenarios = results.scenarios.iter().map(|measured| &measured.scenario);
    scenarios.flat_map(|scenario| scenario.threads.iter().map(move |&threads| (scenario, threads)))
}

fn run_name(scenario: &str, threads: usize) -> String {
    format!("{scenario}, {}", threads_text(threads))
}

fn ours(results: &Results) -> Vec<Candidate> {
    results.candidates().into_iter().filter(|store| !store.is_peer()).collect()
}

/// Returns the operations per second, one table for each number of threads. Stores are lines and
/// scenarios are columns, or the reverse if there are many scenarios. The best of a scenario has an
/// asterisk. `spread` adds the maximum distance of the bounds from the median.
pub(super) fn throughput(results: &Results, spread: bool) -> Vec<Table> {
    let stores = results.candidates();
    let table = |threads| {
        let scenarios = scenarios_with(results, threads);
        let cell = |store, scenario: &Scenario| {
            let Some(row) = results.row(store, &scenario.name, threads) else {
                return String::new();
            };
            let rate = row.ops_per_sec;
            let best = results.rows_of(&scenario.name, threads).map(|row| row.ops_per_sec.median);
            // At a fixed rate, all stores do the same number of operations.
            let best = scenario.rate.is_none() && best.fold(0.0, f64::max) == rate.median;
            let best = if best { " *" } else { "" };
            let spread = if spread && row.rounds.len() > 1 {
                format!(" ±{:.0}%", rate.percent())
            } else {
                String::new()
            };
            format!("{}{spread}{best}", millions_text(rate.median))
        };
        let bounds =
            if spread && results.rounds() > 1 { "± the bounds of the median, " } else { "" };
        let title = format!(
            "Million operations a second, {} ({bounds}* the best median)",
            threads_text(threads)
        );
        let names = scenarios.iter().map(|scenario| scenario.name.clone());
        if results.scenarios.len() > MANY_SCENARIOS {
            let columns = with_first("", stores.iter().map(Candidate::to_string));
            let lines = scenarios.iter().map(|scenario| {
                with_first(&scenario.name, stores.iter().map(|&store| cell(store, scenario)))
            });
            return Table::new(title, 1, columns, lines.collect());
        }
        let lines = stores.iter().map(|&store| {
            with_first(&store.to_string(), scenarios.iter().map(|scenario| cell(store, scenario)))
        });
        Table::new(title, 1, with_first("", names), lines.collect())
    };
    results.thread_counts().into_iter().map(table).collect()
}

/// Returns the performance of each store over all runs, the recommended store first. Returns `None`
/// if there is no verdict.
pub(super) fn standings(results: &Results) -> Option<Table> {
    let advice = results.advice()?;
    let percent = |share: f64| format!("{:.0}", (100.0 * share).floor());
    let lines = advice.standings.iter().map(|standing| {
        vec![
            standing.store.to_string(),
            percent(standing.mean),
            format!("{} of {}", standing.near, advice.runs),
            percent(standing.worst),
            standing.worst_run.clone(),
        ]
    });
    let names = ["", "on average", "within 5 % of the best", "at worst", "in the run"];
    let title = "Share of the rate of the fastest store, percent, over all runs";
    Some(Table::new(title, 1, names.map(str::to_owned).to_vec(), lines.collect()))
}

/// Returns the winners and their leads.
pub(super) fn winners(results: &Results) -> Table {
    let winners = results.winners();
    let peers =
        winners.iter().any(|winner| results.best_peer(winner.scenario, winner.threads).is_some());
    let ahead = |other: Option<&(&Row, Option<Lead>)>| {
        told(other).map_or(String::new(), |(row, lead)| {
            format!("{:.2} × {} ({})", lead.ratio, row.store, bounds_text(&lead))
        })
    };
    let mut columns =
        ["scenario", "threads", "fastest", "M/s", "ahead of the next", "ahead of the last"]
            .map(str::to_owned)
            .to_vec();
    if peers {
        columns.push("ours and the best peer".to_owned());
    }
    let lines = winners.iter().map(|winner| {
        let first = winner.front().first().copied().unwrap_or(winner.best);
        let last = winner.others.last().filter(|_| first.store == winner.best.store);
        let mut line = vec![
            winner.scenario.to_owned(),
            winner.threads.to_string(),
            first.store.to_string(),
            millions_text(first.ops_per_sec.median),
            level_text(winner).unwrap_or_else(|| ahead(winner.others.first())),
            ahead(last),
        ];
        if peers {
            line.push(against_peer(results, winner).unwrap_or_default());
        }
        line
    });
    let words = columns.len();
    Table::new("Which is fastest", words, columns, lines.collect())
}

/// Returns a sentence about each winner, with the name of its run.
pub(super) fn winners_lines(results: &Results) -> Vec<(String, String)> {
    let line = |winner: &Winner<'_>| {
        (run_name(winner.scenario, winner.threads), super::winner_text(results, winner))
    };
    results.winners().iter().map(line).collect()
}

/// Returns the hit ratios, one line for each scenario with lookups. Returns `None` if there are no
/// such scenarios.
pub(super) fn hits(results: &Results) -> Option<Table> {
    let threads = results.thread_counts();
    let cell = |scenario: &Scenario, threads: usize| {
        let hits = || results.rows_of(&scenario.name, threads).filter_map(Row::hit_ratio);
        let least = hits().reduce(f64::min).map_or(String::new(), hits_text);
        let most = hits().reduce(f64::max).map_or(String::new(), hits_text);
        if least == most { least } else { format!("{least} to {most}") }
    };
    let scenarios = results.scenarios.iter().map(|measured| &measured.scenario);
    let lines: Vec<Vec<String>> = scenarios
        .filter(|scenario| {
            results.rows.iter().any(|row| row.scenario == scenario.name && row.lookups > 0)
        })
        .map(|scenario| {
            with_first(&scenario.name, threads.iter().map(|&threads| cell(scenario, threads)))
        })
        .collect();
    let columns = with_first("", threads.iter().map(|&threads| threads_text(threads)));
    let title = "Hit ratio: lookups that found their key, percent (of all stores, least to most)";
    (!lines.is_empty()).then(|| Table::new(title, 1, columns, lines))
}

/// Returns the throughput at fixed rates, and the time of calls from when they were due.
pub(super) fn fixed_rates(results: &Results) -> Option<Table> {
    let lines: Vec<Vec<String>> = results
        .rows
        .iter()
        .filter_map(|row| {
            let rate = results.measured(&row.scenario)?.scenario.rate?;
            let response = row.response_ns.as_ref()?;
            let done = row.ops_per_sec.median;
            let done = if reached(results, row)? {
                digits_grouped(done.round() as u64)
            } else {
                format!("NOT REACHED: {}", digits_grouped(done.round() as u64))
            };
            let mut line = vec![run_name(&row.scenario, row.threads), row.store.to_string()];
            line.push(digits_grouped(rate.round() as u64));
            line.push(done);
            line.extend(response.points().map(|(_, value)| nanoseconds_text(value as f64)));
            Some(line)
        })
        .collect();
    let names = Latency::default().points().map(|(name, _)| name.to_owned());
    let columns = ["scenario", "store", "asked for", "done"]
        .map(str::to_owned)
        .into_iter()
        .chain(names)
        .collect();
    let title = "At a fixed rate, operations a second, and the time of a call from when it was due";
    (!lines.is_empty()).then(|| Table::new(title, 2, columns, lines))
}

/// Returns the effect of a burst of threads, or `None` if no scenario has a burst.
pub(super) fn bursts(results: &Results) -> Option<Table> {
    let lines: Vec<Vec<String>> = results
        .rows
        .iter()
        .filter(|row| !row.before.is_empty())
        .filter_map(|row| {
            let threads = results.measured(&row.scenario)?.scenario.burst?;
            let before = Spread::of(&row.before).median;
            let mut line = vec![run_name(&row.scenario, row.threads), row.store.to_string()];
            line.push(digits_grouped(threads as u64));
            line.extend([before, row.ops_per_sec.median].map(millions_text));
            line.push(match row.ratio_to_before() {
                Some(ratio) if row.before.len() > 1 => {
                    format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.low, ratio.high)
                }
                _ => "one round".to_owned(),
            });
            Some(line)
        })
        .collect();
    let columns = [
        "scenario",
        "store",
        "threads of the burst",
        "M/s before",
        "M/s after",
        "after over before",
    ]
    .map(str::to_owned);
    let title = "After a burst of threads that were alive at the same time and have ended (the last column is the median of \
                 the rounds' ratios, not the ratio of the two medians before it)";
    (!lines.is_empty()).then(|| Table::new(title, 2, columns.to_vec(), lines))
}

/// Returns the latencies, one line for each scenario and store, at the representative number of
/// threads of the scenario.
pub(super) fn latency(results: &Results) -> Table {
    let names = Latency::default().points().map(|(name, _)| name.to_owned());
    let mut lines = Vec::new();
    for scenario in results.scenarios.iter().map(|measured| &measured.scenario) {
        let threads = results.representative_threads(scenario);
        for row in results.rows_of(&scenario.name, threads) {
            let mut add = |what: &str, latency: &Latency| {
                let mut line =
                    vec![run_name(&row.scenario, threads), format!("{}{what}", row.store)];
                line.extend(latency.points().map(|(_, value)| nanoseconds_text(value as f64)));
                lines.push(line);
            };
            add("", &row.latency_ns);
            if let Some(response) = &row.response_ns {
                add(", from when it was due", response);
            }
        }
    }
    let columns = ["scenario", "store"].map(str::to_owned).into_iter().chain(names).collect();
    Table::new("Time of a call", 2, columns, lines)
}

/// Returns the memory per entry under the scenario of [`Results::memory_scenario`]. Returns `None`
/// if the stores are empty.
pub(super) fn memory(results: &Results) -> Option<Table> {
    let scenario = results.memory_scenario();
    let parts = Memory::default().parts().map(|part| part.name.to_owned());
    let mut columns = vec![String::new(), "all".to_owned()];
    columns.extend(parts);
    columns.extend(["the process grew by", "at most by"].map(str::to_owned));
    let mut entries = 0;
    let lines: Vec<Vec<String>> = results
        .candidates()
        .into_iter()
        .filter_map(|store| {
            let memory = results
                .row(store, &scenario?.name, results.representative_threads(scenario?))?
                .memory;
            entries = memory.entries;
            let number = |bytes: f64| format!("{bytes:.1}");
            let mut line = vec![store.to_string()];
            if store.is_peer() {
                line.extend([const { String::new() }; 4]);
            } else {
                line.push(number(memory.bytes_per_entry()));
                line.extend(memory.parts().map(|part| number(part.bytes_per_entry)));
            }
            line.push(number(memory.resident_per_entry()));
            line.push(number(memory.peak_bytes as f64 / memory.entries.max(1) as f64));
            Some(line)
        })
        .collect();
    let name = scenario.map_or("", |scenario| &scenario.name);
    let title = format!("Memory, bytes for each of {entries} entries ({name})");
    (entries > 0).then(|| Table::new(title, 1, columns, lines))
}

/// Returns the cost of growing, or `None` if stores did not grow to two sizes.
pub(super) fn growth(results: &Results) -> Option<Table> {
    let growth = results.growth();
    let first = growth.first()?;
    let (few, many) = (count_text(first.few.0), count_text(first.many.0));
    let columns =
        with_first("", [format!("{few} keys"), format!("{many} keys"), "times longer".to_owned()]);
    let lines = growth.iter().map(|growth| {
        let seconds = [growth.few.1, growth.many.1].map(|seconds| nanoseconds_text(seconds * 1e9));
        with_first(
            &growth.store.to_string(),
            seconds.into_iter().chain([format!("{:.1}", growth.ratio())]),
        )
    });
    let keys = first.many.0 as f64 / first.few.0.max(1) as f64;
    let title = format!("Growing from empty on one thread ({keys:.0} times the keys)");
    Some(Table::new(title, 1, columns, lines.collect()))
}

/// Returns the random-access limit of the memory, or `None` if it was not measured.
pub(super) fn limits(results: &Results) -> Option<Table> {
    let mut in_flight: Vec<usize> = results.limits.iter().map(|limit| limit.in_flight).collect();
    in_flight.sort_unstable();
    in_flight.dedup();
    let mut kinds: Vec<(usize, Pages)> =
        results.limits.iter().map(|limit| (limit.threads, limit.pages)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() {
        return None;
    }
    let column = |&lines: &usize| match lines {
        1 => "one after another".to_owned(),
        lines => format!("{lines} in flight"),
    };
    let rate = |(threads, pages), in_flight| {
        let same = |limit: &&crate::measure::limit::LineRate| {
            limit.threads == threads && limit.pages == pages && limit.in_flight == in_flight
        };
        results
            .limits
            .iter()
            .find(same)
            .map_or(String::new(), |limit| millions_text(limit.lines_per_sec))
    };
    let lines = kinds.iter().map(|&(threads, pages)| {
        let pages_name = match pages {
            Pages::Small => "small pages",
            Pages::Huge => "huge pages",
        };
        let name = format!("{}, {pages_name}", threads_text(threads));
        with_first(&name, in_flight.iter().map(|&in_flight| rate((threads, pages), in_flight)))
    });
    let columns = with_first("", in_flight.iter().map(column));
    Some(Table::new(
        "What memory can do, million random cache lines a second",
        1,
        columns,
        lines.collect(),
    ))
}

/// Returns the ratios of our stores to the best peer, or `None` if no peer ran beside them.
pub(super) fn peers(results: &Results) -> Option<Table> {
    let ours = ours(results);
    let mut columns = ["", "best peer", "M/s"].map(str::to_owned).to_vec();
    columns.extend(ours.iter().map(Candidate::to_string));
    let lines: Vec<Vec<String>> = runs(results)
        .filter_map(|(scenario, threads)| {
            let peer = results.best_peer(&scenario.name, threads)?;
            let ratio = |&store: &Candidate| {
                let row = results.row(store, &scenario.name, threads)?;
                Some((results.ratio_to_best_peer(row)?, row))
            };
            let ratios: Vec<_> = ours.iter().map(ratio).collect();
            let best = ratios.iter().flatten().map(|(ratio, _)| *ratio).fold(0.0, f64::max);
            let mut line = vec![
                run_name(&scenario.name, threads),
                peer.store.to_string(),
                millions_text(peer.ops_per_sec.median),
            ];
            line.extend(ratios.into_iter().map(|ratio| match ratio {
                Some((ratio, row)) => {
                    let unsure = if row.differs_from(peer) { "" } else { "~" };
                    format!("{unsure}{ratio:.2}{}", if ratio == best { " *" } else { "" })
                }
                None => String::new(),
            }));
            Some(line)
        })
        .collect();
    let title = "Ratio to the best peer, in operations a second (* the best of ours, ~ not told apart from the peer)";
    let any = lines.iter().any(|line| line.iter().skip(3).any(|cell| !cell.is_empty()));
    (any && !ours.is_empty()).then(|| Table::new(title, 2, columns, lines))
}

/// Returns the share of the memory limit that each store reaches, or `None` if it is unknown.
pub(super) fn share_of_limit(results: &Results) -> Option<Table> {
    let ours = ours(results);
    let peers = results.candidates().len() > ours.len();
    let lines: Vec<Vec<String>> = runs(results)
        .filter_map(|(scenario, threads)| {
            let share = |row: Option<&Row>| row.and_then(|row| results.share_of_limit(row));
            let mut shares: Vec<Option<f64>> = ours
                .iter()
                .map(|&store| share(results.row(store, &scenario.name, threads)))
                .collect();
            if peers {
                shares.push(share(results.best_peer(&scenario.name, threads)));
            }
            shares.iter().any(Option::is_some).then(|| {
                let text =
                    |share: Option<f64>| share.map_or(String::new(), |s| short_percent(s * 100.0));
                with_first(&run_name(&scenario.name, threads), shares.into_iter().map(text))
            })
        })
        .collect();
    let best_peer = peers.then(|| "best peer".to_owned());
    let columns = with_first("", ours.iter().map(Candidate::to_string).chain(best_peer));
    let title = "Share of the memory limit, percent (lines of table and node, over 16 in flight in huge pages; over 100 \
                 where caches hold what is asked for)";
    (!lines.is_empty()).then(|| Table::new(title, 1, columns, lines))
}

/// Returns a percentage without decimals, or with one decimal if it is small.
fn short_percent(percent: f64) -> String {
    if percent < 10.0 { format!("{percent:.1}") } else { format!("{percent:.0}") }
}

/// Returns the overhead of the harness for each scenario.
pub(super) fn harness(results: &Results) -> Table {
    // An interrupted run may lack the overhead.
    let known = results.scenarios.iter().filter(|measured| measured.harness_ns > 0.0);
    let lines = known
        .map(|measured| vec![measured.scenario.name.clone(), three_digits(measured.harness_ns)]);
    let columns = vec!["scenario".to_owned(), "ns an operation".to_owned()];
    Table::new(
        "What the harness itself takes, on a store that does nothing",
        1,
        columns,
        lines.collect(),
    )
}

/// Returns the number of runs in which our best store is ahead of the best peer, and in which it is
/// behind.
pub(super) fn summary_against_peers(results: &Results) -> Option<String> {
    let winners = results.winners();
    let pairs: Vec<(&Row, &Row)> = winners
        .iter()
        .filter_map(|winner| {
            Some((winner.best_of_ours()?, results.best_peer(winner.scenario, winner.threads)?))
        })
        .collect();
    let told = |lead: Option<Lead>| lead.is_some_and(|lead| lead.is_significant());
    let ahead = pairs.iter().filter(|(ours, peer)| told(ours.lead_over(peer))).count();
    let behind = pairs.iter().filter(|(ours, peer)| told(peer.lead_over(ours))).count();
    (!pairs.is_empty()).then(|| {
        format!(
            "The best of ours against the best peer: faster in {ahead}, not told apart in {}, slower in {behind} of {} runs.",
            pairs.len() - ahead - behind,
            pairs.len()
        )
    })
}
