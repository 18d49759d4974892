//! Reading entries from files: tab-separated values, JSON Lines, plain text. Bytes throughout: only JSON has to be UTF-8.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::path::Path;

use keystore_core::{MAX_KEY_LEN, MAX_VALUE_LEN};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest line, bytes: what the longest key and the longest value take with a character between them. A longer line can
/// be no entry; it is passed over without being held.
const MAX_LINE_LEN: u64 = MAX_KEY_LEN as u64 + 1 + MAX_VALUE_LEN as u64;

/// What a file holds, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `.tsv`: a key, a tab, and the value up to the line's end, further tabs included.
    Tsv,
    /// `.jsonl`: `{"key": …, "value": …}` on each line.
    JsonLines,
    /// Anything else: words between white space (that of ASCII, for the text need not be UTF-8).
    Text,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("tsv") => Self::Tsv,
            Some(extension) if extension.eq_ignore_ascii_case("jsonl") => Self::JsonLines,
            _ => Self::Text,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tsv => "tab-separated values",
            Self::JsonLines => "JSON Lines",
            Self::Text => "plain text",
        }
    }
}

/// One line, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is in the buffer, without its end (`\n` or `\r\n`).
    Whole,
    /// It was too long and has been passed over.
    TooLong,
    /// The file is at its end.
    End,
}

/// Reads lines into one buffer, and counts them.
pub(crate) struct Lines<R> {
    reader: R,
    longest: u64,
    pub(crate) buffer: Vec<u8>,
    /// The number of the line in the buffer, from 1.
    pub(crate) number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self::with_longest(reader, MAX_LINE_LEN)
    }

    fn with_longest(reader: R, longest: u64) -> Self {
        Self { reader, longest, buffer: Vec::new(), number: 0 }
    }

    /// Reads the next line.
    pub(crate) fn advance(&mut self) -> io::Result<Line> {
        self.buffer.clear();
        // Room for the line's end.
        let most = self.longest + 2;
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.number += 1;
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
        } else if read as u64 == most {
            self.reader.skip_until(b'\n')?;
        }
        if self.number == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
            // A byte order mark says "UTF-8" and belongs to no key.
            self.buffer.drain(..3);
        }
        Ok(if self.buffer.len() as u64 > self.longest { Line::TooLong } else { Line::Whole })
    }
}

/// Why a line is malformed.
pub(crate) type Malformed = String;

/// The key and value of a line of tab-separated values.
pub(crate) fn tsv(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let tab = line.iter().position(|&byte| byte == b'\t').ok_or("no tab between a key and a value")?;
    Ok((&line[..tab], &line[tab + 1..]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonEntry<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// The key and value of a line of JSON. A value that is a string gives its characters, any other its JSON text as written.
pub(crate) fn json(line: &[u8]) -> Result<(Cow<'_, str>, Cow<'_, str>), Malformed> {
    let malformed = |error: serde_json::Error| {
        // The parser sees one line, so the number of the line it names would mislead.
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or(&text);
        format!("not {{\"key\": …, \"value\": …}}: {reason} (column {})", error.column())
    };
    let entry: JsonEntry<'_> = serde_json::from_slice(line).map_err(malformed)?;
    let text = entry.value.get();
    let value = if text.starts_with('"') {
        Cow::Owned(serde_json::from_str(text).map_err(malformed)?)
    } else {
        Cow::Borrowed(text)
    };
    Ok((entry.key, value))
}

/// The words of a line of plain text.
pub(crate) fn words(line: &[u8]) -> Result<impl Iterator<Item = &[u8]>, Malformed> {
    let words = || line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if let Some(word) = words().find(|word| word.len() > MAX_KEY_LEN) {
        return Err(format!("a word of {} bytes: keys have 1 to {MAX_KEY_LEN} bytes", word.len()));
    }
    Ok(words())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], longest: u64) -> Vec<(Line, Vec<u8>)> {
        let mut lines = Lines::with_longest(text, longest);
        let mut all = Vec::new();
        loop {
            match lines.advance().unwrap() {
                Line::End => return all,
                line => all.push((line, lines.buffer.clone())),
            }
        }
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let whole = |text: &[u8]| (Line::Whole, text.to_vec());
        assert_eq!(lines(b"", 9), []);
        assert_eq!(lines(b"a\n\nb\r\n c \rd", 9), [whole(b"a"), whole(b""), whole(b"b"), whole(b" c \rd")]);
        assert_eq!(lines(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", 9), [whole(b"a"), whole(b"\xef\xbb\xbfb")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_to_its_end() {
        let all = lines(b"12345\n123456\n12345678901234567890\n12345\r\nend", 5);
        let kinds: Vec<_> = all.iter().map(|line| &line.0).collect();
        assert_eq!(kinds, [&Line::Whole, &Line::TooLong, &Line::TooLong, &Line::Whole, &Line::Whole]);
        assert_eq!(all[3].1, b"12345");
        assert_eq!(all[4].1, b"end");
    }

    #[test]
    fn tab_separated_values_are_cut_at_the_first_tab() {
        assert_eq!(tsv(b"a\tb\tc"), Ok((&b"a"[..], &b"b\tc"[..])));
        assert_eq!(tsv(b"\xff\t"), Ok((&b"\xff"[..], &b""[..])));
        assert!(tsv(b"a b").is_err());
    }

    #[test]
    fn json_values_are_characters_or_the_text_as_written() {
        let value = |line: &'static str| json(line.as_bytes()).map(|entry| entry.1.into_owned());
        assert_eq!(value(r#"{"key":"a","value":"x\ny"}"#).as_deref(), Ok("x\ny"));
        assert_eq!(value(r#"{"value": 1.50 , "key":"a"}"#).as_deref(), Ok("1.50"));
        assert_eq!(value(r#"{"key":"a","value":{"b": [1]}}"#).as_deref(), Ok(r#"{"b": [1]}"#));
        assert_eq!(json(r#"{"key":"\u00e9\t","value":1}"#.as_bytes()).unwrap().0, "é\t");
    }

    #[test]
    fn json_that_is_no_entry_is_told_without_a_wrong_line_number() {
        for line in [
            "",
            "[]",
            "{\"key\":1,\"value\":2}",
            "{\"key\":\"a\"}",
            "{\"key\":\"a\",\"value\":1,\"more\":2}",
            "{\"key\":\"a\",\"value\":\"\\ud800\"}",
            "{\"key\":\"a\",\"value\":1} x",
        ] {
            let reason = json(line.as_bytes()).unwrap_err();
            assert!(reason.contains("column") && !reason.contains("line 1"), "{line}: {reason}");
        }
        assert!(json(b"{\"key\":\"\xff\",\"value\":1}").is_err());
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
