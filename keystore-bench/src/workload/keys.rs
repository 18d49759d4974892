//! The keys of a scenario.
//!
//! Keys are generated, or read from the lines of a file, or taken from a trace. A generated key is
//! its position, scrambled by a bijection. So generated keys are distinct, look random to any hash
//! function, and are the same in every run.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use keystore::{MAX_KEY_LEN, system_memory::check_fits};
use keystore_text::input::{Found, Input, MAX_LINE_LEN};
use keystore_verify::mix;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::workload::size::Size;

/// Maximum number of keys: an operation stores the position of its key in 32 bits.
pub const MAX_KEYS: usize = u32::MAX as usize;

/// Seed of the sizes of generated keys, the same in every run.
const SIZES_SEED: u64 = 1;

/// Distinct keys, identified by their positions.
#[derive(Clone, Debug)]
pub struct Keys {
    bytes: Vec<u8>,
    /// End of each key in `bytes`.
    ends: Vec<usize>,
    source: KeySource,
}

/// The origin of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// The keys were generated.
    Made {
        /// Size of each key in bytes.
        size: Size,
    },
    /// The keys are the lines of a file.
    File {
        /// Path of the file.
        #[serde(serialize_with = "crate::workload::path::text")]
        path: PathBuf,
        /// Number of empty lines, which are not keys.
        blank: usize,
        /// Number of repeated lines. Only the first of equal lines is a key.
        repeated: usize,
    },
    /// The keys are the keys of a recorded trace.
    Trace {
        /// Path of the trace.
        #[serde(serialize_with = "crate::workload::path::text")]
        path: PathBuf,
    },
}

impl Keys {
    /// Generates `count` distinct keys of these sizes. Keys of different sizes must have at least 8
    /// bytes each.
    ///
    /// # Errors
    /// [`Error::Scenario`] if there are fewer distinct keys of that size, or if a store does not
    /// take keys of that size.
    pub fn make(count: usize, size: &Size) -> Result<Self> {
        let wrong = |field, value: String, expected: String| {
            Err(Error::Scenario { scenario: "keys".to_owned(), field, value, expected })
        };
        let least = if size.fixed().is_some() { 1 } else { 8 };
        if let Some((value, expected)) = size.fault(least, MAX_KEY_LEN) {
            return wrong("key_size", value, expected);
        }
        let most = Self::most(size);
        if count == 0 || count > most {
            return wrong(
                "keys",
                count.to_string(),
                format!("from 1 to {most}, for keys of {size}"),
            );
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let fits = count.checked_mul(size.mean().ceil() as usize);
        // An allocator may promise more memory than the machine has, so both checks are needed.
        if !fits.is_some_and(|total| {
            check_fits(total.saturating_add(count * size_of::<usize>())).is_ok()
                && bytes.try_reserve(total).is_ok()
                && ends.try_reserve_exact(count).is_ok()
        }) {
            return wrong(
                "keys",
                count.to_string(),
                format!("as many keys of {size} as fit into memory"),
            );
        }
        let mut rng = SmallRng::seed_from_u64(SIZES_SEED);
        for position in 0..count as u64 {
            let size = size.draw(&mut rng);
            let end = bytes.len() + size;
            // `mix` is a bijection on 8 bytes only: shorter keys would keep a part of its result
            // and might be equal. Multiplication by an odd number is a bijection on words of every
            // size.
            let first =
                if size < 8 { position.wrapping_mul(0x9e37_79b9_7f4a_7c15) } else { mix(position) };
            let mut word = first;
            while bytes.len() < end {
                let cut = (end - bytes.len()).min(8);
                bytes.extend_from_slice(&word.to_le_bytes()[..cut]);
                word = mix(word);
            }
            ends.push(end);
        }
        Ok(Self { bytes, ends, source: KeySource::Made { size: size.clone() } })
    }

    /// Returns the maximum number of distinct keys of these sizes that [`make`](Self::make)
    /// generates.
    #[must_use]
    pub fn most(size: &Size) -> usize {
        if size.min() < 4 { 1 << (8 * size.min()) } else { MAX_KEYS }
    }

    /// Returns the distinct keys of a trace. `bytes` holds the keys one after another, and `ends`
    /// the end of each. There must be at least one key.
    pub(crate) fn of_trace(path: &Path, bytes: Vec<u8>, ends: Vec<usize>) -> Self {
        Self { bytes, ends, source: KeySource::Trace { path: path.to_owned() } }
    }

    /// Reads the distinct lines of a text input, in order, without their line ends. Empty lines are
    /// skipped. The rules of [`input`](keystore_text::input) apply: `-` is standard input, and gzip
    /// is decompressed.
    ///
    /// # Errors
    /// [`Error::Text`] if the input cannot be read, if a line cannot be a key, or if there is no
    /// key.
    pub fn from_file(path: &Path) -> Result<Self> {
        let (mut bytes, mut ends, blank) = read_lines(path)?;
        if ends.is_empty() {
            let reason =
                "the file holds no key: every line is one, and at least one is needed".to_owned();
            return Err(Error::line(path, 1, reason));
        }
        let lines = ends.len();
        let is_new: Vec<bool> = {
            let mut seen = HashSet::with_capacity(lines);
            let mut start = 0;
            ends.iter()
                .map(|&end| seen.insert(&bytes[std::mem::replace(&mut start, end)..end]))
                .collect()
        };
        // Move each new line to the end of the new lines before it.
        let (mut start, mut length, mut kept) = (0, 0, 0);
        for (line, is_new) in is_new.into_iter().enumerate() {
            let end = ends[line];
            if is_new {
                bytes.copy_within(start..end, length);
                length += end - start;
                ends[kept] = length;
                kept += 1;
            }
            start = end;
        }
        bytes.truncate(length);
        ends.truncate(kept);
        let source = KeySource::File { path: path.to_owned(), blank, repeated: lines - kept };
        Ok(Self { bytes, ends, source })
    }

    /// Returns the number of keys, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a key")]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the key at a position.
    ///
    /// # Panics
    /// Panics if there is no key at this position.
    #[must_use]
    pub fn get(&self, position: usize) -> &[u8] {
        let start = if position == 0 { 0 } else { self.ends[position - 1] };
        &self.bytes[start..self.ends[position]]
    }

    /// Returns the mean length of the first `count` keys in bytes.
    #[must_use]
    pub fn mean_len(&self, count: usize) -> f64 {
        self.ends[count - 1] as f64 / count as f64
    }

    /// Returns the origin of the keys.
    #[must_use]
    pub const fn source(&self) -> &KeySource {
        &self.source
    }
}

/// Reads the nonempty lines into one buffer. Returns the buffer, the end of each line in it, and
/// the number of empty lines.
fn read_lines(path: &Path) -> Result<(Vec<u8>, Vec<usize>, usize)> {
    let mut lines = Input::open(path)?.lines(MAX_LINE_LEN);
    let (mut bytes, mut ends, mut blank) = (Vec::new(), Vec::new(), 0);
    loop {
        let found = lines.advance()?;
        let wrong = |reason| Error::line(path, lines.number(), reason);
        match found {
            Found::End => return Ok((bytes, ends, blank)),
            Found::Malformed(reason) => return Err(wrong(reason)),
            Found::Whole => {}
        }
        let key = lines.line();
        if key.is_empty() {
            blank += 1;
        } else if key.len() > MAX_KEY_LEN {
            let length = key.len();
            return Err(wrong(format!(
                "a key of {length} bytes: keys have 1 to {MAX_KEY_LEN} bytes"
            )));
        } else if ends.len() == MAX_KEYS {
            return Err(wrong(format!("more than {MAX_KEYS} keys")));
        } else if bytes.try_reserve(key.len()).is_err() || ends.try_reserve(1).is_err() {
            return Err(wrong(format!(
                "{} bytes of keys before it: there is no memory for more",
                bytes.len()
            )));
        } else {
            bytes.extend_from_slice(key);
            ends.push(bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::workload::size::Between;

    #[test]
    fn made_keys_are_distinct_at_every_size() {
        for (count, size) in
            [(256, 1), (65_536, 2), (100_000, 3), (100_000, 7), (100_000, 8), (50_000, 29)]
        {
            let keys = Keys::make(count, &size.into()).unwrap();
            let distinct: HashSet<&[u8]> = (0..count).map(|n| keys.get(n)).collect();
            assert_eq!(distinct.len(), count, "{size} bytes");
            assert!(distinct.iter().all(|key| key.len() == size));
        }
        let sizes = Size::Between(Between { min: 8, max: 24 });
        let keys = Keys::make(10_000, &sizes).unwrap();
        let distinct: HashSet<&[u8]> = (0..10_000).map(|n| keys.get(n)).collect();
        assert_eq!(distinct.len(), 10_000);
        assert!((15.8..16.2).contains(&keys.mean_len(10_000)), "{}", keys.mean_len(10_000));
    }

    #[test]
    fn more_keys_than_their_size_has_are_refused() {
        let error = Keys::make(257, &1.into()).unwrap_err();
        assert!(error.is_usage());
        assert_eq!(
            error.to_string(),
            "scenario \"keys\": keys is 257: it must be from 1 to 256, for keys of 1 B"
        );
        assert!(Keys::make(0, &16.into()).is_err());
        assert!(Keys::make(1, &0.into()).is_err());
        assert!(Keys::make(1, &(MAX_KEY_LEN + 1).into()).is_err());
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn a_files_lines_are_its_keys_once_each() {
        let file = file(b"\xef\xbb\xbfbeta\n\nalpha\r\nbeta\n\r\n\xff\ngamma");
        let keys = Keys::from_file(file.path()).unwrap();
        let lines: Vec<&[u8]> = (0..keys.len()).map(|n| keys.get(n)).collect();
        assert_eq!(lines, [&b"beta"[..], b"alpha", b"\xff", b"gamma"]);
        assert_eq!(
            *keys.source(),
            KeySource::File { path: file.path().to_owned(), blank: 2, repeated: 1 }
        );
        assert_eq!(keys.mean_len(2), 4.5);
    }

    #[test]
    fn keys_are_read_by_the_rules_of_every_text_input() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"\xef\xbb\xbfalpha\r\nbeta\n").unwrap();
        let packed = file(&encoder.finish().unwrap());
        let keys = Keys::from_file(packed.path()).unwrap();
        assert_eq!((keys.len(), keys.get(0), keys.get(1)), (2, &b"alpha"[..], &b"beta"[..]));
        for (content, reason) in [
            (&b"\xff\xfea\0\n\0"[..], ":1: UTF-16 text"),
            (b"a\nb\0\n", ":2: byte 2 is NUL"),
            (b"\x28\xb5\x2f\xfd", ":1: compressed with zstd"),
        ] {
            let wrong = file(content);
            let error = Keys::from_file(wrong.path()).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(reason), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(Keys::from_file(folder.path()).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn a_file_that_gives_no_keys_is_named() {
        let empty = file(b"\n\n");
        let error = Keys::from_file(empty.path()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:1: ", empty.path().display())), "{error}");

        let long = file(&[b"short\n".as_slice(), &[b'x'; MAX_KEY_LEN + 1]].concat());
        let error = Keys::from_file(long.path()).unwrap_err().to_string();
        assert!(error.contains(":2: a key of 65536 bytes"), "{error}");

        let error = Keys::from_file(Path::new("/no/such/file")).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().starts_with("/no/such/file: cannot be read"), "{error}");
    }
}
