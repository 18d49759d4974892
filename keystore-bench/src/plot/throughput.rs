//! Draws the operations per second by the number of threads, for every combination under one
//! scenario.

use keystore::BackendKind;

use super::panels::combinations;
use super::panels::{self, Axis, Line, ROW};
use super::picture::{Plot, draw};
use super::style::{Legend, Whose};
use crate::error::Result;
use crate::format::slug;
use crate::measure::candidate::Candidate;
use crate::results::{Results, Row};
use crate::workload::scenario::Scenario;

/// Draws the plot. Returns `None` if the scenario ran with only one number of threads.
pub(super) fn by_threads(results: &Results, scenario: &Scenario) -> Result<Option<Plot>> {
    let mut threads = scenario.threads.clone();
    threads.sort_unstable();
    threads.dedup();
    if threads.len() < 2 {
        return Ok(None);
    }
    let ours = combinations(results);
    let line = |store: Candidate, whose| {
        let rows: Vec<(f64, &Row)> = threads
            .iter()
            .enumerate()
            .filter_map(|(n, &threads)| {
                Some((n as f64 + aside(whose), results.row(store, &scenario.name, threads)?))
            })
            .collect();
        let millions = |row: &Row| row.ops_per_sec.median / 1e6;
        let bounds = |row: &Row| (row.ops_per_sec.low / 1e6, row.ops_per_sec.high / 1e6);
        Line {
            bounds: rows.iter().map(|(n, row)| (*n, bounds(row).0, bounds(row).1)).collect(),
            ..Line::new(whose, rows.iter().map(|(n, row)| (*n, millions(row))).collect())
        }
    };
    let peer = results
        .best_peer(&scenario.name, results.representative_threads(scenario))
        .map(|row| row.store);
    let peers: Vec<Line> = peer.iter().map(|&store| line(store, Whose::Peer)).collect();
    let panels = panels::by_pool(&ours, &peers, |combination| {
        vec![line(Candidate::Ours(combination), Whose::Backend(combination.backend))]
    });
    let legend = Legend::new(Legend::of_lines(
        &panels::backends_of(&ours),
        peer.map(|peer| peer.to_string()),
    ));
    let x = Axis::names("threads", threads.iter().map(usize::to_string).collect());
    let y = Axis::linear("million operations a second", panels::range_of(&panels).1 * 1.08);
    let plot = draw(
        format!("throughput-{}", slug(&scenario.name)),
        format!("{}: operations a second by threads (higher is better)", scenario.name),
        legend.bottom() + ROW,
        |area| {
            legend.draw(area)?;
            panels::draw_row(area, legend.bottom(), &panels, &x, &y)
        },
    )?;
    Ok(Some(plot))
}

/// Returns the horizontal offset of a store's points, as a fraction of the distance between two
/// numbers of threads. Without it, the bounds of different stores would overlap.
fn aside(whose: Whose) -> f64 {
    let place = match whose {
        Whose::Backend(backend) => {
            BackendKind::ALL.into_iter().position(|other| other == backend).unwrap_or(0)
        }
        Whose::Peer => BackendKind::ALL.len(),
    };
    0.05 * (place as f64 - BackendKind::ALL.len() as f64 / 2.0)
}
