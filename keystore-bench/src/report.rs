//! The report: tables for a terminal, one page for a browser, and the folder that holds it all.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::error::{Error, Result};
use crate::keys::KeySource;
use crate::plot::{self, Plot, millions_text, nanoseconds_text, threads_text};
use crate::results::{Results, Row, Winner, write_whole};
use crate::workload::{Length, Start, Workload};

/// A line above and below the names of the columns, and one at the end.
const LINES: TableStyle = {
    let line = LineStyle::new('─', '─', '─', '─');
    TableStyle::new().top_border(line).header_separator(line).bottom_border(line)
};

/// A table: a heading, the names of its columns, and its lines. The first column is text, the others are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// What it shows, with the unit.
    pub title: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The lines.
    pub lines: Vec<Vec<String>>,
}

/// Operations a second: a sheet for each number of threads, a line for each combination, a column for each workload. The
/// best of a column has an asterisk.
#[must_use]
pub fn throughput_sheets(results: &Results) -> Vec<Sheet> {
    let sheet = |threads| {
        let workloads: Vec<&Workload> =
            results.workloads.iter().filter(|workload| workload.threads.contains(&threads)).collect();
        let median = |combination, workload: &Workload| {
            Some(results.row(combination, &workload.name, threads)?.ops_per_sec.median)
        };
        let best = |workload: &Workload| {
            results.rows_of(&workload.name, threads).map(|row| row.ops_per_sec.median).fold(0.0, f64::max)
        };
        let cell = |combination, workload: &Workload| match median(combination, workload) {
            Some(rate) if rate == best(workload) => format!("{} *", millions_text(rate)),
            Some(rate) => format!("{}  ", millions_text(rate)),
            None => String::new(),
        };
        Sheet {
            title: format!("Million operations a second, {} (* the best)", threads_text(threads)),
            columns: with_first("", workloads.iter().map(|workload| workload.name.clone())),
            lines: results
                .combinations()
                .into_iter()
                .map(|c| with_first(&c.to_string(), workloads.iter().map(|workload| cell(c, workload))))
                .collect(),
        }
    };
    results.thread_counts().into_iter().map(sheet).collect()
}

/// Latency: a line for each combination and workload, at the workload's telling number of threads.
#[must_use]
pub fn latency_sheet(results: &Results) -> Sheet {
    let names = crate::measure::Latency::default().points().map(|(name, _)| name.to_owned());
    let rows = results
        .workloads
        .iter()
        .flat_map(|workload| results.rows_of(&workload.name, results.telling_threads(workload)));
    Sheet {
        title: "Latency of a call".to_owned(),
        columns: with_first("", names),
        lines: rows
            .map(|row| {
                let what = format!("{}, {}, {}", row.workload, threads_text(row.threads), row.combination);
                with_first(&what, row.latency_ns.points().map(|(_, value)| nanoseconds_text(value as f64)))
            })
            .collect(),
    }
}

/// Memory for each entry where nothing was changed after loading, and what growing costs.
#[must_use]
pub fn memory_sheet(results: &Results) -> Sheet {
    let workload = results.memory_workload();
    let growth = results.growth();
    let mut columns = vec![String::new(), "bytes an entry".to_owned()];
    columns.extend(crate::measure::Memory::default().parts().map(|part| part.name.to_owned()));
    if let Some(growth) = growth.first() {
        columns.push(format!("time for {} over {} keys", growth.many.0, growth.few.0));
    }
    let lines = results.combinations().into_iter().filter_map(|combination| {
        let workload = workload?;
        let memory = results.row(combination, &workload.name, results.telling_threads(workload))?.memory;
        let mut line = vec![combination.to_string(), format!("{:.1}", memory.bytes_per_entry())];
        line.extend(memory.parts().map(|part| format!("{:.1}", part.bytes_per_entry)));
        let ratio = growth.iter().find(|growth| growth.combination == combination);
        line.extend(ratio.map(|growth| format!("{:.1}", growth.ratio())));
        Some(line)
    });
    Sheet { title: "Memory and growth".to_owned(), columns, lines: lines.collect() }
}

fn with_first(first: &str, rest: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(rest).collect()
}

impl Sheet {
    /// The sheet for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut table = Table::new();
        table.load_style(LINES).set_header(&self.columns);
        for line in &self.lines {
            table.add_row(line);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{}\n{table}\n", self.title)
    }

    fn to_html(&self) -> String {
        let mut html = format!("<h3>{}</h3>\n<div class=\"wide\"><table>\n<tr>", escaped(&self.title));
        for column in &self.columns {
            let _ = write!(html, "<th>{}</th>", escaped(column));
        }
        html.push_str("</tr>\n");
        for line in &self.lines {
            html.push_str("<tr>");
            for cell in line {
                let class = if cell.ends_with('*') { " class=\"best\"" } else { "" };
                let _ = write!(html, "<td{class}>{}</td>", escaped(cell.trim_end()));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</table></div>\n");
        html
    }
}

/// Whom the winner cannot be told from; `None` where it is clearly ahead of all.
fn level_text(winner: &Winner<'_>) -> Option<String> {
    match winner.level.as_slice() {
        [] => None,
        [row] => Some(format!("no difference from {}", row.combination)),
        rows => Some(format!("no difference from {} others", rows.len())),
    }
}

/// The slowest, where the winner is clearly ahead of it.
fn clearly_last<'a>(winner: &Winner<'a>) -> Option<&'a Row> {
    let alike = |row: &&Row| row.combination == winner.last.combination;
    (!alike(&winner.best) && !winner.level.iter().any(alike)).then_some(winner.last)
}

/// Who won, in a sentence.
#[must_use]
pub fn verdict(winner: &Winner<'_>) -> String {
    let rate = millions_text(winner.best.ops_per_sec.median);
    let mut sentence = format!("{} with {rate} M/s", winner.best.combination);
    if let Some(others) = level_text(winner) {
        let _ = write!(sentence, "; {others}");
    } else if let Some(next) = winner.next {
        let _ = write!(sentence, ", {} times the next, {}", winner.times_ahead_of(next), next.combination);
    }
    if let Some(last) = clearly_last(winner) {
        let _ = write!(sentence, "; {} times the last, {}", winner.times_ahead_of(last), last.combination);
    }
    sentence
}

/// The whole result for a terminal.
#[must_use]
pub fn text(results: &Results) -> String {
    let mut text = String::new();
    for sheet in throughput_sheets(results) {
        let _ = writeln!(text, "{}", sheet.to_text());
    }
    let _ = writeln!(text, "{}", memory_sheet(results).to_text());
    let _ = writeln!(text, "Fastest, by the median of {}:", rounds_text(results.rounds));
    if results.rounds == 1 {
        let _ = writeln!(text, "({ONE_ROUND})");
    }
    let winners = results.winners();
    let name = |winner: &Winner<'_>| format!("{}, {}", winner.workload, threads_text(winner.threads));
    let width = winners.iter().map(|winner| name(winner).len()).max().unwrap_or(0);
    for winner in &winners {
        let _ = writeln!(text, "  {:width$}  {}", name(winner), verdict(winner));
    }
    text
}

fn rounds_text(rounds: usize) -> String {
    format!("{rounds} round{}", if rounds == 1 { "" } else { "s" })
}

/// What the measuring was done with, as lines of a name and a value.
fn facts(results: &Results) -> Vec<(&'static str, String)> {
    let machine = &results.machine;
    let keys = match &results.keys {
        KeySource::Made { size } => format!("made, {size} B each"),
        KeySource::File { path, blank, repeated } => format!(
            "the lines of {} ({blank} blank and {repeated} repeated lines left out), {:.1} B on average",
            path.display(),
            results.mean_key_len
        ),
    };
    vec![
        ("processor", format!("{}, {} of them", machine.processor, machine.processors)),
        ("system", format!("{}, huge pages: {}", machine.system, machine.huge_pages)),
        ("global allocator", machine.allocator.clone()),
        ("keystore", machine.version.clone()),
        ("keys", keys),
        ("measured", format!("{}, {:.0} s in all", rounds_text(results.rounds), results.seconds)),
        ("verified", format!("{} rows, each after every round", results.rows.len())),
    ]
}

/// What a workload is, in a line.
fn description(workload: &Workload) -> String {
    let start = match workload.start {
        Start::Empty => "from empty",
        Start::Loaded => "loaded",
    };
    let length = match workload.length {
        Length::Operations(operations) => format!("{operations} operations"),
        Length::Seconds(seconds) => format!("{seconds} s"),
    };
    format!(
        "{} {} keys, {start}, values of {} B, {length}.",
        workload.about, workload.keys, workload.value_size
    )
}

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid #e5e5e5; }
th:first-child, td:first-child, .text td, .text th { text-align: left; }
td { white-space: nowrap; }
.facts td + td { white-space: normal; }
.best { font-weight: bold; background: #e8f1fa; }
.bad { color: #b00020; font-weight: bold; }
@media (max-width: 800px) { table { font-size: .72rem; } th, td { padding: .15rem .25rem; } }
svg { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
";

/// The page: one file that needs no other.
#[must_use]
pub fn html(results: &Results, plots: &[Plot]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>keystore: backends and pools compared</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>keystore: backends and pools compared</h1>\n"
    );
    if let Err(error) = results.verify() {
        let _ = writeln!(
            page,
            "<p class=\"bad\">Do not trust these numbers: {}.</p>",
            escaped(&error.to_string())
        );
    }
    let caution = if results.rounds == 1 { ONE_ROUND } else { "" };
    let _ = writeln!(page, "<h2>Which is fastest</h2>\n<p>{caution}</p>\n{}", winners_html(results));
    let mut section = |title: &str, prefix: &str, sheets: &[Sheet]| {
        let _ = writeln!(page, "<h2>{title}</h2>");
        for plot in plots.iter().filter(|plot| plot.name.starts_with(prefix)) {
            let _ = writeln!(page, "{}", plot.svg.replacen("<svg ", &labelled(plot), 1));
        }
        for sheet in sheets {
            page.push_str(&sheet.to_html());
        }
    };
    section("Backend and pool", "heatmap", &throughput_sheets(results));
    section("Throughput by threads", "throughput-", &[]);
    section("Latency", "latency-", &[latency_sheet(results)]);
    section("Memory and growth", "memory", &[memory_sheet(results)]);

    page.push_str("<h2>What was measured, and on what</h2>\n<table class=\"text facts\">\n");
    for workload in &results.workloads {
        let line = (escaped(&workload.name), escaped(&description(workload)));
        let _ = writeln!(page, "<tr><td>{}</td><td>{}</td></tr>", line.0, line.1);
    }
    for (name, value) in facts(results) {
        let _ = writeln!(page, "<tr><td>{name}</td><td>{}</td></tr>", escaped(&value));
    }
    page.push_str(
        "</table>\n<p>Rates are medians of the rounds; two combinations whose rounds overlap are said to show no \
         difference. Latencies are of one call in 32, each timed by itself, over all rounds; a batch is one call. More \
         threads than processors take turns: their longest latencies are those of waiting for a processor.</p>\n\
         </body>\n</html>\n",
    );
    page
}

/// What has to be said of a single round.
const ONE_ROUND: &str = "One round only: small differences may be chance.";

/// Who won, and by how much, as a table.
fn winners_html(results: &Results) -> String {
    let mut html =
        "<div class=\"wide\"><table class=\"text\">\n<tr><th>workload</th><th>threads</th><th>fastest</th>\
                    <th>M/s</th><th>as fast as the next</th><th>as fast as the last</th></tr>\n"
            .to_owned();
    for winner in results.winners() {
        let ahead = |row: Option<&Row>| {
            row.map_or(String::new(), |row| format!("{} × {}", winner.times_ahead_of(row), row.combination))
        };
        let next = level_text(&winner).unwrap_or_else(|| ahead(winner.next));
        let cells = [
            escaped(winner.workload),
            winner.threads.to_string(),
            format!("<b>{}</b>", winner.best.combination),
            millions_text(winner.best.ops_per_sec.median),
            next,
            ahead(clearly_last(&winner)),
        ];
        let _ = writeln!(html, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
    }
    html.push_str("</table></div>\n");
    html
}

/// The beginning of a picture that says to those who cannot see it what it is.
fn labelled(plot: &Plot) -> String {
    format!("<svg role=\"img\" aria-label=\"{}\" ", escaped(&plot.title))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Makes the folder of a report, if it is not there: worth doing before measuring for minutes.
///
/// # Errors
/// [`Error::File`] where it cannot be made.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| Error::unwritable(folder, source))
}

/// Writes `results.json`, the plots and `report.html` to a folder, which is made if it is not there. Each file is written
/// whole or not at all. Returns the path of the report.
///
/// # Errors
/// [`Error::File`] for a file or folder that cannot be written, [`Error::Plot`] for a plot that cannot be drawn.
pub fn write(results: &Results, folder: &Path) -> Result<PathBuf> {
    let plots = plot::all(results)?;
    make_folder(folder)?;
    results.save(&folder.join("results.json"))?;
    for plot in &plots {
        write_whole(&folder.join(format!("{}.svg", plot.name)), &plot.svg)?;
    }
    let report = folder.join("report.html");
    write_whole(&report, &html(results, &plots))?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combination::Combination;
    use crate::measure::Spread;
    use crate::results::tests::tiny;

    #[test]
    fn the_text_has_a_line_for_every_combination_and_a_verdict_for_every_run() {
        let results = tiny();
        let text = text(&results);
        for combination in Combination::all() {
            // One table for each of two numbers of threads, and one for memory.
            let line = |line: &&str| line.trim_start().starts_with(&combination.to_string());
            assert_eq!(text.lines().filter(line).count(), 3, "{text}");
        }
        for winner in results.winners() {
            assert!(text.contains(&verdict(&winner)), "{text}");
        }
        for sheet in throughput_sheets(&results) {
            let stars = sheet.lines.iter().flatten().filter(|cell| cell.ends_with('*')).count();
            assert!(stars >= sheet.columns.len() - 1, "every column has a best: {sheet:?}");
        }
    }

    #[test]
    fn a_verdict_says_by_how_much_or_that_there_is_no_difference() {
        let mut results = tiny();
        results.workloads.truncate(1);
        results.workloads[0].threads = vec![2];
        let name = results.workloads[0].name.clone();
        results.rows.retain(|row| row.workload == name && row.threads == 2);
        results.rows.truncate(3);
        let rate = |median: f64, spread: f64| Spread { median, min: median - spread, max: median + spread };
        for (row, median) in results.rows.iter_mut().zip([2e6, 8e6, 4e6]) {
            row.ops_per_sec = rate(median, 1e5);
        }
        let sentence = verdict(&results.winners()[0]);
        assert_eq!(
            sentence,
            "rwlock+arena with 8.00 M/s, 2.00 times the next, rwlock+system; 4.00 times the last, rwlock+slab"
        );
        results.rows[2].ops_per_sec = rate(7.9e6, 2e5);
        let sentence = verdict(&results.winners()[0]);
        assert_eq!(
            sentence,
            "rwlock+arena with 8.00 M/s; no difference from rwlock+system; 4.00 times the last, rwlock+slab"
        );
        results.rows[0].ops_per_sec = rate(7.8e6, 3e5);
        let sentence = verdict(&results.winners()[0]);
        assert_eq!(sentence, "rwlock+arena with 8.00 M/s; no difference from 2 others");
    }

    #[test]
    fn the_folder_holds_the_results_the_plots_and_a_page_that_needs_nothing_else() {
        let results = tiny();
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a").join("b");
        let report = write(&results, &folder).unwrap();
        let page = fs::read_to_string(&report).unwrap();
        let svgs = fs::read_dir(&folder)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "svg"))
            .count();
        assert_eq!(svgs, plot::all(&results).unwrap().len());
        assert_eq!(page.matches("<svg ").count(), svgs);
        assert!(!page.contains("src=") && !page.contains("href="), "it needs another file");
        assert!(!page.contains("Do not trust"));
        assert!(Results::load(&folder.join("results.json")).unwrap() == results);
        for tag in ["table", "tr", "td", "th", "div", "h2", "h3", "p"] {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn a_failed_verification_stands_at_the_top_of_the_page() {
        let mut results = tiny();
        results.rows[0].verification.missing = 1;
        assert!(html(&results, &[]).contains("Do not trust these numbers"));
    }

    #[test]
    fn names_cannot_break_the_page() {
        let mut results = tiny();
        let old = std::mem::replace(&mut results.workloads[0].name, "<b>&\"".to_owned());
        for row in results.rows.iter_mut().filter(|row| row.workload == old) {
            row.workload = "<b>&\"".to_owned();
        }
        let page = html(&results, &plot::all(&results).unwrap());
        assert!(!page.contains("<b>&") && page.contains("&lt;b&gt;&amp;&quot;"));
    }
}
