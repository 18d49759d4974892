//! Records of comma-separated values, by the parser of the csv crate.
//!
//! The csv crate's own reader gives a record all the memory that it asks for. A quote that nobody
//! closes makes the rest of a file one record, so here the parser below it is used, with buffers
//! that have limits.

use csv_core::ReadRecordResult;

use super::{Found, Input, binary, reserve, too_long};
use crate::error::Result;

/// The most columns of a record.
const MAX_COLUMNS: usize = 4096;

/// Reads records, each into the same buffer, and counts lines.
pub struct Records {
    input: Input,
    /// Boxed, for it is large.
    parser: Box<csv_core::Reader>,
    longest: usize,
    fields: Vec<u8>,
    /// The bytes of `fields` that are the record's.
    length: usize,
    /// Where in `fields` each column ends.
    ends: Vec<usize>,
    columns: usize,
    line: usize,
    /// Whether the rest of the record before has still to be passed over.
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
            parser: Box::new(csv_core::Reader::new()),
            longest,
            fields: Vec::new(),
            length: 0,
            ends: vec![0; MAX_COLUMNS],
            columns: 0,
            line: 0,
            is_inside: false,
        }
    }

    /// Reads the next record. Empty lines are none.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File) if the input cannot be read further.
    pub fn advance(&mut self) -> Result<Found> {
        if self.is_inside {
            self.skip_record()?;
        }
        self.skip_line_ends()?;
        self.line = self.parser.line() as usize;
        (self.length, self.columns) = (0, 0);
        let mut quotes = 0_usize;
        loop {
            let input = self.input.fill()?;
            let is_at_end = input.is_empty();
            let (fields, ends) = (&mut self.fields[self.length..], &mut self.ends[self.columns..]);
            let (result, read, written, ended) = self.parser.read_record(input, fields, ends);
            quotes += memchr::memchr_iter(b'"', &input[..read]).count();
            self.input.reader.consume(read);
            self.length += written;
            self.columns += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    if let Err(reason) = self.grow() {
                        return Ok(self.give_up(reason));
                    }
                }
                ReadRecordResult::OutputEndsFull => {
                    return Ok(self.give_up(format!("more than {MAX_COLUMNS} columns")));
                }
                ReadRecordResult::Record => {
                    // In a whole record there is an even number of quotes. The parser takes the end
                    // of the input for a closing quote; here that would be a file that was cut, or
                    // a stray quote that swallowed its rest.
                    if is_at_end && quotes % 2 == 1 {
                        return Ok(Found::Malformed("a quote is opened and never closed".to_owned()));
                    }
                    return Ok(binary(&self.fields[..self.length]).map_or(Found::Whole, Found::Malformed));
                }
                ReadRecordResult::End => return Ok(Found::End),
            }
        }
    }

    /// Returns the number of columns.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.columns
    }

    /// Returns whether there is no column: before the first record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// Returns the column at a position, from 0.
    #[must_use]
    pub fn get(&self, column: usize) -> Option<&[u8]> {
        let end = *self.ends[..self.columns].get(column)?;
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.fields[start..end])
    }

    /// Returns the columns in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.columns).filter_map(|column| self.get(column))
    }

    /// Returns the number of the line in which the record begins, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// Makes room for more of a record.
    fn grow(&mut self) -> Result<(), String> {
        if self.fields.len() > self.longest {
            return Err(too_long(self.longest));
        }
        let most = self.longest.saturating_add(1);
        let more = self.fields.len().max(4096).min(most - self.fields.len());
        reserve(&mut self.fields, more, most)?;
        self.fields.resize(self.fields.len() + more, 0);
        Ok(())
    }

    fn give_up(&mut self, reason: String) -> Found {
        self.is_inside = true;
        Found::Malformed(reason)
    }

    /// Passes over the rest of a record that was given up.
    fn skip_record(&mut self) -> Result<()> {
        self.is_inside = false;
        let (mut fields, mut ends) = ([0; 4096], [0; 64]);
        loop {
            let input = self.input.fill()?;
            let (result, read, ..) = self.parser.read_record(input, &mut fields, &mut ends);
            self.input.reader.consume(read);
            if matches!(result, ReadRecordResult::Record | ReadRecordResult::End) {
                return Ok(());
            }
        }
    }

    /// Passes over empty lines, which the parser would count as part of the next record.
    fn skip_line_ends(&mut self) -> Result<()> {
        loop {
            let input = self.input.fill()?;
            let ends = input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            if ends == 0 {
                return Ok(());
            }
            let lines = memchr::memchr_iter(b'\n', &input[..ends]).count() as u64;
            self.input.reader.consume(ends);
            self.parser.set_line(self.parser.line() + lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    type Record = (Result<Vec<String>, String>, usize);

    fn records(text: &[u8], longest: usize) -> Vec<Record> {
        let input = Input::new(Path::new("file"), Box::new(std::io::Cursor::new(text.to_vec()))).unwrap();
        let mut records = input.records(longest);
        let mut all = Vec::new();
        loop {
            let columns = match records.advance().unwrap() {
                Found::End => return all,
                Found::Malformed(reason) => Err(reason),
                Found::Whole => {
                    Ok(records.iter().map(|field| String::from_utf8(field.to_vec()).unwrap()).collect())
                }
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
            [record(&["a", "b"], 1), record(&["x,\"y\"", "two\nlines"], 3), record(&["last", ""], 5)]
        );
        assert_eq!(records(b"", 99), []);
        assert_eq!(records(b"\n\n", 99), []);
    }

    #[test]
    fn a_record_that_is_too_long_is_passed_over() {
        let text = [b"a,", "b".repeat(20_000).as_bytes(), b"\nc,d\n"].concat();
        let all = records(&text, 10_000);
        assert_eq!(all[0], (Err("longer than 10000 bytes, the longest that is taken".to_owned()), 1));
        assert_eq!(all[1..], [record(&["c", "d"], 2)]);
        assert_eq!(records(&text, 20_001).len(), 2);
        let wide = [",".repeat(5000).as_bytes(), b"\nc,d\n"].concat();
        assert_eq!(records(&wide, 10_000)[0].0, Err("more than 4096 columns".to_owned()));
        assert_eq!(records(&wide, 10_000)[1..], [record(&["c", "d"], 2)]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_no_value() {
        let all = records(b"a,b\nc,\"d\ne,f\n", 99);
        assert_eq!(all[0], record(&["a", "b"], 1));
        assert_eq!(all[1..], [(Err("a quote is opened and never closed".to_owned()), 2)]);
    }

    #[test]
    fn a_binary_file_is_refused() {
        assert!(records(b"a,b\0\n", 99)[0].0.as_ref().is_err_and(|reason| reason.contains("NUL")));
    }
}
