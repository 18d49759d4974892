//! The report: tables for a terminal, for Markdown and as CSV, one page for a browser, and the folder that holds it all.
//!
//! What there is to say is made once, as `sheets` and as sentences in `words`; `text`, `markdown` and `html` set them.
//! `csv` has every number of every row, for programs; `comparison` tells how two results differ.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::plot::{self, KINDS, Plot};
use crate::results::{Results, write_whole};

mod comparison;
mod csv;
mod html;
mod markdown;
mod sheets;
mod text;
mod words;

pub use comparison::comparison_text;
pub use csv::csv;
pub use html::html;
pub use markdown::markdown;
pub use text::text;
pub use words::{rounds_text, verdict};

/// Makes the folder of a report, if it is not there: worth doing before measuring for minutes.
///
/// # Errors
/// [`Error::File`] where it cannot be made.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| Error::unwritable(folder, source))
}

/// Writes `results.json`, `results.csv`, `results.md`, the plots as SVG and PNG, and `report.html` to a folder, which is made
/// if it is not there. Each file is written whole or not at all. Plots of an earlier report, which this one has not, are
/// removed: they would be taken for its own. Returns the path of the page.
///
/// # Errors
/// [`Error::File`] for a file or folder that cannot be written, [`Error::Plot`] for a plot that cannot be drawn.
pub fn write(results: &Results, folder: &Path) -> Result<PathBuf> {
    let plots = plot::all(results)?;
    make_folder(folder)?;
    results.save(&folder.join("results.json"))?;
    write_whole(&folder.join("results.csv"), csv(results)?.as_bytes())?;
    write_whole(&folder.join("results.md"), markdown(results).as_bytes())?;
    for plot in &plots {
        write_whole(&folder.join(format!("{}.svg", plot.name)), plot.svg.as_bytes())?;
        write_whole(&folder.join(format!("{}.png", plot.name)), &plot.png)?;
    }
    remove_others(folder, &plots)?;
    let report = folder.join("report.html");
    write_whole(&report, html(results, &plots).as_bytes())?;
    Ok(report)
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

/// Whether a report may have written a plot of this name: a kind alone, or a kind and a scenario's slug.
fn is_name_of_plot(name: &str) -> bool {
    KINDS.iter().any(|kind| match name.strip_prefix(kind) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('-').is_some_and(|slug| plot::slug(slug) == slug && !slug.is_empty()),
        None => false,
    })
}

#[cfg(test)]
mod tests;
