//! Printing of keys and values.

use std::io::{self, Write};

use keystore_text::console::show;

/// Explanation of escapes and of input text, for `--help`.
pub(crate) const ESCAPES: &str = "\
Keys and values are printed so that a terminal can show them and the shell can read them back. A
backslash is printed as \\\\, a line end as \\n, and a byte that is not UTF-8 as \\xff. Invisible
characters, and characters that change the direction of text, are printed as \\u{202e}. A word is
printed in double quotes if it is empty or contains a space or a quote. --raw prints bytes unchanged.

A line has at most 67108864 bytes (64 MiB), unless --longest-line sets another limit. It ends with
\\n or \\r\\n; a lone \\r is data, also in CSV. A UTF-8 byte-order mark is dropped. Gzip is
decompressed, and zeros after the gzip data are ignored, as `gzip -d` does. Other encodings, other
compression formats and binary files are refused.

Exit codes: 0 success; 1 failure; 2 wrong arguments.";

/// Form in which keys and values are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As words of the shell, with escapes and quotes.
    Word,
    /// Byte for byte.
    Raw,
}

impl Style {
    pub(crate) const fn new(is_raw: bool) -> Self {
        if is_raw { Self::Raw } else { Self::Word }
    }

    /// Prints a value and a line end.
    pub(crate) fn value(self, out: &mut impl Write, value: &[u8]) -> io::Result<()> {
        self.bytes(out, value)?;
        writeln!(out)
    }

    /// Prints key, tab, value and a line end.
    pub(crate) fn pair(self, out: &mut impl Write, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.bytes(out, key)?;
        write!(out, "\t")?;
        self.value(out, value)
    }

    fn bytes(self, out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Word => write!(out, "{}", show(bytes)),
            Self::Raw => out.write_all(bytes),
        }
    }
}
