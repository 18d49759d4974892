//! Sentences: who won, what the machine is, what a scenario asks.

use std::fmt::Write;

use crate::keys::KeySource;
use crate::measure::Spread;
use crate::plot::{millions_text, threads_text};
use crate::results::{Measured, Results, Row, Winner};
use crate::scenario::{Length, Scenario};

/// What has to be said of a single round.
pub(super) const ONE_ROUND: &str = "One round only: small differences may be chance.";

/// What has to be said of a run that was stopped.
pub(super) const INTERRUPTED: &str = "Interrupted: what follows was measured until then; rows may have fewer rounds than others, or be missing.";

/// What has to be said of YCSB.
pub(super) const WITHOUT_E: &str = "E is left out: it scans keys in order, and a hash table has no order.";

/// How the numbers came about.
pub(super) const METHOD: &str = "Rates are medians of the rounds; two stores are compared round by round, and where \
    the bounds of their ratio hold 1, no difference is claimed. Latencies are of calls that were each timed by themselves, one in so many, over all rounds; a batch is one \
    call. More threads than processors take turns: their longest latencies are those of waiting for a processor.";

/// Remarks that stand above everything else; those that say the numbers are bad are not among them.
pub(super) fn cautions(results: &Results) -> Vec<String> {
    let mut cautions = Vec::new();
    if results.interrupted {
        cautions.push(INTERRUPTED.to_owned());
    }
    if results.rounds() == 1 {
        cautions.push(ONE_ROUND.to_owned());
    }
    if !results.machine.optimised {
        cautions.push("Built without optimisation: these are not the speeds of a release.".to_owned());
    }
    if results.suite == "ycsb" {
        cautions.push(WITHOUT_E.to_owned());
    }
    cautions
}

/// Whom the winner cannot be told from; `None` where it is clearly ahead of all.
pub(super) fn level_text(winner: &Winner<'_>) -> Option<String> {
    match winner.level.as_slice() {
        [] => None,
        [row] => Some(format!("no difference from {}", row.store)),
        rows => Some(format!("no difference from {} others", rows.len())),
    }
}

/// The slowest, where the winner is clearly ahead of it.
pub(super) fn clearly_last<'a>(winner: &Winner<'a>) -> Option<&'a Row> {
    let alike = |row: &&Row| row.store == winner.last.store;
    (!alike(&winner.best) && !winner.level.iter().any(alike)).then_some(winner.last)
}

/// How the winner stands to the best peer, where peers ran.
pub(super) fn against_peer(results: &Results, winner: &Winner<'_>) -> Option<String> {
    let peer = results.best_peer(winner.scenario, winner.threads)?;
    if winner.best.is_level_with(peer) {
        return Some(format!("no difference from the best peer, {}", peer.store));
    }
    Some(format!("{:.2} times the best peer, {}", results.ratio_to_best_peer(winner.best)?, peer.store))
}

/// Who won, in a sentence.
#[must_use]
pub fn verdict(results: &Results, winner: &Winner<'_>) -> String {
    let rate = millions_text(winner.best.ops_per_sec.median);
    let mut sentence = format!("{} with {rate} M/s", winner.best.store);
    if let Some(others) = level_text(winner) {
        let _ = write!(sentence, "; {others}");
    } else if let Some(next) = winner.next {
        let _ = write!(sentence, ", {} times the next, {}", winner.times_ahead_of(next), next.store);
    }
    if let Some(last) = clearly_last(winner) {
        let _ = write!(sentence, "; {} times the last, {}", winner.times_ahead_of(last), last.store);
    }
    if let Some(peer) = against_peer(results, winner) {
        let _ = write!(sentence, "; {peer}");
    }
    sentence
}

/// `5 rounds`, or `3 to 5 rounds`.
#[must_use]
pub fn rounds_text(results: &Results) -> String {
    let (fewest, most) = (results.fewest_rounds(), results.rounds());
    let plural = if most == 1 { "" } else { "s" };
    if fewest == most { format!("{most} round{plural}") } else { format!("{fewest} to {most} round{plural}") }
}

/// How sure the bounds are: of the rows with the fewest rounds and of those with the most.
pub(super) fn confidence_text(results: &Results) -> String {
    let percent = |rounds: usize| if rounds == 0 { 0.0 } else { 100.0 * Spread::confidence(rounds) };
    let (least, most) = (percent(results.fewest_rounds()), percent(results.rounds()));
    if format!("{least:.0}") == format!("{most:.0}") {
        format!("the bounds hold the true median with {least:.0} % confidence")
    } else {
        format!(
            "the bounds hold the true median with {least:.0} % confidence where there were fewest, {most:.0} % where most"
        )
    }
}

/// What the harness takes for itself: `the harness itself: 2.1 to 4.3 ns an operation`.
pub(super) fn harness_text(results: &Results) -> Option<String> {
    let costs = || results.scenarios.iter().map(|measured| measured.harness_ns).filter(|cost| *cost > 0.0);
    let (least, most) = (costs().reduce(f64::min)?, costs().reduce(f64::max)?);
    let (least, most) = (format!("{least:.1}"), format!("{most:.1}"));
    let range = if least == most { least } else { format!("{least} to {most}") };
    Some(format!("the harness itself: {range} ns an operation"))
}

/// Where a scenario's keys came from.
fn keys_text(measured: &Measured) -> String {
    match &measured.keys {
        KeySource::Made { size } => format!("made, {size} each"),
        KeySource::File { path, blank, repeated } => format!(
            "the lines of {} ({blank} blank and {repeated} repeated lines left out), {:.1} B on average",
            path.display(),
            measured.mean_key_len
        ),
        KeySource::Trace { path } => {
            format!("those of the trace {}, {:.1} B on average", path.display(), measured.mean_key_len)
        }
    }
}

/// Seconds as people say them.
fn duration_text(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// What the measuring was done with, as a name and a value each.
pub(super) fn facts(results: &Results) -> Vec<(&'static str, String)> {
    let machine = &results.machine;
    let mut keys: Vec<String> = results.scenarios.iter().map(keys_text).collect();
    keys.sort_unstable();
    keys.dedup();
    let failed = results.rows.iter().filter(|row| !row.verification.passed()).count();
    let verified = match failed {
        0 => format!("{} rows, each after every round", results.rows.len()),
        failed => format!("{failed} of {} rows failed", results.rows.len()),
    };
    let mut facts = vec![
        ("suite", results.suite.clone()),
        ("processor", format!("{}, {} of them", machine.processor, machine.processors)),
        ("system", format!("{}, huge pages: {}", machine.system, machine.huge_pages)),
        ("global allocator", machine.allocator.clone()),
        ("keystore", machine.version.clone()),
        ("keys", keys.join("; ")),
        (
            "measured",
            format!(
                "{}, {} in all; {}{}",
                rounds_text(results),
                duration_text(results.seconds),
                confidence_text(results),
                if results.interrupted { "; interrupted" } else { "" }
            ),
        ),
        ("verified", verified),
    ];
    let peers: Vec<String> = results
        .candidates()
        .into_iter()
        .filter_map(|store| match store {
            crate::candidate::Candidate::Peer(peer) => {
                Some(format!("{peer} ({} {})", peer.package(), peer.version()))
            }
            crate::candidate::Candidate::Ours(_) => None,
        })
        .collect();
    if !peers.is_empty() {
        facts.push(("peers", peers.join(", ")));
    }
    facts
}

/// What a scenario is, in a line.
pub(super) fn description(scenario: &Scenario) -> String {
    let start = match scenario.preload {
        0.0 => "from empty".to_owned(),
        1.0 => "loaded".to_owned(),
        share => format!("{:.0} % loaded", share * 100.0),
    };
    let length = match scenario.length {
        Length::Operations(operations) => format!("{operations} operations"),
        Length::Seconds(seconds) => format!("{seconds} s"),
        Length::Once => "the whole trace".to_owned(),
    };
    let threads: Vec<String> = scenario.threads.iter().map(usize::to_string).collect();
    let rate = scenario.rate.map_or(String::new(), |rate| format!(", {rate} operations a second"));
    let about = scenario.about.trim();
    let space = if about.is_empty() { "" } else { " " };
    let plural = threads_text(scenario.threads.last().copied().unwrap_or(1));
    let noun = plural.split_once(' ').map_or("threads", |(_, noun)| noun);
    format!(
        "{about}{space}{} keys, {start}, values of {}, {length}{rate}, {} {noun}.",
        scenario.keys,
        scenario.value_size,
        threads.join(", ")
    )
}
