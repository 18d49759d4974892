//! Writes the figures in the documentation: blocks of Markdown, each of which replaces the block of
//! an earlier run.
//!
//! A block starts with a line `<!-- figures: SUITE -->` or `<!-- advice: SUITE -->` and ends with
//! `<!-- end -->`. So the figures on a page, and the advice based on them, come from the same run.

use std::fmt::Write;

use super::markdown::{escaped, table_markdown};
use super::sentences::{duration_text, rounds_text, verdict};
use super::tables::{self, Table};
use crate::format::slug;
use crate::plot::Plot;
use crate::results::Results;

/// End marker of a block.
const END: &str = "<!-- end -->";

/// The kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Tables of a suite.
    Figures,
    /// Recommendation of a store, based on the results.
    Advice,
}

impl Block {
    /// Returns the start marker of a block of this kind.
    fn begin(self, suite: &str) -> String {
        let name = match self {
            Self::Figures => "figures",
            Self::Advice => "advice",
        };
        format!("<!-- {name}: {suite} -->")
    }

    /// Returns the content of a suite's block on a page, or `None` if the page has no such block.
    #[must_use]
    pub fn of<'a>(self, page: &'a str, suite: &str) -> Option<&'a str> {
        let (_, rest) = page.split_once(&format!("{}\n", self.begin(suite)))?;
        Some(rest.split_once(END)?.0)
    }

    /// Replaces the block of these results' suite on a page. Returns the new page, or `None` if the
    /// page has no such block.
    #[must_use]
    pub fn replace(self, page: &str, results: &Results) -> Option<String> {
        let begin = self.begin(&results.suite);
        let old = format!("{begin}\n{}{END}", self.of(page, &results.suite)?);
        let content = match self {
            Self::Figures => figures(results),
            Self::Advice => advice(results),
        };
        Some(page.replacen(&old, &format!("{begin}\n\n{content}\n{END}"), 1))
    }
}

/// Returns the tables of a suite, below a line with the machine and the command of the run.
fn figures(results: &Results) -> String {
    let machine = &results.machine;
    let passed = results.rows.iter().filter(|row| row.verification.passed()).count();
    let mut text = format!(
        "`{}`, {} processor{} ({}), {}, {} of {} rows verified, {}, {}. Rates are medians, in million operations a second.\n",
        results.command,
        machine.processors,
        if machine.processors == 1 { "" } else { "s" },
        machine.processor,
        machine.allocator,
        passed,
        results.rows.len(),
        rounds_text(results),
        duration_text(results.seconds),
    );
    let bursts = tables::bursts(results);
    if let Some(summary) = tables::summary_against_peers(results) {
        let _ = write!(text, "\n{}\n", escaped(&summary));
    }
    let tables: Vec<Table> = match bursts {
        Some(bursts) => vec![bursts],
        None => tables::throughput(results, false)
            .into_iter()
            .chain(tables::peers(results))
            .chain(tables::memory(results))
            .chain(tables::limits(results))
            .collect(),
    };
    tables.iter().for_each(|table| text.push_str(&table_markdown(table, "###")));
    text
}

/// Returns the recommendation based on these results.
fn advice(results: &Results) -> String {
    let mut text = String::new();
    for line in verdict(results) {
        let _ = writeln!(text, "- {}", escaped(&line));
    }
    if let Some(standings) = tables::standings(results) {
        text.push_str(&table_markdown(&standings, "###"));
    }
    text
}

/// Returns the plots of a suite that the documentation shows, with their file names there.
#[must_use]
pub fn published_plots<'a>(results: &Results, plots: &'a [Plot]) -> Vec<(&'static str, &'a Plot)> {
    let named = |name: &str| plots.iter().find(|plot| plot.name == name);
    let of = |kind: &str, scenario: &str| named(&format!("{kind}-{}", slug(scenario)));
    let shown = match results.suite.as_str() {
        "quick" => vec![
            ("throughput.svg", of("throughput", "95/5 Zipf")),
            ("heatmap.svg", named("heatmap")),
            ("timeline.svg", of("timeline", "grow to 1M")),
            ("memory.svg", named("memory")),
        ],
        "million" => vec![("peers.svg", named("peers"))],
        _ => Vec::new(),
    };
    shown.into_iter().filter_map(|(name, plot)| Some((name, plot?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::tiny;

    #[test]
    fn a_page_gets_the_block_of_its_suite_and_keeps_all_else() {
        let mut results = tiny();
        results.command = "cargo xtask bench".to_owned();
        let page = "before\n<!-- figures: quick -->\nold\n<!-- end -->\nbetween\n<!-- advice: quick -->\nold\n<!-- end -->\nafter\n";
        let once = Block::Figures.replace(page, &results).unwrap();
        assert!(
            once.starts_with("before\n<!-- figures: quick -->\n\n`cargo xtask bench`, "),
            "{once}"
        );
        assert!(
            once.contains(
                "<!-- end -->\nbetween\n<!-- advice: quick -->\nold\n<!-- end -->\nafter\n"
            ),
            "{once}"
        );
        assert!(
            once.contains("### Million operations a second, 1 thread (bold: the best median)"),
            "{once}"
        );
        assert_eq!(
            Block::Figures.replace(&once, &results).unwrap(),
            once,
            "the same run, the same page"
        );
        let both = Block::Advice.replace(&once, &results).unwrap();
        assert!(
            both.contains("- Measured on ") && both.ends_with("<!-- end -->\nafter\n"),
            "{both}"
        );
        assert!(Block::of(Block::Advice, &both, "quick").unwrap().contains("rwlock+slab"));
        results.suite = "million".to_owned();
        assert_eq!(Block::Figures.replace(page, &results), None);
    }

    #[test]
    fn the_plots_that_the_documentation_shows_are_drawn() {
        let mut results = tiny();
        let plots = crate::plot::all(&results).unwrap();
        let names: Vec<&str> =
            published_plots(&results, &plots).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["throughput.svg", "heatmap.svg", "timeline.svg", "memory.svg"]);
        results = crate::plot::tests::with_peer(results, crate::peers::PeerKind::Papaya, 0.5);
        results.suite = "million".to_owned();
        let plots = crate::plot::all(&results).unwrap();
        assert_eq!(published_plots(&results, &plots).len(), 1);
    }
}
