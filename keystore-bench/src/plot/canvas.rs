//! What plots are drawn on: one picture as SVG and the same as PNG.
//!
//! [`Canvas`] is a backend of plotters that hands everything drawn to two others, so that a plot is drawn once and its two
//! files cannot differ. The bitmap has [`SCALE`] times as many pixels each way, for screens that have them. Its letters are set
//! here, on parts of a pixel and on the line that SVG puts them on, from a font that is part of the program: a plot
//! looks the same wherever it is drawn, and no library of the system's is needed.

use std::io;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, ScaleFont, point};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{FontStyle, FontTransform, WHITE, register_font};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind};

use super::{Drawing, WIDTH};

/// Pixels of the bitmap for each of the plot's.
const SCALE: i32 = 2;

/// The family that SVG asks the reader's system for, and under which plotters finds how wide the letters are.
const FAMILY: &str = "sans-serif";

/// What plotters calls the size of a font, over the size that SVG is given.
const SIZE_OVER_EM: f32 = 1.24;

/// The height of small letters, in parts of the font's size: SVG's `ex`.
const EX: f32 = 0.547;

pub(super) type Area<'a> = DrawingArea<Canvas<'a>, Shift>;

type Failed = DrawingErrorKind<io::Error>;

struct Fonts {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

/// DejaVu Sans, registered with plotters too.
static FONTS: LazyLock<Fonts> = LazyLock::new(|| {
    let font = |style, bytes: &'static [u8]| {
        let registered = register_font(FAMILY, style, bytes).is_ok();
        assert!(registered, "a font that is part of the program can be read");
        FontRef::try_from_slice(bytes).expect("a font that is part of the program can be read")
    };
    Fonts {
        regular: font(FontStyle::Normal, dejavu::sans::regular()),
        bold: font(FontStyle::Bold, dejavu::sans::bold()),
    }
});

/// Makes the font known to plotters, which has to measure text before anything is drawn.
pub(super) fn load_fonts() {
    LazyLock::force(&FONTS);
}

/// A picture and its copy.
pub(super) struct Canvas<'a> {
    height: u32,
    svg: SVGBackend<'a>,
    png: BitMapBackend<'a>,
}

/// Draws on a white ground, [`WIDTH`] pixels wide. Returns the SVG and the PNG.
pub(super) fn draw(height: u32, content: impl FnOnce(&Area<'_>) -> Drawing) -> Drawing<(String, Vec<u8>)> {
    load_fonts();
    let (width, scale) = (WIDTH as usize, SCALE as usize);
    let mut svg = String::new();
    let mut pixels = vec![0; 3 * scale * scale * width * height as usize];
    let large = (WIDTH * SCALE as u32, height * SCALE as u32);
    {
        let canvas = Canvas {
            height,
            svg: SVGBackend::with_string(&mut svg, (WIDTH, height)),
            png: BitMapBackend::with_buffer(&mut pixels, large),
        };
        let root = canvas.into_drawing_area();
        root.fill(&WHITE)?;
        content(&root)?;
        root.present()?;
    }
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, large.0, large.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok((svg, png))
}

/// A style as the bitmap has it.
struct Scaled {
    colour: BackendColor,
    stroke_width: u32,
}

impl Scaled {
    fn of(style: &impl BackendStyle) -> Self {
        Self { colour: style.color(), stroke_width: style.stroke_width() * SCALE as u32 }
    }
}

impl BackendStyle for Scaled {
    fn color(&self) -> BackendColor {
        self.colour
    }

    fn stroke_width(&self) -> u32 {
        self.stroke_width
    }
}

const fn scaled((x, y): BackendCoord) -> BackendCoord {
    (x * SCALE, y * SCALE)
}

/// The bitmap's errors as those of the canvas.
fn failed<E: std::error::Error + Send + Sync + 'static>(error: DrawingErrorKind<E>) -> Failed {
    match error {
        DrawingErrorKind::DrawingError(error) => DrawingErrorKind::DrawingError(io::Error::other(error)),
        DrawingErrorKind::FontError(error) => DrawingErrorKind::FontError(error),
    }
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = io::Error;

    fn get_size(&self) -> (u32, u32) {
        (WIDTH, self.height)
    }

    fn ensure_prepared(&mut self) -> Result<(), Failed> {
        self.svg.ensure_prepared()?;
        self.png.ensure_prepared().map_err(failed)
    }

    fn present(&mut self) -> Result<(), Failed> {
        self.svg.present()?;
        self.png.present().map_err(failed)
    }

    fn draw_pixel(&mut self, at: BackendCoord, colour: BackendColor) -> Result<(), Failed> {
        self.svg.draw_pixel(at, colour)?;
        let (x, y) = scaled(at);
        self.png.draw_rect((x, y), (x + SCALE - 1, y + SCALE - 1), &colour, true).map_err(failed)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Result<(), Failed> {
        self.svg.draw_line(from, to, style)?;
        self.png.draw_line(scaled(from), scaled(to), &Scaled::of(style)).map_err(failed)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Result<(), Failed> {
        self.svg.draw_rect(from, to, style, fill)?;
        self.png.draw_rect(scaled(from), scaled(to), &Scaled::of(style), fill).map_err(failed)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Result<(), Failed> {
        let path: Vec<BackendCoord> = path.into_iter().collect();
        self.svg.draw_path(path.iter().copied(), style)?;
        self.png.draw_path(path.into_iter().map(scaled), &Scaled::of(style)).map_err(failed)
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Result<(), Failed> {
        self.svg.draw_circle(centre, radius, style, fill)?;
        let radius = radius * SCALE as u32;
        self.png.draw_circle(scaled(centre), radius, &Scaled::of(style), fill).map_err(failed)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Result<(), Failed> {
        let corners: Vec<BackendCoord> = corners.into_iter().collect();
        self.svg.fill_polygon(corners.iter().copied(), style)?;
        self.png.fill_polygon(corners.into_iter().map(scaled), &Scaled::of(style)).map_err(failed)
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        at: BackendCoord,
    ) -> Result<(), Failed> {
        self.svg.draw_text(text, style, at)?;
        set_text(&mut self.png, text, style, scaled(at))
    }
}

/// Sets a text where SVG would. (The one of plotters puts each letter on a whole pixel and forgets the space before it.)
fn set_text(
    png: &mut BitMapBackend<'_>,
    text: &str,
    style: &impl BackendTextStyle,
    (x, y): BackendCoord,
) -> Result<(), Failed> {
    let font = if matches!(style.style(), FontStyle::Bold) { &FONTS.bold } else { &FONTS.regular };
    let em = style.size() as f32 / SIZE_OVER_EM * SCALE as f32;
    // What `ab_glyph` calls a scale is the height of a line.
    let lines = font.height_unscaled() / font.units_per_em().unwrap_or(1000.0);
    let font = font.as_scaled(em * lines);
    let mut glyphs = Vec::new();
    let mut end = 0.0;
    let mut before = None;
    for letter in text.chars() {
        let glyph = font.glyph_id(letter);
        end += before.map_or(0.0, |before| font.kern(before, glyph));
        glyphs.push((glyph, end));
        end += font.h_advance(glyph);
        before = Some(glyph);
    }
    let anchor = style.anchor();
    let start = match anchor.h_pos {
        HPos::Left => 0.0,
        HPos::Center => -end / 2.0,
        HPos::Right => -end,
    };
    let base = match anchor.v_pos {
        VPos::Top => 0.76 * em,
        VPos::Center => EX / 2.0 * em,
        VPos::Bottom => -EX / 2.0 * em,
    };
    let turned = |across: i32, down: i32| match style.transform() {
        FontTransform::None => (x + across, y + down),
        FontTransform::Rotate90 => (x - down, y + across),
        FontTransform::Rotate180 => (x - across, y - down),
        FontTransform::Rotate270 => (x + down, y - across),
    };
    let colour = style.color();
    for (glyph, offset) in glyphs {
        let glyph = glyph.with_scale_and_position(em * lines, point(start + offset, base));
        let Some(outline) = font.font.outline_glyph(glyph) else { continue };
        let corner = outline.px_bounds().min;
        let mut drawn = Ok(());
        outline.draw(|across, down, cover| {
            if cover > 0.0 && drawn.is_ok() {
                let at = turned(corner.x as i32 + across as i32, corner.y as i32 + down as i32);
                drawn = png.draw_pixel(at, colour.mix(f64::from(cover.min(1.0))));
            }
        });
        drawn.map_err(failed)?;
    }
    Ok(())
}
