//! Saves and loads results by name, for comparison with later results.

use std::fs;
use std::path::{Path, PathBuf};

use keystore_bench::{Error, Result, Results, report};

/// Longest name of saved results in bytes. A file name has at most 255 bytes on common systems.
const MAX_NAME: usize = 200;

/// The folder of saved results.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Returns the folder of saved results in the folder `bench`.
    pub(super) fn new(bench: &Path) -> Self {
        Self { path: bench.join("saved") }
    }

    /// Returns the file for a name. Creates the folder if it is missing.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let fits = (1..=MAX_NAME).contains(&name.len());
        if !fits || name.starts_with('.') || !name.chars().all(plain) {
            return Err(Error::SavedName { name: name.to_owned(), longest: MAX_NAME });
        }
        report::make_folder(&self.path)?;
        Ok(self.file(name))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.json"))
    }

    /// Loads the results of a name or of a file.
    pub(super) fn load(&self, name: &str) -> Result<Results> {
        let file = Path::new(name);
        if file.is_file() {
            return Results::load(file);
        }
        let saved = self.file(name);
        if saved.is_file() {
            return Results::load(&saved);
        }
        let known = self.names();
        let expected = if known.is_empty() {
            "a file, or a name that an earlier --save gave; there is none".to_owned()
        } else {
            format!("a file, or one of {}", known.join(", "))
        };
        Err(Error::Unknown { what: "baseline", name: name.to_owned(), expected })
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned())
            })
            .collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_file_names_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Folder::new(folder.path());
        for name in ["", "../x", "a/b", ".hidden", "a b", &"n".repeat(201)] {
            let error = saved.path(name).unwrap_err();
            assert!(error.is_usage(), "{name}");
            let said = error.to_string();
            assert!(
                said.contains(&format!("{name:?}")) && said.contains("1 to 200 bytes"),
                "{said}"
            );
        }
        assert!(saved.path(&"n".repeat(200)).is_ok());
        assert_eq!(saved.path("before-1.2").unwrap(), folder.path().join("saved/before-1.2.json"));
    }

    #[test]
    fn a_baseline_that_is_not_there_is_told_with_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Folder::new(folder.path());
        let error = saved.load("main").unwrap_err().to_string();
        assert!(
            error.contains("baseline \"main\" is unknown") && error.ends_with("there is none"),
            "{error}"
        );
        fs::write(saved.path("other").unwrap(), "{}").unwrap();
        let error = saved.load("main").unwrap_err().to_string();
        assert!(error.ends_with("one of other"), "{error}");
        assert!(saved.load("other").unwrap_err().is_usage(), "no results");
    }
}
