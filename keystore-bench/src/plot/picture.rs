//! A plot with its title, in both of its forms.

use super::canvas::{Area, Drawing, draw_svg, render};
use super::style;
use crate::error::{Error, Result};

/// A plot: two files of its own, and a part of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// The files' name, without `.svg` or `.png`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The picture.
    pub svg: String,
    /// The picture as PNG, with twice as many pixels each way.
    pub png: Vec<u8>,
}

/// Draws a plot under its title, on a white ground, [`WIDTH`] pixels wide.
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
