//! Writes the figures and the advice in the documentation from one run, so that they always agree.

use std::fs;
use std::path::{Path, PathBuf};

use keystore_bench::report::{Block, published_plots};
use keystore_bench::{Error, Result, Results, plot, write_whole};

/// Least number of rounds of published figures.
const ROUNDS: usize = 3;

/// Pages that show figures.
pub(super) struct Pages {
    docs: PathBuf,
}

/// The page with the tables, and the page with the advice that follows from these tables.
const PAGES: [(&str, Block); 2] =
    [("benchmarks.md", Block::Figures), ("backends.md", Block::Advice)];

impl Pages {
    /// Returns the pages of this repository if they show figures of the suite.
    ///
    /// # Errors
    /// Returns [`Error::Unknown`] for a suite that they do not show, and [`Error::Text`] if a page
    /// cannot be read.
    pub(super) fn find(planned: &Results) -> Result<Self> {
        let docs =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).join("docs");
        Self::at(docs, planned)
    }

    fn at(docs: PathBuf, planned: &Results) -> Result<Self> {
        let pages = Self { docs };
        let page = pages.read(PAGES[0].0)?;
        if Block::Figures.of(&page, &planned.suite).is_none() {
            let shown = |line: &str| {
                line.strip_prefix("<!-- figures: ")?.strip_suffix(" -->").map(str::to_owned)
            };
            let expected: Vec<String> = page.lines().filter_map(shown).collect();
            return Err(Error::Unknown {
                what: "published suite",
                name: planned.suite.clone(),
                expected: format!("one that docs/benchmarks.md shows: {}", expected.join(", ")),
            });
        }
        Ok(pages)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.docs.join(name);
        fs::read_to_string(&path).map_err(|source| Error::unreadable(path, source))
    }

    /// Writes the blocks and the plots of the results' suite. Returns a message with their names.
    ///
    /// # Errors
    /// Returns [`Error::Results`] for results with too few rounds, and [`Error::Text`] or
    /// [`Error::Plot`] if a file cannot be written or drawn.
    pub(super) fn write(&self, results: &Results) -> Result<String> {
        if results.fewest_rounds() < ROUNDS {
            let reason = format!(
                "some rows have {} rounds: published figures need at least {ROUNDS} (--rounds)",
                results.fewest_rounds()
            );
            return Err(Error::Results { path: self.docs.clone(), reason });
        }
        let mut written = Vec::new();
        for (name, block) in PAGES {
            if let Some(page) = block.replace(&self.read(name)?, results) {
                write_whole(&self.docs.join(name), page.as_bytes())?;
                written.push(name.to_owned());
            }
        }
        for (name, plot) in published_plots(results, &plot::all(results)?) {
            write_whole(&self.docs.join("plots").join(name), plot.svg.as_bytes())?;
            written.push(format!("plots/{name}"));
        }
        Ok(format!("Written in {}: {}", self.docs.display(), written.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use keystore_bench::{Candidate, Plan, RunControl, Suite};

    use super::*;

    fn smoke(rounds: usize) -> Results {
        let mut suite = Suite::named("smoke").unwrap();
        suite.scenarios.truncate(1);
        suite.rounds.at_most = rounds;
        let plan = Plan::new(suite, Candidate::ours()[..2].to_vec()).unwrap();
        plan.run(&RunControl::default(), &mut |_| {}).unwrap()
    }

    #[test]
    fn a_suite_that_no_page_shows_is_refused_before_it_is_measured() {
        let Err(error) = Pages::find(&smoke(1)) else { panic!("no page shows the suite smoke") };
        assert!(error.is_usage());
        let said = error.to_string();
        assert!(said.contains("\"smoke\"") && said.ends_with("quick, million, burst"), "{said}");
    }

    #[test]
    fn the_pages_get_the_figures_and_the_advice_of_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let docs = folder.path().to_owned();
        for (name, kind) in [("benchmarks.md", "figures"), ("backends.md", "advice")] {
            fs::write(docs.join(name), format!("x\n<!-- {kind}: smoke -->\n<!-- end -->\ny\n"))
                .unwrap();
        }
        let results = smoke(3);
        let pages = Pages::at(docs.clone(), &results).unwrap();
        assert!(
            pages.write(&smoke(1)).unwrap_err().to_string().contains("some rows have 1 rounds")
        );
        assert!(pages.write(&results).unwrap().ends_with("benchmarks.md, backends.md"));
        assert!(pages.read("benchmarks.md").unwrap().contains("| rwlock+slab |"));
        assert!(
            pages.read("backends.md").unwrap().contains("- Take "),
            "{}",
            pages.read("backends.md").unwrap()
        );
    }
}
