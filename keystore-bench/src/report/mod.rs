//! The report: tables for a terminal, for Markdown and as CSV, one page for a browser, and the
//! folder that holds it all.
//!
//! What there is to say is made once, as `tables` and as `sentences`; `text`, `markdown`
//! and `html` set them. `csv` has every number of every row, for programs; `figures` is what the
//! documentation shows; `comparison` tells how two results differ.

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

/// Creates the folder of a report if it is missing, and checks that files can be created in it. The
/// command calls this before it measures for minutes.
///
/// # Errors
/// [`Error::Text`] if it cannot be created or written to.
pub fn make_folder(folder: &Path) -> Result<()> {
    let failed = |source| Error::unwritable(folder, source);
    fs::create_dir_all(folder).map_err(failed)?;
    tempfile::tempfile_in(folder).map_err(failed)?;
    Ok(())
}

/// Writes `results.json`, `results.csv`, `results.md`, the plots as SVG and PNG, and `report.html`
/// to a folder, which is made if it is not there. No file of an earlier report is replaced before
/// all of the new ones are written. Plots of an earlier report, which this one has not, are
/// removed: they would be taken for its own. Returns the path of the page.
///
/// # Errors
/// [`Error::Text`] for a file or folder that cannot be written, [`Error::Plot`] for a plot that
/// cannot be drawn.
pub fn write(results: &Results, folder: &Path) -> Result<PathBuf> {
    let plots = plot::all(results)?;
    make_folder(folder)?;
    // All of it is written beside the old report first, so that a full disk leaves that one whole.
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

/// Removes the plots in a folder that are not among `plots`. Files with other names are left alone.
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

/// Returns whether a report may have written a plot of this name: a kind alone, or a kind and a
/// scenario's slug.
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
