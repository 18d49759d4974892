//! `cargo xtask plot`: draws plots of saved results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keystore_bench::{Result, Results, report};
use keystore_text::outln;

/// Options of `cargo xtask plot`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Results, as `cargo xtask bench` wrote them
    #[arg(value_name = "FILE", default_value_os_t = crate::bench::default_folder().join("results.json"))]
    results: PathBuf,
    /// Folder for the plots and the report [default: the folder of the results]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Draws the plots. Returns 2 if the results cannot be read, and 1 if the plots cannot be drawn or
/// written.
pub(crate) fn run(args: &Args) -> ExitCode {
    match draw(args) {
        Ok(report) => {
            outln!("Report: {}", report.display());
            ExitCode::SUCCESS
        }
        Err(error) => crate::bench::failed(&error),
    }
}

fn draw(args: &Args) -> Result<PathBuf> {
    let results = Results::load(&args.results)?;
    let beside = || folder_of(&args.results).to_owned();
    report::write(&results, &args.out.clone().unwrap_or_else(beside))
}

/// Returns the folder of a file. A bare file name has an empty parent, which no system call
/// accepts.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_file_name_lies_in_the_current_folder() {
        for (file, folder) in
            [("results.json", "."), ("-", "."), ("./a.json", "."), ("b/a.json", "b"), ("/a", "/")]
        {
            assert_eq!(folder_of(Path::new(file)), Path::new(folder), "{file}");
        }
    }
}
