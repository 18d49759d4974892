//! Draws the operations per second by the number of keys, if a suite grows stores to several sizes.

use super::panels::combinations;
use super::panels::{self, Axis, Line, ROW};
use super::picture::{Plot, draw};
use super::style::{INK, Legend, TEXT, Whose, bold};
use crate::error::Result;
use crate::format::{count_text, threads_text};
use crate::measure::candidate::Candidate;
use crate::results::Results;
use crate::workload::scenario::{Length, Scenario};

/// Height of the title of a row of panels.
const CAPTION: i32 = 26;

/// Scenarios that differ only in the number of keys, in increasing order of that number.
struct Series<'a> {
    scenarios: Vec<&'a Scenario>,
    /// Number of threads that all of the scenarios ran with.
    threads: usize,
}

impl<'a> Series<'a> {
    /// Returns the series that cover the same sizes as the longest series of growing stores.
    /// Returns an empty list if no store grew to at least two sizes.
    fn of(results: &'a Results) -> Vec<Self> {
        let mut groups: Vec<Vec<&Scenario>> = Vec::new();
        for scenario in results.scenarios.iter().map(|measured| &measured.scenario) {
            match groups.iter_mut().find(|group| shape(group[0]) == shape(scenario)) {
                Some(group) => group.push(scenario),
                None => groups.push(vec![scenario]),
            }
        }
        let mut sizes = Vec::new();
        for group in &mut groups {
            group.sort_by_key(|scenario| scenario.keys);
            group.dedup_by_key(|scenario| scenario.keys);
            if group[0].grows() && group.len() > sizes.len() {
                sizes = keys(group);
            }
        }
        if sizes.len() < 2 {
            return Vec::new();
        }
        let common = |group: &[&Scenario]| {
            let all =
                |threads: &&usize| group.iter().all(|scenario| scenario.threads.contains(threads));
            group[0].threads.iter().filter(all).min().copied()
        };
        groups
            .into_iter()
            .filter(|group| keys(group) == sizes)
            .filter_map(|scenarios| Some(Self { threads: common(&scenarios)?, scenarios }))
            .collect()
    }

    fn title(&self) -> String {
        let scenario = self.scenarios[0];
        let start = if scenario.grows() { "from empty, keys in order: " } else { "" };
        let batch = if scenario.mix.get_many + scenario.mix.set_many + scenario.mix.delete_many > 0
        {
            format!(" in batches of {}", scenario.batch)
        } else {
            String::new()
        };
        format!("{start}{}{batch}", scenario.mix)
    }
}

fn keys(group: &[&Scenario]) -> Vec<usize> {
    group.iter().map(|scenario| scenario.keys).collect()
}

/// Returns a scenario without the fields that may differ between sizes.
fn shape(scenario: &Scenario) -> Scenario {
    Scenario {
        name: String::new(),
        about: String::new(),
        keys: 0,
        length: Length::Once,
        warm_up: 0.0,
        threads: Vec::new(),
        timeline_ms: None,
        rounds: None,
        ..scenario.clone()
    }
}

/// Draws the plot, with a row of panels for each series. Returns `None` if there is no series.
pub(super) fn by_size(results: &Results) -> Result<Option<Plot>> {
    let series = Series::of(results);
    let Some(first) = series.first() else { return Ok(None) };
    let ours = combinations(results);
    let last = first.scenarios.last().map_or("", |scenario| scenario.name.as_str());
    let peer = results.best_peer(last, first.threads).map(|row| row.store);
    let legend = Legend::new(Legend::of_lines(
        &panels::backends_of(&ours),
        peer.map(|peer| peer.to_string()),
    ));
    let sizes = keys(&first.scenarios);
    let ticks: Vec<(f64, String)> =
        sizes.iter().map(|&keys| (keys as f64, count_text(keys))).collect();
    let x = Axis::logarithmic("keys", &ticks);
    let line = |series: &Series<'_>, store: Candidate, whose| {
        let rows = series.scenarios.iter().filter_map(|scenario| {
            Some((scenario.keys as f64, results.row(store, &scenario.name, series.threads)?))
        });
        let rows: Vec<_> = rows.map(|(keys, row)| (keys, row.ops_per_sec)).collect();
        Line {
            bounds: rows
                .iter()
                .map(|(keys, rate)| (*keys, rate.low / 1e6, rate.high / 1e6))
                .collect(),
            ..Line::new(whose, rows.iter().map(|(keys, rate)| (*keys, rate.median / 1e6)).collect())
        }
    };
    let plot = draw(
        "size".to_owned(),
        "Operations a second by number of keys (higher is better)".to_owned(),
        legend.bottom() + (ROW + CAPTION) * series.len() as i32,
        |area| {
            legend.draw(area)?;
            for (n, series) in series.iter().enumerate() {
                let top = legend.bottom() + n as i32 * (ROW + CAPTION);
                let threads = threads_text(series.threads);
                area.draw_text(
                    &format!("{}, {threads}", series.title()),
                    &bold(TEXT, &INK),
                    (14, top + 6),
                )?;
                let peers: Vec<Line> =
                    peer.iter().map(|&store| line(series, store, Whose::Peer)).collect();
                let panels = panels::by_pool(&ours, &peers, |combination| {
                    vec![line(
                        series,
                        Candidate::Ours(combination),
                        Whose::Backend(combination.backend),
                    )]
                });
                let y =
                    Axis::linear("million operations a second", panels::range_of(&panels).1 * 1.08);
                panels::draw_row(area, top + CAPTION, &panels, &x, &y)?;
            }
            Ok(())
        },
    )?;
    Ok(Some(plot))
}
