//! Draws a run over time: the rate and the longest call of each time slice. Marks show when the
//! table grew.

use keystore_text::duration::nanoseconds_text;

use super::panels::combinations;
use super::panels::{self, Axis, Line, Panel, ROW};
use super::picture::{Plot, draw};
use super::style::{Legend, Sample, Whose};
use crate::error::Result;
use crate::format::{slug, threads_text};
use crate::measure::candidate::Candidate;
use crate::measure::metrics::Slice;
use crate::results::Results;
use crate::workload::scenario::Scenario;

/// Approximate number of points with a mark on a line.
const MARKS: usize = 8;

/// Draws the plot. Returns `None` if the scenario recorded no time line.
pub(super) fn time_line(results: &Results, scenario: &Scenario) -> Result<Option<Plot>> {
    let Some(slice_ms) = scenario.timeline_ms else { return Ok(None) };
    let threads = results.representative_threads(scenario);
    let slices = |store| {
        results.row(store, &scenario.name, threads).map_or(&[][..], |row| row.timeline.as_slice())
    };
    let peer = results.best_peer(&scenario.name, threads).map(|row| row.store);
    // A peer that is not drawn must not extend the time axis: it may have taken many times as long.
    let drawn = |store: &Candidate| !store.is_peer() || Some(*store) == peer;
    let stores = results.candidates().into_iter().filter(drawn);
    let longest = stores.map(|store| slices(store).len()).max().unwrap_or(0);
    if longest == 0 {
        return Ok(None);
    }
    let (slice_ms, total_ms) = (f64::from(slice_ms), f64::from(slice_ms) * longest as f64);
    let (unit, in_unit) = if total_ms < 2000.0 { ("ms", 1.0) } else { ("s", 1e-3) };
    let middle = |n: usize| (n as f64 + 0.5) * slice_ms * in_unit;
    let rate = |slice: &Slice| slice.operations as f64 / slice_ms / 1e3;

    let of = |store: Candidate, whose, line: &dyn Fn(&[Slice], Whose) -> Line| {
        let slices = slices(store);
        (!slices.is_empty()).then(|| line(slices, whose)).into_iter().collect::<Vec<_>>()
    };
    let ours = combinations(results);
    let panels = |line: &dyn Fn(&[Slice], Whose) -> Line| -> Vec<Panel> {
        let peers: Vec<Line> =
            peer.iter().flat_map(|&store| of(store, Whose::Peer, line)).collect();
        panels::by_pool(&ours, &peers, |c| of(Candidate::Ours(c), Whose::Backend(c.backend), line))
    };
    let rates = panels(&|slices, whose| {
        // The last slice is incomplete, so its rate would be too low.
        let whole = if slices.len() > 2 { &slices[..slices.len() - 1] } else { slices };
        let points: Vec<(f64, f64)> =
            whole.iter().enumerate().map(|(n, slice)| (middle(n), rate(slice))).collect();
        let grown = whole.windows(2).zip(&points[1..]).filter(|(pair, _)| grew(pair));
        let grown = grown.map(|(_, point)| *point).collect();
        Line { grown, mark_every: points.len() / MARKS, ..Line::new(whose, points) }
    });
    let calls = panels(&|slices, whose| {
        let timed = slices.iter().enumerate().filter(|(_, slice)| slice.max_ns > 0);
        let points: Vec<(f64, f64)> =
            timed.map(|(n, slice)| (middle(n), slice.max_ns as f64)).collect();
        Line { mark_every: points.len() / MARKS, ..Line::new(whose, points) }
    });

    let mut entries =
        Legend::of_lines(&panels::backends_of(&ours), peer.map(|peer| peer.to_string()));
    if rates.iter().flat_map(|panel| &panel.lines).any(|line| !line.grown.is_empty()) {
        entries.push((Sample::Grown, "the table grew".to_owned()));
    }
    let legend = Legend::new(entries);
    let x = Axis::linear(&format!("time, {unit}"), total_ms * in_unit);
    let upper = Axis::linear("million operations a second", panels::range_of(&rates).1 * 1.15);
    let (least, most) = panels::range_of(&calls);
    let lower = Axis::decades("longest timed call", least, most, nanoseconds_text);
    let plot = draw(
        format!("timeline-{}", slug(&scenario.name)),
        format!(
            "{}, {}: each {slice_ms} ms of the last round",
            scenario.name,
            threads_text(threads)
        ),
        legend.bottom() + 2 * ROW + 8,
        |area| {
            legend.draw(area)?;
            panels::draw_row(area, legend.bottom(), &rates, &x, &upper)?;
            panels::draw_row(area, legend.bottom() + ROW + 8, &calls, &x, &lower)
        },
    )?;
    Ok(Some(plot))
}

/// Returns whether the table grew between two slices.
fn grew(pair: &[Slice]) -> bool {
    pair[0].table_bytes > 0 && pair[1].table_bytes > pair[0].table_bytes
}
