//! Draws the memory per entry of a loaded store, under the scenario of
//! [`Results::memory_scenario`].
//!
//! Our stores count the parts of their memory. For peers, only the growth of the process is known.
//! If peers ran too, a mark shows the growth of the process for our stores as well.

use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, TRANSPARENT};

use super::panels::{Scale, round_ticks};
use super::picture::{Plot, draw};
use super::style::{FAINT, INK, Legend, PARTS, PEER, Sample, TEXT, draw_hollow, placed, text};
use crate::error::Result;
use crate::measure::candidate::Candidate;
use crate::measure::metrics::Memory;
use crate::results::Results;

/// Height of a bar with its margins, and of the space below the last bar.
const BAR: i32 = 28;
const BELOW: i32 = 52;

/// Draws the plot.
pub(super) fn memory(results: &Results) -> Result<Plot> {
    let scenario = results.memory_scenario();
    let of = |store: Candidate| {
        let row = results.row(store, &scenario?.name, results.representative_threads(scenario?))?;
        Some((store, row.memory))
    };
    let bars: Vec<(Candidate, Memory)> = results.candidates().into_iter().filter_map(of).collect();
    let peers = bars.iter().any(|(store, _)| store.is_peer());
    let counted = |(store, memory): &(Candidate, Memory)| {
        if store.is_peer() { memory.resident_per_entry() } else { memory.bytes_per_entry() }
    };
    let resident =
        |(_, memory): &(Candidate, Memory)| if peers { memory.resident_per_entry() } else { 0.0 };
    let longest = bars.iter().map(|bar| counted(bar).max(resident(bar))).fold(1.0, f64::max);
    let measured = scenario.and_then(|scenario| results.measured(&scenario.name));
    let alone = measured.map_or(0.0, |measured| measured.mean_key_len + measured.mean_value_len);
    let entries = bars.first().map_or(0, |(_, memory)| memory.entries);

    let names = Memory::default().parts().map(|part| part.name);
    let mut legend: Vec<(Sample, String)> = names
        .iter()
        .zip(PARTS)
        .map(|(name, colour)| (Sample::Box(colour), (*name).to_owned()))
        .collect();
    legend.push((Sample::Upright, format!("key and value alone: {alone:.0} B")));
    if peers {
        legend.push((Sample::Box(PEER), "peers: by how much the process grew".to_owned()));
        legend.push((Sample::Hollow, "the same of ours".to_owned()));
    }
    let legend = Legend::new(legend);
    let count = bars.len() as i32;
    let most = longest.max(alone) * 1.02;
    draw(
        "memory".to_owned(),
        format!("Memory for each of {entries} entries (lower is better)"),
        legend.bottom() + BAR * count.max(1) + BELOW,
        |area| {
            legend.draw(area)?;
            let part = area.margin(legend.bottom(), 4, 6, 0);
            // The numbers are printed to the right of the longest bar.
            let mut chart = ChartBuilder::on(&part)
                .x_label_area_size(46)
                .y_label_area_size(132)
                .margin_right(70)
                .build_cartesian_2d(
                    Scale { from: 0.0, to: most, ticks: round_ticks(most, 10.0) },
                    Scale { from: 0.0, to: f64::from(count.max(1)), ticks: Vec::new() },
                )?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(FAINT)
                .axis_style(INK)
                .label_style(text(TEXT, &INK))
                .axis_desc_style(text(TEXT, &INK))
                .x_desc("bytes for each entry")
                .draw()?;
            for (n, bar) in bars.iter().enumerate() {
                // The first bar is at the top, but the axis points upwards.
                let (low, middle) =
                    (f64::from(count) - n as f64 - 1.0, f64::from(count) - n as f64 - 0.5);
                let (store, memory) = bar;
                let parts = if store.is_peer() {
                    vec![(memory.resident_per_entry(), PEER)]
                } else {
                    memory.parts().iter().map(|part| part.bytes_per_entry).zip(PARTS).collect()
                };
                let mut start = 0.0;
                for (bytes, colour) in parts {
                    let corners = [(start, low + 0.14), (start + bytes, low + 0.86)];
                    chart.draw_series([Rectangle::new(corners, colour.filled())])?;
                    start += bytes;
                }
                if !store.is_peer() && resident(bar) > 0.0 {
                    draw_hollow(area, chart.backend_coord(&(resident(bar), middle)))?;
                }
                // The numbers have their own column, so that no mark can be mistaken for a part of
                // a number.
                let (right, y) = chart.backend_coord(&(most, middle));
                let style = placed(text(TEXT, &INK), HPos::Right);
                area.draw_text(&format!("{start:.0} B"), &style, (right + 64, y))?;
                let style = placed(text(TEXT, &INK), HPos::Right);
                let left = chart.backend_coord(&(0.0, middle)).0;
                area.draw_text(&store.to_string(), &style, (left - 8, y))?;
            }
            let bounds = [(alone, 0.0), (alone, f64::from(count))];
            chart.draw_series([PathElement::new(bounds, INK.stroke_width(2))])?;
            Ok(())
        },
    )
}
