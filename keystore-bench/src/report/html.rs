//! The report for a browser: one file that needs no other.

use std::fmt::Write;

use keystore_text::console::one_line;

use super::sentences::{METHOD, cautions, description, facts, harness_text, verdict};
use super::tables::{self, Table};
use crate::plot::Plot;
use crate::results::Results;

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
h3, summary { font-size: 1rem; font-weight: bold; margin: 1.5rem 0 .3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid #e5e5e5; white-space: nowrap; }
th { vertical-align: bottom; white-space: normal; }
.word { text-align: left; }
td.word { white-space: normal; } td.word:first-child { min-width: 6rem; }
.facts td { white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.facts td:first-child { min-width: 9rem; }
.best { font-weight: bold; background: #e8f1fa; }
.bad { color: #b00020; font-weight: bold; }
.verdict { background: #e8f1fa; border-left: 4px solid #0072b2; padding: .2rem 1rem .5rem; margin: 1rem 0; }
.verdict h2 { margin: .6rem 0 .2rem; border: 0; } .verdict p { margin: .4rem 0; }
.take { font-size: 1.1rem; font-weight: bold; }
.caution { background: #fff4d6; padding: .4rem .7rem; }
@media (max-width: 800px) { table { font-size: .75rem; } th, td { padding: .15rem .3rem; } }
svg { max-width: 100%; height: auto; display: block; margin: 1rem auto; }
";

/// The page.
#[must_use]
pub fn html(results: &Results, plots: &[Plot]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>keystore: backends and pools compared</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>keystore: backends and pools compared</h1>\n<p>Suite: {}</p>\n",
        escaped(&results.suite)
    );
    if let Err(error) = results.verify() {
        let _ = writeln!(
            page,
            "<p class=\"bad\">Do not trust these numbers: {}.</p>",
            escaped(&error.to_string())
        );
    }
    page.push_str("<div class=\"verdict\">\n<h2>Verdict</h2>\n");
    for (number, line) in verdict(results).iter().enumerate() {
        let class = if number == 0 { " class=\"take\"" } else { "" };
        let _ = writeln!(page, "<p{class}>{}</p>", escaped(line));
    }
    page.push_str("</div>\n");
    for caution in cautions(results) {
        let _ = writeln!(page, "<p class=\"caution\">{}</p>", escaped(&caution));
    }
    if let Some(standings) = tables::standings(results) {
        page.push_str(&folded(&standings));
    }
    let winners = tables::winners(results);
    let _ = writeln!(page, "<h2>{}</h2>", escaped(&winners.title));
    if let Some(summary) = tables::summary_against_peers(results) {
        let _ = writeln!(page, "<p>{}</p>", escaped(&summary));
    }
    page.push_str(&table_html(&winners, ""));

    let peers = tables::peers(results);
    let mut section = |title: &str, kinds: &[&str], tables: &[Table], words: Option<&str>| {
        let of_kind = |plot: &&Plot| {
            kinds.iter().any(|kind| {
                plot.name.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
        };
        let pictures: Vec<&Plot> = plots.iter().filter(of_kind).collect();
        if pictures.is_empty() && tables.is_empty() {
            return;
        }
        let _ = writeln!(page, "<h2>{title}</h2>");
        if let Some(words) = words {
            let _ = writeln!(page, "<p>{}</p>", escaped(words));
        }
        for plot in pictures {
            let _ = writeln!(page, "{}", plot.svg.replacen("<svg ", &labelled(plot), 1));
        }
        for table in tables {
            page.push_str(&folded(table));
        }
    };
    section("Backend and pool", &["heatmap"], &tables::throughput(results, true), None);
    let table = |table: Option<Table>| table.into_iter().collect::<Vec<Table>>();
    section("At a fixed rate", &[], &table(tables::fixed_rates(results)), None);
    section("After a burst of threads", &[], &table(tables::bursts(results)), None);
    section("Throughput by threads", &["throughput"], &[], None);
    section("Throughput by number of keys", &["size"], &[], None);
    section("Latency", &["latency"], &[tables::latency(results)], None);
    section("Lookups that found their key", &[], &table(tables::hits(results)), None);
    section("Growing, slice by slice", &["timeline"], &[], None);
    let memory: Vec<Table> = tables::memory(results).into_iter().chain(tables::growth(results)).collect();
    section("Memory and growth", &["memory"], &memory, None);
    let limits: Vec<Table> = tables::limits(results)
        .into_iter()
        .chain(tables::share_of_limit(results))
        .chain([tables::harness(results)])
        .collect();
    let harness = harness_text(results).map(|words| {
        let first = words.get(..1).unwrap_or_default().to_uppercase();
        format!("{first}{}, which every rate above contains.", words.get(1..).unwrap_or_default())
    });
    section("What memory can do, and what the harness takes", &[], &limits, harness.as_deref());
    section("Beside other people's maps", &["peers"], peers.as_slice(), None);

    page.push_str("<h2>What was measured, and on what</h2>\n<div class=\"wide\"><table class=\"facts\">\n");
    let mut fact = |name: &str, value: &str| {
        let cells = (escaped(name), escaped(value));
        let _ =
            writeln!(page, "<tr><td class=\"word\">{}</td><td class=\"word\">{}</td></tr>", cells.0, cells.1);
    };
    for (name, value) in facts(results) {
        fact(name, &value);
    }
    for measured in &results.scenarios {
        fact(&measured.scenario.name, &description(measured));
    }
    let _ = write!(page, "</table></div>\n<p>{METHOD}</p>\n</body>\n</html>\n");
    page
}

/// The most lines of a table that is shown without being asked for.
const SHORT: usize = 40;

/// A table under its heading; a long one stays closed until it is asked for.
fn folded(table: &Table) -> String {
    let title = escaped(&table.title_with("shaded:"));
    if table.lines.len() > SHORT {
        let lines = table.lines.len();
        return format!(
            "<details><summary>{title} ({lines} lines)</summary>\n{}</details>\n",
            table_html(table, "")
        );
    }
    table_html(table, &format!("<h3>{title}</h3>\n"))
}

fn table_html(table: &Table, heading: &str) -> String {
    let mut html = format!("{heading}<div class=\"wide\"><table>\n<tr>");
    let class = |column: usize, cell: &str| match (column < table.words, cell.ends_with(" *")) {
        (true, _) => " class=\"word\"",
        (false, true) => " class=\"best\"",
        (false, false) => "",
    };
    for (column, name) in table.columns.iter().enumerate() {
        // A long name may be broken at the plus.
        let name = escaped(name).replace('+', "+<wbr>");
        let _ = write!(html, "<th{}>{name}</th>", class(column, ""));
    }
    html.push_str("</tr>\n");
    for line in &table.lines {
        html.push_str("<tr>");
        for (column, cell) in line.iter().enumerate() {
            let text = escaped(cell.strip_suffix(" *").unwrap_or(cell));
            let _ = write!(html, "<td{}>{text}</td>", class(column, cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
    html
}

/// The beginning of a picture that says to those who cannot see it what it is.
fn labelled(plot: &Plot) -> String {
    format!("<svg role=\"img\" aria-label=\"{}\" ", escaped(&plot.title))
}

fn escaped(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
