//! Prints the comparison of two results of one suite for a terminal.

use std::fmt::Write;

use super::tables::Table;
use crate::format::threads_text;
use crate::results::compare::{Compared, Comparison, Verdict};

/// Returns a table of the rows that both results have, followed by a summary. Rows with a
/// difference come first, and the greatest difference comes first among them.
#[must_use]
pub fn comparison_text(comparison: &Comparison) -> String {
    // Order by the factor of the change: half as fast is as far away as twice as fast.
    let distance = |row: &Compared| row.ratio.max(f64::MIN_POSITIVE).ln().abs();
    let mut rows: Vec<&Compared> = comparison.rows.iter().collect();
    rows.sort_by(|a, b| {
        let alike = |row: &Compared| row.verdict == Verdict::NoDifference;
        alike(a).cmp(&alike(b)).then(distance(b).total_cmp(&distance(a)))
    });
    let lines = rows.into_iter().map(|row| {
        vec![
            row.verdict.name().to_owned(),
            row.store.to_string(),
            row.scenario.clone(),
            threads_text(row.threads),
            format!("{:.2}", row.ratio),
            format!("{:.2} to {:.2}", row.bounds.0, row.bounds.1),
        ]
    });
    let table = Table {
        title: "Operations a second, new over old".to_owned(),
        columns: ["", "store", "scenario", "threads", "ratio", "bounds"]
            .map(str::to_owned)
            .to_vec(),
        words: 4,
        lines: lines.collect(),
    };
    let mut text = table.to_text();
    let too_few = match comparison.too_few_rounds {
        0 => String::new(),
        rows => format!("; {rows} with too few rounds to tell"),
    };
    let _ = writeln!(
        text,
        "{} faster, {} slower, {} no difference (bounds of {:.0} %){too_few}; rows left out, which one side \
         lacks: {}",
        comparison.count(Verdict::Faster),
        comparison.count(Verdict::Slower),
        comparison.count(Verdict::NoDifference),
        100.0 * comparison.confidence,
        comparison.left_out
    );
    text
}
