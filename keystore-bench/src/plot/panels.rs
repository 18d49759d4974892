//! Draws line charts in panels side by side: one panel for each pool, all with the same axes.

use keystore::{BackendKind, Combination, PoolKind};
use plotters::chart::ChartBuilder;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::PathElement;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, TRANSPARENT};

use super::canvas::{Area, Drawing, WIDTH};
use super::style::{FAINT, INK, TEXT, Whose, draw_grown, draw_mark, placed, text};
use crate::results::Results;

/// Maximum number of scenarios with a table or a group of bars each. More scenarios are drawn as
/// one line each, because they would take too much space.
pub(crate) const MANY_SCENARIOS: usize = 12;

/// Returns the measured combinations.
pub(super) fn combinations(results: &Results) -> Vec<Combination> {
    results.candidates().into_iter().filter_map(|store| store.combination()).collect()
}

/// Height of a row of panels, with captions and axis titles.
pub(super) const ROW: i32 = 262;

/// Space for the labels of the vertical axis, which only the first panel has, and of the horizontal
/// axes.
const LABELS_LEFT: i32 = 78;
const LABELS_BELOW: i32 = 46;

/// Height of a panel's caption.
const CAPTION: i32 = 22;

/// Width of the gap between panels.
const GAP: i32 = 12;

/// Maximum number of labels on a linear axis.
const LABELS: f64 = 6.0;

/// The range and the labels of an axis, as plotters needs them. Only the given positions have
/// labels.
#[derive(Clone)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, at: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (at - self.from) / (self.to - self.from);
        first + (f64::from(last - first) * share).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        // plotters calls this once for the grid lines with labels, and once for the lines between
        // them.
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.ticks.iter().map(|(at, _)| *at).collect()
        }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Scale {
    fn format(at: &f64) -> String {
        at.to_string()
    }

    fn format_ext(&self, at: &f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| tick == at);
        tick.map_or(String::new(), |(_, label)| label.clone())
    }
}

/// An axis. Positions on it are the values or their logarithms.
pub(super) struct Axis {
    description: String,
    scale: Scale,
    logarithmic: bool,
}

impl Axis {
    /// Returns an axis with names at 0, 1, 2, …
    pub(super) fn names(description: &str, names: Vec<String>) -> Self {
        let to = names.len().max(1) as f64 - 0.5;
        let ticks = names.into_iter().enumerate().map(|(n, name)| (n as f64, name)).collect();
        Self::places(description, -0.5, to, ticks)
    }

    /// Returns an axis with names at given positions.
    pub(super) fn places(description: &str, from: f64, to: f64, ticks: Vec<(f64, String)>) -> Self {
        Self {
            description: description.to_owned(),
            scale: Scale { from, to, ticks },
            logarithmic: false,
        }
    }

    /// Returns a linear axis from 0 to `most`, labelled with a few round numbers.
    pub(super) fn linear(description: &str, most: f64) -> Self {
        let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
        Self::places(description, 0.0, most, round_ticks(most, LABELS))
    }

    /// Returns a logarithmic axis of whole decades that contain everything from `least` to `most`.
    pub(super) fn decades(
        description: &str,
        least: f64,
        most: f64,
        label: impl Fn(f64) -> String,
    ) -> Self {
        let from = least.max(1.0).log10().floor();
        let to = most.max(1.0).log10().ceil().max(from + 1.0);
        let ticks =
            (from as i32..=to as i32).map(|decade| (f64::from(decade), label(10_f64.powi(decade))));
        Self { logarithmic: true, ..Self::places(description, from, to, ticks.collect()) }
    }

    /// Returns a logarithmic axis with labels at the given values.
    pub(super) fn logarithmic(description: &str, values: &[(f64, String)]) -> Self {
        let ticks: Vec<(f64, String)> =
            values.iter().map(|(value, label)| (value.log10(), label.clone())).collect();
        let least = ticks.iter().map(|(at, _)| *at).fold(f64::MAX, f64::min);
        let most = ticks.iter().map(|(at, _)| *at).fold(f64::MIN, f64::max);
        let margin = ((most - least) * 0.12).max(0.1);
        Self {
            logarithmic: true,
            ..Self::places(description, least - margin, most + margin, ticks)
        }
    }

    fn at(&self, value: f64) -> f64 {
        if self.logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value }
    }
}

/// Returns round numbers from 0 to `most`. `labels` is the approximate maximum of their number.
pub(super) fn round_ticks(most: f64, labels: f64) -> Vec<(f64, String)> {
    let decade = 10_f64.powf((most / labels).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
    let step = steps.into_iter().find(|step| most / step <= labels).unwrap_or(most);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let values = (0..).map(|n| f64::from(n) * step).take_while(|value| *value <= most);
    values.map(|value| (value, format!("{value:.digits$}"))).collect()
}

/// A line of a panel.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) whose: Whose,
    /// Whether the line is dashed. A peer's line always is.
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
    /// Confidence bounds, drawn as vertical strokes: position, low and high.
    pub(super) bounds: Vec<(f64, f64, f64)>,
    /// Points at which a table grew.
    pub(super) grown: Vec<(f64, f64)>,
    /// Interval of the marks: one point in this many has a mark.
    pub(super) mark_every: usize,
}

impl Line {
    pub(super) const fn new(whose: Whose, points: Vec<(f64, f64)>) -> Self {
        Self { whose, dashed: false, points, bounds: Vec::new(), grown: Vec::new(), mark_every: 1 }
    }

    pub(super) fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }
}

/// A chart with a caption.
pub(super) struct Panel {
    pub(super) caption: String,
    pub(super) lines: Vec<Line>,
}

/// Returns the least and the greatest value in the panels, or `(0, 0)` if there is no value.
pub(super) fn range_of(panels: &[Panel]) -> (f64, f64) {
    let lines = || panels.iter().flat_map(|panel| &panel.lines);
    let points = lines().flat_map(|line| &line.points).map(|(_, value)| *value);
    let bounds = lines().flat_map(|line| &line.bounds).flat_map(|(_, low, high)| [*low, *high]);
    let values = || points.clone().chain(bounds.clone());
    (values().reduce(f64::min).unwrap_or(0.0), values().reduce(f64::max).unwrap_or(0.0))
}

/// Returns the pools of these combinations, in the order of [`PoolKind::ALL`].
fn pools_of(combinations: &[Combination]) -> Vec<PoolKind> {
    PoolKind::ALL.into_iter().filter(|pool| combinations.iter().any(|c| c.pool == *pool)).collect()
}

/// Returns the backends of these combinations, in the order of [`BackendKind::ALL`].
pub(super) fn backends_of(combinations: &[Combination]) -> Vec<BackendKind> {
    let ran = |backend: &BackendKind| combinations.iter().any(|c| c.backend == *backend);
    BackendKind::ALL.into_iter().filter(ran).collect()
}

/// Returns a panel for each pool, with the lines of its combinations. Each panel also has the lines
/// of the best peer. If only peers ran, there is a single panel.
pub(super) fn by_pool(
    combinations: &[Combination],
    peer: &[Line],
    lines_of: impl Fn(Combination) -> Vec<Line>,
) -> Vec<Panel> {
    let pools = pools_of(combinations);
    if pools.is_empty() {
        return vec![Panel { caption: "peers".to_owned(), lines: peer.to_vec() }];
    }
    pools
        .into_iter()
        .map(|pool| {
            let ours = combinations.iter().filter(|c| c.pool == pool).flat_map(|&c| lines_of(c));
            Panel {
                caption: format!("pool: {pool}"),
                lines: peer.iter().cloned().chain(ours).collect(),
            }
        })
        .collect()
}

/// Draws panels side by side, with `top` as the upper edge and [`ROW`] as the height.
pub(super) fn draw_row(area: &Area<'_>, top: i32, panels: &[Panel], x: &Axis, y: &Axis) -> Drawing {
    let count = panels.len().max(1) as i32;
    let wide = (WIDTH as i32 - LABELS_LEFT - 8 - GAP * count) / count;
    for (n, panel) in panels.iter().enumerate() {
        let first = n == 0;
        let labels = if first { LABELS_LEFT } else { 0 };
        let left = if first { 4 } else { 4 + LABELS_LEFT + n as i32 * (wide + GAP) };
        let part = area.clone().shrink((left, top), (wide + labels, ROW));
        let mut builder = ChartBuilder::on(&part);
        // The caption is centred above the data, without the labels beside the data.
        let middle = (left + labels + wide / 2, top + CAPTION / 2);
        area.draw_text(&panel.caption, &placed(text(TEXT, &INK), HPos::Center), middle)?;
        builder
            .margin_top(CAPTION + 4)
            .margin_bottom(4)
            .x_label_area_size(LABELS_BELOW)
            .y_label_area_size(labels);
        let mut chart = builder.build_cartesian_2d(x.scale.clone(), y.scale.clone())?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .axis_style(INK)
            .label_style(text(TEXT - 1, &INK))
            .axis_desc_style(text(TEXT, &INK))
            .x_desc(&x.description);
        if first {
            mesh.y_desc(&y.description);
        }
        mesh.draw()?;
        for line in &panel.lines {
            let colour = line.whose.colour();
            let at = |(across, up): (f64, f64)| (x.at(across), y.at(up));
            for &(place, low, high) in &line.bounds {
                let stroke = vec![at((place, low)), at((place, high))];
                chart.draw_series([PathElement::new(stroke, colour.stroke_width(1))])?;
            }
            let points: Vec<(f64, f64)> = line.points.iter().copied().map(at).collect();
            let style = colour.stroke_width(2);
            if points.len() > 1 && (line.dashed || line.whose == Whose::Peer) {
                chart.draw_series(DashedLineSeries::new(points.clone(), 6, 5, style))?;
            } else {
                chart.draw_series(LineSeries::new(points.clone(), style))?;
            }
            for point in points.iter().step_by(line.mark_every.max(1)) {
                draw_mark(area, line.whose, chart.backend_coord(point))?;
            }
            for &point in &line.grown {
                draw_grown(area, colour, chart.backend_coord(&at(point)))?;
            }
        }
    }
    Ok(())
}
