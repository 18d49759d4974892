//! Parses entries from a line of text: words, tab-separated values, comma-separated values, JSON
//! Lines. Keys and values are bytes. Only JSON must be UTF-8.

use std::path::Path;

use clap::ValueEnum;
use keystore_core::MAX_KEY_LEN;
use keystore_text::console::show_text;
use keystore_text::input::Records;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Format of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Each word between ASCII white space is a key; its value is its count
    Words,
    /// Each nonempty line is a key; its value is its count
    Lines,
    /// Each line is a key, a tab, and the value up to the end of the line
    Tsv,
    /// Each record is a key and a value, quoted if they contain commas, line ends or quotes (which
    /// are doubled); other quotes are malformed; a first record `key,value` is a header
    Csv,
    /// Each line is {"key": "…", "value": …}
    #[value(alias = "ndjson")]
    Jsonl,
}

impl Format {
    /// Guesses the format from the extension of a file, without a final `.gz`. The default is
    /// words.
    pub(crate) fn of(path: &Path) -> Self {
        let is = |path: &Path, extension: &str| {
            path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
        };
        let stem = path.with_extension("");
        let path = if is(path, "gz") { &stem } else { path };
        [("tsv", Self::Tsv), ("csv", Self::Csv), ("jsonl", Self::Jsonl), ("ndjson", Self::Jsonl)]
            .into_iter()
            .find(|(extension, _)| is(path, extension))
            .map_or(Self::Words, |(_, format)| format)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Words => "words of plain text",
            Self::Lines => "lines of plain text",
            Self::Tsv => "tab-separated values",
            Self::Csv => "comma-separated values",
            Self::Jsonl => "JSON Lines",
        }
    }

    /// Returns true if the values are counts, which the input does not contain.
    pub(crate) const fn counts(self) -> bool {
        matches!(self, Self::Words | Self::Lines)
    }
}

/// The reason why a line is malformed.
pub(crate) type Malformed = String;

/// A key and its value.
pub(crate) type Entry<'a> = (&'a [u8], &'a [u8]);

/// Parses a line of tab-separated values.
pub(crate) fn tsv(line: &[u8]) -> Result<Entry<'_>, Malformed> {
    let tab = memchr::memchr(b'\t', line).ok_or("no tab between a key and a value")?;
    Ok((&line[..tab], &line[tab + 1..]))
}

/// Parses a record of comma-separated values.
pub(crate) fn csv(record: &Records) -> Result<Entry<'_>, Malformed> {
    match (record.get(0), record.get(1), record.len()) {
        (Some(key), Some(value), 2) => Ok((key, value)),
        (.., columns) => Err(format!(
            "{columns} {}: a record has a key and a value; quote them if they contain a comma",
            if columns == 1 { "column" } else { "columns" }
        )),
    }
}

/// Returns true if a record is the header `key,value`.
pub(crate) fn is_header(record: &Records) -> bool {
    record.len() == 2
        && record
            .iter()
            .zip(["key", "value"])
            .all(|(column, name)| column.eq_ignore_ascii_case(name.as_bytes()))
}

/// The two fields of a JSON object, as written. Finding them copies nothing, however long the line
/// is.
struct Object<'a> {
    key: &'a RawValue,
    value: &'a RawValue,
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut key, mut value) = (None, None);
        while let Some(name) = map.next_key::<&RawValue>()? {
            let name = name.get();
            // A name may contain escapes, each at most six bytes long. A longer name is unknown.
            let plain: String = if name.len() <= 32 {
                serde_json::from_str(name).map_err(A::Error::custom)?
            } else {
                String::new()
            };
            let field = match plain.as_str() {
                "key" => &mut key,
                "value" => &mut value,
                _ => {
                    let name = show_text(name.trim_matches('"').as_bytes());
                    return Err(A::Error::custom(format_args!("unknown field \"{name}\"")));
                }
            };
            if field.replace(map.next_value::<&RawValue>()?).is_some() {
                return Err(A::Error::custom(format_args!("two fields \"{plain}\"")));
            }
        }
        match (key, value) {
            (Some(key), Some(value)) => Ok(Object { key, value }),
            (None, _) => Err(A::Error::missing_field("key")),
            (_, None) => Err(A::Error::missing_field("value")),
        }
    }
}

/// Buffers for JSON strings that contain escapes, reused for each line.
#[derive(Debug, Default)]
pub(crate) struct Unescaped {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Parses a line of JSON. A string value gives its characters; any other value gives its JSON text
/// as written.
pub(crate) fn json<'a>(line: &'a [u8], buffer: &'a mut Unescaped) -> Result<Entry<'a>, Malformed> {
    let object: Object<'a> = serde_json::from_slice(line).map_err(|error| {
        // The parser sees only this line, so its line number would mislead.
        let (text, column) = (error.to_string(), error.column());
        let place = format!(" at line {} column {column}", error.line());
        let reason = text.strip_suffix(place.as_str()).unwrap_or(&text);
        format!("not {{\"key\": …, \"value\": …}}: {reason} (column {column})")
    })?;
    let key = string(object.key.get())
        .ok_or("not {\"key\": …, \"value\": …}: the key is not a string")?;
    let key = unescape(key, &mut buffer.key)?;
    let value = match string(object.value.get()) {
        Some(string) => unescape(string, &mut buffer.value)?,
        None => object.value.get().as_bytes(),
    };
    Ok((key, value))
}

/// Returns the text between the quotes of a JSON string, or `None` for other JSON.
fn string(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// Returns the characters of a JSON string whose syntax has been checked. serde_json would abort
/// the process if it could not allocate memory for them.
fn unescape<'a>(string: &'a str, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    let Some(first) = memchr::memchr(b'\\', string.as_bytes()) else {
        return Ok(string.as_bytes());
    };
    buffer.clear();
    buffer
        .try_reserve(string.len())
        .map_err(|_| format!("not enough memory for a string of {} bytes", string.len()))?;
    let (mut rest, mut escape) = (string, Some(first));
    while let Some(at) = escape {
        buffer.extend_from_slice(&rest.as_bytes()[..at]);
        let character;
        (character, rest) = unescape_one(&rest[at + 1..]).ok_or_else(|| {
            format!(
                "not {{\"key\": …, \"value\": …}}: unpaired surrogate {}",
                show_text(rest[at..].get(..6).unwrap_or_default().as_bytes())
            )
        })?;
        buffer.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        escape = memchr::memchr(b'\\', rest.as_bytes());
    }
    buffer.extend_from_slice(rest.as_bytes());
    Ok(buffer)
}

/// Decodes an escape. Returns its character and the text after it, or `None` for an unpaired
/// surrogate.
fn unescape_one(escape: &str) -> Option<(char, &str)> {
    let rest = escape.get(1..)?;
    let character = match escape.as_bytes()[0] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = |text: &str| u16::from_str_radix(text.get(..4)?, 16).ok();
            let first = unit(rest)?;
            let rest = &rest[4..];
            if let Some(character) = char::from_u32(u32::from(first)) {
                return Some((character, rest));
            }
            let second = unit(rest.strip_prefix("\\u")?)?;
            let character = char::decode_utf16([first, second]).next()?.ok()?;
            return Some((character, &rest[6..]));
        }
        other => char::from(other),
    };
    Some((character, rest))
}

/// Splits a line of plain text into words at ASCII white space. The text need not be UTF-8.
pub(crate) fn words(line: &[u8]) -> Result<impl Iterator<Item = &[u8]>, Malformed> {
    let words = || line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if let Some(word) = words().find(|word| word.len() > MAX_KEY_LEN) {
        return Err(format!("a word of {} bytes: keys have 1 to {MAX_KEY_LEN} bytes", word.len()));
    }
    Ok(words())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_tell_the_format() {
        for (name, format) in [
            ("a.tsv", Format::Tsv),
            ("a.TSV.gz", Format::Tsv),
            ("a.b/c.csv", Format::Csv),
            ("a.jsonl", Format::Jsonl),
            ("a.ndjson.GZ", Format::Jsonl),
            ("a.tsv.zst.gz", Format::Words),
            ("a.gz", Format::Words),
            ("tsv", Format::Words),
            ("-", Format::Words),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn tab_separated_values_are_cut_at_the_first_tab() {
        assert_eq!(tsv(b"a\tb\tc"), Ok((&b"a"[..], &b"b\tc"[..])));
        assert_eq!(tsv(b"\xff\t"), Ok((&b"\xff"[..], &b""[..])));
        assert!(tsv(b"a b").is_err());
    }

    #[test]
    fn json_values_are_characters_or_the_text_as_written() {
        let entry = |line: &str| {
            let mut buffer = Unescaped::default();
            let (key, value) = json(line.as_bytes(), &mut buffer).unwrap();
            (String::from_utf8(key.to_vec()).unwrap(), String::from_utf8(value.to_vec()).unwrap())
        };
        let value = |line: &str| entry(line).1;
        assert_eq!(value(r#"{"key":"a","value":"x\ny"}"#), "x\ny");
        assert_eq!(value(r#"{"value": 1.50 , "key":"a"}"#), "1.50");
        assert_eq!(value(r#"{"key":"a","value":{"b": [1]}}"#), r#"{"b": [1]}"#);
        assert_eq!(entry(r#"{"k\u0065y":"\u00e9\t","value":1}"#).0, "é\t");
    }

    #[test]
    fn json_that_is_no_entry_is_told_without_a_wrong_line_number() {
        let reason = |line: &[u8]| json(line, &mut Unescaped::default()).unwrap_err();
        for line in [
            "",
            "[]",
            "{\"key\":\"a\"}",
            "{\"key\":\"a\",\"value\":1,\"more\":2}",
            "{\"key\":\"a\",\"key\":\"a\",\"value\":1}",
            "{\"key\":\"a\",\"value\":1} x",
        ] {
            let reason = reason(line.as_bytes());
            assert!(reason.contains("column") && !reason.contains("line 1"), "{line}: {reason}");
        }
        assert!(reason(b"{\"key\":1,\"value\":2}").ends_with("the key is not a string"));
        assert!(
            reason(b"{\"key\":\"a\",\"value\":\"x\\ud800y\"}")
                .ends_with("unpaired surrogate \\\\ud800")
        );
        assert!(reason(b"{\"key\":\"\xff\",\"value\":1}").starts_with("not {"));
    }

    #[test]
    fn a_field_that_is_unknown_is_named_in_short_and_without_control_characters() {
        let reason = |name: &str| {
            json(format!("{{\"{name}\":1}}").as_bytes(), &mut Unescaped::default()).unwrap_err()
        };
        let shown = reason("\\u001b[31mred at line 7\\u0007");
        assert!(shown.contains("unknown field \"\\\\u001b[31mred at line 7\\\\u0007\""), "{shown}");
        assert!(reason("\u{202e}").contains("\\u{202e}"));
        assert!(reason(&"x".repeat(1 << 20)).len() < 300);
    }

    proptest! {
        #[test]
        fn strings_are_unescaped_as_the_json_parser_does_it(text in "([^\\\\\"\u{0}-\u{1f}]|\\\\([nrtbf/\"\\\\]|u[0-9a-fA-F]{4}|ud8[0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2})){0,20}") {
            let line = format!("{{\"key\":\"{text}\",\"value\":0}}");
            let expected = serde_json::from_str::<String>(&format!("\"{text}\""));
            let mut buffer = Unescaped::default();
            match (json(line.as_bytes(), &mut buffer), expected) {
                (Ok((key, _)), Ok(expected)) => prop_assert_eq!(key, expected.as_bytes()),
                (Err(_), Err(_)) => {}
                (ours, theirs) => prop_assert!(false, "{ours:?} {theirs:?}"),
            }
        }
    }

    #[test]
    fn words_stand_between_white_space() {
        let found: Vec<_> = words(b" The the,\tdon't \xff\x0c").unwrap().collect();
        assert_eq!(found, [&b"The"[..], b"the,", b"don't", b"\xff"]);
        let long = [b'x'; MAX_KEY_LEN + 1];
        assert!(words(&long[1..]).is_ok());
        assert!(words(&long).is_err());
    }
}
