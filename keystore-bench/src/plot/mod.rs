//! Draws the plots with plotters, as SVG and PNG.
//!
//! The colours are from M. Okabe and K. Ito ("Color Universal Design", 2008), and can be told apart
//! with any colour vision. No plot relies on colour alone: lines have marks of different shapes,
//! and cells and bars have numbers. Every plot is [`WIDTH`] pixels wide, the width of a README.
//! Legends are above the data, on separate lines.
//!
//! There is one file for each kind of plot: `heatmap`, `throughput`, `latency`, `timeline`, `size`,
//! `memory`, `peers`. They share `picture` (a plot with its title), `canvas` (the drawing area),
//! `style` (colours, marks, legends) and `panels` (line charts side by side).

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

/// Kinds of plots. The name of a plot starts with its kind.
pub(crate) const KINDS: [&str; 7] =
    ["heatmap", "memory", "throughput", "latency", "timeline", "size", "peers"];

/// Draws all plots, the most important first.
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

/// Numbers the names of plots that occur twice. Two scenarios can have the same file name if their
/// names differ only in special characters.
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
