//! Plots, as SVG and PNG, by plotters.
//!
//! Colours are those of M. Okabe and K. Ito ("Color Universal Design", 2008), which people of any colour vision tell apart,
//! and no plot rests on colour alone: lines have marks of their own shape, cells and bars their number. Everything is drawn
//! [`WIDTH`] pixels wide, the width of a README; legends have lines of their own above the data.
//!
//! One file to each kind: `heatmap`, `throughput`, `latency`, `timeline`, `size`, `memory`, `peers`. They share `canvas`
//! (what is drawn on), `style` (colours, marks, legends) and `panels` (lines in panels side by side).

use std::collections::HashSet;

use keystore::Combination;

use crate::error::{Error, Result};
use crate::results::Results;

mod canvas;
mod heatmap;
mod latency;
mod memory;
mod panels;
mod peers;
mod size;
mod style;
mod throughput;
mod timeline;

use canvas::Area;

/// Width of every plot, pixels. The PNG has twice as many, for screens that show two to each.
pub const WIDTH: u32 = 800;

/// The kinds of plots: what their names begin with.
pub(crate) const KINDS: [&str; 7] =
    ["heatmap", "memory", "throughput", "latency", "timeline", "size", "peers"];

/// More scenarios than this are drawn as lines of a table: each would take too much room by itself.
pub(crate) const MANY_SCENARIOS: usize = 12;

/// A plot: two files of its own, and a part of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// The files' name, without `.svg` or `.png`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The picture.
    pub svg: String,
    /// The picture as PNG, with twice as many pixels each way.
    pub png: Vec<u8>,
}

/// What drawing comes to.
type Drawing<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Draws a plot under its title.
fn draw(
    name: String,
    title: String,
    height: i32,
    content: impl FnOnce(&Area<'_>) -> Drawing,
) -> Result<Plot> {
    let drawn = canvas::draw(height.unsigned_abs(), |area| {
        style::draw_title(area, &title)?;
        content(area)
    });
    match drawn {
        Ok((svg, png)) => Ok(Plot { name, title, svg, png }),
        Err(error) => Err(Error::Plot { plot: name, reason: error.to_string() }),
    }
}

/// All plots, those that say most first.
///
/// # Errors
/// [`Error::Plot`] where one cannot be drawn.
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

/// Numbers the names that others have too: two scenarios whose names differ by a sign have the same as files.
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

/// The combinations that ran.
fn combinations(results: &Results) -> Vec<Combination> {
    results.candidates().into_iter().filter_map(|store| store.combination()).collect()
}

#[cfg(test)]
pub(crate) mod tests;
