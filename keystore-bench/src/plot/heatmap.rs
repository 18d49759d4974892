//! Draws the heat map: a small table of backends and pools for each scenario. The shade of a cell
//! shows its share of the scenario's best rate. If there are many scenarios, each is one line of a
//! single table.

use keystore::{BackendKind, Combination, PoolKind};
use plotters::element::Rectangle;
use plotters::style::Color;
use plotters::style::text_anchor::HPos;

use super::canvas::{Area, Drawing, WIDTH};
use super::panels::{MANY_SCENARIOS, combinations};
use super::picture::{Plot, draw};
use super::style::{
    INK, Legend, Sample, TEXT, bold, draw_frame, fitted, ink_on, placed, shade, text,
};
use crate::error::Result;
use crate::format::{millions_text, threads_text};
use crate::results::{Results, Row};
use crate::workload::scenario::Scenario;

/// Number of tables side by side.
const ACROSS: usize = 3;

/// Size of a table with its margins but without the line for peers, size of a cell, and height of
/// the line for peers.
const TABLE: (i32, i32) = (WIDTH as i32 / ACROSS as i32, 168);
const CELL: (i32, i32) = (58, 30);
const PEER_LINE: i32 = 34;

/// Layout of the single table: width of the scenarios' names, height of a line, height of the
/// column names, and width of the best peer's name.
const NAMES: i32 = 186;
const LINE: i32 = 26;
const COLUMN_NAMES: i32 = 48;
const PEER_NAME: i32 = 112;

/// The content of the heat map for one scenario.
struct Shown<'a> {
    scenario: &'a Scenario,
    threads: usize,
    rows: Vec<&'a Row>,
    peer: Option<&'a Row>,
    best: f64,
}

impl<'a> Shown<'a> {
    fn new(results: &'a Results, scenario: &'a Scenario) -> Self {
        let threads = results.representative_threads(scenario);
        let rows: Vec<&Row> = results.rows_of(&scenario.name, threads).collect();
        let best = rows.iter().map(|row| row.ops_per_sec.median).fold(0.0, f64::max);
        Self { scenario, threads, rows, peer: results.best_peer(&scenario.name, threads), best }
    }

    fn of(&self, combination: Combination) -> Option<&'a Row> {
        self.rows.iter().copied().find(|row| row.store.combination() == Some(combination))
    }

    /// Draws a cell with the rate of a row.
    fn draw_cell(
        &self,
        area: &Area<'_>,
        row: &Row,
        at: (i32, i32),
        (width, height): (i32, i32),
    ) -> Drawing {
        let share = if self.best > 0.0 { row.ops_per_sec.median / self.best } else { 0.0 };
        let corners = [(at.0 + 1, at.1 + 1), (at.0 + width - 1, at.1 + height - 1)];
        area.draw(&Rectangle::new(corners, shade(share).filled()))?;
        let style = placed(text(TEXT, &ink_on(share)), HPos::Center);
        let number = millions_text(row.ops_per_sec.median);
        area.draw_text(&number, &style, (at.0 + width / 2, at.1 + height / 2))?;
        if share == 1.0 {
            draw_frame(area, corners)?;
        }
        Ok(())
    }
}

/// Draws the plot.
pub(super) fn heat_map(results: &Results) -> Result<Plot> {
    let shown: Vec<Shown<'_>> =
        results.scenarios.iter().map(|measured| Shown::new(results, &measured.scenario)).collect();
    let peers = shown.iter().any(|shown| shown.peer.is_some());
    let legend = Legend::new(vec![
        (Sample::Shades, "from 0 to 100 % of the scenario's best".to_owned()),
        (Sample::Frame, "the best".to_owned()),
    ]);
    let top = legend.bottom() + 4;
    let many = shown.len() > MANY_SCENARIOS;
    let height = if many {
        COLUMN_NAMES + LINE * shown.len() as i32
    } else {
        shown.len().div_ceil(ACROSS) as i32 * table_height(peers)
    };
    draw(
        "heatmap".to_owned(),
        "Backend and pool: million operations a second (higher is better)".to_owned(),
        top + height + 8,
        |area| {
            legend.draw(area)?;
            if many {
                return draw_lines(area, &shown, &combinations(results), peers, top);
            }
            for (n, shown) in shown.iter().enumerate() {
                let (across, down) = ((n % ACROSS) as i32, (n / ACROSS) as i32);
                draw_table(area, shown, (across * TABLE.0 + 12, top + down * table_height(peers)))?;
            }
            Ok(())
        },
    )
}

const fn table_height(peers: bool) -> i32 {
    TABLE.1 + if peers { PEER_LINE } else { 0 }
}

/// Draws the table of one scenario: its name, and its backends by pools.
fn draw_table(area: &Area<'_>, shown: &Shown<'_>, (left, top): (i32, i32)) -> Drawing {
    let (name, style) = fitted(&shown.scenario.name, TABLE.0 - 20, |size| bold(size, &INK));
    area.draw_text(&name, &style, (left, top))?;
    area.draw_text(&threads_text(shown.threads), &text(TEXT - 2, &INK), (left, top + 18))?;
    let (left, top) = (left + 68, top + 56);
    for (n, pool) in PoolKind::ALL.into_iter().enumerate() {
        let at = (left + n as i32 * CELL.0 + CELL.0 / 2, top - 9);
        area.draw_text(pool.name(), &placed(text(TEXT, &INK), HPos::Center), at)?;
    }
    for (line, backend) in BackendKind::ALL.into_iter().enumerate() {
        let y = top + line as i32 * CELL.1;
        let style = placed(text(TEXT, &INK), HPos::Right);
        area.draw_text(backend.name(), &style, (left - 6, y + CELL.1 / 2))?;
        for (column, pool) in PoolKind::ALL.into_iter().enumerate() {
            if let Some(row) = shown.of(Combination { backend, pool }) {
                shown.draw_cell(area, row, (left + column as i32 * CELL.0, y), CELL)?;
            }
        }
    }
    if let Some(peer) = shown.peer {
        let y = top + 3 * CELL.1 + 4;
        shown.draw_cell(area, peer, (left + 2 * CELL.0, y), CELL)?;
        let words = format!("best peer: {}", peer.store);
        let (words, style) = fitted(&words, 2 * CELL.0 + 60, |size| text(size, &INK));
        area.draw_text(
            &words,
            &placed(style, HPos::Right),
            (left + 2 * CELL.0 - 6, y + CELL.1 / 2),
        )?;
    }
    Ok(())
}

/// Draws a single table with one line for each scenario.
fn draw_lines(
    area: &Area<'_>,
    all: &[Shown<'_>],
    combinations: &[Combination],
    peers: bool,
    top: i32,
) -> Drawing {
    let left = 12 + NAMES;
    let columns = combinations.len() as i32 + i32::from(peers);
    let room = WIDTH as i32 - 8 - left - if peers { PEER_NAME } else { 0 };
    let width = room / columns.max(1);
    let centred = |size| placed(text(size, &INK), HPos::Center);
    for (n, combination) in combinations.iter().enumerate() {
        let middle = left + n as i32 * width + width / 2;
        area.draw_text(combination.pool.name(), &centred(TEXT - 2), (middle, top + 32))?;
    }
    // The combinations of a backend are adjacent columns under the name of the backend.
    for group in combinations.chunk_by(|a, b| a.backend == b.backend) {
        let first = combinations.iter().position(|other| other == &group[0]).unwrap_or(0) as i32;
        let middle = left + first * width + group.len() as i32 * width / 2;
        area.draw_text(group[0].backend.name(), &centred(TEXT), (middle, top + 12))?;
    }
    let peer = left + combinations.len() as i32 * width;
    if peers {
        let style = placed(text(TEXT - 2, &INK), HPos::Left);
        area.draw_text("best peer", &style, (peer + 6, top + 32))?;
    }
    for (n, shown) in all.iter().enumerate() {
        let y = top + COLUMN_NAMES + n as i32 * LINE;
        let words = if shown.scenario.threads.len() > 1 || shown.threads > 1 {
            format!("{}, {}", shown.scenario.name, threads_text(shown.threads))
        } else {
            shown.scenario.name.clone()
        };
        let (name, style) = fitted(&words, NAMES - 8, |size| text(size, &INK));
        area.draw_text(&name, &placed(style, HPos::Left), (12, y + LINE / 2))?;
        for (n, &combination) in combinations.iter().enumerate() {
            if let Some(row) = shown.of(combination) {
                shown.draw_cell(area, row, (left + n as i32 * width, y), (width, LINE))?;
            }
        }
        if let Some(row) = shown.peer {
            shown.draw_cell(area, row, (peer, y), (width, LINE))?;
            let (name, style) =
                fitted(&row.store.to_string(), PEER_NAME - 8, |size| text(size, &INK));
            area.draw_text(&name, &placed(style, HPos::Left), (peer + width + 6, y + LINE / 2))?;
        }
    }
    Ok(())
}
