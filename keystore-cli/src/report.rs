//! Statistics and results as text.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use keystore_core::Stats;
use keystore_text::duration::nanoseconds_exact;
use keystore_verify::stress::Outcome;

/// Prints the result of one stress test.
pub(crate) fn stress(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let faults = &outcome.faults;
    writeln!(out, "Total threads: {}", outcome.threads)?;
    writeln!(out, "Number of keys per thread: {}", outcome.keys_per_thread)?;
    writeln!(out, "Value size: {} bytes", outcome.value_size)?;
    writeln!(out, "Key missing after set: {}", faults.missing)?;
    writeln!(out, "Wrong values: {}", faults.wrong)?;
    writeln!(out, "Duplicate keys: {}", faults.duplicates)?;
    writeln!(out, "Unexpected entries: {}", faults.unexpected)?;
    writeln!(out, "Lost updates: {}", faults.lost_updates)?;
    writeln!(out, "Miscounted: {}", faults.miscounted)?;
    writeln!(out, "Errors: {}", faults.errors)?;
    writeln!(out, "Leaked nodes: {}", faults.leaked_nodes)?;
    writeln!(out, "Operations per second: {:.0}", outcome.ops_per_sec)?;
    writeln!(out, "Operations per second on shared keys: {:.0}", outcome.shared_ops_per_sec)?;
    let latency = &outcome.latency;
    writeln!(
        out,
        "Latency: average {}, p50 {}, p95 {}, p99 {}, max {}",
        nanoseconds_exact(latency.average_ns),
        nanoseconds_exact(latency.p50_ns as f64),
        nanoseconds_exact(latency.p95_ns as f64),
        nanoseconds_exact(latency.p99_ns as f64),
        nanoseconds_exact(latency.max_ns as f64),
    )?;
    stats(out, &outcome.stats)?;
    for example in &faults.examples {
        writeln!(out, "Fault: {example}")?;
    }
    writeln!(out, "Result: {}", outcome.result)
}

/// Prints the statistics of a store.
pub(crate) fn stats(out: &mut impl Write, stats: &Stats) -> io::Result<()> {
    let Stats { metadata, entries, collisions, memory, pool, operations, nodes, errors, .. } =
        stats;

    section(out, "Keys")?;
    line(out, "entries", entries.count)?;
    line(out, "node bytes", memory.node_bytes)?;
    line(out, "table bytes", memory.table_bytes)?;
    line(out, "garbage bytes", memory.garbage_bytes)?;
    line(out, "bytes per entry", per_entry(held_bytes(stats), entries.count))?;
    line(out, "opened", seconds_ago(metadata.opened_at))?;
    line(out, "last cleaned up", seconds_ago(metadata.cleaned_up_at))?;

    section(out, "Buckets")?;
    line(out, "buckets", entries.buckets)?;
    line(out, "with entries", entries.nonempty_buckets)?;
    line(
        out,
        "empty",
        format_args!("{} ({:.1} %)", entries.empty_buckets, entries.empty_bucket_percent),
    )?;
    line(
        out,
        "entries in a bucket",
        format_args!(
            "{} to {}, median {}, standard deviation {:.2}",
            entries.min_in_bucket,
            entries.max_in_bucket,
            entries.median_per_bucket,
            entries.stddev_per_bucket
        ),
    )?;
    line(
        out,
        "entries in a non-empty one",
        format_args!("{:.2} on average", entries.mean_per_nonempty_bucket),
    )?;
    line(
        out,
        "with collisions",
        format_args!("{} ({:.1} %)", collisions.buckets, collisions.percent),
    )?;
    line(
        out,
        "collisions in a bucket",
        format_args!(
            "at most {}, {:.2} on average in a non-empty one",
            collisions.max_in_bucket, collisions.mean_per_nonempty_bucket
        ),
    )?;

    section(out, "Pool")?;
    line(out, "live nodes", pool.live_nodes)?;
    line(out, "live bytes", pool.live_bytes)?;
    line(out, "held bytes", pool.held_bytes)?;
    line(out, "free bytes", pool.held_bytes.saturating_sub(pool.live_bytes))?;
    line(out, "utilization", format_args!("{:.1} %", pool.utilization_percent()))?;
    line(out, "fragmentation", format_args!("{:.1} %", pool.fragmentation_percent()))?;
    line(
        out,
        "fallbacks",
        format_args!("{} ({} bytes live)", pool.fallbacks, pool.fallback_bytes),
    )?;

    section(out, "Operations")?;
    line(out, "adds", of_which(operations.adds, operations.failed_adds))?;
    line(out, "finds", of_which(operations.finds, operations.failed_finds))?;
    line(out, "deletes", of_which(operations.deletes, operations.failed_deletes))?;
    line(
        out,
        "nodes created",
        of_which(nodes.creates + nodes.failed_creates, nodes.failed_creates),
    )?;
    line(out, "values replaced", nodes.updates)?;
    line(out, "values read", nodes.reads)?;
    line(out, "nodes deleted", nodes.deletes)?;
    for (code, count) in errors.iter() {
        line(out, &format!("errors {code}"), count)?;
    }
    Ok(())
}

/// Returns the bytes that pool and table hold.
pub(crate) const fn held_bytes(stats: &Stats) -> u64 {
    stats.pool.held_bytes + stats.memory.table_bytes
}

/// Returns the average number of bytes per entry, as text.
pub(crate) fn per_entry(bytes: u64, entries: u64) -> String {
    if entries == 0 { "none".to_owned() } else { format!("{:.1}", bytes as f64 / entries as f64) }
}

fn section(out: &mut impl Write, title: &str) -> io::Result<()> {
    writeln!(out, "{title}")
}

fn line(out: &mut impl Write, label: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "  {label:<28}{value}")
}

fn of_which(all: u64, failed: u64) -> String {
    format!("{all} ({failed} failed)")
}

/// Returns the age of a time in seconds since the Unix epoch. 0 stands for never.
fn seconds_ago(second: u64) -> String {
    if second == 0 {
        return "never".to_owned();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(second, |now| now.as_secs());
    format!("{} s ago", now.saturating_sub(second))
}

#[cfg(test)]
mod tests {
    use super::per_entry;

    #[test]
    fn nothing_is_divided_by_no_entries() {
        assert_eq!(per_entry(100, 0), "none");
        assert_eq!(per_entry(100, 8), "12.5");
    }
}
