//! The rows as CSV: every number that programs may want, a line for each store, scenario and number of threads.

use std::path::Path;

use crate::error::{Error, Result};
use crate::measure::metrics::{Latency, Memory, Spread};
use crate::measure::proof::Verification;
use crate::results::{Results, Row};

/// The names of the columns that are the same in every report.
const COLUMNS: [&str; 12] = [
    "suite",
    "store",
    "backend",
    "pool",
    "scenario",
    "threads",
    "rounds",
    "ops_median",
    "ops_low",
    "ops_high",
    "ops_mean",
    "ops_deviation",
];

/// Operations and lookups, memory, and what checking the content found; counts of keys and bytes.
const LAST_COLUMNS: [&str; 19] = [
    "operations",
    "lookups",
    "hit_ratio",
    "ops_before_burst",
    "entries",
    "node_bytes",
    "held_bytes",
    "table_bytes",
    "garbage_bytes",
    "resident_bytes",
    "peak_bytes",
    "checked",
    "missing",
    "wrong",
    "duplicates",
    "miscounted",
    "missing_count",
    "failure_count",
    "verification_passed",
];

/// The rows as CSV, with the names of the columns first. Rates are operations a second, times
/// nanoseconds, sizes bytes, `hit_ratio` from 0 to 1 and empty without lookups. The response, which
/// only a fixed rate has, is empty where there is none; so are a peer's backend and pool, and the
/// parts of its memory, which nobody counts.
///
/// `missing_count` is `missing`, under the name of the predecessor's reports; `failure_count` is all that checking found amiss.
///
/// # Errors
/// [`Error::File`], never in practice: what is written to is memory.
pub fn csv(results: &Results) -> Result<String> {
    let failed = |error: ::csv::Error| Error::unwritable(Path::new("results.csv"), error.into());
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(header()).map_err(failed)?;
    for row in &results.rows {
        writer.write_record(line(results, row)).map_err(failed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::unwritable(Path::new("results.csv"), error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn header() -> Vec<String> {
    let points = |prefix: &str| {
        let names =
            Latency::default().points().map(|(name, _)| format!("{prefix}{}_ns", name.replace('.', "_")));
        [vec![format!("{prefix}samples")], names.to_vec()].concat()
    };
    let mut header: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    header.extend(points(""));
    header.extend(points("response_"));
    header.extend(LAST_COLUMNS.map(str::to_owned));
    header
}

fn line(results: &Results, row: &Row) -> Vec<String> {
    let combination = row.store.combination();
    let Spread { median, low, high, mean, deviation } = row.ops_per_sec;
    let mut line = vec![
        results.suite.clone(),
        row.store.to_string(),
        combination.map_or(String::new(), |c| c.backend.to_string()),
        combination.map_or(String::new(), |c| c.pool.to_string()),
        row.scenario.clone(),
        row.threads.to_string(),
        row.rounds.len().to_string(),
    ];
    line.extend([median, low, high, mean, deviation].map(|rate| format!("{rate:.1}")));
    let points = |latency: Option<&Latency>| match latency {
        Some(latency) => {
            let values = latency.points().map(|(_, value)| value.to_string());
            [vec![latency.samples.to_string()], values.to_vec()].concat()
        }
        None => vec![String::new(); 1 + Latency::default().points().len()],
    };
    line.extend(points(Some(&row.latency_ns)));
    line.extend(points(row.response_ns.as_ref()));
    line.extend([row.operations, row.lookups].map(|count| count.to_string()));
    line.push(row.hit_ratio().map_or(String::new(), |hits| hits.to_string()));
    let before = (!row.before.is_empty()).then(|| Spread::of(&row.before).median);
    line.push(before.map_or(String::new(), |rate| format!("{rate:.1}")));
    let Memory { entries, node_bytes, held_bytes, table_bytes, garbage_bytes, resident_bytes, peak_bytes } =
        row.memory;
    line.push(entries.to_string());
    let counted = [node_bytes, held_bytes, table_bytes, garbage_bytes];
    line.extend(counted.map(|bytes| if row.store.is_peer() { String::new() } else { bytes.to_string() }));
    line.extend([resident_bytes, peak_bytes].map(|bytes| bytes.to_string()));
    let Verification { checked, missing, wrong, duplicates, miscounted } = row.verification;
    let failures = missing + wrong + duplicates + miscounted;
    line.extend([checked, missing, wrong, duplicates, miscounted, missing, failures].map(|n| n.to_string()));
    line.push(row.verification.passed().to_string());
    line
}
