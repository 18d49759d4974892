//! Where the report of a run goes, so that a run which was broken off never takes the place of a
//! whole one.

use std::path::{Path, PathBuf};

use keystore_bench::{Result, Results, report};

/// The folder, within that of the reports, of a run that was broken off.
const INTERRUPTED: &str = "interrupted";

/// Where a report goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// There is nothing to report: the folder stays as it is.
    Nowhere { out: PathBuf },
    /// The run was broken off: beside the last whole report.
    Beside { folder: PathBuf, out: PathBuf },
    /// In the folder itself.
    Here { folder: PathBuf },
}

impl Place {
    /// The place of these results, if `out` is the folder of reports.
    pub(super) fn of(results: &Results, out: &Path) -> Self {
        let out = out.to_owned();
        match results.interrupted {
            true if results.rows.is_empty() => Self::Nowhere { out },
            true => Self::Beside { folder: out.join(INTERRUPTED), out },
            false => Self::Here { folder: out },
        }
    }

    /// Writes the report, and says where it is and what was kept.
    pub(super) fn keep(&self, results: &Results) -> Result<String> {
        let last = |out: &Path| {
            let page = out.join("report.html");
            if page.is_file() {
                format!("the last whole report stays: {}", page.display())
            } else {
                "there is no whole report yet".to_owned()
            }
        };
        Ok(match self {
            Self::Nowhere { out } => {
                format!("Nothing was measured, and nothing is written; {}", last(out))
            }
            Self::Beside { folder, out } => {
                let report = report::write(results, folder)?;
                format!(
                    "Report of {} rows, interrupted: {}; {}",
                    results.rows.len(),
                    report.display(),
                    last(out)
                )
            }
            Self::Here { folder } => format!("Report: {}", report::write(results, folder)?.display()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use keystore_bench::{Candidate, Plan, RunControl, Suite};

    use super::*;

    /// Results of the smoke suite on one store, stopped before the run of this number.
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
        let told = Place::of(&whole, out).keep(&whole).unwrap();
        assert_eq!(told, format!("Report: {}", out.join("report.html").display()));
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
        let told = Place::of(&nothing, out).keep(&nothing).unwrap();
        assert!(
            told.starts_with("Nothing was measured, and nothing is written; the last whole report stays"),
            "{told}"
        );
        assert!(content() == before && !out.join("interrupted").exists());

        let part = stopped_at(Some(1));
        assert!(part.interrupted && part.rows.len() == 1);
        let told = Place::of(&part, out).keep(&part).unwrap();
        assert!(told.starts_with("Report of 1 rows, interrupted: "), "{told}");
        assert!(told.contains("the last whole report stays"), "{told}");
        assert!(content() == before);
        assert_eq!(Results::load(&out.join("interrupted/results.json")).unwrap().rows.len(), 1);
    }

    #[test]
    fn without_a_report_it_is_said_that_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = stopped_at(Some(0));
        let told = Place::of(&nothing, folder.path()).keep(&nothing).unwrap();
        assert!(told.ends_with("there is no whole report yet"), "{told}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
