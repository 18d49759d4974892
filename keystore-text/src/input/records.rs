//! Reads records of comma-separated values as defined by RFC 4180.
//!
//! The parsers of the csv crate silently accept malformed quotes as data, and a lone `\r` as a line
//! end. So this file has its own parser. Its buffer holds the record as written. If the record is
//! malformed, the parser reads the other lines of the record again from the buffer, each as the
//! start of a new record.
//!
//! No byte is scanned more than a few times. Each quote switches between the inside and the outside
//! of a quoted column, and a doubled quote does so twice. So a line that leaves a quote open has an
//! odd number of quotes. If a scan reaches such a line while a quote is open, the line closes that
//! quote or is malformed, and the scan ends there. So long scans do not overlap.

use std::ops::Range;

use super::{Found, Input, binary, reserve, too_long};
use crate::error::Result;

/// Maximum number of columns in a record.
const MAX_COLUMNS: usize = 4096;

/// Reads records into one buffer and counts lines.
pub struct Records {
    input: Input,
    longest: usize,
    /// Lines of the record, followed by the lines to read again.
    buffer: Vec<u8>,
    /// Start of the record in `buffer`.
    start: usize,
    /// End of the record's last line in `buffer`.
    end: usize,
    /// Columns, relative to the start of the record.
    columns: Vec<Range<usize>>,
    line: usize,
    lines: usize,
    /// Whether the rest of the previous line must be skipped first.
    is_inside: bool,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("input", &self.input)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl Records {
    pub(super) fn new(input: Input, longest: usize) -> Self {
        Self {
            input,
            longest,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            columns: Vec::with_capacity(MAX_COLUMNS),
            line: 1,
            lines: 0,
            is_inside: false,
        }
    }

    /// Reads the next record. Empty lines are skipped.
    ///
    /// If a record has malformed quotes or is too long, only its first line is lost. The next
    /// record starts at the line after it.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) if reading the input fails.
    pub fn advance(&mut self) -> Result<Found> {
        if self.is_inside {
            self.skip_line()?;
        }
        self.begin();
        let (mut is_open, mut first) = (false, 0);
        loop {
            let from = self.end - self.start;
            match self.take_line()? {
                Ok(true) => self.lines += 1,
                Ok(false) if self.lines == 0 => return Ok(Found::End),
                Ok(false) => {
                    return Ok(self.give_up(first, "a quote is opened and never closed".to_owned()));
                }
                Err(reason) => return Ok(self.give_up(first, reason)),
            }
            let record = &self.buffer[self.start..self.end];
            let text = record
                .strip_suffix(b"\n")
                .map_or(record, |line| line.strip_suffix(b"\r").unwrap_or(line));
            let length = text.len();
            if self.lines == 1 {
                first = record.len();
                if text.is_empty() {
                    self.begin();
                    continue;
                }
            }
            if length > self.longest {
                return Ok(self.give_up(first, too_long(self.longest)));
            }
            match scan(text, from, &mut is_open, &mut self.columns) {
                Ok(false) => {}
                Ok(true) => {
                    let malformed = binary(text);
                    self.unquote();
                    return Ok(malformed.map_or(Found::Whole, Found::Malformed));
                }
                Err(reason) => return Ok(self.give_up(first, reason)),
            }
        }
    }

    /// Returns the number of columns.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.columns.len()
    }

    /// Returns whether there are no columns, as before the first record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Returns the column at an index, from 0.
    #[must_use]
    pub fn get(&self, column: usize) -> Option<&[u8]> {
        let range = self.columns.get(column)?;
        Some(&self.buffer[self.start..][range.clone()])
    }

    /// Returns the columns in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.columns.len()).filter_map(|column| self.get(column))
    }

    /// Returns the number of the record's first line, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// Returns the number of lines that are lost if the record is skipped. This is all lines of a
    /// complete record, but only the first line of a record whose other lines are read again.
    #[must_use]
    pub const fn lines(&self) -> usize {
        self.lines
    }

    /// Starts a record after the previous one.
    fn begin(&mut self) {
        self.line += self.lines;
        self.lines = 0;
        self.start = self.end;
        self.columns.clear();
    }

    /// Adds one more line to the record. Returns whether there was one, or the reason why it cannot
    /// be held.
    fn take_line(&mut self) -> Result<Result<bool, String>> {
        if let Some(length) = memchr::memchr(b'\n', &self.buffer[self.end..]) {
            self.end += length + 1;
            return Ok(Ok(true));
        }
        self.buffer.drain(..self.start);
        self.end -= self.start;
        self.start = 0;
        // Allow two more bytes for the line end.
        let most = self.longest.saturating_add(2);
        loop {
            let bytes = self.input.fill()?;
            let line_end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..line_end.map_or(bytes.len(), |at| at + 1)];
            if part.len() > most - self.buffer.len() {
                return Ok(Err(too_long(self.longest)));
            }
            if let Err(reason) = reserve(&mut self.buffer, part.len(), most) {
                return Ok(Err(reason));
            }
            self.buffer.extend_from_slice(part);
            let (used, is_done) = (part.len(), part.is_empty() || line_end.is_some());
            self.input.reader.consume(used);
            if is_done {
                let is_line = self.buffer.len() > self.end;
                self.end = self.buffer.len();
                return Ok(Ok(is_line));
            }
        }
    }

    /// Rejects the record's first line, of `first` bytes. The other lines will be read again.
    fn give_up(&mut self, first: usize, reason: String) -> Found {
        self.columns.clear();
        if self.lines == 0 {
            // Even the first line is too long for the buffer.
            self.buffer.clear();
            self.start = 0;
            self.is_inside = true;
        }
        self.end = self.start + first;
        self.lines = 1;
        Found::Malformed(reason)
    }

    /// Skips the rest of a line that cannot be held.
    fn skip_line(&mut self) -> Result<()> {
        self.is_inside = false;
        loop {
            let bytes = self.input.fill()?;
            let (length, line_end) = (bytes.len(), memchr::memchr(b'\n', bytes));
            self.input.reader.consume(line_end.map_or(length, |at| at + 1));
            if line_end.is_some() || length == 0 {
                return Ok(());
            }
        }
    }

    /// Removes the quotes around columns, and one of each pair of quotes inside them.
    fn unquote(&mut self) {
        for column in &mut self.columns {
            let text = &mut self.buffer[self.start..][column.clone()];
            if text.first() != Some(&b'"') {
                continue;
            }
            // Each part ends with a quote, which is the first of a pair or the closing one.
            let (mut read, mut written) = (1, 0);
            while let Some(length) = memchr::memchr(b'"', &text[read..]) {
                let part = length + usize::from(read + length + 1 < text.len());
                text.copy_within(read..read + part, written);
                written += part;
                read = (read + length + 2).min(text.len());
            }
            column.end = column.start + written;
        }
    }
}

/// Finds the columns of a record, whose known part is `text`, from the byte `from` on. Returns
/// whether the record is complete. A column with an open quote continues in the next line.
fn scan(
    text: &[u8],
    from: usize,
    is_open: &mut bool,
    columns: &mut Vec<Range<usize>>,
) -> Result<bool, String> {
    let broken = || Err("a quote that neither opens or closes a column nor is doubled".to_owned());
    let mut at = from;
    loop {
        if !*is_open && text.get(at) == Some(&b'"') {
            *is_open = true;
            at += 1;
        }
        if *is_open {
            let Some(length) = memchr::memchr(b'"', &text[at..]) else { return Ok(false) };
            at += length + 1;
            match text.get(at) {
                Some(b'"') => {
                    at += 1;
                    continue;
                }
                Some(b',') | None => *is_open = false,
                Some(_) => return broken(),
            }
        } else if let Some(length) = memchr::memchr2(b',', b'"', &text[at..]) {
            at += length;
            if text[at] == b'"' {
                return broken();
            }
        } else {
            at = text.len();
        }
        if columns.len() == MAX_COLUMNS {
            return Err(format!("more than {MAX_COLUMNS} columns"));
        }
        let start = columns.last().map_or(0, |before| before.end + 1);
        columns.push(start..at);
        if at == text.len() {
            return Ok(true);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    type Record = (Result<Vec<String>, String>, usize);

    fn records(text: &[u8], longest: usize) -> Vec<Record> {
        let input =
            Input::new(Path::new("file"), Box::new(std::io::Cursor::new(text.to_vec()))).unwrap();
        let mut records = input.records(longest);
        let mut all = Vec::new();
        loop {
            let columns = match records.advance().unwrap() {
                Found::End => return all,
                Found::Malformed(reason) => Err(reason),
                Found::Whole => Ok(records
                    .iter()
                    .map(|field| String::from_utf8(field.to_vec()).unwrap())
                    .collect()),
            };
            all.push((columns, records.line()));
        }
    }

    fn record(columns: &[&str], line: usize) -> Record {
        (Ok(columns.iter().map(|&column| column.to_owned()).collect()), line)
    }

    #[test]
    fn quoted_columns_hold_commas_quotes_and_line_ends() {
        let text = b"\xef\xbb\xbfa,b\r\n\r\n\"x,\"\"y\"\"\",\"two\nlines\"\r\nlast,";
        assert_eq!(
            records(text, 99),
            [
                record(&["a", "b"], 1),
                record(&["x,\"y\"", "two\nlines"], 3),
                record(&["last", ""], 5)
            ]
        );
        assert_eq!(records(b"", 99), []);
        assert_eq!(records(b"\n\n", 99), []);
    }

    #[test]
    fn a_record_that_is_too_long_is_passed_over() {
        let text = [b"a,", "b".repeat(20_000).as_bytes(), b"\nc,d\n"].concat();
        let all = records(&text, 10_000);
        assert_eq!(
            all[0],
            (Err("longer than 10000 bytes, the longest that is taken".to_owned()), 1)
        );
        assert_eq!(all[1..], [record(&["c", "d"], 2)]);
        assert!(records(&text, 20_001)[0].0.is_err());
        assert!(records(&text, 20_002).iter().all(|(columns, _)| columns.is_ok()));
        let wide = [",".repeat(5000).as_bytes(), b"\nc,d\n"].concat();
        assert_eq!(records(&wide, 10_000)[0].0, Err("more than 4096 columns".to_owned()));
        assert_eq!(records(&wide, 10_000)[1..], [record(&["c", "d"], 2)]);
    }

    #[test]
    fn only_the_line_in_which_a_malformed_record_begins_is_lost() {
        let unclosed = Err("a quote is opened and never closed".to_owned());
        let all = records(b"a,b\nc,\"d\n\ne,f\ng,\"h\"\"\"\n", 99);
        assert_eq!(all[0], record(&["a", "b"], 1));
        // The quote in line 5 closes the quote of line 2. No comma follows it, so the record is
        // malformed.
        assert_eq!((all[1].0.is_err(), all[1].1), (true, 2));
        assert_eq!(all[2..], [record(&["e", "f"], 4), record(&["g", "h\""], 5)]);
        assert_eq!(
            records(b"c,\"d\ne,f\ng,h", 99),
            [(unclosed.clone(), 1), record(&["e", "f"], 2), record(&["g", "h"], 3)]
        );
        let too_long = Err("longer than 10 bytes, the longest that is taken".to_owned());
        assert_eq!(
            records(b"c,\"d\ne,f\n0123456,89\n0123456,890\r\ni,j\nk,\"l", 10),
            [
                (too_long.clone(), 1),
                record(&["e", "f"], 2),
                record(&["0123456", "89"], 3),
                (too_long, 4),
                record(&["i", "j"], 5),
                (unclosed, 6)
            ]
        );
    }

    #[test]
    fn an_open_quote_before_very_many_lines_costs_one_of_them() {
        for longest in [1 << 16, 1 << 30] {
            let lines = 300_000;
            let text = ["x,\"y\n", "a\"b,1\nk,v\n".repeat(lines).as_str()].concat();
            let all = records(text.as_bytes(), longest);
            assert_eq!(all.len(), 2 * lines + 1);
            assert_eq!(all.iter().filter(|(columns, _)| columns.is_ok()).count(), lines);
            assert_eq!(all[2 * lines], record(&["k", "v"], 2 * lines + 1));
            let text = ["x,\"y\n", "k,v\n".repeat(lines).as_str()].concat();
            let all = records(text.as_bytes(), longest);
            assert_eq!((all.len(), all[0].0.is_err()), (lines + 1, true));
            assert!(
                all[1..]
                    .iter()
                    .enumerate()
                    .all(|(at, found)| *found == record(&["k", "v"], at + 2))
            );
        }
    }

    #[test]
    fn broken_quoting_is_malformed() {
        for broken in ["\"a\"b,1", "d,\"4\"5", "a\"b,1", "a, \"b\"", "a,\"b\" ", "\"\"\"\"\"a\"b,1"]
        {
            let all = records(format!("{broken}\nc,d\n").as_bytes(), 99);
            let reason = "a quote that neither opens or closes a column nor is doubled";
            assert_eq!(all, [(Err(reason.to_owned()), 1), record(&["c", "d"], 2)], "{broken}");
        }
        assert_eq!(
            records(b"\"\",\"\"\"\",\"\"\"a\"\"\"\"b\"\"\"\n", 99),
            [record(&["", "\"", "\"a\"\"b\""], 1)]
        );
    }

    #[test]
    fn a_lone_carriage_return_is_data() {
        assert_eq!(
            records(b"a\rb,c\r\r\n\rd,\"e\r\nf\"\r\ng,h\r", 99),
            [record(&["a\rb", "c\r"], 1), record(&["\rd", "e\r\nf"], 2), record(&["g", "h\r"], 4)]
        );
    }

    #[test]
    fn a_binary_file_is_refused() {
        assert!(records(b"a,b\0\n", 99)[0].0.as_ref().is_err_and(|reason| reason.contains("NUL")));
    }
}
