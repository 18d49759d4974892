//! The report for a terminal.

use std::fmt::Write;

use super::sheets::{self, Sheet};
use super::words::{cautions, harness_text, rounds_text, verdict};
use crate::results::Results;

/// The widest that a table with the bounds of the medians may be, columns of the terminal.
const WIDE: usize = 132;

/// The whole result for a terminal.
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
    if let Some(standings) = sheets::standings(results) {
        let _ = writeln!(text, "{}", standings.to_text());
    }
    for (with, without) in sheets::throughput(results, true).iter().zip(sheets::throughput(results, false)) {
        let with = with.to_text();
        let fits = with.lines().skip(1).all(|line| line.chars().count() <= WIDE);
        let _ = writeln!(text, "{}", if fits { with } else { without.to_text() });
    }
    let mut add = |sheet: Option<Sheet>| {
        if let Some(sheet) = sheet {
            let _ = writeln!(text, "{}", sheet.to_text());
        }
    };
    add(sheets::fixed_rates(results));
    add(sheets::bursts(results));
    add(sheets::hits(results));
    add(sheets::memory(results));
    add(sheets::growth(results));
    add(sheets::peers(results));
    add(sheets::limits(results));
    add(sheets::share_of_limit(results));
    if let Some(harness) = harness_text(results) {
        let _ = writeln!(text, "{harness}\n");
    }
    let winners = sheets::winners_lines(results);
    if !winners.is_empty() {
        let _ = writeln!(text, "Fastest, by the median of {}:", rounds_text(results));
    }
    let width = winners.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, winner) in &winners {
        let _ = writeln!(text, "  {name:width$}  {winner}");
    }
    if let Some(summary) = sheets::summary_against_peers(results) {
        let _ = writeln!(text, "{summary}");
    }
    // Long tables have pushed the verdict out of the window.
    if let Some(first) = verdict(results).first() {
        let _ = writeln!(text, "\nVerdict: {first}");
    }
    text
}
