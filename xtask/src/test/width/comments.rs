//! Finds the lines of a source file that have a comment in them.
//!
//! The scanner knows just enough of each language to tell a comment from a string that looks like
//! one, such as `"https://…"`. It splits a text into tokens: a comment, a string, or one character
//! of anything else.

use std::collections::BTreeSet;

/// A language, by the syntax of its comments and strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    C,
    JavaScript,
    Python,
    Toml,
    Shell,
}

/// Length of a token in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Comment(usize),
    Other(usize),
}

/// Returns the numbers, from 1, of the lines that a comment is part of.
pub(super) fn commented_lines(text: &str, language: Language) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let token = language.token(&text[..at], &text[at..]);
        let (Token::Comment(length) | Token::Other(length)) = token;
        let last = line + text[at..at + length].matches('\n').count();
        if matches!(token, Token::Comment(_)) {
            lines.extend(line..=last);
        }
        (at, line) = (at + length, last);
    }
    lines
}

impl Language {
    /// Returns the token at the start of `rest`, which is not empty. `before` is the text up to it.
    fn token(self, before: &str, rest: &str) -> Token {
        let last = before.chars().next_back();
        let comment = match self {
            Self::Rust => line_comment(rest, "//").or_else(|| block_comment(rest, true)),
            Self::C | Self::JavaScript => {
                line_comment(rest, "//").or_else(|| block_comment(rest, false))
            }
            Self::Python | Self::Toml => line_comment(rest, "#"),
            // In the middle of a word, `#` starts no comment: `$#`, `${name#prefix}`.
            Self::Shell if last.is_none_or(char::is_whitespace) => line_comment(rest, "#"),
            Self::Shell => None,
        };
        if let Some(length) = comment {
            return Token::Comment(length);
        }
        let string = match self {
            Self::Rust => raw_string(before, rest)
                .or_else(|| character(rest))
                .or_else(|| string(rest, "\"", true, true)),
            Self::C => string(rest, "\"", true, false).or_else(|| string(rest, "'", true, false)),
            Self::JavaScript => string(rest, "\"", true, false)
                .or_else(|| string(rest, "'", true, false))
                .or_else(|| string(rest, "`", true, true)),
            Self::Python => {
                // A string in triple quotes is documentation in most places.
                let long =
                    ["\"\"\"", "'''"].into_iter().find_map(|quote| string(rest, quote, true, true));
                if let Some(length) = long {
                    return Token::Comment(length);
                }
                string(rest, "\"", true, false).or_else(|| string(rest, "'", true, false))
            }
            Self::Toml => string(rest, "\"\"\"", true, true)
                .or_else(|| string(rest, "'''", false, true))
                .or_else(|| string(rest, "\"", true, false))
                .or_else(|| string(rest, "'", false, false)),
            // A backslash outside quotes escapes a quote.
            Self::Shell => rest
                .starts_with('\\')
                .then(|| chars(rest, 2))
                .or_else(|| string(rest, "\"", true, true))
                .or_else(|| string(rest, "'", false, true)),
        };
        Token::Other(string.unwrap_or_else(|| chars(rest, 1)))
    }
}

/// Returns the bytes of the first `count` characters of a text, or of all if it has fewer.
fn chars(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

/// Returns the length of a comment that ends with its line, without the line's end.
fn line_comment(rest: &str, start: &str) -> Option<usize> {
    rest.starts_with(start).then(|| rest.find('\n').unwrap_or(rest.len()))
}

/// Returns the length of a comment `/* … */`. In Rust such comments nest.
fn block_comment(rest: &str, nests: bool) -> Option<usize> {
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < rest.len() {
        let tail = &rest[at..];
        if tail.starts_with("*/") {
            (at, depth) = (at + 2, depth - 1);
        } else if nests && tail.starts_with("/*") {
            (at, depth) = (at + 2, depth + 1);
        } else {
            at += chars(tail, 1);
        }
    }
    Some(at)
}

/// Returns the length of a string between two equal quotes. In a string with escapes, a backslash
/// and the next character belong together. A string that may not have several lines ends with its
/// line.
fn string(rest: &str, quote: &str, escapes: bool, multiline: bool) -> Option<usize> {
    if !rest.starts_with(quote) {
        return None;
    }
    let mut at = quote.len();
    while at < rest.len() {
        let tail = &rest[at..];
        if tail.starts_with(quote) {
            return Some(at + quote.len());
        }
        if !multiline && tail.starts_with('\n') {
            break;
        }
        at += if escapes && tail.starts_with('\\') { chars(tail, 2) } else { chars(tail, 1) };
    }
    Some(at)
}

/// Returns the length of a raw string of Rust from its `r`: `r"…"`, `r#"…"#`.
fn raw_string(before: &str, rest: &str) -> Option<usize> {
    let behind = rest.strip_prefix('r')?;
    // The `r` may end a word (`for`), unless the word is a prefix of raw strings (`br`, `cr`).
    let word = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    if !["", "b", "c"].contains(&word) {
        return None;
    }
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    let content = behind[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end).map_or(content.len(), |at| at + end.len());
    Some(rest.len() - content.len() + length)
}

/// Returns the length of a character of Rust, `'x'` or `'\n'`; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let content = rest.strip_prefix('\'')?;
    if content.starts_with('\\') {
        return string(rest, "'", true, false);
    }
    let length = chars(content, 1);
    content[length..].starts_with('\'').then_some(length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(language: Language, text: &str) -> Vec<usize> {
        commented_lines(text, language).into_iter().collect()
    }

    #[test]
    fn comments_of_rust_are_told_from_strings_characters_and_lifetimes() {
        let text = r####"
let url = "https://example.org"; let quote = '"';
let escaped = "\" // no"; let escape = '\''; // 3
let raw = r#"" // no "#; let bytes = br"\"; // 4
fn f<'a>(text: &'a str) {} // 5
let long = "one
// no
two"; /* 8
/* nested */
10 */ let é = 'é'; let for_r = "x"; // "
/// 11
"####;
        assert_eq!(lines(Language::Rust, text), [3, 4, 5, 8, 9, 10, 11]);
    }

    #[test]
    fn comments_of_c_do_not_nest_and_strings_end_with_their_line() {
        let text = "char *url = \"http://x\"; char c = '\"';\n/* 2 /* \n*/ int x; // 3\n#error don't\nint y; // 5\n";
        assert_eq!(lines(Language::C, text), [2, 3, 5]);
        assert_eq!(lines(Language::JavaScript, "`a\n// no\n`; 'it//s'\nx(); // 4\n"), [4]);
    }

    #[test]
    fn hashes_within_strings_and_words_start_no_comment() {
        assert_eq!(
            lines(Language::Toml, "a = \"#\" # 1\nb = '''\n# no\n'''\nc = '\\' # 5\n"),
            [1, 5]
        );
        let script = "echo $# \"# no\" '# no'\necho ${a#b} \\' # 2\n# 3\n";
        assert_eq!(lines(Language::Shell, script), [2, 3]);
    }

    #[test]
    fn documentation_of_python_counts_as_a_comment() {
        assert_eq!(lines(Language::Python, "x = '#'\n\"\"\"2\n3\"\"\"\ny = 1 # 4\n"), [2, 3, 4]);
    }

    #[test]
    fn what_is_never_closed_ends_with_the_text() {
        for (language, text, expected) in [
            (Language::Rust, "/* a\nb", &[1, 2][..]),
            (Language::Rust, "\"a\\", &[]),
            (Language::Rust, "r##\"a\"#\n// b", &[]),
            (Language::Python, "'''a\n", &[1, 2]),
        ] {
            assert_eq!(lines(language, text), expected, "{text}");
        }
    }
}
