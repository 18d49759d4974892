//! Draws the rate of our stores as a multiple of the best peer's rate, for each scenario.

use keystore::BackendKind;
use plotters::element::{PathElement, Rectangle};
use plotters::style::Color;
use plotters::style::text_anchor::HPos;

use super::canvas::WIDTH;
use super::panels::MANY_SCENARIOS;
use super::picture::{Plot, draw};
use super::style::{FAINT, INK, Legend, Sample, TEXT, Whose, bold, fitted, placed, text};
use crate::error::Result;
use crate::format::{millions_text, threads_text};
use crate::results::{Results, Row};

/// Width of the scenarios' names, and of the numbers to the right of the longest bar.
const NAMES: i32 = 220;
const NUMBERS: i32 = 240;

/// Height of a bar, and of the space between scenarios.
const BAR: i32 = 18;
const SPACE: i32 = 12;

/// A scenario, its best peer, and the bars, which are ratios to that peer.
struct Group<'a> {
    name: String,
    peer: &'a Row,
    bars: Vec<(BackendKind, f64, &'a Row)>,
}

/// Draws the plot. Returns `None` if no peers ran beside our stores. Each scenario has a bar for
/// each backend, on the fastest pool for that backend. If there are many scenarios, each has only
/// one bar, for the best combination.
pub(super) fn ratios(results: &Results) -> Result<Option<Plot>> {
    let many = results.scenarios.len() > MANY_SCENARIOS;
    let groups: Vec<Group<'_>> = results
        .scenarios
        .iter()
        .filter_map(|measured| {
            let scenario = &measured.scenario;
            let threads = results.representative_threads(scenario);
            let peer = results.best_peer(&scenario.name, threads)?;
            let best_of = |backend: BackendKind| {
                let rows = results.rows_of(&scenario.name, threads);
                let of_it = rows
                    .filter(|row| row.store.combination().is_some_and(|c| c.backend == backend));
                let row =
                    of_it.max_by(|a, b| a.ops_per_sec.median.total_cmp(&b.ops_per_sec.median))?;
                Some((backend, results.ratio_to_best_peer(row)?, row))
            };
            let mut bars: Vec<_> = BackendKind::ALL.into_iter().filter_map(best_of).collect();
            if many {
                let best = bars.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
                bars = best.into_iter().collect();
            }
            let name = format!("{}, {}", scenario.name, threads_text(threads));
            (!bars.is_empty()).then_some(Group { name, peer, bars })
        })
        .collect();
    if groups.is_empty() {
        return Ok(None);
    }
    let mut backends: Vec<BackendKind> =
        groups.iter().flat_map(|group| &group.bars).map(|(backend, ..)| *backend).collect();
    backends.sort_unstable();
    backends.dedup();
    let entries = backends
        .into_iter()
        .map(|backend| (Sample::Box(Whose::Backend(backend).colour()), backend.name().to_owned()));
    let legend = Legend::new(
        entries.chain([(Sample::Upright, "the best peer of the scenario".to_owned())]).collect(),
    );
    let height = |group: &Group<'_>| {
        let bars = BAR * group.bars.len() as i32;
        if many { bars + SPACE / 2 } else { bars.max(2 * BAR) + SPACE }
    };
    let top = legend.bottom() + 24;
    let bottom = top + groups.iter().map(height).sum::<i32>();
    let most =
        groups.iter().flat_map(|group| &group.bars).map(|(_, ratio, _)| *ratio).fold(1.0, f64::max);
    let left = 12 + NAMES;
    let unit = f64::from(WIDTH as i32 - left - NUMBERS) / most;
    let place = |ratio: f64| left + (ratio * unit).round() as i32;
    let step = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(|step| step * unit >= 50.0);
    let step = step.unwrap_or(most);
    let plot = draw(
        "peers".to_owned(),
        "Ours over the best of other people's maps, in operations a second".to_owned(),
        bottom + 12,
        |area| {
            legend.draw(area)?;
            for tick in (0..).map(|n| f64::from(n) * step).take_while(|tick| *tick <= most) {
                let x = place(tick);
                area.draw(&PathElement::new(
                    vec![(x, top - 6), (x, bottom)],
                    FAINT.stroke_width(1),
                ))?;
                let style = placed(text(TEXT - 1, &INK), HPos::Center);
                area.draw_text(&format!("{tick} ×"), &style, (x, top - 16))?;
            }
            let mut y = top;
            for group in &groups {
                let against = format!(
                    "against {}, {} M/s",
                    group.peer.store,
                    millions_text(group.peer.ops_per_sec.median)
                );
                let (name, style) = fitted(&group.name, NAMES - 10, |size| bold(size, &INK));
                area.draw_text(&name, &placed(style, HPos::Left), (12, y + BAR / 2))?;
                if !many {
                    let (against, style) =
                        fitted(&against, NAMES - 10, |size| text(size - 1, &INK));
                    area.draw_text(&against, &placed(style, HPos::Left), (12, y + BAR / 2 + 19))?;
                }
                for (n, (backend, ratio, row)) in group.bars.iter().enumerate() {
                    let y = y + n as i32 * BAR;
                    let colour = Whose::Backend(*backend).colour();
                    let corners = [(left, y + 1), (place(*ratio), y + BAR - 1)];
                    area.draw(&Rectangle::new(corners, colour.filled()))?;
                    let unsure = if row.differs_from(group.peer) { "" } else { ", not told apart" };
                    let label = format!("{ratio:.2} {}{unsure}", row.store);
                    let style = placed(text(TEXT - 1, &INK), HPos::Left);
                    // The line of the best peer must not cross the label, so the label is to the
                    // right of both.
                    let end = place(*ratio).max(if *ratio < 1.0 { place(1.0) } else { 0 });
                    area.draw_text(&label, &style, (end + 8, y + BAR / 2))?;
                }
                y += height(group);
            }
            let path = vec![(place(1.0), top - 6), (place(1.0), bottom)];
            area.draw(&PathElement::new(path, INK.stroke_width(2)))?;
            Ok(())
        },
    )?;
    Ok(Some(plot))
}
