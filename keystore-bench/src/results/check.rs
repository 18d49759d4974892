//! Checks that results do not contradict themselves.
//!
//! A results file may have been edited or cut. A report would present its numbers as measured. So
//! [`Results::load`] refuses numbers that no run can produce.

use std::collections::HashSet;

use serde_json::Value;

use super::{Results, Row};
use crate::measure::metrics::Spread;

/// Largest relative difference at which two rates count as equal. Reading a decimal number rounds
/// it.
const ROUNDING: f64 = 1e-9;

/// Returns the first string with a control character. Such a string breaks plots and terminals.
pub(super) fn unprintable(value: &Value) -> Option<String> {
    let bad = |text: &String| text.chars().any(char::is_control).then(|| format!("{text:?}"));
    match value {
        Value::String(text) => bad(text),
        Value::Array(values) => values.iter().find_map(unprintable),
        Value::Object(fields) => {
            fields.iter().find_map(|(name, value)| bad(name).or_else(|| unprintable(value)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Returns the first contradiction in the results.
pub(super) fn contradiction(results: &Results) -> Option<String> {
    if results.scenarios.is_empty() || results.rows.is_empty() {
        let (scenarios, rows) = (results.scenarios.len(), results.rows.len());
        return Some(format!(
            "{scenarios} scenarios and {rows} rows: at least one of each is needed"
        ));
    }
    if results.machine.processors == 0 {
        return Some("the machine has 0 processors".to_owned());
    }
    let mut names = HashSet::new();
    for measured in &results.scenarios {
        if let Err(error) = measured.scenario.validate() {
            return Some(error.to_string());
        }
        let name = &measured.scenario.name;
        if !names.insert(name) {
            return Some(format!("two scenarios have the name {name:?}"));
        }
        let numbers = [
            ("mean_key_len", measured.mean_key_len),
            ("mean_value_len", measured.mean_value_len),
            ("harness_ns", measured.harness_ns),
        ];
        if let Some((field, number)) = numbers.into_iter().find(|&(_, number)| number < 0.0) {
            return Some(format!("scenario {name:?}: {field} is {number}: it must be at least 0"));
        }
    }
    let mut seen = HashSet::new();
    results.rows.iter().find_map(|row| {
        let reason = if seen.insert((row.store, &row.scenario, row.threads)) {
            of_row(results, row)?
        } else {
            "there are two rows of this name".to_owned()
        };
        Some(format!("{}, {}, threads {}: {reason}", row.store, row.scenario, row.threads))
    })
}

/// Returns the first contradiction in a row.
fn of_row(results: &Results, row: &Row) -> Option<String> {
    let Some(measured) = results.measured(&row.scenario) else {
        return Some("the file has no scenario of this name".to_owned());
    };
    if !measured.scenario.threads.contains(&row.threads) {
        let planned = &measured.scenario.threads;
        return Some(format!("the scenario has no such number of threads, but {planned:?}"));
    }
    if row.rounds.is_empty() {
        return Some("it has no rounds".to_owned());
    }
    let rates = row.rounds.iter().chain(&row.before);
    if let Some(rate) = rates.copied().find(|&rate| rate <= 0.0) {
        return Some(format!("a rate of {rate}: it must be above 0"));
    }
    let (stated, counted) = (row.ops_per_sec, Spread::of(&row.rounds));
    let parts = [
        ("median", stated.median, counted.median),
        ("low", stated.low, counted.low),
        ("high", stated.high, counted.high),
        ("mean", stated.mean, counted.mean),
    ];
    let differs = |&(_, stated, counted): &(&str, f64, f64)| {
        (stated - counted).abs() > ROUNDING * counted.abs()
    };
    if let Some((name, stated, counted)) = parts.into_iter().find(differs) {
        return Some(format!("the {name} of its rounds is {counted}, and the file says {stated}"));
    }
    let Row { operations, lookups, misses, .. } = *row;
    if misses > lookups || lookups > operations {
        return Some(format!(
            "{misses} misses of {lookups} lookups of {operations} operations: each must be at \
             most the next"
        ));
    }
    let falls = |points: [(&'static str, u64); 7]| {
        points.windows(2).find(|pair| pair[0].1 > pair[1].1).map(|pair| {
            let ((less, first), (more, second)) = (pair[0], pair[1]);
            format!("{less} is {first} ns and {more} is {second} ns: it must not be less")
        })
    };
    falls(row.latency_ns.points()).or_else(|| falls(row.response_ns?.points()))
}
