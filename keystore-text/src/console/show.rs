//! Converts foreign bytes to text that is safe to print to a terminal.

use std::fmt::{self, Write};
use std::path::Path;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Maximum number of characters of a name in a message. A longer name is cut, and its length is
/// added.
const NAME_CHARACTERS: usize = 120;

/// Shows bytes as one word of the shell. Typed back at the shell's prompt, the text gives the same
/// bytes.
///
/// UTF-8 is kept as it is, and a backslash is doubled. Three kinds of input are escaped: control
/// characters (`\n`), characters that are invisible or change the direction of text (`\u{202e}`),
/// and bytes that are not UTF-8 (`\xff`). A word that is empty or contains a space or a quote is
/// put in double quotes.
#[must_use]
pub const fn show(bytes: &[u8]) -> Shown<'_> {
    Shown { bytes, is_word: true, most: usize::MAX }
}

/// Shows bytes like [`show`], but for a message: text after 120 characters is cut, and the length
/// is added.
#[must_use]
pub const fn show_name(bytes: &[u8]) -> Shown<'_> {
    Shown { bytes, is_word: true, most: NAME_CHARACTERS }
}

/// Shows foreign text inside a sentence: escaped like [`show`], but without quotes, and cut like
/// [`show_name`].
#[must_use]
pub const fn show_text(bytes: &[u8]) -> Shown<'_> {
    Shown { bytes, is_word: false, most: NAME_CHARACTERS }
}

/// Shows the name of an input: `standard input` for `-`, otherwise the path like [`show_text`], but
/// with up to 1,000 characters.
#[must_use]
pub fn show_path(path: &Path) -> Shown<'_> {
    let bytes = if path == Path::new("-") {
        b"standard input"
    } else {
        path.as_os_str().as_encoded_bytes()
    };
    Shown { bytes, is_word: false, most: 1000 }
}

/// Bytes that display as text; see [`show`].
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    bytes: &'a [u8],
    /// Whether the text must read back as one word.
    is_word: bool,
    /// Maximum number of characters and invalid bytes to show. The rest is cut.
    most: usize,
}

impl fmt::Display for Shown<'_> {
    /// Streams the text, so that showing a value of any length needs no memory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.is_word
            && (self.bytes.is_empty()
                || self.bytes[0] == b'#'
                || self.bytes.iter().any(|byte| matches!(byte, b' ' | b'"' | b'\'')));
        if quoted {
            f.write_char('"')?;
        }
        let cut = self.write_escaped(f, quoted)?;
        if cut {
            f.write_char('…')?;
        }
        if quoted {
            f.write_char('"')?;
        }
        if cut { write!(f, " ({} bytes)", self.bytes.len()) } else { Ok(()) }
    }
}

impl Shown<'_> {
    /// Writes the text. Returns whether it was cut.
    fn write_escaped(&self, f: &mut fmt::Formatter<'_>, quoted: bool) -> Result<bool, fmt::Error> {
        let mut left = self.most;
        let is_verbatim =
            |character| is_plain(character) && character != '\\' && !(quoted && character == '"');
        for chunk in self.bytes.utf8_chunks() {
            let mut rest = chunk.valid();
            while !rest.is_empty() {
                // Write a run of characters without escapes in one piece.
                let mut run = 0;
                for (at, character) in rest.char_indices() {
                    run = at;
                    if left == 0 || !is_verbatim(character) {
                        break;
                    }
                    left -= 1;
                    run = at + character.len_utf8();
                }
                f.write_str(&rest[..run])?;
                rest = &rest[run..];
                let Some(character) = rest.chars().next() else { break };
                if left == 0 {
                    return Ok(true);
                }
                left -= 1;
                write!(f, "{}", Escaped(character))?;
                rest = &rest[character.len_utf8()..];
            }
            for byte in chunk.invalid() {
                if left == 0 {
                    return Ok(true);
                }
                left -= 1;
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(false)
    }
}

/// A character, displayed as its escape sequence.
struct Escaped(char);

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            '\\' | '"' => write!(f, "\\{}", self.0),
            other => write!(f, "{}", other.escape_unicode()),
        }
    }
}

/// Returns whether a terminal shows the character and does nothing else with it.
///
/// These characters are not plain: control and format characters (which move the cursor, change the
/// direction of text, or join their neighbours), separators other than the space, invisible
/// letters, and code points without a meaning.
#[must_use]
pub fn is_plain(character: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate,
        Unassigned,
    };
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    // Invisible letters, marks and symbols. Their category does not show that they are invisible.
    let is_invisible = matches!(
        character,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    );
    !is_invisible
        && !matches!(
            character.general_category(),
            Control
                | Format
                | LineSeparator
                | ParagraphSeparator
                | PrivateUse
                | SpaceSeparator
                | Surrogate
                | Unassigned
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is_and_the_rest_escaped() {
        let shown = |bytes: &[u8]| show(bytes).to_string();
        assert_eq!(shown("naïve".as_bytes()), "naïve");
        assert_eq!(shown("नमस्ते-e\u{301}".as_bytes()), "नमस्ते-e\u{301}");
        assert_eq!(shown(b"a\tb\x1b[31m\n"), "a\\tb\\u{1b}[31m\\n");
        assert_eq!(shown(b"caf\xe9!"), "caf\\xe9!");
        assert_eq!(
            shown("\u{202e}gnp.exe\u{200b}\u{2028}".as_bytes()),
            "\\u{202e}gnp.exe\\u{200b}\\u{2028}"
        );
    }

    #[test]
    fn a_line_end_and_a_backslash_with_an_n_are_shown_differently() {
        assert_eq!(show(b"x\ny").to_string(), "x\\ny");
        assert_eq!(show(b"x\\ny").to_string(), "x\\\\ny");
    }

    #[test]
    fn what_would_not_be_one_word_stands_in_quotes() {
        for (bytes, word) in [
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("it's", "\"it's\""),
            ("#a", "\"#a\""),
            ("a\"b", "\"a\\\"b\""),
        ] {
            assert_eq!(show(bytes.as_bytes()).to_string(), word);
        }
        assert_eq!(show_text(b"a \"b\"").to_string(), "a \"b\"");
    }

    #[test]
    fn a_long_name_is_cut_and_its_length_told() {
        let long = "é".repeat(100_000);
        assert_eq!(
            show_name(long.as_bytes()).to_string(),
            format!("{}… (200000 bytes)", "é".repeat(120))
        );
        let escapes = [0x1b_u8; 121];
        assert_eq!(show_text(&escapes).to_string().matches("\\u{1b}").count(), 120);
        assert_eq!(show_name(&long.as_bytes()[..240]).to_string(), "é".repeat(120));
        assert_eq!(show_path(Path::new("-")).to_string(), "standard input");
        assert_eq!(show_path(Path::new("a\u{7}b c")).to_string(), "a\\u{7}b c");
    }
}
