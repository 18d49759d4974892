//! Defines a plot with its title, as SVG and as PNG.

use super::canvas::{Area, Drawing, draw_svg, render};
use super::style;
use crate::error::{Error, Result};

/// A plot. It is written to an SVG file and to a PNG file, and is part of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// File name without `.svg` or `.png`.
    pub name: String,
    /// Title of the plot.
    pub title: String,
    /// The plot as SVG.
    pub svg: String,
    /// The plot as PNG, with twice as many pixels in each direction.
    pub png: Vec<u8>,
}

/// Draws a plot below its title, on a white background, [`WIDTH`] pixels wide.
pub(super) fn draw(
    name: String,
    title: String,
    height: i32,
    content: impl FnOnce(&Area<'_>) -> Drawing,
) -> Result<Plot> {
    let drawn = draw_svg(height.unsigned_abs(), |area| {
        style::draw_title(area, &title)?;
        content(area)
    });
    match drawn.and_then(|svg| Ok((render(&svg)?, svg))) {
        Ok((png, svg)) => Ok(Plot { name, title, svg, png }),
        Err(error) => Err(Error::Plot { plot: name, reason: error.to_string() }),
    }
}
