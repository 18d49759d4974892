//! Writes the report as Markdown, for documents.

use std::fmt::Write;

use keystore_text::console::one_line;

use super::sentences::{METHOD, cautions, description, facts, harness_text, verdict};
use super::tables::{self, Table};
use crate::results::Results;

/// Returns the tables of a report as Markdown tables, with a description of the run.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let mut page = format!("# keystore: suite {}\n", escaped(&results.suite));
    if let Err(error) = results.verify() {
        let _ =
            write!(page, "\n**Do not trust these numbers: {}.**\n", escaped(&error.to_string()));
    }
    page.push_str("\n## Verdict\n\n");
    for line in verdict(results) {
        let _ = writeln!(page, "- {}", escaped(&line));
    }
    for caution in cautions(results) {
        let _ = write!(page, "\n{}\n", escaped(&caution));
    }
    let mut add = |table: Option<Table>| {
        if let Some(table) = table {
            page.push_str(&table_markdown(&table, "##"));
        }
    };
    add(tables::standings(results));
    add(Some(tables::winners(results)));
    for table in tables::throughput(results, true) {
        add(Some(table));
    }
    add(tables::fixed_rates(results));
    add(tables::bursts(results));
    add(tables::hits(results));
    add(tables::peers(results));
    add(tables::memory(results));
    add(tables::growth(results));
    add(tables::limits(results));
    add(tables::share_of_limit(results));
    add(Some(tables::latency(results)));
    page.push_str("\n## What was measured, and on what\n\n");
    for (name, value) in facts(results) {
        let _ = writeln!(page, "- {name}: {}", escaped(&value));
    }
    if let Some(harness) = harness_text(results) {
        let _ = writeln!(page, "- {harness}");
    }
    page.push('\n');
    for measured in &results.scenarios {
        let scenario = &measured.scenario;
        let _ = writeln!(
            page,
            "- **{}**: {}",
            escaped(&scenario.name),
            escaped(&description(measured))
        );
    }
    let _ = write!(page, "\n{METHOD}\n");
    page
}

/// Returns a table below a heading of the given level.
pub(super) fn table_markdown(table: &Table, level: &str) -> String {
    let mut text = format!("\n{level} {}\n\n", escaped(&table.title_with("bold:")));
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    text.push_str(&line(&table.columns));
    text.push('|');
    for column in 0..table.columns.len() {
        text.push_str(if column < table.words { " --- |" } else { " ---: |" });
    }
    text.push('\n');
    for cells in &table.lines {
        let best = |cell: &String| match cell.strip_suffix(" *") {
            Some(best) => format!("**{best}**"),
            None => cell.clone(),
        };
        let cells: Vec<String> = cells.iter().map(|cell| best(&escaped(cell))).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// Escapes text for Markdown. An asterisk at the end of a cell marks the best value and is not
/// escaped.
pub(super) fn escaped(text: &str) -> String {
    let (text, end) = match text.strip_suffix(" *") {
        Some(text) => (text, " *"),
        None => (text, ""),
    };
    let mut escaped = String::new();
    for letter in one_line(text).chars() {
        if matches!(letter, '\\' | '|' | '<' | '>' | '`' | '[' | ']' | '_') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped + end
}
