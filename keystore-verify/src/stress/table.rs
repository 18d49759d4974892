//! The results of all combinations side by side.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use super::Outcome;

/// Returns a table with a row for each outcome: its faults, its speed, its verdict.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header([
        "backend",
        "pool",
        "missing",
        "wrong",
        "duplicates",
        "other faults",
        "Mops/s",
        "p50 ns",
        "p95 ns",
        "p99 ns",
        "result",
    ]);
    for outcome in outcomes {
        let faults = &outcome.faults;
        table.add_row([
            outcome.backend.to_string(),
            outcome.pool.to_string(),
            faults.missing.to_string(),
            faults.wrong.to_string(),
            faults.duplicates.to_string(),
            faults.others().to_string(),
            format!("{:.2}", outcome.ops_per_sec / 1e6),
            outcome.latency.p50_ns.to_string(),
            outcome.latency.p95_ns.to_string(),
            outcome.latency.p99_ns.to_string(),
            outcome.result.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(2).take(8) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
