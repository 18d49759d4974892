//! Reads text from outside: words, tables, traces, scripts of the shell.
//!
//! All readers of text are built from these parts, so all of them follow the same rules.
//!
//! - `-` is standard input.
//! - A byte-order mark of UTF-8 is dropped. UTF-16 and UTF-32 are rejected, and the error names
//!   them.
//! - Gzip is decompressed. Other compressed files are rejected, and the error says how to
//!   decompress them.
//! - A line ends with `\n` or `\r\n`, which are not part of the line. A lone `\r` is data.
//! - The length of a line is limited, by default to [`MAX_LINE_LEN`]. Memory for it is allocated
//!   fallibly, so no line can abort the process.
//! - A line with a NUL byte is rejected, because it comes from a binary file.
//!
//! `leading` detects the kind of an input, `lines` reads lines, and `records` reads comma-separated
//! values.

mod leading;
mod lines;
mod records;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use self::leading::Leading;
pub use self::lines::Lines;
pub use self::records::Records;
use crate::error::{Error, Result};

/// Default limit of the length of a line in bytes: 64 MiB.
pub const MAX_LINE_LEN: usize = 64 << 20;

/// Size of the read buffer in bytes.
const BUFFER: usize = 1 << 18;

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A complete line or record.
    Whole,
    /// A malformed line or record, and the reason. The next one may be good.
    Malformed(String),
    /// The end of the input.
    End,
}

/// A text input, after decompression and without a byte-order mark.
pub struct Input {
    path: PathBuf,
    reader: Box<dyn BufRead>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Input {
    /// Opens a file, or standard input if the path is `-`.
    ///
    /// # Errors
    /// Returns the errors of [`source`] and [`Input::new`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(path, source(path)?.0)
    }

    /// Starts to read what [`source`] opened. The path is only used in errors.
    ///
    /// Reads only as many bytes as needed to detect the kind of the input, and waits for no more.
    /// So a program that writes a single line gets its answer.
    ///
    /// # Errors
    /// [`Error::File`] if the input cannot be read, and [`Error::Line`] if it is not readable text.
    pub fn new(path: &Path, source: Box<dyn Read>) -> Result<Self> {
        let source = Ended { source, is_ended: false };
        let (leading, reader) = look(path, Box::new(BufReader::with_capacity(BUFFER, source)))?;
        let reader = if leading == Leading::Gzip {
            let unpacked: Box<dyn Read> = Box::new(Unpacked(Some(GzDecoder::new(reader))));
            let (leading, reader) =
                look(path, Box::new(BufReader::with_capacity(BUFFER, unpacked)))?;
            if leading == Leading::Gzip {
                return Err(refused(
                    path,
                    "compressed twice with gzip: decompress it once with `gzip -dc`".to_owned(),
                ));
            }
            reader
        } else {
            reader
        };
        Ok(Self { path: path.to_owned(), reader })
    }

    /// Reads the whole input as UTF-8 text.
    ///
    /// # Errors
    /// [`Error::File`] if the input cannot be read, and [`Error::Line`] for a line that is binary
    /// or not UTF-8.
    pub fn text(mut self) -> Result<String> {
        let mut bytes = Vec::new();
        let read = self.reader.read_to_end(&mut bytes);
        read.map_err(|error| Error::unreadable(&self.path, error))?;
        let wrong = |at: usize, reason: &str| {
            let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
            Error::Line { path: self.path.clone(), line, reason: reason.to_owned() }
        };
        if let Some(at) = memchr::memchr(0, &bytes) {
            return Err(wrong(at, "a byte is NUL: this is a binary file, not text"));
        }
        if let Err(error) = std::str::from_utf8(&bytes) {
            return Err(wrong(
                error.valid_up_to(),
                "a byte is not UTF-8, and only UTF-8 can be read",
            ));
        }
        Ok(String::from_utf8(bytes).expect("it was checked"))
    }

    /// Reads the input by lines of at most `longest` bytes.
    #[must_use]
    pub fn lines(self, longest: usize) -> Lines {
        Lines::new(self, longest)
    }

    /// Reads the input as comma-separated values, in records of at most `longest` bytes.
    #[must_use]
    pub fn records(self, longest: usize) -> Records {
        Records::new(self, longest)
    }

    /// Returns the next bytes, or none at the end of the input.
    fn fill(&mut self) -> Result<&[u8]> {
        loop {
            match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::unreadable(&self.path, error)),
                // The buffer is filled. Return it after the loop, because the borrow checker
                // rejects a return of the borrow from here.
                Ok(_) => break,
            }
        }
        self.reader.fill_buf().map_err(|error| Error::unreadable(&self.path, error))
    }
}

/// Opens the file at a path, or standard input if the path is `-`. Returns its raw bytes and, for a
/// regular file, its length.
///
/// # Errors
/// [`Error::File`] if the file cannot be opened.
pub fn source(path: &Path) -> Result<(Box<dyn Read>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let unreadable = |error| Error::unreadable(path, error);
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}

/// Detects the kind of an input. Returns the kind, and a reader of the input without a byte-order
/// mark.
fn look(path: &Path, mut reader: Box<dyn BufRead>) -> Result<(Leading, Box<dyn BufRead>)> {
    let (leading, mut bytes) =
        Leading::read(&mut reader).map_err(|error| Error::unreadable(path, error))?;
    match leading {
        Leading::Text | Leading::Gzip => {}
        Leading::Utf8Mark => bytes.clear(),
        Leading::Encoding(name, option) => {
            return Err(refused(
                path,
                format!(
                    "{name}, and only UTF-8 can be read: convert it with `iconv -f {option} -t UTF-8`"
                ),
            ));
        }
        Leading::Compressed(name, command) => {
            return Err(refused(
                path,
                format!(
                    "compressed with {name}, and only gzip can be read: decompress it with `{command}`"
                ),
            ));
        }
    }
    Ok((
        leading,
        if bytes.is_empty() { reader } else { Box::new(Cursor::new(bytes).chain(reader)) },
    ))
}

/// Returns the error that rejects a whole input.
fn refused(path: &Path, reason: String) -> Error {
    Error::Line { path: path.to_owned(), line: 1, reason }
}

/// A source that stays at its end. At a terminal, a read after the end of the input would wait for
/// more input.
struct Ended {
    source: Box<dyn Read>,
    is_ended: bool,
}

impl Read for Ended {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_ended {
            return Ok(0);
        }
        let read = self.source.read(buffer)?;
        self.is_ended = read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

/// Decompresses all gzip members of an input. Its errors mention gzip. Zeros after a member are
/// padding, as on a tape, and are skipped.
struct Unpacked<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Unpacked<R> {
    fn read_members(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let source = member.get_mut();
            let is_ended = loop {
                let bytes = source.fill_buf()?;
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                if zeros == 0 {
                    break bytes.is_empty();
                }
                source.consume(zeros);
            };
            self.0 = self
                .0
                .take()
                .filter(|_| !is_ended)
                .map(|member| GzDecoder::new(member.into_inner()));
        }
        Ok(0)
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_members(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                format!("its gzip data is damaged or cut short ({error})"),
            ),
            _ => error,
        })
    }
}

/// Reserves space for `more` bytes fallibly. At least doubles the capacity, but not beyond `most`
/// bytes in total.
fn reserve(buffer: &mut Vec<u8>, more: usize, most: usize) -> Result<(), String> {
    let needed = buffer.len() + more;
    if needed <= buffer.capacity() {
        return Ok(());
    }
    let wanted = needed.max((2 * buffer.capacity()).min(most));
    buffer
        .try_reserve_exact(wanted - buffer.len())
        .map_err(|_| format!("longer than {} bytes: there is no memory for more", buffer.len()))
}

/// Returns the reason why a line or record of more than `longest` bytes is rejected.
fn too_long(longest: usize) -> String {
    format!("longer than {longest} bytes, the longest that is taken")
}

/// Returns the reason why a line or record with a NUL byte is rejected, or `None` without such a
/// byte.
fn binary(bytes: &[u8]) -> Option<String> {
    let at = memchr::memchr(0, bytes)?;
    Some(format!("byte {} is NUL: this is a binary file, not text", at + 1))
}
