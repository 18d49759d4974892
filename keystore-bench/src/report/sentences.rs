//! Produces the sentences of a report: the winners, the machine, and what the scenarios do.

use std::fmt::Write;

use crate::format::digits_grouped;
use crate::format::{millions_text, threads_text};
use crate::measure::candidate::Candidate;
use crate::measure::metrics::Spread;
use crate::results::advice::{Advice, FEW_PROCESSORS};
use crate::results::lead::{CONFIDENCE, Lead};
use crate::results::{Measured, Results, Row, Winner};
use crate::workload::distribution::KeyDistribution;
use crate::workload::keys::KeySource;
use crate::workload::scenario::Length;

/// Caution about results with a single round.
pub(super) const ONE_ROUND: &str = "One round only: small differences may be chance.";

/// Caution about an interrupted run.
pub(super) const INTERRUPTED: &str = "Interrupted: what follows was measured until then; rows may have fewer rounds than others, or be missing.";

/// Remark about the YCSB suite.
pub(super) const WITHOUT_E: &str =
    "E is left out: it scans keys in order, and a hash table has no order.";

/// Description of the method.
pub(super) const METHOD: &str = "Rates are medians of the rounds. The odd rounds pick which stores are compared, the even \
    rounds say by how much, round by round; the bounds of a ratio have a confidence of 95 %. Stores are told apart if the \
    bounds lie over 1 and the ratio is at least 1.05; the percentage beside the bounds says how sure it is that there is a \
    difference at all. Where the verdict names another store for some loads, bounds and percentage allow for the number \
    of runs that were tested. Latencies are of calls that were each timed by themselves, one in so many, or all at a fixed rate, \
    over all rounds; a batch is one call. More threads than processors take turns: their longest latencies are those of \
    waiting for a processor.";

/// Minimum share of a fixed rate at which the rate counts as reached.
const REACHED: f64 = 0.99;

/// Hit ratio below which a caution is printed: most lookups find nothing, which is faster than
/// finding an entry.
const FEW_HITS: f64 = 0.5;

/// Returns the cautions to print above everything else. Verification failures are not among them.
pub(super) fn cautions(results: &Results) -> Vec<String> {
    let mut cautions = Vec::new();
    if results.interrupted {
        cautions.push(INTERRUPTED.to_owned());
    }
    if results.rounds() == 1 {
        cautions.push(ONE_ROUND.to_owned());
    }
    if !results.machine.optimised {
        cautions
            .push("Built without optimisation: these are not the speeds of a release.".to_owned());
    }
    if results.suite == "ycsb" {
        cautions.push(WITHOUT_E.to_owned());
    }
    cautions.extend(unreached_rates(results));
    cautions.extend(missing_lookups(results));
    cautions
}

/// Returns whether a row reached the fixed rate of its scenario, or `None` if the scenario has no
/// fixed rate.
pub(super) fn reached(results: &Results, row: &Row) -> Option<bool> {
    let rate = results.measured(&row.scenario)?.scenario.rate?;
    Some(row.ops_per_sec.median >= REACHED * rate)
}

/// Returns a sentence for each scenario whose rate some stores did not reach.
fn unreached_rates(results: &Results) -> Vec<String> {
    let sentence = |Measured { scenario, .. }: &Measured| {
        let rate = scenario.rate?;
        let rows = results.rows.iter().filter(|row| row.scenario == scenario.name);
        let short: Vec<&Row> = rows.filter(|row| reached(results, row) == Some(false)).collect();
        let lowest =
            short.iter().min_by(|a, b| a.ops_per_sec.median.total_cmp(&b.ops_per_sec.median))?;
        Some(format!(
            "The rate of {} operations a second was NOT reached in {} of {} rows of {}: {} with {} did {}. Their times from \
             when calls were due only say that the queue grew.",
            digits_grouped(rate.round() as u64),
            short.len(),
            results.rows.iter().filter(|row| row.scenario == scenario.name).count(),
            scenario.name,
            lowest.store,
            threads_text(lowest.threads),
            digits_grouped(lowest.ops_per_sec.median.round() as u64),
        ))
    };
    results.scenarios.iter().filter_map(sentence).collect()
}

/// Returns a sentence for each scenario in which most lookups found nothing.
fn missing_lookups(results: &Results) -> Vec<String> {
    let sentence = |Measured { scenario, .. }: &Measured| {
        let rows = results.rows.iter().filter(|row| row.scenario == scenario.name);
        let hits = rows.filter_map(Row::hit_ratio).reduce(f64::min)?;
        (hits < FEW_HITS).then(|| {
            format!(
                "Lookups of {} found their key in {} % of all cases. One that finds nothing fetches no entry, so these rates \
                 are not those of a store that has what it is asked for.",
                scenario.name,
                hits_text(hits)
            )
        })
    };
    results.scenarios.iter().filter_map(sentence).collect()
}

/// Returns a hit ratio in percent. The result is 100 or 0 only if exactly all or no lookups found
/// their key; rounding never gives these.
pub(super) fn hits_text(hits: f64) -> String {
    match format!("{:.1}", 100.0 * hits) {
        text if text == "100.0" => if hits == 1.0 { "100" } else { "over 99.9" }.to_owned(),
        text if text == "0.0" => if hits == 0.0 { "0" } else { "under 0.1" }.to_owned(),
        text => text,
    }
}

/// Returns the recommended store and the reasons, one sentence per line, the most important first.
#[must_use]
pub fn verdict(results: &Results) -> Vec<String> {
    let mut lines = match results.advice() {
        Some(advice) => advice_lines(&advice),
        None => vec![format!("No verdict: {}.", why_no_advice(results))],
    };
    lines.push(measured_on(results));
    let processors = results.machine.processors;
    if processors < FEW_PROCESSORS {
        lines.push(format!(
            "{processors} processor{} {} few: with more, threads get into each other's way more often, and a store whose \
             lookups take no lock (epoch) may be ahead. Measure on such a machine if yours is one.",
            if processors == 1 { "" } else { "s" },
            if processors == 1 { "is" } else { "are" },
        ));
    }
    lines
}

/// Returns the reason why there is no recommendation.
fn why_no_advice(results: &Results) -> String {
    if results.interrupted {
        let of = match results.planned_runs {
            0 => String::new(),
            planned => format!(" of {}", digits_grouped(planned as u64)),
        };
        let done = digits_grouped(results.runs_done() as u64);
        return format!("the run was interrupted after {done}{of} runs");
    }
    let reason = if results.scenarios.iter().all(|measured| measured.scenario.rate.is_some()) {
        "at a fixed rate all stores do as many operations. Compare their times from when calls were due"
    } else if results.candidates().is_empty() {
        "no store was measured"
    } else if results.candidates().len() < 2 {
        "only one store was measured"
    } else {
        "one round says too little. Measure at least three, better five (--rounds 5)"
    };
    reason.to_owned()
}

fn advice_lines(advice: &Advice) -> Vec<String> {
    let Some(first) = advice.standings.first() else { return Vec::new() };
    let runs = advice.runs;
    let plural = if runs == 1 { "" } else { "s" };
    // If chance may have decided, name the rival store as well.
    let rival = advice.rival.filter(|_| advice.stays < CONFIDENCE);
    let (take, it) = match rival {
        Some(rival) => {
            let either =
                format!("{} or {rival}, between which this run does not decide", first.store);
            (either, first.store.to_string())
        }
        None => (first.store.to_string(), "it".to_owned()),
    };
    let mut lines = vec![format!(
        "Take {take}: over {runs} run{plural} {it} has {} % of the rate of the fastest store on average, is within 5 % of it \
         in {}, and has {} % at worst ({}).",
        percent(first.mean),
        first.near,
        percent(first.worst),
        first.worst_run
    )];
    lines.push(match &advice.other {
        Some(other) => format!(
            "Take {} instead if your load is like {}. Over all runs it has {} % on average, is within 5 % in {}, and has {} % \
             at worst ({}).",
            other.store,
            list_of_runs(&advice.better),
            percent(other.mean),
            other.near,
            percent(other.worst),
            other.worst_run
        ),
        None => format!("In no run was another store ahead of {it} by more than chance explains."),
    });
    let stays = percent(advice.stays);
    lines.push(match rival {
        Some(rival) => format!(
            "If the rounds are drawn again, {} is chosen in {stays} % of the draws only, and {rival} most often else{}. More \
             rounds (--rounds) may decide it.",
            first.store,
            place_text(advice, rival)
        ),
        None => format!("The choice is the same in {stays} % of the draws if the rounds are drawn again."),
    });
    lines
}

/// Explains a rival that is not second on average in the table below the verdict.
fn place_text(advice: &Advice, rival: Candidate) -> String {
    match advice.standings.iter().position(|standing| standing.store == rival) {
        Some(place) if place > 1 => format!(
            " (it is number {} on average over all rounds, but its rates differ more from round to round than those of \
             the stores between)",
            place + 1
        ),
        _ => String::new(),
    }
}

/// Returns the runs in which a store is ahead, the greatest lead first.
fn list_of_runs(better: &[(String, Lead)]) -> String {
    const SHOWN: usize = 4;
    let shown = better.iter().take(SHOWN).map(|(run, lead)| format!("{run} ({})", lead_text(lead)));
    let mut text = shown.collect::<Vec<_>>().join("; ");
    if better.len() > SHOWN {
        let _ = write!(text, "; and {} more", better.len() - SHOWN);
    }
    text
}

/// Returns a lead with its bounds and its confidence: `1.33 times, 1.21 to 1.47, 99.8 % sure`.
pub(super) fn lead_text(lead: &Lead) -> String {
    format!("{:.2} times, {}", lead.ratio, bounds_text(lead))
}

/// Returns the bounds and the confidence of a lead.
pub(super) fn bounds_text(lead: &Lead) -> String {
    let sure = match 100.0 * lead.confidence {
        sure if sure >= 99.95 => "over 99.9".to_owned(),
        sure => format!("{sure:.1}"),
    };
    format!("{:.2} to {:.2}, {sure} % sure", lead.low, lead.high)
}

/// Returns a share in percent, rounded down, so that only a full share gives 100.
fn percent(share: f64) -> String {
    format!("{:.0}", (100.0 * share).floor())
}

/// Returns the machine, keys, values, rounds and command of a run.
fn measured_on(results: &Results) -> String {
    let range = |numbers: Vec<f64>, text: fn(f64) -> String| {
        let least = text(numbers.iter().copied().fold(f64::INFINITY, f64::min));
        let most = text(numbers.iter().copied().fold(0.0, f64::max));
        if least == most { least } else { format!("{least} to {most}") }
    };
    let each = |of: fn(&Measured) -> f64| results.scenarios.iter().map(of).collect::<Vec<f64>>();
    let bytes = |bytes: f64| {
        if bytes.fract() == 0.0 { format!("{bytes:.0}") } else { format!("{bytes:.1}") }
    };
    // A trace without values has the mean value length 0.
    let values = range(each(|m| m.mean_value_len), bytes);
    let values = if values == "0" { String::new() } else { format!(", values of {values} B") };
    let command =
        if results.command.is_empty() { String::new() } else { format!("; `{}`", results.command) };
    format!(
        "Measured on {}, {} processor{}: {} keys of {} B{values}; {}{command}.",
        results.machine.processor,
        results.machine.processors,
        if results.machine.processors == 1 { "" } else { "s" },
        range(each(|m| m.scenario.keys as f64), |keys| digits_grouped(keys as u64)),
        range(each(|m| m.mean_key_len), bytes),
        rounds_text(results),
    )
}

/// Names the stores that cannot be told apart from the fastest. Returns `None` if the fastest is
/// ahead of all.
pub(super) fn level_text(winner: &Winner<'_>) -> Option<String> {
    match winner.front().as_slice() {
        [] | [_] => None,
        [_, row] => Some(format!("not told apart from {}", row.store)),
        [_, row, others @ ..] => {
            let plural = if others.len() == 1 { "" } else { "s" };
            Some(format!("not told apart from {} and {} other{plural}", row.store, others.len()))
        }
    }
}

/// Returns the row of a store and the winner's lead over it. Returns `None` if the lead is not
/// significant.
pub(super) fn told<'a>(other: Option<&(&'a Row, Option<Lead>)>) -> Option<(&'a Row, Lead)> {
    let (row, lead) = other?;
    lead.filter(Lead::is_significant).map(|lead| (*row, lead))
}

/// Compares our best store with the best peer. Returns `None` unless both ran.
pub(super) fn against_peer(results: &Results, winner: &Winner<'_>) -> Option<String> {
    let peer = results.best_peer(winner.scenario, winner.threads)?;
    let ours = winner.best_of_ours()?;
    let ahead = ours.lead_over(peer).filter(Lead::is_significant);
    let behind = peer.lead_over(ours).filter(Lead::is_significant);
    Some(match (ahead, behind) {
        (Some(lead), _) => {
            format!(
                "{} is ahead of the best peer, {}: {}",
                ours.store,
                peer.store,
                lead_text(&lead)
            )
        }
        (_, Some(lead)) => {
            format!(
                "{} is ahead of the best of ours, {}: {}",
                peer.store,
                ours.store,
                lead_text(&lead)
            )
        }
        _ => format!("{} is not told apart from the best peer, {}", ours.store, peer.store),
    })
}

/// Returns a sentence about the winner.
#[must_use]
pub fn winner_text(results: &Results, winner: &Winner<'_>) -> String {
    let first = winner.front().first().copied().unwrap_or(winner.best);
    let mut sentence =
        format!("{} with {} M/s", first.store, millions_text(first.ops_per_sec.median));
    if let Some(others) = level_text(winner) {
        let _ = write!(sentence, "; {others}");
    } else if let Some((next, lead)) = told(winner.others.first()) {
        let _ = write!(sentence, ", ahead of the next, {}: {}", next.store, lead_text(&lead));
    }
    if winner.others.len() > 1
        && first.store == winner.best.store
        && let Some((last, lead)) = told(winner.others.last())
    {
        let _ = write!(sentence, "; {:.2} times the last, {}", lead.ratio, last.store);
    }
    if let Some(peer) = against_peer(results, winner) {
        let _ = write!(sentence, "; {peer}");
    }
    sentence
}

/// Returns the number of rounds: `5 rounds`, or `3 to 5 rounds`.
#[must_use]
pub fn rounds_text(results: &Results) -> String {
    let (fewest, most) = (results.fewest_rounds(), results.rounds());
    let plural = if most == 1 { "" } else { "s" };
    if fewest == most {
        format!("{most} round{plural}")
    } else {
        format!("{fewest} to {most} round{plural}")
    }
}

/// Returns the confidence of the bounds, for the rows with the fewest and with the most rounds.
pub(super) fn confidence_text(results: &Results) -> String {
    let percent =
        |rounds: usize| if rounds == 0 { 0.0 } else { 100.0 * Spread::confidence(rounds) };
    let (least, most) = (percent(results.fewest_rounds()), percent(results.rounds()));
    if format!("{least:.0}") == format!("{most:.0}") {
        format!("the bounds hold the true median with {least:.0} % confidence")
    } else {
        format!(
            "the bounds hold the true median with {least:.0} % confidence where there were fewest, {most:.0} % where most"
        )
    }
}

/// Returns the overhead of the harness: `the harness itself: 2.1 to 4.3 ns an operation`.
pub(super) fn harness_text(results: &Results) -> Option<String> {
    let costs =
        || results.scenarios.iter().map(|measured| measured.harness_ns).filter(|cost| *cost > 0.0);
    let (least, most) = (costs().reduce(f64::min)?, costs().reduce(f64::max)?);
    let (least, most) = (format!("{least:.1}"), format!("{most:.1}"));
    let range = if least == most { least } else { format!("{least} to {most}") };
    Some(format!("the harness itself: {range} ns an operation"))
}

/// Describes the origin of a scenario's keys.
fn keys_text(measured: &Measured) -> String {
    match &measured.keys {
        KeySource::Made { size } => format!("made, {size} each"),
        KeySource::File { path, blank, repeated } => format!(
            "the lines of {} ({blank} blank and {repeated} repeated lines left out), {:.1} B on average",
            path.display(),
            measured.mean_key_len
        ),
        KeySource::Trace { path } => {
            format!(
                "those of the trace {}, {:.1} B on average",
                path.display(),
                measured.mean_key_len
            )
        }
    }
}

/// Returns a number of seconds in a readable unit.
pub(super) fn duration_text(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Returns the facts of a run (machine, command and so on) as pairs of name and value.
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
        (
            "command",
            if results.command.is_empty() { "none".to_owned() } else { results.command.clone() },
        ),
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
            Candidate::Peer(peer) => {
                Some(format!("{peer} ({} {})", peer.package(), peer.version()))
            }
            Candidate::Ours(_) => None,
        })
        .collect();
    if !peers.is_empty() {
        facts.push(("peers", peers.join(", ")));
    }
    facts
}

/// Describes a scenario in one line, from its fields and from the keys and values of the run.
pub(super) fn description(measured: &Measured) -> String {
    let scenario = &measured.scenario;
    let start = match scenario.preload {
        0.0 => "from empty".to_owned(),
        1.0 => "loaded".to_owned(),
        share => format!("{} % loaded", share * 100.0),
    };
    let length = match scenario.length {
        Length::Operations(operations) => {
            let operations = digits_grouped(operations);
            match scenario.distribution {
                // The stream ends early if all keys were added.
                KeyDistribution::Latest => format!("at most {operations} operations"),
                _ => format!("{operations} operations"),
            }
        }
        Length::Seconds(seconds) => format!("{seconds} s"),
        Length::Once => "the whole trace once".to_owned(),
    };
    let threads: Vec<String> = scenario.threads.iter().map(usize::to_string).collect();
    let rate = scenario.rate.map_or(String::new(), |rate| format!(", {rate} operations a second"));
    let burst = scenario.burst.map_or(String::new(), |threads| {
        format!(", before and after a burst of {} threads", digits_grouped(threads as u64))
    });
    let about = scenario.about.trim();
    let space = if about.is_empty() { "" } else { " " };
    let plural = threads_text(scenario.threads.last().copied().unwrap_or(1));
    let noun = plural.split_once(' ').map_or("threads", |(_, noun)| noun);
    let (operations, values) = if scenario.trace.is_some() {
        // A trace contains its own operations, keys and sizes. They override the fields of the
        // scenario.
        (
            "the operations of the trace".to_owned(),
            format!("{:.1} B on average", measured.mean_value_len),
        )
    } else {
        let batches = if scenario.mix.has_batches() {
            format!(" in batches of {}", scenario.batch)
        } else {
            String::new()
        };
        (
            format!("{}{batches}, keys {}", scenario.mix, scenario.distribution),
            scenario.value_size.to_string(),
        )
    };
    format!(
        "{about}{space}Operations: {operations}; {} keys, {start}, values of {values}, {length}{rate}{burst}, {} {noun}.",
        digits_grouped(scenario.keys as u64),
        threads.join(", ")
    )
}
