//! How keys and values are printed.

use std::io::{self, Write};

use keystore_text::console::show;

/// What the help says of escapes.
pub(crate) const ESCAPES: &str = "\
Keys and values are printed so that a terminal shows them and the shell reads them back. A
backslash is printed as \\\\, a line end as \\n, a byte that is not UTF-8 as \\xff. Invisible
characters, and those that change the direction of text, are printed as \\u{202e}. What is empty
or has a space or a quote in it stands in double quotes. --raw prints the bytes as they are.

A line may have 67108864 bytes (64 MiB), or as many as --longest-line says. A byte-order mark of
UTF-8 is dropped; a line ends with \\n or \\r\\n, and a lone \\r is data, also in CSV. Gzip is
decompressed; zeros behind it are ignored, as `gzip -d` does. Other encodings, other compression and
binary files are refused.

Exit codes: 0 all went well; 1 a failure; 2 wrong arguments.";

/// How bytes of a store are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As words of the shell.
    Word,
    /// As they are.
    Raw,
}

impl Style {
    pub(crate) const fn new(is_raw: bool) -> Self {
        if is_raw { Self::Raw } else { Self::Word }
    }

    /// Prints a value on a line.
    pub(crate) fn value(self, out: &mut impl Write, value: &[u8]) -> io::Result<()> {
        self.bytes(out, value)?;
        writeln!(out)
    }

    /// Prints an entry on a line, with a tab between key and value.
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
