//! Defines colours, marks, text styles and legends.

use keystore::BackendKind;
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, TextStyle, WHITE};

use super::canvas::{Area, Drawing, WIDTH};

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const FAINT: RGBColor = RGBColor(221, 221, 221);

/// Size of text.
pub(super) const TEXT: u32 = 16;

/// Sky blue, orange and yellow by Okabe and Ito, for the parts of a bar.
pub(super) const PARTS: [RGBColor; 3] =
    [RGBColor(86, 180, 233), RGBColor(230, 159, 0), RGBColor(240, 228, 66)];

/// Colour of peers.
pub(super) const PEER: RGBColor = RGBColor(119, 119, 119);

/// Position of the first line of a legend, and distance between lines, in pixels.
const LEGEND_Y: i32 = 50;
const LEGEND_LINE: i32 = 24;
const LEFT: i32 = 14;

/// Gap between a legend's sample and its words, and between the words and the next sample.
const SAMPLE_GAP: i32 = 8;
const ENTRY_GAP: i32 = 24;

/// Returns the colour of a backend: blue, vermilion or bluish green by Okabe and Ito.
pub(super) const fn colour_of(backend: BackendKind) -> RGBColor {
    match backend {
        BackendKind::RwLock => RGBColor(0, 114, 178),
        BackendKind::Epoch => RGBColor(213, 94, 0),
        BackendKind::DashMap => RGBColor(0, 158, 115),
        _ => INK,
    }
}

/// The store that a line or a bar belongs to: a backend of ours or a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Backend(BackendKind),
    Peer,
}

impl Whose {
    pub(super) const fn colour(self) -> RGBColor {
        match self {
            Self::Backend(backend) => colour_of(backend),
            Self::Peer => PEER,
        }
    }
}

pub(super) fn text(size: u32, colour: &RGBColor) -> TextStyle<'static> {
    FontDesc::new(FontFamily::SansSerif, f64::from(size), FontStyle::Normal).color(colour)
}

pub(super) fn bold(size: u32, colour: &RGBColor) -> TextStyle<'static> {
    // Create the font as bold. A font that is made bold later is measured as if it were regular.
    FontDesc::new(FontFamily::SansSerif, f64::from(size), FontStyle::Bold).color(colour)
}

/// Aligns a text beside a point, vertically centred.
pub(super) fn placed(style: TextStyle<'static>, horizontal: HPos) -> TextStyle<'static> {
    style.pos(Pos::new(horizontal, VPos::Center))
}

/// Returns the width of a text in pixels.
pub(super) fn width_of(words: &str, style: &TextStyle<'_>) -> i32 {
    style.font.layout_box(words).map_or(0, |((left, _), (right, _))| right - left)
}

/// Returns a text that fits into a width: unchanged, or smaller, or cut with an ellipsis.
pub(super) fn fitted(
    words: &str,
    width: i32,
    style: impl Fn(u32) -> TextStyle<'static>,
) -> (String, TextStyle<'static>) {
    const LEAST: u32 = TEXT - 3;
    let size = (LEAST..=TEXT).rev().find(|&size| width_of(words, &style(size)) <= width);
    if let Some(size) = size {
        return (words.to_owned(), style(size));
    }
    let style = style(LEAST);
    let mut cut: String = words.to_owned();
    while !cut.is_empty() && width_of(&format!("{cut}…"), &style) > width {
        cut.pop();
    }
    (format!("{}…", cut.trim_end()), style)
}

/// Draws the title of a plot. A long title is smaller.
pub(super) fn draw_title(area: &Area<'_>, title: &str) -> Drawing {
    let room = WIDTH as i32 - 24;
    let size = (TEXT - 1..=20).rev().find(|&size| width_of(title, &bold(size, &INK)) <= room);
    area.draw_text(title, &bold(size.unwrap_or(TEXT - 1), &INK), (12, 10))?;
    Ok(())
}

/// Draws the mark of a line: circle, triangle or square, or a diamond for peers.
pub(super) fn draw_mark(area: &Area<'_>, whose: Whose, (x, y): (i32, i32)) -> Drawing {
    let fill = whose.colour().filled();
    match whose {
        Whose::Backend(BackendKind::RwLock) => area.draw(&Circle::new((x, y), 4, fill))?,
        Whose::Backend(BackendKind::Epoch) => {
            area.draw(&Polygon::new(vec![(x - 5, y + 4), (x + 5, y + 4), (x, y - 6)], fill))?;
        }
        Whose::Backend(BackendKind::DashMap) => {
            area.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], fill))?;
        }
        // A backend that has no mark of its own gets the mark of peers.
        Whose::Backend(_) | Whose::Peer => {
            area.draw(&Polygon::new(vec![(x - 5, y), (x, y - 5), (x + 5, y), (x, y + 5)], fill))?;
        }
    }
    Ok(())
}

/// Draws the mark for the growth of a table: a triangle above the line that points down to it.
pub(super) fn draw_grown(area: &Area<'_>, colour: RGBColor, (x, y): (i32, i32)) -> Drawing {
    let corners = vec![(x - 5, y - 14), (x + 5, y - 14), (x, y - 5)];
    Ok(area.draw(&Polygon::new(corners, colour.filled()))?)
}

/// Draws a frame of four bars, because plotters cannot set the line width of a rectangle in SVG.
pub(super) fn draw_frame(
    area: &Area<'_>,
    [(left, top), (right, bottom)]: [(i32, i32); 2],
) -> Drawing {
    for corners in [
        [(left - 1, top - 1), (right + 1, top + 2)],
        [(left - 1, bottom - 2), (right + 1, bottom + 1)],
        [(left - 1, top - 1), (left + 2, bottom + 1)],
        [(right - 2, top - 1), (right + 1, bottom + 1)],
    ] {
        area.draw(&Rectangle::new(corners, PARTS[1].filled()))?;
    }
    Ok(())
}

/// Returns a shade from white to dark blue for a share of the best. The shade changes faster near
/// the best, because the shares that matter are there.
pub(super) fn shade(share: f64) -> RGBColor {
    let share = share.clamp(0.0, 1.0).powf(1.5);
    let between = |light: u8, dark: u8| {
        (f64::from(light) + (f64::from(dark) - f64::from(light)) * share).round() as u8
    };
    RGBColor(between(247, 8), between(251, 69), between(255, 148))
}

/// Returns the colour of text that is readable on a shade.
pub(super) fn ink_on(share: f64) -> RGBColor {
    if share > 0.77 { WHITE } else { INK }
}

/// The sample beside the words of a legend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sample {
    /// A line with its mark.
    Line(Whose),
    /// A dashed line.
    Dashed(RGBColor),
    /// The mark for the growth of a table.
    Grown,
    /// A filled box.
    Box(RGBColor),
    /// A vertical line.
    Upright,
    /// A hollow diamond.
    Hollow,
    /// The frame of the best store.
    Frame,
    /// The range of shades, from white to dark blue.
    Shades,
}

impl Sample {
    const fn width(self) -> i32 {
        match self {
            Self::Line(_) | Self::Dashed(_) => 30,
            Self::Grown | Self::Hollow => 12,
            Self::Upright => 4,
            Self::Box(_) | Self::Frame => 20,
            Self::Shades => 120,
        }
    }

    fn draw(self, area: &Area<'_>, (x, y): (i32, i32)) -> Drawing {
        let end = x + self.width();
        match self {
            Self::Line(whose) => {
                if whose == Whose::Peer {
                    Self::Dashed(PEER).draw(area, (x, y))?;
                } else {
                    area.draw(&PathElement::new(
                        vec![(x, y), (end, y)],
                        whose.colour().stroke_width(2),
                    ))?;
                }
                draw_mark(area, whose, ((x + end) / 2, y))?;
            }
            Self::Dashed(colour) => {
                for from in [x, x + 12, x + 24] {
                    let line = vec![(from, y), (from + 6, y)];
                    area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
                }
            }
            Self::Grown => draw_grown(area, INK, (x + 6, y + 9))?,
            Self::Box(colour) => {
                area.draw(&Rectangle::new([(x, y - 7), (end, y + 7)], colour.filled()))?;
            }
            Self::Upright => {
                area.draw(&PathElement::new(
                    vec![(x + 2, y - 8), (x + 2, y + 8)],
                    INK.stroke_width(2),
                ))?;
            }
            Self::Hollow => draw_hollow(area, (x + 6, y))?,
            Self::Frame => draw_frame(area, [(x, y - 7), (end, y + 7)])?,
            Self::Shades => {
                const STEPS: i32 = 30;
                let wide = self.width() / STEPS;
                for step in 0..STEPS {
                    let (left, share) = (x + step * wide, f64::from(step) / f64::from(STEPS - 1));
                    let corners = [(left, y - 7), (left + wide, y + 7)];
                    area.draw(&Rectangle::new(corners, shade(share).filled()))?;
                }
            }
        }
        Ok(())
    }
}

/// Draws a hollow diamond.
pub(super) fn draw_hollow(area: &Area<'_>, (x, y): (i32, i32)) -> Drawing {
    for (size, colour) in [(7, INK), (4, WHITE)] {
        let corners = vec![(x - size, y), (x, y - size), (x + size, y), (x, y + size)];
        area.draw(&Polygon::new(corners, colour.filled()))?;
    }
    Ok(())
}

/// A legend with as many lines as it needs.
pub(super) struct Legend {
    entries: Vec<(Sample, String, (i32, i32))>,
    lines: i32,
}

impl Legend {
    pub(super) fn new(entries: Vec<(Sample, String)>) -> Self {
        let (mut x, mut line) = (LEFT, 0);
        let mut laid_out = Vec::new();
        for (sample, words) in entries {
            let width = sample.width() + SAMPLE_GAP + width_of(&words, &text(TEXT, &INK));
            if x > LEFT && x + width > WIDTH as i32 - 6 {
                (x, line) = (LEFT, line + 1);
            }
            laid_out.push((sample, words, (x, LEGEND_Y + line * LEGEND_LINE)));
            x += width + ENTRY_GAP;
        }
        Self { entries: laid_out, lines: line + 1 }
    }

    /// Returns the legend entries of some backends and of the best peer.
    pub(super) fn of_lines(
        backends: &[BackendKind],
        peer: Option<String>,
    ) -> Vec<(Sample, String)> {
        let ours = backends.iter().map(|&b| (Sample::Line(Whose::Backend(b)), b.name().to_owned()));
        ours.chain(peer.map(|name| (Sample::Line(Whose::Peer), format!("best peer: {name}"))))
            .collect()
    }

    /// Returns the upper edge of the space for the data.
    pub(super) const fn bottom(&self) -> i32 {
        LEGEND_Y + (self.lines - 1) * LEGEND_LINE + 16
    }

    pub(super) fn draw(&self, area: &Area<'_>) -> Drawing {
        for (sample, words, (x, y)) in &self.entries {
            sample.draw(area, (*x, *y))?;
            let left = x + sample.width() + SAMPLE_GAP;
            area.draw_text(words, &placed(text(TEXT, &INK), HPos::Left), (left, *y))?;
        }
        Ok(())
    }
}
