//! Draws the latency percentiles of every combination under one scenario.
//!
//! The position of a percentile is its number of nines: 90 % at 1, 99 % at 2, 99.9 % at 3. So each
//! step to the right keeps a tenth of the remaining slow calls. The longest call is at the right
//! end.

use keystore_text::duration::nanoseconds_text;

use super::panels::combinations;
use super::panels::{self, Axis, Line, ROW};
use super::picture::{Plot, draw};
use super::style::{INK, Legend, Sample, Whose};
use crate::error::Result;
use crate::format::{millions_text, slug, threads_text};
use crate::measure::candidate::Candidate;
use crate::measure::metrics::Latency;
use crate::results::{Measured, Results};

/// Positions and labels of the points of [`Latency::points`] on the axis. There is no space for the
/// label of 95 beside 90.
const NINES: [(f64, &str); 7] = [
    (0.301, "50"),
    (1.0, "90"),
    (1.301, ""),
    (2.0, "99"),
    (3.0, "99.9"),
    (4.0, "99.99"),
    (4.9, "max"),
];

/// Draws the plot. Returns `None` if no call was timed.
pub(super) fn percentiles(results: &Results, measured: &Measured) -> Result<Option<Plot>> {
    let scenario = &measured.scenario;
    let threads = results.representative_threads(scenario);
    if results.rows_of(&scenario.name, threads).all(|row| row.latency_ns.samples == 0) {
        return Ok(None);
    }
    let ours = combinations(results);
    let points = |latency: &Latency| {
        let values = latency.points();
        NINES.iter().zip(values).map(|((at, _), (_, value))| (*at, value.max(1) as f64)).collect()
    };
    let lines = |store: Candidate, whose| {
        let Some(row) = results.row(store, &scenario.name, threads) else { return Vec::new() };
        let response =
            row.response_ns.as_ref().map(|response| Line::new(whose, points(response)).dashed());
        let latency = Line::new(whose, points(&row.latency_ns));
        // All lines of a peer are dashed. So of its two lines, draw only the response time, which
        // is what its users notice.
        match (whose, response) {
            (Whose::Peer, Some(response)) => vec![response],
            (_, response) => std::iter::once(latency).chain(response).collect(),
        }
    };
    let responds = results.rows_of(&scenario.name, threads).any(|row| row.response_ns.is_some());
    let peer = results.best_peer(&scenario.name, threads).map(|row| row.store);
    let peers: Vec<Line> = peer.iter().flat_map(|&store| lines(store, Whose::Peer)).collect();
    let panels = panels::by_pool(&ours, &peers, |combination| {
        lines(Candidate::Ours(combination), Whose::Backend(combination.backend))
    });
    let mut entries =
        Legend::of_lines(&panels::backends_of(&ours), peer.map(|peer| peer.to_string()));
    if responds {
        entries.push((Sample::Dashed(INK), "from when the call was due".to_owned()));
    }
    let legend = Legend::new(entries);
    let ticks = NINES.iter().filter(|(_, label)| !label.is_empty());
    let x = Axis::places(
        "percentile",
        0.0,
        5.3,
        ticks.map(|(at, label)| (*at, (*label).to_owned())).collect(),
    );
    let (least, most) = panels::range_of(&panels);
    let y = Axis::decades("time of a call", least, most, nanoseconds_text);
    let rate = scenario.rate.map_or(String::new(), |rate| format!(", {} M/s", millions_text(rate)));
    let plot = draw(
        format!("latency-{}", slug(&scenario.name)),
        format!(
            "{}, {}{rate}: latency percentiles (lower is better)",
            scenario.name,
            threads_text(threads)
        ),
        legend.bottom() + ROW,
        |area| {
            legend.draw(area)?;
            panels::draw_row(area, legend.bottom(), &panels, &x, &y)
        },
    )?;
    Ok(Some(plot))
}
