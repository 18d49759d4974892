//! Reads and replays a trace: recorded operations on a cache or a store, one per line, as
//! comma-separated values.
//!
//! Two formats are supported. The first line decides which one a file has:
//!
//! - The file has a header with the columns `timestamp`, `operation`, `key` and `value_size`, in
//!   any order. It may have other columns.
//! - The file has no header and has the seven columns of the public Twitter cache traces (J. Yang,
//!   Y. Yue, K. V. Rashmi, "A large scale analysis of hundreds of in-memory cache clusters at
//!   Twitter", OSDI 2020): timestamp, key, key size, value size, client, operation, time to live.
//!
//! Operations have memcached's names, in upper or lower case. Each is replayed as the nearest
//! operation of keystore:
//!
//! - `get` and `gets` look up.
//! - `set` sets.
//! - `add` and `insert` insert if the key is absent.
//! - `delete` deletes.
//! - `replace`, `cas`, `append`, `prepend`, `incr`, `decr` and `update` read and replace in one
//!   atomic step.
//!
//! Time stamps are checked but have no effect: the trace is replayed as fast as possible, or at the
//! scenario's rate. Each of several threads replays the operations on its share of the keys, so the
//! operations on one key stay in order. A value smaller than [`MIN_VALUE_SIZE`] is enlarged to that
//! size.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use keystore::{MAX_KEY_LEN, MAX_VALUE_LEN};
use keystore_text::console::show_text;
use keystore_text::input::{Found, Input, MAX_LINE_LEN, Records};
use keystore_verify::value::MIN_VALUE_SIZE;

use crate::error::{Error, Result};
use crate::workload::keys::{Keys, MAX_KEYS};
use crate::workload::operation::Kind;
use crate::workload::scenario::Scenario;
use crate::workload::stream::Stream;

/// A trace that was read and validated.
#[derive(Debug)]
pub struct Trace {
    keys: Keys,
    operations: Vec<Recorded>,
}

/// A recorded operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recorded {
    key: u32,
    value_size: u32,
    kind: Kind,
}

/// Positions of the relevant columns.
#[derive(Clone, Copy)]
struct Columns {
    timestamp: usize,
    operation: usize,
    key: usize,
    value_size: usize,
    /// Exact number of columns of a line. A file with a header may have any number.
    exactly: Option<usize>,
}

/// The columns of the Twitter traces.
const TWITTER: Columns =
    Columns { timestamp: 0, key: 1, value_size: 3, operation: 5, exactly: Some(7) };

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    /// [`Error::Text`] if the trace cannot be read, or for its first malformed line.
    pub fn read(path: &Path) -> Result<Self> {
        let mut records = Input::open(path)?.records(MAX_LINE_LEN);
        let mut positions: HashMap<Box<[u8]>, u32> = HashMap::new();
        let (mut bytes, mut ends, mut operations) = (Vec::new(), Vec::new(), Vec::new());
        let mut columns = None;
        loop {
            let found = records.advance()?;
            let wrong = |reason| Error::line(path, records.line(), reason);
            match found {
                Found::End => break,
                Found::Malformed(reason) => return Err(wrong(reason)),
                Found::Whole => {}
            }
            let columns = match columns {
                Some(columns) => columns,
                None => {
                    let (found, is_header) = find_columns(&records).map_err(wrong)?;
                    columns = Some(found);
                    if is_header {
                        continue;
                    }
                    found
                }
            };
            let Parsed { kind, key, value_size } = parse(&records, columns).map_err(wrong)?;
            let position = match positions.get(key) {
                Some(&position) => position,
                None if ends.len() == MAX_KEYS => {
                    return Err(wrong(format!("more than {MAX_KEYS} keys")));
                }
                None => {
                    let position = ends.len() as u32;
                    bytes.extend_from_slice(key);
                    ends.push(bytes.len());
                    positions.insert(key.into(), position);
                    position
                }
            };
            operations.push(Recorded { key: position, value_size, kind });
        }
        if operations.is_empty() {
            let reason = "the trace holds no operation: at least one is needed".to_owned();
            return Err(Error::line(path, 1, reason));
        }
        Ok(Self { keys: Keys::of_trace(path, bytes, ends), operations })
    }

    /// Returns the distinct keys, in the order of their first occurrence.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns the number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Returns whether there are no operations. This is always false, because reading an empty
    /// trace fails.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Returns the operations on the first `keys` keys, divided between `threads` threads. Each
    /// thread gets the operations on its share of the keys.
    #[must_use]
    pub fn streams(&self, threads: usize, keys: usize) -> Vec<Stream> {
        let mut streams = vec![Stream::new(None); threads];
        for &Recorded { key, value_size, kind } in
            self.operations.iter().filter(|op| (op.key as usize) < keys)
        {
            let bytes = self.keys.get(key as usize);
            streams[key as usize % threads].push(kind, key, bytes, value_size as usize);
        }
        streams
    }

    /// Writes a small trace in the format of the Twitter traces. It contains the operations that a
    /// scenario draws for one thread. Tests replay it, and it is an example of the format.
    ///
    /// # Errors
    /// [`Error::Text`] if the file cannot be written.
    pub fn write_sample(path: &Path, scenario: &Scenario, keys: &Keys) -> Result<()> {
        let mut text = String::new();
        for (number, operation) in scenario.draw(1, 0, keys)[0].operations().iter().enumerate() {
            let name = match operation.kind {
                Kind::Get | Kind::GetMany => "get",
                Kind::Set | Kind::SetMany => "set",
                Kind::Insert => "add",
                Kind::Update => "replace",
                Kind::Delete | Kind::DeleteMany => "delete",
            };
            let value_size = if operation.kind.has_value() { scenario.value_size.max() } else { 0 };
            // Generated keys are arbitrary bytes, but a trace is text.
            let key: String =
                keys.get(operation.key as usize).iter().map(|byte| format!("{byte:02x}")).collect();
            let seconds = number / 1000;
            text.push_str(&format!("{seconds},{key},{},{value_size},1,{name},0\n", key.len()));
        }
        let written = File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|source| Error::unwritable(path, source))
    }
}

/// Returns the columns, and whether the first line is a header.
fn find_columns(first: &Records) -> Result<(Columns, bool), String> {
    let place = |name: &str| {
        first.iter().position(|field| {
            field.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
                || field.trim_ascii().eq_ignore_ascii_case(name.replace('_', " ").as_bytes())
        })
    };
    let names = ["timestamp", "operation", "key", "value_size"];
    match names.map(place) {
        [Some(timestamp), Some(operation), Some(key), Some(value_size)] => {
            Ok((Columns { timestamp, operation, key, value_size, exactly: None }, true))
        }
        found if found.iter().any(Option::is_some) => {
            let missing: Vec<&str> = names
                .into_iter()
                .zip(found)
                .filter(|(_, place)| place.is_none())
                .map(|(name, _)| name)
                .collect();
            Err(format!("the header has no column {}", missing.join(", ")))
        }
        _ if first.len() == 7 => Ok((TWITTER, false)),
        _ => Err(format!(
            "{} columns: a trace has a header with {}, or the seven columns of the Twitter traces",
            first.len(),
            names.join(", ")
        )),
    }
}

/// The parsed content of a line.
struct Parsed<'a> {
    kind: Kind,
    key: &'a [u8],
    value_size: u32,
}

fn parse(record: &Records, columns: Columns) -> Result<Parsed<'_>, String> {
    if let Some(expected) = columns.exactly
        && record.len() != expected
    {
        return Err(format!("{} columns, and the first line has {expected}", record.len()));
    }
    let field = |column: usize, name: &str| {
        record
            .get(column)
            .map(<[u8]>::trim_ascii)
            .ok_or_else(|| format!("{} columns, and {name} is column {}", record.len(), column + 1))
    };
    let number = |column, name: &str| -> Result<f64, String> {
        let field = field(column, name)?;
        std::str::from_utf8(field)
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|value: &f64| value.is_finite() && *value >= 0.0)
            .ok_or_else(|| {
                format!("{name} is \"{}\": it must be a number from 0 up", show_text(field))
            })
    };
    number(columns.timestamp, "timestamp")?;
    let value_size = number(columns.value_size, "value_size")?;
    if value_size > MAX_VALUE_LEN as f64 {
        return Err(format!(
            "value_size is {value_size}: values have at most {MAX_VALUE_LEN} bytes"
        ));
    }
    let name = field(columns.operation, "operation")?;
    let kind = match String::from_utf8_lossy(name).to_ascii_lowercase().as_str() {
        "get" | "gets" | "read" => Kind::Get,
        "set" | "write" => Kind::Set,
        "add" | "insert" => Kind::Insert,
        "replace" | "cas" | "append" | "prepend" | "incr" | "decr" | "update" => Kind::Update,
        "delete" => Kind::Delete,
        _ => {
            return Err(format!(
                "operation is \"{}\": it must be one of get, gets, set, add, insert, replace, cas, append, prepend, \
                 incr, decr, update, delete",
                show_text(name)
            ));
        }
    };
    let key = field(columns.key, "key")?;
    if key.is_empty() || key.len() > MAX_KEY_LEN {
        return Err(format!("a key of {} bytes: keys have 1 to {MAX_KEY_LEN} bytes", key.len()));
    }
    Ok(Parsed { kind, key, value_size: (value_size as u32).max(MIN_VALUE_SIZE as u32) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::distribution::KeyDistribution;
    use crate::workload::keys::KeySource;
    use crate::workload::operation::Mix;
    use crate::workload::scenario::Length;

    fn read(content: &str) -> Result<Trace> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Trace::read(file.path())
    }

    #[test]
    fn both_forms_say_the_same() {
        let headed =
            "Operation,client,key,timestamp,value size\nset,7,alpha,0,100\nGET,7,alpha,1,0\n";
        let twitter = "0,alpha,5,100,7,set,0\n1,alpha,5,0,7,get,0\n";
        let (headed, twitter) = (read(headed).unwrap(), read(twitter).unwrap());
        assert_eq!(headed.operations, twitter.operations);
        let expected = [(Kind::Set, 100), (Kind::Get, 16)].map(|(kind, value_size)| Recorded {
            key: 0,
            value_size,
            kind,
        });
        assert_eq!(headed.operations, expected);
        assert_eq!(headed.keys().get(0), b"alpha");
    }

    #[test]
    fn a_trace_is_read_by_the_rules_of_every_text_input() {
        let text = b"\xef\xbb\xbftimestamp,key,operation,value_size\r\n0,\"a,b\",get,0\r\n";
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        for content in [text.to_vec(), encoder.finish().unwrap()] {
            std::fs::write(file.path(), content).unwrap();
            assert_eq!(Trace::read(file.path()).unwrap().keys().get(0), b"a,b");
        }
        for (content, reason) in [
            (&b"\xff\xfe0\0"[..], ":1: UTF-16 text"),
            (b"0,a,1,1,1,get,0\n0,\0,1,1,1,get,0\n", ":2: byte 3 is NUL"),
            (b"0,a,1,1,1,get,0\n0,\"a,1,1,1,get,0\n", ":2: a quote is opened and never closed"),
            (b"0,a,1,1,1,\x1b[31m,0\n", "\\u{1b}[31m"),
        ] {
            std::fs::write(file.path(), content).unwrap();
            let error = Trace::read(file.path()).unwrap_err().to_string();
            assert!(error.contains(reason), "{reason} is not in {error}");
        }
    }

    #[test]
    fn the_first_wrong_line_is_named() {
        let wrong = |content: &str, line: usize, part: &str| {
            let error = read(content).unwrap_err();
            assert!(error.is_usage());
            let text = error.to_string();
            assert!(text.contains(&format!(":{line}: ")) && text.contains(part), "{text}");
        };
        let good = "0,alpha,5,100,7,set,0\n";
        wrong(
            &format!("{good}1,alpha,5,0,7,fetch,0\n"),
            2,
            "operation is \"fetch\": it must be one of get",
        );
        wrong(&format!("{good}{good}x,alpha,5,0,7,get,0\n"), 3, "timestamp is \"x\"");
        wrong(&format!("{good}1,alpha,5,-4,7,get,0\n"), 2, "value_size is \"-4\"");
        wrong(
            &format!("{good}1,alpha,5,9999999999,7,get,0\n"),
            2,
            "values have at most 4294967295 bytes",
        );
        wrong(&format!("{good}1,,0,0,7,get,0\n"), 2, "a key of 0 bytes");
        wrong(&format!("{good}1,alpha,5,0,7,get\n"), 2, "6 columns, and the first line has 7");
        wrong("timestamp,key,operation\n", 1, "the header has no column value_size");
        wrong("timestamp,key,operation,value_size\n0,a\n", 2, "2 columns");
        wrong("0,a\n", 1, "2 columns: a trace has a header");
        wrong("", 1, "no operation");
        let error = Trace::read(Path::new("/no/such/trace")).unwrap_err();
        assert!(
            error.is_usage() && error.to_string().starts_with("/no/such/trace: cannot be read"),
            "{error}"
        );
    }

    #[test]
    fn a_sample_comes_back_and_each_key_stays_with_its_thread() {
        let scenario = Scenario {
            mix: Mix { get: 60, set: 20, insert: 5, update: 5, delete: 10, ..Mix::default() },
            distribution: KeyDistribution::Zipfian { theta: 0.99 },
            length: Length::Operations(2000),
            keys: 100,
            ..Scenario::default()
        };
        let keys = Keys::make(100, &16.into()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        Trace::write_sample(file.path(), &scenario, &keys).unwrap();
        let trace = Trace::read(file.path()).unwrap();
        assert_eq!(trace.len(), 2000);
        assert!(!trace.is_empty() && matches!(trace.keys().source(), KeySource::Trace { .. }));
        let drawn = scenario.draw(1, 0, &keys).remove(0);
        let kinds =
            |stream: &Stream| stream.operations().iter().map(|op| op.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&trace.streams(1, 100)[0]), kinds(&drawn));
        let streams = trace.streams(3, usize::MAX);
        assert_eq!(streams.iter().map(Stream::len).sum::<usize>(), 2000);
        for (thread, stream) in streams.iter().enumerate() {
            assert!(stream.operations().iter().all(|op| op.key as usize % 3 == thread));
        }
    }
}
