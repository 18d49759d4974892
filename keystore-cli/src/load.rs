//! `keystore load`: loads real data into a store and reports its cost.

use std::ffi::OsString;
use std::io::{BufWriter, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::builder::{OsStringValueParser, RangedU64ValueParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use keystore_core::{BoxedKeystore, Change, Error, Keystore, MAX_KEY_LEN, Update};
use keystore_text::console::{Output, show_path};
use keystore_text::errln;
use keystore_text::input::{Found, Input, Lines, Records, source};

use crate::args::{LongestLine, StoreArgs};
use crate::entries::{Format, Malformed, Unescaped, csv, is_header, json, tsv, words};
use crate::failure::Failure;
use crate::report;
use crate::style::{ESCAPES, Style};
use crate::top::largest;

#[derive(Debug, clap::Args)]
#[command(after_long_help = ESCAPES)]
pub(crate) struct Args {
    /// File to load, or `-` for standard input. Gzip is decompressed.
    file: PathBuf,
    /// Format of the file [default: by its extension, .tsv .csv .jsonl .ndjson, also before .gz;
    /// otherwise words].
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    longest_line: LongestLine,
    /// Skip and count malformed lines instead of stopping at the first. If the quotes of a CSV
    /// record are malformed, only its first line is skipped.
    #[arg(long)]
    skip_bad: bool,
    /// Look up this key afterwards; exit code 1 if it is absent.
    #[arg(long, value_name = "KEY", value_parser = OsStringValueParser::new().try_map(key))]
    get: Option<OsString>,
    /// List the N entries with the largest numeric values afterwards.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    top: Option<usize>,
    /// Print keys and values byte for byte, without escapes or quotes.
    #[arg(long)]
    raw: bool,
}

/// Number of malformed lines that are described on standard error. The others are only counted.
const MAX_DESCRIBED: u64 = 5;

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let format = args.format.unwrap_or_else(|| Format::of(&args.file));
    let store = args.store.open()?;
    let mut loader =
        Loader { args, format, store, unescaped: Unescaped::default(), replaced: 0, skipped: 0 };
    let (lines, time) = match loader.load() {
        Ok(done) => done,
        Err(Stopped::Failure(failure)) => return Err(failure),
        Err(Stopped::Store { line, error }) => {
            // If the store has used up the memory, the message needs some of it. So drop the store
            // first.
            drop(loader);
            return Err(keystore_text::Error::line(&args.file, line, error.to_string()).into());
        }
    };
    let store = &loader.store;
    let style = Style::new(args.raw);

    let mut out = BufWriter::new(Output);
    let seconds = time.as_secs_f64();
    let guessed = if args.format.is_none() { " (by its name; --format overrides it)" } else { "" };
    writeln!(out, "{}: {}{guessed}", show_path(&args.file), format.name())?;
    let unit = if format == Format::Csv { "Records" } else { "Lines" };
    writeln!(out, "{unit}: {lines}")?;
    if args.skip_bad {
        writeln!(out, "Malformed lines skipped: {}", loader.skipped)?;
    }
    if !format.counts() {
        writeln!(out, "Values replaced by a later line: {}", loader.replaced)?;
    }
    // Nothing else has used the store yet, so the statistics count only the operations of loading.
    let stats = store.stats()?;
    let entries = stats.entries.count;
    let data = data_bytes(store)?;
    let held = report::held_bytes(&stats);
    writeln!(out, "Entries: {entries}")?;
    writeln!(
        out,
        "Bytes of keys and values: {data} ({} per entry)",
        report::per_entry(data, entries)
    )?;
    writeln!(
        out,
        "Bytes held by pool and table: {held} ({} per entry)",
        report::per_entry(held, entries)
    )?;
    writeln!(
        out,
        "Time: {seconds:.3} s ({:.0} {} a second)",
        lines as f64 / seconds.max(1e-9),
        unit.to_ascii_lowercase()
    )?;
    report::stats(&mut out, &stats)?;

    // Both `--top` and `--get` are answered, even if one of them fails. Failures are printed last.
    let mut failures = Vec::new();
    if let Some(most) = args.top {
        let (ranked, without) = largest(store, most)?;
        if ranked.is_empty() && without > 0 {
            failures.push(Failure::NothingNumeric { path: args.file.clone() });
        } else {
            writeln!(out, "Largest values")?;
            for entry in ranked {
                style.pair(&mut out, &entry.key, &entry.value)?;
            }
            if without > 0 {
                writeln!(out, "({without} entries without a numeric value are left out)")?;
            }
        }
    }
    if let Some(key) = &args.get {
        let key = key.as_encoded_bytes();
        match store.get(key)? {
            Some(value) => style.pair(&mut out, key, &value)?,
            None => failures.push(Failure::KeyNotFound { key: key.to_vec() }),
        }
    }
    out.flush()?;
    for failure in &failures {
        errln!("keystore: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An input, read line by line or record by record.
enum Source {
    Lines(Lines),
    Records(Records),
}

impl Source {
    fn advance(&mut self) -> Result<Found, keystore_text::Error> {
        match self {
            Self::Lines(lines) => lines.advance(),
            Self::Records(records) => records.advance(),
        }
    }

    /// Returns the number of the line, or of the record's first line.
    const fn line(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.number(),
            Self::Records(records) => records.line(),
        }
    }

    /// Returns the number of lines that skipping the last line or record loses.
    const fn lines(&self) -> usize {
        match self {
            Self::Lines(_) => 1,
            Self::Records(records) => records.lines(),
        }
    }

    fn is_header(&self) -> bool {
        matches!(self, Self::Records(record) if is_header(record))
    }
}

struct Loader<'a> {
    args: &'a Args,
    format: Format,
    store: BoxedKeystore,
    unescaped: Unescaped,
    /// Number of entries whose key was present already.
    replaced: u64,
    /// Number of malformed lines that were skipped.
    skipped: u64,
}

impl Loader<'_> {
    /// Loads the whole file. Returns the number of lines or records, and the time.
    fn load(&mut self) -> Result<(u64, Duration), Stopped> {
        let begin = Instant::now();
        let (bytes, length) = source(&self.args.file).map_err(Failure::from)?;
        let bar = bar(&self.args.file, length);
        let read = self.read(Box::new(bar.wrap_read(bytes)), &bar);
        bar.finish_and_clear();
        Ok((read?, begin.elapsed()))
    }

    /// Loads the input. Returns the number of lines or records.
    fn read(&mut self, bytes: Box<dyn Read>, bar: &ProgressBar) -> Result<u64, Stopped> {
        let path = &self.args.file;
        let input = Input::new(path, bytes).map_err(Failure::from)?;
        let longest = self.args.longest_line.bytes();
        let mut source = match self.format {
            Format::Csv => Source::Records(input.records(longest)),
            _ => Source::Lines(input.lines(longest)),
        };
        let (mut read, mut described, mut is_first) = (0, 0, true);
        loop {
            let done = match source.advance().map_err(Failure::from)? {
                Found::End => return Ok(read),
                Found::Whole if is_first && source.is_header() => {
                    is_first = false;
                    continue;
                }
                Found::Whole => self.put(&source),
                Found::Malformed(reason) => Err(Refused::Malformed(reason)),
            };
            is_first = false;
            read += 1;
            let reason = match done {
                Ok(()) => continue,
                Err(Refused::Malformed(reason)) => reason,
                Err(Refused::Store(error)) => {
                    return Err(Stopped::Store { line: source.line(), error });
                }
            };
            let failure =
                keystore_text::Error::Line { path: path.clone(), line: source.line(), reason };
            if !self.args.skip_bad {
                return Err(Failure::from(failure).into());
            }
            self.skipped += source.lines() as u64;
            described += 1;
            if described <= MAX_DESCRIBED {
                bar.suspend(|| errln!("skipped {failure}"));
            }
        }
    }

    /// Stores the entries of a line. An empty line has none. Stores nothing if the line is
    /// malformed.
    fn put(&mut self, source: &Source) -> Result<(), Refused> {
        let (key, value) = match source {
            Source::Records(record) => csv(record)?,
            Source::Lines(lines) if lines.line().is_empty() => return Ok(()),
            Source::Lines(lines) => match self.format {
                Format::Words => {
                    return words(lines.line())?.try_for_each(|word| Ok(count(&self.store, word)?));
                }
                Format::Lines => return Ok(count(&self.store, lines.line())?),
                Format::Jsonl => json(lines.line(), &mut self.unescaped)?,
                Format::Tsv | Format::Csv => tsv(lines.line())?,
            },
        };
        self.replaced += u64::from(self.store.set(key, value)? == Change::Replaced);
        Ok(())
    }
}

/// The reason why loading ended early.
enum Stopped {
    Failure(Failure),
    /// The store failed at this line. Making a message needs memory, so `run` drops the store
    /// first.
    Store {
        line: usize,
        error: Error,
    },
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The reason why a line was not stored.
enum Refused {
    /// The line is malformed; the next line may be good.
    Malformed(Malformed),
    /// The store failed.
    Store(Error),
}

impl From<Malformed> for Refused {
    fn from(reason: Malformed) -> Self {
        Self::Malformed(reason)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::KeyLength { .. } | Error::ValueLength { .. } => {
                Self::Malformed(error.to_string())
            }
            _ => Self::Store(error),
        }
    }
}

/// Adds one to the count of a word. The count is the value, in decimal.
fn count(store: &BoxedKeystore, word: &[u8]) -> Result<(), Error> {
    store
        .update(word, |old| {
            let count = old
                .and_then(|count| std::str::from_utf8(count).ok()?.parse::<u64>().ok())
                .unwrap_or(0);
            Update::set((count + 1).to_string().into_bytes())
        })
        .map(drop)
}

/// Returns the number of bytes in all keys and values.
fn data_bytes(store: &BoxedKeystore) -> Result<u64, Error> {
    let mut bytes = 0;
    store.for_each(|key, value| {
        bytes += (key.len() + value.len()) as u64;
        ControlFlow::Continue(())
    })?;
    Ok(bytes)
}

/// Returns a progress bar on standard error. It is hidden if standard error is not a terminal, or
/// if a person types the input.
fn bar(path: &Path, length: Option<u64>) -> ProgressBar {
    if path == Path::new("-") && std::io::stdin().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(bytes) => {
            (ProgressBar::new(bytes), "loading [{wide_bar}] {bytes}/{total_bytes} {elapsed}")
        }
        None => (ProgressBar::no_length(), "loading {bytes} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template)
        .expect("the template is valid")
        .progress_chars("=> ");
    bar.with_style(style)
}

/// Parses a key on the command line and checks its length.
fn key(text: OsString) -> Result<OsString, String> {
    match text.len() {
        1..=MAX_KEY_LEN => Ok(text),
        length => Err(format!("a key of {length} bytes: keys have 1 to {MAX_KEY_LEN} bytes")),
    }
}
