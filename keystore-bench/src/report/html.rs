//! Writes the report for a browser: a single file that needs no other file.

use keystore_text::console::one_line;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html as markup};

use super::sentences::{METHOD, cautions, description, facts, harness_text, verdict};
use super::tables::{self, Table};
use crate::plot::Plot;
use crate::results::Results;

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
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

/// Title of the page.
const TITLE: &str = "keystore: backends and pools compared";

/// Maximum number of lines of a table that is unfolded at first.
const SHORT: usize = 40;

/// Text on one line, with control and invisible characters escaped. maud escapes the characters of
/// HTML.
struct Plain<'a>(&'a str);

impl Render for Plain<'_> {
    fn render(&self) -> Markup {
        one_line(self.0).render()
    }
}

/// Returns the report as an HTML page.
#[must_use]
pub fn html(results: &Results, plots: &[Plot]) -> String {
    let winners = tables::winners(results);
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (TITLE) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (TITLE) }
                p { "Suite: " (Plain(&results.suite)) }
                @if let Err(error) = results.verify() {
                    p.bad { "Do not trust these numbers: " (Plain(&error.to_string())) "." }
                }
                div.verdict {
                    h2 { "Verdict" }
                    @for (number, line) in verdict(results).iter().enumerate() {
                        p.take[number == 0] { (Plain(line)) }
                    }
                }
                @for caution in cautions(results) {
                    p.caution { (Plain(&caution)) }
                }
                @if let Some(standings) = tables::standings(results) {
                    (folded(&standings))
                }
                h2 { (Plain(&winners.title)) }
                @if let Some(summary) = tables::summary_against_peers(results) {
                    p { (Plain(&summary)) }
                }
                (cells(&winners))
                @for section in sections(results) {
                    (section.render(plots))
                }
                h2 { "What was measured, and on what" }
                div.wide {
                    table.facts {
                        @for (name, value) in facts(results) {
                            (fact(name, &value))
                        }
                        @for measured in &results.scenarios {
                            (fact(&measured.scenario.name, &description(measured)))
                        }
                    }
                }
                p { (METHOD) }
            }
        }
    };
    page.into_string()
}

/// A section of the page: plots of some kinds, then tables.
struct Section {
    title: &'static str,
    kinds: &'static [&'static str],
    tables: Vec<Table>,
    words: Option<String>,
}

impl Section {
    fn new(title: &'static str, kinds: &'static [&'static str], tables: Vec<Table>) -> Self {
        Self { title, kinds, tables, words: None }
    }

    fn render(&self, plots: &[Plot]) -> Markup {
        let of_kind = |plot: &&Plot| {
            self.kinds.iter().any(|kind| {
                plot.name
                    .strip_prefix(kind)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
        };
        let pictures: Vec<&Plot> = plots.iter().filter(of_kind).collect();
        if pictures.is_empty() && self.tables.is_empty() {
            return Markup::default();
        }
        markup! {
            h2 { (self.title) }
            @if let Some(words) = &self.words {
                p { (Plain(words)) }
            }
            @for plot in pictures {
                // The SVG is already escaped: plotters escapes the text when it draws.
                div role="img" aria-label=(Plain(&plot.title)) { (PreEscaped(&plot.svg)) }
            }
            @for table in &self.tables {
                (folded(table))
            }
        }
    }
}

/// Returns the sections between the winners and the facts.
fn sections(results: &Results) -> Vec<Section> {
    let table = |table: Option<Table>| table.into_iter().collect::<Vec<Table>>();
    let memory = tables::memory(results).into_iter().chain(tables::growth(results)).collect();
    let limits = tables::limits(results)
        .into_iter()
        .chain(tables::share_of_limit(results))
        .chain([tables::harness(results)])
        .collect();
    let harness = harness_text(results).map(|words| {
        let first = words.get(..1).unwrap_or_default().to_uppercase();
        format!("{first}{}, which every rate above contains.", words.get(1..).unwrap_or_default())
    });
    vec![
        Section::new("Backend and pool", &["heatmap"], tables::throughput(results, true)),
        Section::new("At a fixed rate", &[], table(tables::fixed_rates(results))),
        Section::new("After a burst of threads", &[], table(tables::bursts(results))),
        Section::new("Throughput by threads", &["throughput"], Vec::new()),
        Section::new("Throughput by number of keys", &["size"], Vec::new()),
        Section::new("Latency", &["latency"], vec![tables::latency(results)]),
        Section::new("Lookups that found their key", &[], table(tables::hits(results))),
        Section::new("Growing, slice by slice", &["timeline"], Vec::new()),
        Section::new("Memory and growth", &["memory"], memory),
        Section {
            words: harness,
            ..Section::new("What memory can do, and what the harness takes", &[], limits)
        },
        Section::new("Beside other people's maps", &["peers"], table(tables::peers(results))),
    ]
}

/// Returns a line of the table of facts.
fn fact(name: &str, value: &str) -> Markup {
    markup! {
        tr {
            td.word { (Plain(name)) }
            td.word { (Plain(value)) }
        }
    }
}

/// Returns a table with a heading. A long table is folded until the reader opens it.
fn folded(table: &Table) -> Markup {
    let title = table.title_with("shaded:");
    let lines = table.lines.len();
    markup! {
        @if lines > SHORT {
            details {
                summary { (Plain(&title)) " (" (lines) " lines)" }
                (cells(table))
            }
        } @else {
            h3 { (Plain(&title)) }
            (cells(table))
        }
    }
}

/// Returns the cells of a table.
fn cells(table: &Table) -> Markup {
    let class = |column: usize, cell: &str| match (column < table.words, cell.ends_with(" *")) {
        (true, _) => Some("word"),
        (false, true) => Some("best"),
        (false, false) => None,
    };
    markup! {
        div.wide {
            table {
                tr {
                    @for (column, name) in table.columns.iter().enumerate() {
                        th class=[class(column, "")] { (breakable(name)) }
                    }
                }
                @for line in &table.lines {
                    tr {
                        @for (column, cell) in line.iter().enumerate() {
                            td class=[class(column, cell)] {
                                (Plain(cell.strip_suffix(" *").unwrap_or(cell)))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns a name in which a browser may break the line after a plus.
fn breakable(name: &str) -> Markup {
    markup! {
        @for (number, part) in name.split('+').enumerate() {
            @if number > 0 { "+" wbr; }
            (Plain(part))
        }
    }
}
