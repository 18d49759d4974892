//! Writes the report: tables for a terminal, for Markdown and as CSV, a page for a browser, and the
//! folder that contains all of them.
//!
//! `tables` and `sentences` produce the content, and `text`, `markdown` and `html` format it. `csv`
//! contains every number of every row, for programs. `figures` produces the figures in the
//! documentation. `comparison` describes how two results differ.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::plot::{self, KINDS, Plot};
use crate::results::{Results, write_whole};

mod comparison;
mod csv;
mod figures;
mod html;
mod markdown;
mod sentences;
mod tables;
mod text;

pub use comparison::comparison_text;
pub use csv::csv;
pub use figures::{Block, published_plots};
pub use html::html;
pub use markdown::markdown;
pub use sentences::{rounds_text, verdict, winner_text};
pub use text::text;

/// Creates the folder of a report if it does not exist, and checks that files can be created in
/// it. Call this before a long run, so that a failure is noticed at once.
///
/// # Errors
/// [`Error::Text`] if the folder cannot be created, or no file can be created in it.
pub fn make_folder(folder: &Path) -> Result<()> {
    let failed = |source| Error::unwritable(folder, source);
    fs::create_dir_all(folder).map_err(failed)?;
    tempfile::tempfile_in(folder).map_err(failed)?;
    Ok(())
}

/// Writes a report to a folder, which is created if it does not exist. Returns the path of the HTML
/// page.
///
/// The files are `results.json`, `results.csv`, `results.md`, the plots as SVG and PNG, and
/// `report.html`. Files of an earlier report are replaced only after all new files are written.
/// Plots of an earlier report that this report lacks are removed, because they would be mistaken
/// for plots of this report.
///
/// # Errors
/// [`Error::Text`] for a file or folder that cannot be written, and [`Error::Plot`] for a plot that
/// cannot be drawn.
pub fn write(results: &Results, folder: &Path) -> Result<PathBuf> {
    let plots = plot::all(results)?;
    make_folder(folder)?;
    // Write everything to a temporary folder first, so that a full disk leaves the old report
    // intact.
    let failed = |source| Error::unwritable(folder, source);
    let new = tempfile::Builder::new().prefix(".keystore-").tempdir_in(folder).map_err(failed)?;
    let write = |name: &str, content: &[u8]| write_whole(&new.path().join(name), content);
    results.save(&new.path().join("results.json"))?;
    write("results.csv", csv(results)?.as_bytes())?;
    write("results.md", markdown(results).as_bytes())?;
    for plot in &plots {
        write(&format!("{}.svg", plot.name), plot.svg.as_bytes())?;
        write(&format!("{}.png", plot.name), &plot.png)?;
    }
    write("report.html", html(results, &plots).as_bytes())?;
    for entry in fs::read_dir(new.path()).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let place = folder.join(file.file_name().unwrap_or_default());
        fs::rename(&file, &place).map_err(|source| Error::unwritable(&place, source))?;
    }
    remove_others(folder, &plots)?;
    Ok(folder.join("report.html"))
}

/// Removes the plots in a folder that are not among `plots`. Files with other names are kept.
fn remove_others(folder: &Path, plots: &[Plot]) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|source| Error::unreadable(folder, source))? {
        let path = entry.map_err(|source| Error::unreadable(folder, source))?.path();
        let (Some(name), Some(kind)) = (path.file_stem(), path.extension()) else { continue };
        let (Some(name), Some(kind)) = (name.to_str(), kind.to_str()) else { continue };
        let ours = matches!(kind, "svg" | "png") && is_name_of_plot(name);
        if ours && path.is_file() && plots.iter().all(|plot| plot.name != name) {
            fs::remove_file(&path).map_err(|source| Error::unwritable(&path, source))?;
        }
    }
    Ok(())
}

/// Returns whether a report may have written a plot of this name. Such a name is a kind, or a kind
/// and the slug of a scenario.
fn is_name_of_plot(name: &str) -> bool {
    KINDS.iter().any(|kind| match name.strip_prefix(kind) {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('-')
            .is_some_and(|slug| crate::format::slug(slug) == slug && !slug.is_empty()),
        None => false,
    })
}

#[cfg(test)]
mod tests;
