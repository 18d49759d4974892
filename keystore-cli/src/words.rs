//! Splits a line of the shell into words.
//!
//! White space separates words. In single quotes every character stands for itself. Elsewhere a
//! backslash starts an escape: `\n`, `\r`, `\t` and `\0`, a byte as `\xff`, a character as
//! `\u{e9}`, and any punctuation or space as itself. In double quotes spaces belong to the word. A
//! word that starts with `#` starts a comment.
//!
//! The output of `keystore_text::console::show` is one word, which reads back as the same bytes.

use std::fmt;

/// Maximum number of words that are kept. Every operation takes fewer.
const MAX_WORDS: usize = 8;

/// The reason why a line cannot be split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("a quote is not closed, or the line ends with a backslash")]
    Open,
    #[error("unknown escape {0}: write a backslash as \\\\")]
    Escape(String),
    #[error("not enough memory for the words of a line of {0} bytes")]
    Memory(usize),
}

/// The words of a line, in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Words {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Number of all words, including those beyond [`MAX_WORDS`].
    count: usize,
    /// Position of the last word in the line; the end of the line if it ends between words.
    last_start: usize,
}

impl Words {
    /// Splits a line.
    pub(crate) fn split(line: &[u8]) -> Result<Self, Unreadable> {
        let (words, is_open) = Self::split_open(line)?;
        if is_open { Err(Unreadable::Open) } else { Ok(words) }
    }

    /// Splits an incomplete line. Returns its words, and true if the last word ends within a quote
    /// or an escape.
    pub(crate) fn split_open(line: &[u8]) -> Result<(Self, bool), Unreadable> {
        let mut words = Self { last_start: line.len(), ..Self::default() };
        words.bytes.try_reserve_exact(line.len()).map_err(|_| Unreadable::Memory(line.len()))?;
        let mut rest = Rest { line, at: 0 };
        loop {
            while rest.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
                rest.at += 1;
            }
            words.last_start = rest.at;
            match rest.peek() {
                None => return Ok((words, false)),
                Some(b'#') => {
                    words.last_start = line.len();
                    return Ok((words, false));
                }
                Some(_) => {}
            }
            let is_open = rest.word(&mut words.bytes)?;
            words.count += 1;
            if words.ends.len() < MAX_WORDS {
                words.ends.push(words.bytes.len());
            } else {
                words.bytes.truncate(words.ends[MAX_WORDS - 1]);
            }
            if is_open || rest.peek().is_none() {
                return Ok((words, is_open));
            }
        }
    }

    /// Returns the number of words.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Returns a word. `None` beyond the last word, and beyond [`MAX_WORDS`].
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    /// Returns the position of the last word in the line.
    pub(crate) const fn last_start(&self) -> usize {
        self.last_start
    }
}

/// The part of a line that is not split yet.
struct Rest<'a> {
    line: &'a [u8],
    at: usize,
}

impl Rest<'_> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Appends a word to `bytes`. Returns true if the line ends within a quote or an escape.
    fn word(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Unreadable> {
        while let Some(byte) = self.peek() {
            if byte.is_ascii_whitespace() {
                break;
            }
            self.at += 1;
            let is_open = match byte {
                b'\'' => self.single_quoted(bytes),
                b'"' => self.double_quoted(bytes)?,
                b'\\' => self.escape(bytes)?,
                _ => {
                    bytes.push(byte);
                    false
                }
            };
            if is_open {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn single_quoted(&mut self, bytes: &mut Vec<u8>) -> bool {
        while let Some(byte) = self.next() {
            if byte == b'\'' {
                return false;
            }
            bytes.push(byte);
        }
        true
    }

    fn double_quoted(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Unreadable> {
        while let Some(byte) = self.next() {
            match byte {
                b'"' => return Ok(false),
                b'\\' => {
                    if self.escape(bytes)? {
                        return Ok(true);
                    }
                }
                _ => bytes.push(byte),
            }
        }
        Ok(true)
    }

    /// Appends the byte or character of an escape. Returns true if the line ends within it.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Unreadable> {
        let start = self.at - 1;
        let Some(byte) = self.next() else { return Ok(true) };
        let escaped = match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let Some(digits) = self.line.get(self.at..self.at + 2) else { return Ok(true) };
                self.at += 2;
                u8::try_from(hexadecimal(digits).ok_or_else(|| self.unknown(start))?)
                    .map_err(|_| self.unknown(start))?
            }
            b'u' => return self.character(start, bytes),
            b' ' | b'!'..=b'/' | b':'..=b'@' | b'['..=b'`' | b'{'..=b'~' => byte,
            _ => return Err(self.unknown(start)),
        };
        bytes.push(escaped);
        Ok(false)
    }

    /// Appends a character by its code point, `{e9}`. Returns true if the line ends within it.
    fn character(&mut self, start: usize, bytes: &mut Vec<u8>) -> Result<bool, Unreadable> {
        if self.peek().is_some_and(|byte| byte != b'{') {
            return Err(self.unknown(start));
        }
        let rest = &self.line[self.at..];
        let Some(end) = rest.iter().take(8).position(|&byte| byte == b'}') else {
            return if rest.len() < 8 { Ok(true) } else { Err(self.unknown(start)) };
        };
        let character = hexadecimal(&rest[1..end]).and_then(char::from_u32);
        self.at += end + 1;
        let character = character.ok_or_else(|| self.unknown(start))?;
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(false)
    }

    fn unknown(&self, start: usize) -> Unreadable {
        Unreadable::Escape(Escape(&self.line[start..self.at]).to_string())
    }
}

/// An escape sequence as typed. Bytes that are not UTF-8 are displayed as escapes.
struct Escape<'a>(&'a [u8]);

impl fmt::Display for Escape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            f.write_str(chunk.valid())?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
        })
    }
}

/// Parses one to six hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if !(1..=6).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |number, &digit| Some(16 * number + char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use keystore_text::console::{is_plain, show};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn split(line: &str) -> Result<Vec<Vec<u8>>, Unreadable> {
        let words = Words::split(line.as_bytes())?;
        Ok((0..words.len()).map(|index| words.get(index).unwrap().to_vec()).collect())
    }

    #[test]
    fn words_are_split_quoted_and_unescaped() {
        let words: [(&str, &[&[u8]]); 11] = [
            ("", &[]),
            ("  # a 'comment", &[]),
            ("a  b\tc", &[b"a", b"b", b"c"]),
            ("a b#c #d", &[b"a", b"b#c"]),
            (r#""a b" 'c d'e"#, &[b"a b", b"c de"]),
            (r#"'' """#, &[b"", b""]),
            (r"a\ b \#c \\ \'", &[b"a b", b"#c", b"\\", b"'"]),
            (r"\n\r\t\0\xff\u{e9}", &[b"\n\r\t\0\xff\xc3\xa9"]),
            (r#""\n\"\xfe" '\n'"#, &[b"\n\"\xfe", b"\\n"]),
            (r#"'it'\''s'"#, &[b"it's"]),
            ("caf\u{e9}", &["caf\u{e9}".as_bytes()]),
        ];
        for (line, expected) in words {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for line in ["'a", "\"a", "a\\", "\"\\", "\\x4", "\\u", "\\u{", "\\u{20"] {
            assert_eq!(split(line), Err(Unreadable::Open), "{line}");
        }
        for (line, escape) in [
            (r"a\q", r"\q"),
            (r"\xg0 b", r"\xg0"),
            (r"\u00e9", r"\u"),
            (r"\u{d800}", r"\u{d800}"),
            (r"\u{}", r"\u{}"),
            (r"\u{1234567} b", r"\u"),
        ] {
            assert_eq!(split(line), Err(Unreadable::Escape(escape.to_owned())), "{line}");
        }
    }

    #[test]
    fn words_beyond_those_that_any_verb_takes_are_counted_and_not_kept() {
        let words = Words::split(&b"ab ".repeat(100_000)).unwrap();
        assert_eq!((words.len(), words.get(7), words.get(8)), (100_000, Some(&b"ab"[..]), None));
        assert_eq!(words.bytes.len(), 16);
    }

    #[test]
    fn the_last_word_is_found_while_it_is_typed() {
        for (line, start, is_open) in [
            ("get ap", 4, false),
            ("get ", 4, false),
            ("get 'a p", 4, true),
            ("get \"a\\", 4, true),
            ("", 0, false),
        ] {
            let (words, open) = Words::split_open(line.as_bytes()).unwrap();
            assert_eq!((words.last_start(), open), (start, is_open), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_bytes(bytes in vec(any::<u8>(), 0..40)) {
            check(&bytes)?;
        }

        #[test]
        fn text_that_is_shown_reads_back_too(text in "\\PC*|.*|[ '\"#\\\\\\p{Cf}\\p{Z}\\p{M}a]*") {
            check(text.as_bytes())?;
        }
    }

    fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
        let shown = show(bytes).to_string();
        prop_assert!(shown.chars().all(is_plain), "{shown:?}");
        // Check the word between two others, as in `cas KEY OLD NEW`.
        let words = split(&format!("a {shown} b")).unwrap();
        prop_assert_eq!(words, [b"a", bytes, b"b"]);
        Ok(())
    }
}
