use keystore::Combination;
use resvg::tiny_skia::Pixmap;

use super::*;
use crate::format::millions_text;
use crate::measure::candidate::Candidate;
use crate::measure::metrics::Slice;
use crate::peers::PeerKind;
use crate::results::tests::tiny;
use crate::results::{Measured, Row};

/// Returns the texts of a picture. Also checks that its tags close in the reverse order of opening.
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

fn named<'a>(plots: &'a [Plot], name: &str) -> &'a Plot {
    plots.iter().find(|plot| plot.name == name).unwrap_or_else(|| panic!("no {name}"))
}

/// Checks that every coordinate of a picture is a number and lies inside the picture.
fn check_coordinates(plot: &Plot) {
    assert!(!plot.svg.contains("NaN") && !plot.svg.contains("inf"), "{}", plot.name);
    let (_, height) = plot.svg.split_once("height=\"").unwrap();
    let height: f64 = height.split_once('"').unwrap().0.parse().unwrap();
    for (name, limit) in
        [("x", f64::from(WIDTH)), ("cx", f64::from(WIDTH)), ("y", height), ("cy", height)]
    {
        for part in plot.svg.split(&format!(" {name}=\"")).skip(1) {
            let value: f64 = part.split_once('"').unwrap().0.parse().unwrap();
            assert!(
                (-1.0..=limit + 1.0).contains(&value),
                "{}: {name} = {value} of {limit}",
                plot.name
            );
        }
    }
}

/// Adds a peer to the results. Its rows are copies of the rows of one of our stores, at this many
/// times the rate.
pub(crate) fn with_peer(mut results: Results, peer: PeerKind, times: f64) -> Results {
    let model = results.candidates()[4];
    let rows: Vec<Row> = results.rows.iter().filter(|row| row.store == model).cloned().collect();
    for mut row in rows {
        row.store = Candidate::Peer(peer);
        for rate in [
            &mut row.ops_per_sec.median,
            &mut row.ops_per_sec.low,
            &mut row.ops_per_sec.high,
            &mut row.ops_per_sec.mean,
        ] {
            *rate *= times;
        }
        results.rows.push(row);
    }
    results
}

/// Returns results with this number of scenarios, which have very long names.
pub(crate) fn with_scenarios(mut results: Results, count: usize) -> Results {
    let first = results.scenarios[0].clone();
    let rows: Vec<Row> =
        results.rows.iter().filter(|row| row.scenario == first.scenario.name).cloned().collect();
    (results.scenarios, results.rows) = (Vec::new(), Vec::new());
    for n in 0..count {
        let mut measured: Measured = first.clone();
        measured.scenario.name =
            format!("ST2-CORE-{n:03}: a name that is far too long for its place");
        for row in &rows {
            results.rows.push(Row { scenario: measured.scenario.name.clone(), ..row.clone() });
        }
        results.scenarios.push(measured);
    }
    results
}

#[test]
fn every_plot_is_a_picture_with_its_title_and_units() {
    let results = tiny();
    let plots = all(&results).unwrap();
    for plot in &plots {
        assert!(plot.svg.starts_with("<svg width=\"800\""), "{}", plot.name);
        check_coordinates(plot);
        let texts = texts(&plot.svg);
        assert_eq!(texts[0], plot.title);
        let unit = match plot.name.split('-').next().unwrap() {
            "throughput" | "size" | "timeline" => "million operations a second",
            "latency" => "time of a call",
            "memory" => "bytes for each entry",
            _ => "from 0 to 100 % of the scenario&apos;s best",
        };
        assert!(texts.iter().any(|text| text == unit), "{}: {texts:?}", plot.name);
    }
    let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
    for name in ["throughput-95-5-zipf", "latency-get-uniform", "timeline-grow-to-1m", "size"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let count = |kind: &str| names.iter().filter(|name| name.starts_with(kind)).count();
    assert_eq!(
        count("throughput"),
        results.scenarios.len() - 1,
        "one scenario runs on one thread only"
    );
    assert_eq!(count("latency"), results.scenarios.len());
    for name in names {
        assert!(
            KINDS.iter().any(|kind| name == *kind || name.starts_with(&format!("{kind}-"))),
            "{name}"
        );
    }
}

#[test]
fn the_png_is_the_same_picture_twice_as_large() {
    for plot in all(&tiny()).unwrap() {
        assert_eq!(plot.png[..8], *b"\x89PNG\r\n\x1a\n", "{}", plot.name);
        let pixels = Pixmap::decode_png(&plot.png).unwrap();
        let (width, height) = (pixels.width(), pixels.height());
        assert_eq!(width, 2 * WIDTH);
        assert!(plot.svg.contains(&format!("height=\"{}\"", height / 2)), "{}", plot.name);
        assert!(pixels.pixels().iter().all(|pixel| pixel.is_opaque()), "{}", plot.name);
        // The line of the title must contain dark pixels, and the margin above it none.
        let line = width as usize;
        let dark = |lines: std::ops::Range<usize>| {
            let pixels = &pixels.pixels()[lines.start * line..lines.end * line];
            pixels
                .iter()
                .filter(|pixel| pixel.red().max(pixel.green()).max(pixel.blue()) < 80)
                .count()
        };
        assert!(dark(20..52) > 170, "{}", plot.name);
        assert_eq!(dark(0..16), 0, "{}", plot.name);
    }
}

#[test]
fn text_in_a_plot_is_escaped() {
    let mut results = tiny();
    let name = "<b>&\"".to_owned();
    let old = std::mem::replace(&mut results.scenarios[0].scenario.name, name.clone());
    for row in results.rows.iter_mut().filter(|row| row.scenario == old) {
        row.scenario = name.clone();
    }
    for plot in all(&results).unwrap() {
        assert!(!plot.svg.contains("<b>"), "{}", plot.name);
        // The name appears as text in the title, as the label of a column, or as the name of a
        // line.
        let tree = resvg::usvg::roxmltree::Document::parse(&plot.svg).unwrap();
        let shown = |node: resvg::usvg::roxmltree::Node<'_, '_>| {
            node.text().is_some_and(|text| text.contains(&name))
        };
        let of_this = plot.name == "heatmap" || plot.title.starts_with(&name);
        assert_eq!(tree.descendants().any(shown), of_this, "{}", plot.name);
    }
}

#[test]
fn every_combination_is_in_the_heat_map_and_the_memory_plot() {
    let results = tiny();
    let heat_map = texts(&heatmap::heat_map(&results).unwrap().svg);
    let scenario = &results.scenarios[0].scenario;
    for row in results.rows_of(&scenario.name, results.representative_threads(scenario)) {
        assert!(heat_map.contains(&millions_text(row.ops_per_sec.median)), "{}", row.store);
    }
    let memory = texts(&memory::memory(&results).unwrap().svg);
    for combination in Combination::all() {
        assert!(memory.contains(&combination.to_string()), "{memory:?}");
    }
}

#[test]
fn a_single_store_can_be_drawn() {
    for only in [tiny().candidates()[4], Candidate::Peer(PeerKind::Papaya)] {
        let mut results = with_peer(tiny(), PeerKind::Papaya, 0.5);
        results.rows.retain(|row| row.store == only);
        let plots = all(&results).unwrap();
        plots.iter().for_each(check_coordinates);
        assert!(plots.iter().all(|plot| plot.name != "peers"), "there is nothing to compare");
    }
}

#[test]
fn nothing_at_all_can_be_drawn() {
    let mut results = tiny();
    results.rows.clear();
    all(&results).unwrap().iter().for_each(check_coordinates);
    results.scenarios.clear();
    all(&results).unwrap().iter().for_each(check_coordinates);
}

#[test]
fn the_best_peer_is_in_every_plot_of_lines_and_has_one_of_its_own() {
    let results = with_peer(with_peer(tiny(), PeerKind::Papaya, 0.5), PeerKind::Flurry, 0.25);
    let plots = all(&results).unwrap();
    plots.iter().for_each(check_coordinates);
    for kind in ["throughput", "latency", "timeline", "size"] {
        for plot in plots.iter().filter(|plot| plot.name.starts_with(kind)) {
            assert!(texts(&plot.svg).contains(&"best peer: papaya".to_owned()), "{}", plot.name);
        }
    }
    let memory = texts(&named(&plots, "memory").svg);
    assert!(
        memory.contains(&"papaya".to_owned()) && memory.contains(&"flurry".to_owned()),
        "{memory:?}"
    );
    assert!(texts(&named(&plots, "heatmap").svg).contains(&"best peer: papaya".to_owned()));
    let peers = texts(&named(&plots, "peers").svg);
    assert!(peers.iter().any(|text| text.starts_with("against papaya, ")), "{peers:?}");
    let scenario = &results.scenarios[0].scenario;
    let threads = results.representative_threads(scenario);
    let best =
        results.winners().into_iter().find(|w| w.scenario == scenario.name && w.threads == threads);
    let best = best.unwrap();
    let of_pool =
        |text: &&String| text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('+');
    let bars: Vec<&String> = peers.iter().filter(of_pool).collect();
    assert!(bars.len() >= results.scenarios.len(), "{peers:?}");
    // With two rounds, no difference is significant, and every bar must say so.
    assert!(bars.iter().all(|bar| bar.ends_with(", not told apart")), "{bars:?}");
    assert!(best.level().count() > 0);
}

#[test]
fn many_scenarios_are_lines_of_one_table() {
    let results = with_scenarios(with_peer(tiny(), PeerKind::Papaya, 0.5), 64);
    let plot = heatmap::heat_map(&results).unwrap();
    check_coordinates(&plot);
    let texts = texts(&plot.svg);
    let names: Vec<&String> = texts.iter().filter(|text| text.starts_with("ST2-CORE-")).collect();
    assert_eq!(names.len(), 64);
    assert!(
        names.iter().all(|name| name.ends_with('…')),
        "names that are too long are cut: {names:?}"
    );
    check_coordinates(&peers::ratios(&results).unwrap().unwrap());
}

#[test]
fn a_time_line_has_a_mark_where_the_table_grew() {
    let mut results = tiny();
    let scenario = results
        .scenarios
        .iter()
        .find(|m| m.scenario.timeline_ms.is_some())
        .unwrap()
        .scenario
        .clone();
    let drawn = |results: &Results| timeline::time_line(results, &scenario).unwrap().unwrap().svg;
    for row in results.rows.iter_mut().filter(|row| row.scenario == scenario.name) {
        row.timeline = (0..20)
            .map(|n| Slice { operations: 1000 + n, max_ns: 500 * (1 + n % 3), table_bytes: 4096 })
            .collect();
    }
    let grew = "the table grew";
    assert!(!texts(&drawn(&results)).contains(&grew.to_owned()));
    let flat = drawn(&results).matches("<polygon").count();
    for row in results.rows.iter_mut().filter(|row| row.scenario == scenario.name) {
        row.timeline[7..].iter_mut().for_each(|slice| slice.table_bytes = 8192);
    }
    let svg = drawn(&results);
    assert!(texts(&svg).contains(&grew.to_owned()));
    let stores = results.candidates().len();
    assert_eq!(
        svg.matches("<polygon").count(),
        flat + stores + 1,
        "one for each line, and the legend's"
    );
    // A slower peer than the best one is not drawn and must take no space.
    let mut slow = with_peer(results.clone(), PeerKind::Flurry, 0.1);
    slow = with_peer(slow, PeerKind::Papaya, 0.5);
    let both = drawn(&slow);
    for row in slow.rows.iter_mut().filter(|row| row.store == Candidate::Peer(PeerKind::Flurry)) {
        row.timeline = row.timeline.repeat(10);
    }
    assert!(drawn(&slow) == both);
    results.rows.iter_mut().for_each(|row| row.timeline.clear());
    assert!(timeline::time_line(&results, &scenario).unwrap().is_none());
}

#[test]
fn a_fixed_rate_has_the_response_beside_the_latency() {
    let mut results = tiny();
    results.scenarios[0].scenario.rate = Some(100_000.0);
    let name = results.scenarios[0].scenario.name.clone();
    let plain = latency::percentiles(&results, &results.scenarios[0]).unwrap().unwrap();
    for row in results.rows.iter_mut().filter(|row| row.scenario == name) {
        row.response_ns = Some(row.latency_ns);
    }
    let plot = latency::percentiles(&results, &results.scenarios[0]).unwrap().unwrap();
    assert!(plot.title.contains("0.10 M/s"), "{}", plot.title);
    let words = "from when the call was due".to_owned();
    assert!(texts(&plot.svg).contains(&words) && !texts(&plain.svg).contains(&words));
}

#[test]
fn sizes_are_those_of_what_grows() {
    let results = tiny();
    let plot = size::by_size(&results).unwrap().unwrap();
    let texts = texts(&plot.svg);
    assert!(texts.contains(&"50".to_owned()) && texts.contains(&"500".to_owned()), "{texts:?}");
    assert!(
        texts.iter().any(|text| text.starts_with("from empty, keys in order: 100 % ")),
        "{texts:?}"
    );
    let mut results = results;
    results.scenarios.retain(|measured| measured.scenario.name != "grow to 1M");
    assert!(size::by_size(&results).unwrap().is_none());
}

#[test]
fn scenarios_whose_names_differ_by_a_sign_have_files_of_their_own() {
    let mut results = with_scenarios(tiny(), 2);
    for (n, name) in ["90/10", "90-10"].into_iter().enumerate() {
        let old = std::mem::replace(&mut results.scenarios[n].scenario.name, name.to_owned());
        for row in results.rows.iter_mut().filter(|row| row.scenario == old) {
            row.scenario = name.to_owned();
        }
    }
    let plots = all(&results).unwrap();
    assert!(named(&plots, "latency-90-10").title.starts_with("90/10,"));
    assert!(named(&plots, "latency-90-10-2").title.starts_with("90-10,"));
}
