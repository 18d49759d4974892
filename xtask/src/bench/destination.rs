//! Chooses where to write a report. The report of an interrupted run never replaces a complete one.

use std::path::{Path, PathBuf};

use keystore_bench::{Result, Results, report};

/// Subfolder for the report of an interrupted run.
const INTERRUPTED: &str = "interrupted";

/// The destination of a report.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// Nothing was measured, so no report is written.
    Nowhere { out: PathBuf },
    /// The run was interrupted, so the report goes to a subfolder and the last complete report
    /// stays.
    Subfolder { folder: PathBuf, out: PathBuf },
    /// The run was complete, so the report goes to the folder itself.
    Folder { folder: PathBuf },
}

impl Destination {
    /// Returns the destination of these results if `out` is the folder of reports.
    pub(super) fn of(results: &Results, out: &Path) -> Self {
        let out = out.to_owned();
        match results.interrupted {
            true if results.rows.is_empty() => Self::Nowhere { out },
            true => Self::Subfolder { folder: out.join(INTERRUPTED), out },
            false => Self::Folder { folder: out },
        }
    }

    /// Writes the report. Returns a message with its path and, after an interruption, the path of
    /// the last complete report.
    pub(super) fn write(&self, results: &Results) -> Result<String> {
        let last = |out: &Path| {
            let page = out.join("report.html");
            if page.is_file() {
                format!("the last complete report stays: {}", page.display())
            } else {
                "there is no complete report yet".to_owned()
            }
        };
        Ok(match self {
            Self::Nowhere { out } => {
                format!("Nothing was measured, so nothing was written; {}", last(out))
            }
            Self::Subfolder { folder, out } => {
                let report = report::write(results, folder)?;
                format!(
                    "Report of {} rows, interrupted: {}; {}",
                    results.rows.len(),
                    report.display(),
                    last(out)
                )
            }
            Self::Folder { folder } => {
                format!("Report: {}", report::write(results, folder)?.display())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use keystore_bench::{Candidate, Plan, RunControl, Suite};

    use super::*;

    /// Returns results of the smoke suite on one store. With a number, the suite is stopped before
    /// that run.
    fn stopped_at(run: Option<usize>) -> Results {
        let mut suite = Suite::named("smoke").unwrap();
        suite.scenarios.truncate(1);
        let plan = Plan::new(suite, Candidate::ours()[..1].to_vec()).unwrap();
        let control = RunControl::default();
        let mut observe = |progress: &keystore_bench::Progress<'_>| {
            if Some(progress.runs.0) == run {
                control.stop();
            }
        };
        plan.run(&control, &mut observe).unwrap()
    }

    #[test]
    fn a_run_that_is_broken_off_leaves_the_last_whole_report_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let whole = stopped_at(None);
        let message = Destination::of(&whole, out).write(&whole).unwrap();
        assert_eq!(message, format!("Report: {}", out.join("report.html").display()));
        let content = || {
            let mut files: Vec<_> = fs::read_dir(out)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_file())
                .map(|path| (path.clone(), fs::read(&path).unwrap()))
                .collect();
            files.sort();
            files
        };
        let before = content();
        assert!(before.len() > 4);

        let nothing = stopped_at(Some(0));
        let message = Destination::of(&nothing, out).write(&nothing).unwrap();
        assert!(
            message.starts_with(
                "Nothing was measured, so nothing was written; the last complete report stays"
            ),
            "{message}"
        );
        assert!(content() == before && !out.join("interrupted").exists());

        let part = stopped_at(Some(1));
        assert!(part.interrupted && part.rows.len() == 1);
        let message = Destination::of(&part, out).write(&part).unwrap();
        assert!(message.starts_with("Report of 1 rows, interrupted: "), "{message}");
        assert!(message.contains("the last complete report stays"), "{message}");
        assert!(content() == before);
        assert_eq!(Results::load(&out.join("interrupted/results.json")).unwrap().rows.len(), 1);
    }

    #[test]
    fn without_a_report_it_is_said_that_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = stopped_at(Some(0));
        let message = Destination::of(&nothing, folder.path()).write(&nothing).unwrap();
        assert!(message.ends_with("there is no complete report yet"), "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
