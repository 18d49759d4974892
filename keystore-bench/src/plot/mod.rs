//! Plots, as SVG and PNG, by plotters.
//!
//! Colours are those of M. Okabe and K. Ito ("Color Universal Design", 2008), which people of any
//! colour vision tell apart, and no plot rests on colour alone: lines have marks of their own
//! shape, cells and bars their number. Everything is drawn [`WIDTH`] pixels wide, the width of a
//! README; legends have lines of their own above the data.
//!
//! One file to each kind: `heatmap`, `throughput`, `latency`, `timeline`, `size`, `memory`,
//! `peers`. They share `picture` (a plot with its title), `canvas` (what is drawn on), `style`
//! (colours, marks, legends) and `panels` (lines in panels side by side).

use std::collections::HashSet;

use crate::error::Result;
use crate::results::Results;

mod canvas;
mod heatmap;
mod latency;
mod memory;
mod panels;
mod peers;
mod picture;
mod size;
mod style;
mod throughput;
mod timeline;

pub use self::canvas::WIDTH;
pub(crate) use self::panels::MANY_SCENARIOS;
pub use self::picture::Plot;

/// The kinds of plots: what their names begin with.
pub(crate) const KINDS: [&str; 7] =
    ["heatmap", "memory", "throughput", "latency", "timeline", "size", "peers"];

/// Returns all plots, those that say most first.
///
/// # Errors
/// [`Error::Plot`](crate::Error::Plot) if one cannot be drawn.
pub fn all(results: &Results) -> Result<Vec<Plot>> {
    canvas::load_fonts();
    let mut plots = vec![heatmap::heat_map(results)?, memory::memory(results)?];
    plots.extend(peers::ratios(results)?);
    plots.extend(size::by_size(results)?);
    for measured in &results.scenarios {
        plots.extend(throughput::by_threads(results, &measured.scenario)?);
        plots.extend(latency::percentiles(results, measured)?);
        plots.extend(timeline::time_line(results, &measured.scenario)?);
    }
    tell_apart(&mut plots);
    Ok(plots)
}

/// Numbers the names that others have too: two scenarios whose names differ by a sign have the same
/// as files.
fn tell_apart(plots: &mut [Plot]) {
    let mut names = HashSet::new();
    for plot in plots {
        let name = plot.name.clone();
        let mut number = 2;
        while !names.insert(plot.name.clone()) {
            plot.name = format!("{name}-{number}");
            number += 1;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
