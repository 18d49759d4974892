//! The report as Markdown, for documents.

use std::fmt::Write;

use super::sheets::{self, Sheet};
use super::words::{METHOD, cautions, description, facts, harness_text, verdict};
use crate::results::Results;
use keystore_text::console::one_line;

/// The sheets of a report as Markdown tables, with what they were measured on.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let mut page = format!("# keystore: suite {}\n", escaped(&results.suite));
    if let Err(error) = results.verify() {
        let _ = write!(page, "\n**Do not trust these numbers: {}.**\n", escaped(&error.to_string()));
    }
    page.push_str("\n## Verdict\n\n");
    for line in verdict(results) {
        let _ = writeln!(page, "- {}", escaped(&line));
    }
    for caution in cautions(results) {
        let _ = write!(page, "\n{}\n", escaped(&caution));
    }
    let mut add = |sheet: Option<Sheet>| {
        if let Some(sheet) = sheet {
            page.push_str(&table(&sheet, "##"));
        }
    };
    add(sheets::standings(results));
    add(Some(sheets::winners(results)));
    for sheet in sheets::throughput(results, true) {
        add(Some(sheet));
    }
    add(sheets::fixed_rates(results));
    add(sheets::bursts(results));
    add(sheets::hits(results));
    add(sheets::peers(results));
    add(sheets::memory(results));
    add(sheets::growth(results));
    add(sheets::limits(results));
    add(sheets::share_of_limit(results));
    add(Some(sheets::latency(results)));
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
        let _ = writeln!(page, "- **{}**: {}", escaped(&scenario.name), escaped(&description(measured)));
    }
    let _ = write!(page, "\n{METHOD}\n");
    page
}

/// A sheet under a heading of this level.
pub(super) fn table(sheet: &Sheet, level: &str) -> String {
    let mut text = format!("\n{level} {}\n\n", escaped(&sheet.title_with("bold:")));
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    text.push_str(&line(&sheet.columns));
    text.push('|');
    for column in 0..sheet.columns.len() {
        text.push_str(if column < sheet.words { " --- |" } else { " ---: |" });
    }
    text.push('\n');
    for cells in &sheet.lines {
        let best = |cell: &String| match cell.strip_suffix(" *") {
            Some(best) => format!("**{best}**"),
            None => cell.clone(),
        };
        let cells: Vec<String> = cells.iter().map(|cell| best(&escaped(cell))).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// Text that Markdown takes as it is. An asterisk at the end of a cell, which tells the best, stays one.
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
