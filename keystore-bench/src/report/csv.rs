//! Writes the rows as CSV: one line for each store, scenario and number of threads, with every
//! number that a program may need.

use std::path::Path;

use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::measure::metrics::{Latency, Memory, Spread};
use crate::measure::proof::Verification;
use crate::results::{Results, Row};

/// A rate in operations per second, printed with one decimal.
struct Rate(f64);

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.1}", self.0))
    }
}

/// A share from 0 to 1.
struct Share(f64);

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Declares the line type and the column names of the file.
macro_rules! line {
    ($($column:ident: $type:ty,)*) => {
        /// A line of the file. The fields are the columns, in this order.
        #[derive(Serialize)]
        struct Line<'a> {
            $($column: $type,)*
        }

        /// The column names. A file without rows contains them too.
        const COLUMNS: &[&str] = &[$(stringify!($column)),*];
    };
}

line! {
    suite: &'a str,
    store: String,
    backend: Option<String>,
    pool: Option<String>,
    scenario: &'a str,
    threads: usize,
    rounds: usize,
    ops_median: Rate,
    ops_low: Rate,
    ops_high: Rate,
    ops_mean: Rate,
    ops_deviation: Rate,
    samples: u64,
    p50_ns: u64,
    p90_ns: u64,
    p95_ns: u64,
    p99_ns: u64,
    p99_9_ns: u64,
    p99_99_ns: u64,
    max_ns: u64,
    response_samples: Option<u64>,
    response_p50_ns: Option<u64>,
    response_p90_ns: Option<u64>,
    response_p95_ns: Option<u64>,
    response_p99_ns: Option<u64>,
    response_p99_9_ns: Option<u64>,
    response_p99_99_ns: Option<u64>,
    response_max_ns: Option<u64>,
    operations: u64,
    lookups: u64,
    hit_ratio: Option<Share>,
    ops_before_burst: Option<Rate>,
    entries: u64,
    node_bytes: Option<u64>,
    held_bytes: Option<u64>,
    table_bytes: Option<u64>,
    garbage_bytes: Option<u64>,
    resident_bytes: u64,
    peak_bytes: u64,
    checked: u64,
    missing: u64,
    wrong: u64,
    duplicates: u64,
    miscounted: u64,
    missing_count: u64,
    failure_count: u64,
    verification_passed: bool,
}

impl<'a> Line<'a> {
    fn of(results: &'a Results, row: &'a Row) -> Self {
        let combination = row.store.combination();
        let Spread { median, low, high, mean, deviation } = row.ops_per_sec;
        let Latency { samples, p50, p90, p95, p99, p999, p9999, max } = row.latency_ns;
        let response = row.response_ns.as_ref();
        let memory: Memory = row.memory;
        let counted = |bytes: u64| (!row.store.is_peer()).then_some(bytes);
        let Verification { checked, missing, wrong, duplicates, miscounted } = row.verification;
        Self {
            suite: &results.suite,
            store: row.store.to_string(),
            backend: combination.map(|combination| combination.backend.to_string()),
            pool: combination.map(|combination| combination.pool.to_string()),
            scenario: &row.scenario,
            threads: row.threads,
            rounds: row.rounds.len(),
            ops_median: Rate(median),
            ops_low: Rate(low),
            ops_high: Rate(high),
            ops_mean: Rate(mean),
            ops_deviation: Rate(deviation),
            samples,
            p50_ns: p50,
            p90_ns: p90,
            p95_ns: p95,
            p99_ns: p99,
            p99_9_ns: p999,
            p99_99_ns: p9999,
            max_ns: max,
            response_samples: response.map(|latency| latency.samples),
            response_p50_ns: response.map(|latency| latency.p50),
            response_p90_ns: response.map(|latency| latency.p90),
            response_p95_ns: response.map(|latency| latency.p95),
            response_p99_ns: response.map(|latency| latency.p99),
            response_p99_9_ns: response.map(|latency| latency.p999),
            response_p99_99_ns: response.map(|latency| latency.p9999),
            response_max_ns: response.map(|latency| latency.max),
            operations: row.operations,
            lookups: row.lookups,
            hit_ratio: row.hit_ratio().map(Share),
            ops_before_burst: (!row.before.is_empty())
                .then(|| Rate(Spread::of(&row.before).median)),
            entries: memory.entries,
            node_bytes: counted(memory.node_bytes),
            held_bytes: counted(memory.held_bytes),
            table_bytes: counted(memory.table_bytes),
            garbage_bytes: counted(memory.garbage_bytes),
            resident_bytes: memory.resident_bytes,
            peak_bytes: memory.peak_bytes,
            checked,
            missing,
            wrong,
            duplicates,
            miscounted,
            missing_count: missing,
            failure_count: missing + wrong + duplicates + miscounted,
            verification_passed: row.verification.passed(),
        }
    }
}

/// Returns the rows as CSV, with the column names first.
///
/// Rates are in operations per second, times in nanoseconds and sizes in bytes. `hit_ratio` is
/// between 0 and 1, and empty if there were no lookups. Response times are empty without a fixed
/// rate. For a peer, the backend, the pool and the parts of its memory are empty, because the parts
/// are not counted.
///
/// `missing_count` equals `missing`; the reports of the predecessor used this name. `failure_count`
/// is the number of all faults that verification found.
///
/// # Errors
/// [`Error::Text`] if a line cannot be written. This does not happen in practice, because the lines
/// are written to memory.
pub fn csv(results: &Results) -> Result<String> {
    let failed = |error: ::csv::Error| Error::unwritable(Path::new("results.csv"), error.into());
    let mut writer = ::csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(failed)?;
    for row in &results.rows {
        writer.serialize(Line::of(results, row)).map_err(failed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::unwritable(Path::new("results.csv"), error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
