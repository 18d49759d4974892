//! Renders a plot as SVG and as PNG.
//!
//! plotters draws each plot once, as SVG. resvg renders the PNG from this SVG, with [`SCALE`] times
//! as many pixels in each direction. The font is compiled into the program. So a PNG looks the same
//! wherever it is made, and no library of the system is needed.

use std::sync::{Arc, LazyLock};

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::{FontStyle, WHITE, register_font};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

/// Width of every plot in pixels. The PNG has twice as many, for high-density screens.
pub const WIDTH: u32 = 800;

/// Number of PNG pixels per pixel of the plot, in each direction.
const SCALE: u16 = 2;

/// Font family. The SVG requests it from the reader's system, and plotters uses it to measure text.
const FAMILY: &str = "sans-serif";

/// The result of drawing.
pub(super) type Drawing<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The drawing area of a plot.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// DejaVu Sans for resvg. It is also registered with plotters, which measures text before it draws.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    for (style, bytes) in
        [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())]
    {
        let registered = register_font(FAMILY, style, bytes).is_ok();
        assert!(registered, "a font that is part of the program can be read");
        fonts.load_font_data(bytes.to_vec());
    }
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// Registers the font with plotters.
pub(super) fn load_fonts() {
    LazyLock::force(&FONTS);
}

/// Draws on a white background and returns the SVG.
pub(super) fn draw_svg(height: u32, content: impl FnOnce(&Area<'_>) -> Drawing) -> Drawing<String> {
    load_fonts();
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        content(&root)?;
        root.present()?;
    }
    Ok(svg)
}

/// Renders an SVG as PNG.
pub(super) fn render(svg: &str) -> Drawing<Vec<u8>> {
    let options = Options { fontdb: Arc::clone(&FONTS), ..Options::default() };
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size();
    let scale = u32::from(SCALE);
    let mut pixels =
        Pixmap::new(size.width() * scale, size.height() * scale).ok_or("a plot without size")?;
    let enlarged = Transform::from_scale(f32::from(SCALE), f32::from(SCALE));
    resvg::render(&tree, enlarged, &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}
