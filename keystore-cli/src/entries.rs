//! Entries in the lines of a text: words, tab-separated and comma-separated values, JSON Lines.
//! Bytes throughout: only JSON has to be UTF-8.

use std::path::Path;

use clap::ValueEnum;
use keystore_core::MAX_KEY_LEN;
use keystore_text::console::show_text;
use keystore_text::input::Records;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Each word between ASCII white space is a key, and its count the value
    Words,
    /// Each line that is not empty is a key, and its count the value
    Lines,
    /// Each line is a key, a tab, and the value up to the line's end
    Tsv,
    /// Each record is a key and a value, in quotes if they hold commas, quotes (doubled) or line
    /// ends; other quotes are malformed; a first record `key,value` is a header
    Csv,
    /// Each line is {"key": "…", "value": …}
    #[value(alias = "ndjson")]
    Jsonl,
}

impl Format {
    /// The format that a name stands for by its extension; `.gz` behind it says nothing. Words if
    /// it stands for none.
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

    /// Whether the values are counts, and not in the text.
    pub(crate) const fn counts(self) -> bool {
        matches!(self, Self::Words | Self::Lines)
    }
}

/// Why a line is malformed.
pub(crate) type Malformed = String;

/// A key and its value.
pub(crate) type Entry<'a> = (&'a [u8], &'a [u8]);

/// The key and value of a line of tab-separated values.
pub(crate) fn tsv(line: &[u8]) -> Result<Entry<'_>, Malformed> {
    let tab = memchr::memchr(b'\t', line).ok_or("no tab between a key and a value")?;
    Ok((&line[..tab], &line[tab + 1..]))
}

/// The key and value of a record of comma-separated values.
pub(crate) fn csv(record: &Records) -> Result<Entry<'_>, Malformed> {
    match (record.get(0), record.get(1), record.len()) {
        (Some(key), Some(value), 2) => Ok((key, value)),
        (.., columns) => Err(format!(
            "{columns} {}: a key and a value are wanted, in quotes if there is a comma in them",
            if columns == 1 { "column" } else { "columns" }
        )),
    }
}

/// Whether a record is the header of an entry's columns.
pub(crate) fn is_header(record: &Records) -> bool {
    record.len() == 2
        && record
            .iter()
            .zip(["key", "value"])
            .all(|(column, name)| column.eq_ignore_ascii_case(name.as_bytes()))
}

/// The two fields of a JSON object, as they are written: nothing of a line of any length is copied
/// to find them.
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
            // A name may be written with escapes, which at most take six bytes for one.
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

/// Room for the characters of JSON strings that are written with escapes; used again for each line.
#[derive(Debug, Default)]
pub(crate) struct Unescaped {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// The key and value of a line of JSON. A value that is a string gives its characters, any other
/// its JSON text as written.
pub(crate) fn json<'a>(line: &'a [u8], room: &'a mut Unescaped) -> Result<Entry<'a>, Malformed> {
    let object: Object<'a> = serde_json::from_slice(line).map_err(|error| {
        // The parser sees one line, so the number of the line it names would mislead.
        let (text, column) = (error.to_string(), error.column());
        let place = format!(" at line {} column {column}", error.line());
        let reason = text.strip_suffix(place.as_str()).unwrap_or(&text);
        format!("not {{\"key\": …, \"value\": …}}: {reason} (column {column})")
    })?;
    let key = string(object.key.get()).ok_or("not {\"key\": …, \"value\": …}: the key is no string")?;
    let key = unescape(key, &mut room.key)?;
    let value = match string(object.value.get()) {
        Some(string) => unescape(string, &mut room.value)?,
        None => object.value.get().as_bytes(),
    };
    Ok((key, value))
}

/// What stands between the quotes of a JSON string; `None` for other JSON.
fn string(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// The characters of a JSON string, whose syntax has been checked. A parser of JSON would abort the
/// process if there were no memory for them.
fn unescape<'a>(string: &'a str, room: &'a mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    let Some(first) = memchr::memchr(b'\\', string.as_bytes()) else { return Ok(string.as_bytes()) };
    room.clear();
    room.try_reserve(string.len())
        .map_err(|_| format!("a string of {} bytes: there is no memory for it", string.len()))?;
    let (mut rest, mut escape) = (string, Some(first));
    while let Some(at) = escape {
        room.extend_from_slice(&rest.as_bytes()[..at]);
        let character;
        (character, rest) = unescape_one(&rest[at + 1..]).ok_or_else(|| {
            format!(
                "not {{\"key\": …, \"value\": …}}: half a character, {}",
                show_text(rest[at..].get(..6).unwrap_or_default().as_bytes())
            )
        })?;
        room.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        escape = memchr::memchr(b'\\', rest.as_bytes());
    }
    room.extend_from_slice(rest.as_bytes());
    Ok(room)
}

/// The character that an escape stands for, and what follows it; `None` for a surrogate without its
/// other half.
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

/// The words of a line of plain text, between white space (that of ASCII, for the text need not be
/// UTF-8).
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
            let mut room = Unescaped::default();
            let (key, value) = json(line.as_bytes(), &mut room).unwrap();
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
        assert!(reason(b"{\"key\":1,\"value\":2}").ends_with("the key is no string"));
        assert!(reason(b"{\"key\":\"a\",\"value\":\"x\\ud800y\"}").ends_with("half a character, \\\\ud800"));
        assert!(reason(b"{\"key\":\"\xff\",\"value\":1}").starts_with("not {"));
    }

    #[test]
    fn a_field_that_is_unknown_is_named_in_short_and_without_control_characters() {
        let reason =
            |name: &str| json(format!("{{\"{name}\":1}}").as_bytes(), &mut Unescaped::default()).unwrap_err();
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
            let mut room = Unescaped::default();
            match (json(line.as_bytes(), &mut room), expected) {
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
