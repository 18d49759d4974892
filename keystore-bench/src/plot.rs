//! Plots, as SVG by plotters.
//!
//! Colours are those of M. Okabe and K. Ito ("Color Universal Design", 2008), which people of any colour vision tell apart,
//! and no plot rests on colour alone: lines have marks of their own shape, cells and bars their number. Everything is drawn
//! [`WIDTH`] pixels wide, the width of a README; legends have a line of their own above the data.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::combination::Combination;
use crate::error::{Error, Result};
use crate::measure::Memory;
use crate::results::{Results, Row};
use crate::workload::Workload;
use keystore_core::BackendKind;
use keystore_pool::PoolKind;

/// Width of every plot, pixels.
pub const WIDTH: u32 = 800;

/// A plot: a file of its own, and a part of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// The file's name, without `.svg`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The picture.
    pub svg: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawing = std::result::Result<(), Box<dyn std::error::Error>>;

const INK: RGBColor = RGBColor(34, 34, 34);
const FAINT: RGBColor = RGBColor(221, 221, 221);
const FONT: &str = "sans-serif";
const TEXT: u32 = 16;

/// Space above the data for title and legend, and the middle of the legend's line, pixels.
const HEAD: i32 = 64;
const LEGEND_Y: i32 = 48;

/// Okabe and Ito's blue, vermilion and bluish green.
const fn colour_of(backend: BackendKind) -> RGBColor {
    match backend {
        BackendKind::RwLock => RGBColor(0, 114, 178),
        BackendKind::Epoch => RGBColor(213, 94, 0),
        BackendKind::DashMap => RGBColor(0, 158, 115),
    }
}

/// Okabe and Ito's sky blue, orange and yellow, for the parts of a whole.
const PARTS: [RGBColor; 3] = [RGBColor(86, 180, 233), RGBColor(230, 159, 0), RGBColor(240, 228, 66)];

fn text(size: u32, colour: &RGBColor) -> TextStyle<'static> {
    (FONT, size).into_font().color(colour)
}

fn placed(style: TextStyle<'static>, horizontal: HPos) -> TextStyle<'static> {
    style.pos(Pos::new(horizontal, VPos::Center))
}

/// Draws on a white ground under a title.
fn draw(
    name: String,
    title: String,
    height: u32,
    content: impl FnOnce(&Area<'_>) -> Drawing,
) -> Result<Plot> {
    let mut svg = String::new();
    let drawn = || -> Drawing {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        root.draw_text(&title, &text(21, &INK), (12, 10))?;
        content(&root)?;
        root.present()?;
        Ok(())
    };
    match drawn() {
        Ok(()) => Ok(Plot { name, title, svg }),
        Err(error) => Err(Error::Plot { plot: name, reason: error.to_string() }),
    }
}

/// A backend's mark, at a pixel of the whole picture: circle, triangle, square.
fn draw_mark(area: &Area<'_>, backend: BackendKind, (x, y): (i32, i32)) -> Drawing {
    let fill = colour_of(backend).filled();
    match backend {
        BackendKind::RwLock => area.draw(&Circle::new((x, y), 4, fill))?,
        BackendKind::Epoch => {
            area.draw(&Polygon::new(vec![(x - 5, y + 4), (x + 5, y + 4), (x, y - 6)], fill))?
        }
        BackendKind::DashMap => area.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], fill))?,
    }
    Ok(())
}

/// The legend of the backends, in the line under the title.
fn draw_backends(area: &Area<'_>, backends: &[BackendKind]) -> Drawing {
    let mut x = 14;
    for &backend in backends {
        let line = vec![(x, LEGEND_Y), (x + 28, LEGEND_Y)];
        area.draw(&PathElement::new(line, colour_of(backend).stroke_width(2)))?;
        draw_mark(area, backend, (x + 14, LEGEND_Y))?;
        area.draw_text(backend.name(), &placed(text(TEXT, &INK), HPos::Left), (x + 34, LEGEND_Y))?;
        x += 120;
    }
    Ok(())
}

/// A line plot's vertical axis.
struct Vertical {
    description: &'static str,
    logarithmic: bool,
    label: fn(&f64) -> String,
    /// Labels at the most, about.
    labels: usize,
}

/// Three plots side by side, one for each pool, with one line for each backend: `value` gives a row's points, one for each
/// name along the horizontal axis.
fn draw_panels(
    area: &Area<'_>,
    combinations: &[Combination],
    horizontal: (&str, &[String]),
    vertical: &Vertical,
    value: impl Fn(Combination) -> Vec<Option<f64>>,
) -> Drawing {
    let pools: Vec<PoolKind> =
        PoolKind::ALL.into_iter().filter(|pool| combinations.iter().any(|c| c.pool == *pool)).collect();
    let backends: Vec<BackendKind> = BackendKind::ALL
        .into_iter()
        .filter(|backend| combinations.iter().any(|c| c.backend == *backend))
        .collect();
    draw_backends(area, &backends)?;
    let values: Vec<f64> = combinations.iter().flat_map(|&c| value(c)).flatten().collect();
    let (least, most) =
        values.iter().fold((f64::MAX, 0.0_f64), |(least, most), &v| (least.min(v), most.max(v)));
    let (from, to) = if vertical.logarithmic {
        // Whole decades, so that the axis begins and ends with a label.
        (10_f64.powf(least.max(1.0).log10().floor()), 10_f64.powf(most.max(10.0).log10().ceil()))
    } else {
        (0.0, if most > 0.0 { most * 1.08 } else { 1.0 })
    };
    let (names, panels) = (horizontal.1, area.margin(HEAD, 6, 6, 6).split_evenly((1, pools.len())));
    for (panel, pool) in panels.iter().zip(&pools) {
        let mut builder = ChartBuilder::on(panel);
        builder
            .caption(format!("pool: {pool}"), text(TEXT + 1, &INK))
            .margin_right(10)
            .x_label_area_size(44)
            .y_label_area_size(72);
        let places = (0..names.len() - 1).into_segmented();
        let lines = combinations.iter().filter(|c| c.pool == *pool).map(|&c| {
            let points = value(c).into_iter().enumerate();
            let points: Vec<_> = points.filter_map(|(n, v)| Some((SegmentValue::CenterOf(n), v?))).collect();
            (c.backend, points)
        });
        let name = |place: &SegmentValue<usize>| match place {
            SegmentValue::CenterOf(n) => names.get(*n).cloned().unwrap_or_default(),
            _ => String::new(),
        };
        // The two kinds of axis are two types, and what is drawn on them is the same.
        macro_rules! draw_lines {
            ($chart:expr) => {{
                let mut chart = $chart;
                let mut mesh = chart.configure_mesh();
                mesh.disable_x_mesh()
                    .light_line_style(TRANSPARENT)
                    .bold_line_style(FAINT)
                    .axis_style(INK)
                    .label_style(text(TEXT, &INK))
                    .axis_desc_style(text(TEXT, &INK))
                    .x_labels(names.len())
                    .x_label_formatter(&name)
                    .x_desc(horizontal.0)
                    .y_labels(vertical.labels)
                    .y_label_formatter(&vertical.label);
                if *pool == pools[0] {
                    mesh.y_desc(vertical.description);
                }
                mesh.draw()?;
                for (backend, points) in lines {
                    let line = LineSeries::new(points.clone(), colour_of(backend).stroke_width(2));
                    chart.draw_series(line)?;
                    for point in &points {
                        draw_mark(area, backend, chart.backend_coord(point))?;
                    }
                }
            }};
        }
        if vertical.logarithmic {
            draw_lines!(builder.build_cartesian_2d(places, (from..to).log_scale())?);
        } else {
            draw_lines!(builder.build_cartesian_2d(places, from..to)?);
        }
    }
    Ok(())
}

/// A name as part of a file's name: `95/5 Zipf` becomes `95-5-zipf`.
fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-")
}

/// `1 thread`, `2 threads`.
pub(crate) fn threads_text(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// Nanoseconds with the unit that suits them.
pub(crate) fn nanoseconds_text(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = usize::from(value < 10.0 && value.fract() != 0.0);
    format!("{value:.digits$} {unit}")
}

/// Millions to three significant digits.
pub(crate) fn millions_text(per_second: f64) -> String {
    let millions = per_second / 1e6;
    let digits = match millions {
        m if m < 10.0 => 2,
        m if m < 100.0 => 1,
        _ => 0,
    };
    format!("{millions:.digits$}")
}

/// Operations a second by threads, for every combination under one workload.
fn throughput(results: &Results, workload: &Workload) -> Result<Plot> {
    let mut threads = workload.threads.clone();
    threads.sort_unstable();
    threads.dedup();
    let names: Vec<String> = threads.iter().map(usize::to_string).collect();
    let vertical = Vertical {
        description: "million operations a second",
        logarithmic: false,
        label: |value| if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") },
        labels: 6,
    };
    draw(
        format!("throughput-{}", slug(&workload.name)),
        format!("{}: operations a second by threads (higher is better)", workload.name),
        330,
        |area| {
            draw_panels(area, &results.combinations(), ("threads", &names), &vertical, |combination| {
                let row = |&threads| results.row(combination, &workload.name, threads);
                threads.iter().map(|threads| Some(row(threads)?.ops_per_sec.median / 1e6)).collect()
            })
        },
    )
}

/// Latency percentiles, for every combination under one workload.
fn latency(results: &Results, workload: &Workload) -> Result<Plot> {
    let threads = results.telling_threads(workload);
    let names = crate::measure::Latency::default()
        .points()
        .map(|(name, _)| name.strip_prefix('p').unwrap_or(name).to_owned());
    let vertical = Vertical {
        description: "latency of a call",
        logarithmic: true,
        label: |value| nanoseconds_text(*value),
        labels: 12,
    };
    draw(
        format!("latency-{}", slug(&workload.name)),
        format!("{}, {}: latency percentiles (lower is better)", workload.name, threads_text(threads)),
        330,
        |area| {
            draw_panels(area, &results.combinations(), ("percentile", &names), &vertical, |combination| {
                let points = results.row(combination, &workload.name, threads);
                let points = points.map(|row| row.latency_ns.points());
                (0..names.len()).map(|n| points.map(|points| points[n].1.max(1) as f64)).collect()
            })
        },
    )
}

/// From white to a dark blue, by the share of the best: faster towards the end, where the shares that matter lie.
fn shade(share: f64) -> RGBColor {
    let share = share.clamp(0.0, 1.0).powf(1.5);
    let between =
        |light: u8, dark: u8| (f64::from(light) + (f64::from(dark) - f64::from(light)) * share).round() as u8;
    RGBColor(between(247, 8), between(251, 69), between(255, 148))
}

/// A table of backends and pools for each workload, each cell shaded by its share of the workload's best.
fn heat_map(results: &Results) -> Result<Plot> {
    const ACROSS: usize = 3;
    const SIZE: (i32, i32) = (WIDTH as i32 / ACROSS as i32, 148);
    const CELL: (i32, i32) = (58, 30);
    let rows = results.workloads.len().div_ceil(ACROSS) as i32;
    draw(
        "heatmap".to_owned(),
        "Backend and pool: million operations a second (higher is better)".to_owned(),
        (HEAD + 12 + rows * SIZE.1) as u32,
        |area| {
            draw_shades(area)?;
            for (n, workload) in results.workloads.iter().enumerate() {
                let (left, top) =
                    ((n % ACROSS) as i32 * SIZE.0 + 12, HEAD + 10 + (n / ACROSS) as i32 * SIZE.1);
                let threads = results.telling_threads(workload);
                let title = format!("{}, {}", workload.name, threads_text(threads));
                area.draw_text(&title, &text(TEXT + 1, &INK), (left, top))?;
                let rows: Vec<&Row> = results.rows_of(&workload.name, threads).collect();
                let best = rows.iter().map(|row| row.ops_per_sec.median).fold(0.0, f64::max);
                let (left, top) = (left + 68, top + 38);
                for (n, pool) in PoolKind::ALL.into_iter().enumerate() {
                    let at = (left + n as i32 * CELL.0 + CELL.0 / 2, top - 9);
                    area.draw_text(pool.name(), &placed(text(TEXT, &INK), HPos::Center), at)?;
                }
                for (n, backend) in BackendKind::ALL.into_iter().enumerate() {
                    let at = (left - 6, top + n as i32 * CELL.1 + CELL.1 / 2);
                    area.draw_text(backend.name(), &placed(text(TEXT, &INK), HPos::Right), at)?;
                }
                for row in rows {
                    let Combination { backend, pool } = row.combination;
                    let column = PoolKind::ALL.into_iter().position(|other| other == pool).unwrap_or(0);
                    let line = BackendKind::ALL.into_iter().position(|other| other == backend).unwrap_or(0);
                    let (x, y) = (left + column as i32 * CELL.0, top + line as i32 * CELL.1);
                    let share = if best > 0.0 { row.ops_per_sec.median / best } else { 0.0 };
                    let corners = [(x + 1, y + 1), (x + CELL.0 - 1, y + CELL.1 - 1)];
                    area.draw(&Rectangle::new(corners, shade(share).filled()))?;
                    let ink = if share > 0.77 { WHITE } else { INK };
                    let style = placed(text(TEXT + 1, &ink), HPos::Center);
                    let number = millions_text(row.ops_per_sec.median);
                    area.draw_text(&number, &style, (x + CELL.0 / 2, y + CELL.1 / 2))?;
                    if share == 1.0 {
                        draw_frame(area, corners)?;
                    }
                }
            }
            Ok(())
        },
    )
}

/// The frame that the best cell has: a path, for a rectangle's line has no width of its own in SVG.
fn draw_frame(area: &Area<'_>, [(left, top), (right, bottom)]: [(i32, i32); 2]) -> Drawing {
    let path = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top), (right, top)];
    Ok(area.draw(&PathElement::new(path, PARTS[1].stroke_width(3)))?)
}

/// The legend of the heat map.
fn draw_shades(area: &Area<'_>) -> Drawing {
    const STEPS: i32 = 40;
    let label = |words: &str, x| area.draw_text(words, &placed(text(TEXT, &INK), HPos::Left), (x, LEGEND_Y));
    label("share of the workload's best: 0", 14)?;
    let left = 222;
    for step in 0..STEPS {
        let (x, share) = (left + step * 4, f64::from(step) / f64::from(STEPS - 1));
        let corners = [(x, LEGEND_Y - 7), (x + 4, LEGEND_Y + 7)];
        area.draw(&Rectangle::new(corners, shade(share).filled()))?;
    }
    label("100 %", left + STEPS * 4 + 6)?;
    let corners = [(450, LEGEND_Y - 7), (470, LEGEND_Y + 7)];
    draw_frame(area, corners)?;
    label("the best", 476)?;
    Ok(())
}

/// Memory for each entry, for every combination, as it is when a loaded store has not been changed.
fn memory(results: &Results) -> Result<Plot> {
    let workload = results.memory_workload();
    let of = |combination: Combination| {
        let workload = workload?;
        let threads = results.telling_threads(workload);
        results.row(combination, &workload.name, threads).map(|row| row.memory)
    };
    let bars: Vec<(Combination, Memory)> =
        results.combinations().into_iter().filter_map(|c| Some((c, of(c)?))).collect();
    let most = bars.iter().map(|(_, memory)| memory.bytes_per_entry()).fold(1.0, f64::max) * 1.1;
    let alone = workload.map_or(0.0, |workload| results.mean_key_len + workload.value_size as f64);
    let entries = bars.first().map_or(0, |(_, memory)| memory.entries);
    draw(
        "memory".to_owned(),
        format!("Memory for each of {entries} entries (lower is better)"),
        (HEAD + 60 + 28 * bars.len() as i32) as u32,
        |area| {
            let mut x = 14;
            for (part, colour) in Memory::default().parts().iter().zip(PARTS) {
                let corners = [(x, LEGEND_Y - 7), (x + 18, LEGEND_Y + 7)];
                area.draw(&Rectangle::new(corners, colour.filled()))?;
                area.draw_text(part.name, &placed(text(TEXT, &INK), HPos::Left), (x + 24, LEGEND_Y))?;
                x += 50 + 8 * part.name.len() as i32;
            }
            area.draw(&PathElement::new(
                vec![(x + 9, LEGEND_Y - 8), (x + 9, LEGEND_Y + 8)],
                INK.stroke_width(2),
            ))?;
            let words = format!("key and value alone: {alone:.0} B");
            area.draw_text(&words, &placed(text(TEXT, &INK), HPos::Left), (x + 18, LEGEND_Y))?;

            let mut chart = ChartBuilder::on(&area.margin(HEAD, 6, 6, 20))
                .x_label_area_size(46)
                .y_label_area_size(132)
                .build_cartesian_2d(0.0..most, (0..bars.len().max(1) - 1).into_segmented())?;
            // The first combination stands on top: the axis runs upwards.
            let nth = |n: usize| bars.len() - 1 - n;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(FAINT)
                .axis_style(INK)
                .label_style(text(TEXT, &INK))
                .axis_desc_style(text(TEXT, &INK))
                .x_desc("bytes for each entry")
                .x_label_formatter(&|bytes| format!("{bytes:.0}"))
                .y_labels(bars.len())
                .y_label_formatter(&|place| match place {
                    SegmentValue::CenterOf(n) if *n < bars.len() => bars[nth(*n)].0.to_string(),
                    _ => String::new(),
                })
                .draw()?;
            for (n, (_, memory)) in bars.iter().enumerate() {
                let place = nth(n);
                let mut start = 0.0;
                for (part, colour) in memory.parts().into_iter().zip(PARTS) {
                    let end = start + part.bytes_per_entry;
                    let corners =
                        [(start, SegmentValue::Exact(place)), (end, SegmentValue::Exact(place + 1))];
                    let mut bar = Rectangle::new(corners, colour.filled());
                    bar.set_margin(4, 4, 0, 0);
                    chart.draw_series([bar])?;
                    start = end;
                }
                let (x, y) = chart.backend_coord(&(start, SegmentValue::CenterOf(place)));
                let label = format!("{start:.0} B");
                area.draw_text(&label, &placed(text(TEXT, &INK), HPos::Left), (x + 6, y))?;
            }
            let bounds = [(alone, SegmentValue::Exact(0)), (alone, SegmentValue::Exact(bars.len()))];
            chart.draw_series([PathElement::new(bounds, INK.stroke_width(2))])?;
            Ok(())
        },
    )
}

/// All plots, those that say most first.
///
/// # Errors
/// [`Error::Plot`] where one cannot be drawn.
pub fn all(results: &Results) -> Result<Vec<Plot>> {
    let mut plots = vec![heat_map(results)?, memory(results)?];
    for workload in &results.workloads {
        if workload.threads.len() > 1 {
            plots.push(throughput(results, workload)?);
        }
        plots.push(latency(results, workload)?);
    }
    Ok(plots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::tiny;

    /// The texts of a picture, and a check that its tags close in the order in which they open.
    fn texts(svg: &str) -> Vec<String> {
        let (mut open, mut texts) = (Vec::new(), Vec::new());
        for part in svg.split('<').skip(1) {
            let (tag, after) = part.split_once('>').expect("a tag ends");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap().to_owned());
                assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            }
            if !after.trim().is_empty() {
                texts.push(after.trim().to_owned());
            }
        }
        assert!(open.is_empty(), "{open:?}");
        texts
    }

    #[test]
    fn every_plot_is_a_picture_with_its_title_and_units() {
        let results = tiny();
        let plots = all(&results).unwrap();
        assert_eq!(plots.len(), 2 + 2 * results.workloads.len() - 1, "one workload runs on one thread only");
        for plot in &plots {
            assert!(plot.svg.starts_with("<svg width=\"800\""), "{}", plot.name);
            let texts = texts(&plot.svg);
            assert_eq!(texts[0], plot.title);
            let unit = match plot.name.split('-').next().unwrap() {
                "throughput" => "million operations a second",
                "latency" => "latency of a call",
                "memory" => "bytes for each entry",
                _ => "share of the workload&apos;s best: 0",
            };
            assert!(texts.iter().any(|text| text == unit), "{}: {texts:?}", plot.name);
        }
        let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
        assert!(
            names.contains(&"throughput-95-5-zipf") && names.contains(&"latency-get-uniform"),
            "{names:?}"
        );
    }

    #[test]
    fn every_combination_is_in_the_heat_map_and_the_memory_plot() {
        let results = tiny();
        let heat_map = texts(&heat_map(&results).unwrap().svg);
        let workload = &results.workloads[0];
        for row in results.rows_of(&workload.name, results.telling_threads(workload)) {
            assert!(heat_map.contains(&millions_text(row.ops_per_sec.median)), "{}", row.combination);
        }
        let memory = texts(&memory(&results).unwrap().svg);
        for combination in Combination::all() {
            assert!(memory.contains(&combination.to_string()), "{memory:?}");
        }
    }

    #[test]
    fn a_single_combination_can_be_drawn() {
        let mut results = tiny();
        let only = results.combinations()[4];
        results.rows.retain(|row| row.combination == only);
        for plot in all(&results).unwrap() {
            assert!(!plot.svg.contains("NaN") && !plot.svg.contains("inf"), "{}", plot.name);
        }
    }

    #[test]
    fn numbers_are_short_and_have_units() {
        assert_eq!(slug("95/5 Zipf"), "95-5-zipf");
        assert_eq!(
            [31.0, 1500.0, 10_000.0, 2_340_000.0, 3e9].map(nanoseconds_text),
            ["31 ns", "1.5 µs", "10 µs", "2.3 ms", "3 s"]
        );
        assert_eq!([1_234_567.0, 45_678_901.0, 123_456_789.0].map(millions_text), ["1.23", "45.7", "123"]);
    }
}
