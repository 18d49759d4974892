//! `keystore load`: real data into a store, with what it cost.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::builder::{OsStringValueParser, RangedU64ValueParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use keystore_core::{BoxedKeystore, Change, Error, Keystore, MAX_KEY_LEN, Update};

use crate::choice::Choice;
use crate::failure::Failure;
use crate::input::{Format, Line, Lines, Malformed, json, tsv, words};
use crate::report;
use crate::text::show;
use crate::top::largest;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file: `.tsv` (key TAB value), `.jsonl` ({"key": …, "value": …}), anything else as plain text, of which each word
    /// between white space is a key and its count the value.
    file: PathBuf,
    #[command(flatten)]
    choice: Choice,
    /// Pass over malformed lines, and count them, instead of stopping at the first.
    #[arg(long)]
    skip_bad: bool,
    /// Then look up this key; exit code 1 where it is absent.
    #[arg(long, value_name = "KEY", value_parser = OsStringValueParser::new().try_map(key))]
    get: Option<OsString>,
    /// Then list the N entries with the largest numbers as values.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    top: Option<usize>,
}

/// How many malformed lines are described on standard error; the others are only counted.
const MAX_DESCRIBED: u64 = 5;

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let store = args.choice.open()?;
    let mut loader = Loader { args, format: Format::of(&args.file), store, replaced: 0, skipped: 0 };
    let (lines, time) = loader.load()?;
    let store = loader.store;

    let mut out = BufWriter::new(std::io::stdout().lock());
    let seconds = time.as_secs_f64();
    writeln!(out, "{}: {}", args.file.display(), loader.format.name())?;
    writeln!(out, "Lines: {lines}")?;
    if args.skip_bad {
        writeln!(out, "Malformed lines skipped: {}", loader.skipped)?;
    }
    if loader.format != Format::Text {
        writeln!(out, "Values replaced by a later line: {}", loader.replaced)?;
    }
    // Before anything else asks the store, so that the operations are those of loading.
    let stats = store.stats()?;
    let entries = stats.entries.count;
    let data = data_bytes(&store)?;
    let held = report::held_bytes(&stats);
    writeln!(out, "Entries: {entries}")?;
    writeln!(out, "Bytes of keys and values: {data} ({} per entry)", report::per_entry(data, entries))?;
    writeln!(out, "Bytes held by pool and table: {held} ({} per entry)", report::per_entry(held, entries))?;
    writeln!(out, "Time: {seconds:.3} s ({:.0} lines a second)", lines as f64 / seconds.max(1e-9))?;
    report::stats(&mut out, &stats)?;

    if let Some(most) = args.top {
        let (ranked, without) = largest(&store, most)?;
        if ranked.is_empty() && without > 0 {
            out.flush()?;
            return Err(Failure::NothingNumeric { path: args.file.clone() });
        }
        writeln!(out, "Largest values")?;
        for entry in ranked {
            writeln!(out, "{}\t{}", show(&entry.key), show(&entry.value))?;
        }
        if without > 0 {
            writeln!(out, "({without} entries whose value is no number are left out)")?;
        }
    }
    if let Some(key) = &args.get {
        let key = key.as_encoded_bytes();
        let Some(value) = store.get(key)? else {
            out.flush()?;
            return Err(Failure::KeyNotFound { key: key.to_vec() });
        };
        writeln!(out, "{}\t{}", show(key), show(&value))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

struct Loader<'a> {
    args: &'a Args,
    format: Format,
    store: BoxedKeystore,
    /// Entries whose key had been there.
    replaced: u64,
    /// Malformed lines.
    skipped: u64,
}

impl Loader<'_> {
    /// Loads the whole file: its lines, and the time.
    fn load(&mut self) -> Result<(u64, Duration), Failure> {
        let failed = |source| Failure::File { path: self.args.file.clone(), source };
        let begin = Instant::now();
        let file = File::open(&self.args.file).map_err(failed)?;
        let bar = bar(file.metadata().map_err(failed)?.len());
        let mut lines = Lines::new(BufReader::with_capacity(1 << 18, bar.wrap_read(file)));
        loop {
            let done = match lines.advance().map_err(failed)? {
                Line::End => break,
                Line::Whole => self.line(&lines.buffer),
                Line::TooLong => Err(Refused::Malformed("longer than any key and value together".to_owned())),
            };
            let (reason, may_skip) = match done {
                Ok(()) => continue,
                Err(Refused::Malformed(reason)) => (reason, self.args.skip_bad),
                Err(Refused::Store(error)) => (error.to_string(), false),
            };
            let failure = Failure::Line { path: self.args.file.clone(), line: lines.number, reason };
            if !may_skip {
                bar.finish_and_clear();
                return Err(failure);
            }
            self.skipped += 1;
            if self.skipped <= MAX_DESCRIBED {
                bar.suspend(|| eprintln!("skipped {failure}"));
            }
        }
        bar.finish_and_clear();
        Ok((lines.number, begin.elapsed()))
    }

    /// Puts what a line holds into the store: all of it or, where it is malformed, nothing.
    fn line(&mut self, line: &[u8]) -> Result<(), Refused> {
        let change = match self.format {
            Format::Tsv => {
                let (key, value) = tsv(line).map_err(Refused::Malformed)?;
                self.store.set(key, value)?
            }
            Format::JsonLines => {
                let (key, value) = json(line).map_err(Refused::Malformed)?;
                self.store.set(key.as_bytes(), value.as_bytes())?
            }
            Format::Text => {
                for word in words(line).map_err(Refused::Malformed)? {
                    count(&self.store, word)?;
                }
                return Ok(());
            }
        };
        self.replaced += u64::from(change == Change::Replaced);
        Ok(())
    }
}

/// Why a line did not go into the store.
enum Refused {
    /// The line is at fault; the next may be good.
    Malformed(Malformed),
    /// The store is.
    Store(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::KeyLength { .. } | Error::ValueLength { .. } => Self::Malformed(error.to_string()),
            _ => Self::Store(error),
        }
    }
}

/// Counts a word: its value is the count, in decimal.
fn count(store: &BoxedKeystore, word: &[u8]) -> Result<Change, Error> {
    store.update(word, |old| {
        let count = old.and_then(|count| std::str::from_utf8(count).ok()?.parse::<u64>().ok()).unwrap_or(0);
        Update::Set((count + 1).to_string().into_bytes())
    })
}

/// Bytes of all keys and values.
fn data_bytes(store: &BoxedKeystore) -> Result<u64, Error> {
    let mut bytes = 0;
    store.for_each(|key, value| {
        bytes += (key.len() + value.len()) as u64;
        ControlFlow::Continue(())
    })?;
    Ok(bytes)
}

/// A bar on standard error; hidden where that is no terminal.
fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("loading [{wide_bar}] {bytes}/{total_bytes} {elapsed}")
        .expect("the template is valid")
        .progress_chars("=> ");
    ProgressBar::new(bytes).with_style(style)
}

/// A key on the command line, within the store's limits.
fn key(text: OsString) -> Result<OsString, String> {
    match text.len() {
        1..=MAX_KEY_LEN => Ok(text),
        length => Err(format!("a key of {length} bytes: keys have 1 to {MAX_KEY_LEN} bytes")),
    }
}
