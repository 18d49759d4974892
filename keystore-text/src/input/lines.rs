//! Reads the lines of a text.

use super::{Found, Input, binary, reserve, too_long};
use crate::error::Result;

/// Reads lines into one buffer and counts them.
#[derive(Debug)]
pub struct Lines {
    input: Input,
    longest: usize,
    buffer: Vec<u8>,
    number: usize,
    /// Whether the rest of the previous line must be skipped first.
    is_inside: bool,
}

impl Lines {
    pub(super) const fn new(input: Input, longest: usize) -> Self {
        Self { input, longest, buffer: Vec::new(), number: 0, is_inside: false }
    }

    /// Reads the next line. Text after the last line end is a line unless it is empty.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) if reading the input fails.
    pub fn advance(&mut self) -> Result<Found> {
        if self.is_inside {
            self.read_to_end(None)?;
        }
        self.buffer.clear();
        let (read, is_ended) = match self.read_to_end(Some(self.longest))? {
            Read::Nothing => return Ok(Found::End),
            Read::Line { is_ended } => (Ok(()), is_ended),
            Read::Refused(reason) => (Err(reason), false),
        };
        self.number += 1;
        if let Err(reason) = read {
            self.is_inside = true;
            return Ok(Found::Malformed(reason));
        }
        if is_ended && self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        if self.buffer.len() > self.longest {
            return Ok(Found::Malformed(too_long(self.longest)));
        }
        Ok(binary(&self.buffer).map_or(Found::Whole, Found::Malformed))
    }

    /// Returns the line, without its end.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.buffer
    }

    /// Returns the number of the line, from 1.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// Reads up to the end of the line. Without a limit, the bytes are dropped; otherwise, they are
    /// added to the buffer.
    fn read_to_end(&mut self, longest: Option<usize>) -> Result<Read> {
        let mut read = Read::Nothing;
        loop {
            let bytes = self.input.fill()?;
            if bytes.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if let Some(longest) = longest {
                // Allow one more byte for the `\r` of a line end.
                let most = longest.saturating_add(1);
                if part.len() > most - self.buffer.len() {
                    return Ok(Read::Refused(too_long(longest)));
                }
                if let Err(reason) = reserve(&mut self.buffer, part.len(), most) {
                    return Ok(Read::Refused(reason));
                }
                self.buffer.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.reader.consume(used);
            read = Read::Line { is_ended: end.is_some() };
            if end.is_some() {
                break;
            }
        }
        self.is_inside = false;
        Ok(read)
    }
}

/// The result of reading a line.
enum Read {
    Nothing,
    Line {
        is_ended: bool,
    },
    /// The line cannot be held, for this reason. The rest of it is unread.
    Refused(String),
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::error::Error;

    fn input(text: &[u8]) -> Result<Input> {
        Input::new(Path::new("file"), Box::new(std::io::Cursor::new(text.to_vec())))
    }

    fn lines(text: &[u8], longest: usize) -> Vec<(Found, Vec<u8>)> {
        let mut lines = input(text).unwrap().lines(longest);
        let mut all = Vec::new();
        loop {
            match lines.advance().unwrap() {
                Found::End => return all,
                found => all.push((found, lines.line().to_vec())),
            }
        }
    }

    fn whole(text: &[u8]) -> (Found, Vec<u8>) {
        (Found::Whole, text.to_vec())
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        assert_eq!(lines(b"", 9), []);
        assert_eq!(
            lines(b"a\n\nb\r\n c \rd", 9),
            [whole(b"a"), whole(b""), whole(b"b"), whole(b" c \rd")]
        );
        assert_eq!(lines(b"a\r", 9), [whole(b"a\r")]);
        assert_eq!(
            lines(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", 9),
            [whole(b"a"), whole(b"\xef\xbb\xbfb")]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_to_its_end() {
        let all =
            lines(b"12345\n123456\n12345678901234567890\n12345\r\nend\n123456\r\n1\n1234567", 5);
        let too_long = |found: &Found| matches!(found, Found::Malformed(reason) if reason.contains("than 5 bytes"));
        let long: Vec<bool> = all.iter().map(|(found, _)| too_long(found)).collect();
        assert_eq!(long, [false, true, true, false, false, true, false, true]);
        assert_eq!(all[3].1, b"12345");
        assert_eq!(all[4].1, b"end");
    }

    #[test]
    fn compressed_lines_are_the_lines_that_were_compressed() {
        let text = gzip(b"\xef\xbb\xbfa\nb\r\n");
        assert_eq!(lines(&text, 9), [whole(b"a"), whole(b"b")]);
        // Two concatenated gzip files are one input.
        assert_eq!(lines(&[gzip(b"a\nb"), gzip(b"c\n")].concat(), 9), [whole(b"a"), whole(b"bc")]);
    }

    #[test]
    fn zeros_behind_compressed_lines_are_ignored_and_other_bytes_are_not() {
        let padded = [gzip(b"a\nb"), vec![0; 600_000], gzip(b"c\n"), vec![0; 512]].concat();
        assert_eq!(lines(&padded, 9), [whole(b"a"), whole(b"bc")]);
        let mut lines =
            input(&[gzip(b"a\n"), vec![0; 9], b"more".to_vec()].concat()).unwrap().lines(9);
        assert_eq!(lines.advance().unwrap(), Found::Whole);
        assert!(lines.advance().unwrap_err().to_string().contains("gzip data is damaged"));
    }

    #[test]
    fn damaged_compression_is_an_error_and_not_the_end_of_the_input() {
        let text = gzip(&(0..=255).cycle().take(100_000).collect::<Vec<u8>>());
        for cut in [&text[..text.len() - 9], &text[..text.len() / 2], &text[..11]] {
            let mut result = input(cut).map(|input| input.lines(1 << 20));
            let error = loop {
                match result
                    .as_mut()
                    .map_err(|error| error.to_string())
                    .and_then(|lines| lines.advance().map_err(|error| error.to_string()))
                {
                    Ok(Found::End) => {
                        panic!("{} of {} bytes were taken for all", cut.len(), text.len())
                    }
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert!(
                error.contains("file: cannot be read: its gzip data is damaged or cut short"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_utf8_text_is_refused_by_name() {
        let zipped = gzip(&gzip(b"a\n"));
        for (text, named) in [
            (&b"\xff\xfea\0\n\0"[..], "UTF-16 text"),
            (b"\xfe\xff\0a\0\n", "UTF-16 text"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32 text"),
            (b"\x28\xb5\x2f\xfd\0", "`zstd -dc`"),
            (b"\xfd7zXZ\0\0", "`xz -dc`"),
            (b"BZh91AY&SY\0", "`bzip2 -dc`"),
            (b"PK\x03\x04", "`unzip -p`"),
            (&gzip(b"PK\x03\x04"), "`unzip -p`"),
            (&zipped, "compressed twice"),
        ] {
            let error = input(text).unwrap_err();
            assert!(matches!(error, Error::Line { line: 1, .. }), "{error}");
            assert!(error.to_string().contains(named), "{named} is not in {error}");
        }
        let found = &lines(b"\x7fELF\x02\0\0\n", 99)[0].0;
        assert_eq!(
            *found,
            Found::Malformed("byte 6 is NUL: this is a binary file, not text".to_owned())
        );
    }
}
