//! Writes the report for a terminal.

use std::fmt::Write;

use super::sentences::{cautions, harness_text, rounds_text, verdict};
use super::tables::{self, Table};
use crate::results::Results;

/// Maximum width in columns of a table that shows the bounds of the medians.
const WIDE: usize = 132;

/// Returns the complete report for a terminal.
#[must_use]
pub fn text(results: &Results) -> String {
    let mut text = String::new();
    if let Err(error) = results.verify() {
        let _ = writeln!(text, "Do not trust these numbers: {error}.\n");
    }
    for (number, line) in verdict(results).iter().enumerate() {
        let _ = writeln!(text, "{}{line}", if number == 0 { "Verdict: " } else { "  " });
    }
    for caution in cautions(results) {
        let _ = writeln!(text, "  ({caution})");
    }
    text.push('\n');
    if let Some(standings) = tables::standings(results) {
        let _ = writeln!(text, "{}", standings.to_text());
    }
    for (with, without) in
        tables::throughput(results, true).iter().zip(tables::throughput(results, false))
    {
        let with = with.to_text();
        let fits = with.lines().skip(1).all(|line| line.chars().count() <= WIDE);
        let _ = writeln!(text, "{}", if fits { with } else { without.to_text() });
    }
    let mut add = |table: Option<Table>| {
        if let Some(table) = table {
            let _ = writeln!(text, "{}", table.to_text());
        }
    };
    add(tables::fixed_rates(results));
    add(tables::bursts(results));
    add(tables::hits(results));
    add(tables::memory(results));
    add(tables::growth(results));
    add(tables::peers(results));
    add(tables::limits(results));
    add(tables::share_of_limit(results));
    if let Some(harness) = harness_text(results) {
        let _ = writeln!(text, "{harness}\n");
    }
    let winners = tables::winners_lines(results);
    if !winners.is_empty() {
        let _ = writeln!(text, "Fastest, by the median of {}:", rounds_text(results));
    }
    let width = winners.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, winner) in &winners {
        let _ = writeln!(text, "  {name:width$}  {winner}");
    }
    if let Some(summary) = tables::summary_against_peers(results) {
        let _ = writeln!(text, "{summary}");
    }
    // Long tables have scrolled the verdict out of the window, so repeat it.
    if let Some(first) = verdict(results).first() {
        let _ = writeln!(text, "\nVerdict: {first}");
    }
    text
}
