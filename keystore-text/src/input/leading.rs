//! Detects the kind of an input by its first bytes.

use std::io::{self, BufRead, Read};

/// The kind of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leading {
    /// Text, or data of an unknown kind.
    Text,
    /// Text after a byte-order mark of UTF-8.
    Utf8Mark,
    /// Text in another encoding: its name, and its name for iconv.
    Encoding(&'static str, &'static str),
    /// Data compressed with gzip.
    Gzip,
    /// Data in another compressed format: the name of the program, and the command that
    /// decompresses.
    Compressed(&'static str, &'static str),
}

/// First bytes of every known kind. If one entry is a prefix of another, the longer one comes
/// first. `?` stands for any digit.
const KNOWN: [(&[u8], Leading); 13] = [
    (b"\xef\xbb\xbf", Leading::Utf8Mark),
    (b"\xff\xfe\0\0", Leading::Encoding("UTF-32 text", "UTF-32")),
    (b"\0\0\xfe\xff", Leading::Encoding("UTF-32 text", "UTF-32")),
    (b"\xff\xfe", Leading::Encoding("UTF-16 text", "UTF-16")),
    (b"\xfe\xff", Leading::Encoding("UTF-16 text", "UTF-16")),
    (b"\x1f\x8b", Leading::Gzip),
    (b"\x1f\x9d", Leading::Compressed("compress", "gzip -dc")),
    (b"\x28\xb5\x2f\xfd", Leading::Compressed("zstd", "zstd -dc")),
    (b"\xfd7zXZ\0", Leading::Compressed("xz", "xz -dc")),
    (b"BZh?1AY&SY", Leading::Compressed("bzip2", "bzip2 -dc")),
    (b"\x04\x22\x4d\x18", Leading::Compressed("lz4", "lz4 -dc")),
    (b"PK\x03\x04", Leading::Compressed("zip", "unzip -p")),
    (b"7z\xbc\xaf\x27\x1c", Leading::Compressed("7-Zip", "7z e -so")),
];

impl Leading {
    /// Reads as few bytes as needed to detect the kind. Returns the kind and the bytes.
    pub(super) fn read(reader: &mut impl BufRead) -> io::Result<(Self, Vec<u8>)> {
        let mut bytes = Vec::new();
        // Read another byte only if the bytes so far may be the start of a longer entry.
        while KNOWN.iter().any(|(known, _)| known.len() > bytes.len() && begins(known, &bytes)) {
            match reader.by_ref().bytes().next().transpose()? {
                Some(byte) => bytes.push(byte),
                None => break,
            }
        }
        let found =
            KNOWN.iter().find(|(known, _)| known.len() <= bytes.len() && begins(known, &bytes));
        Ok((found.map_or(Self::Text, |&(_, leading)| leading), bytes))
    }
}

/// Returns whether `known` and `bytes` agree up to the length of the shorter one.
fn begins(known: &[u8], bytes: &[u8]) -> bool {
    known
        .iter()
        .zip(bytes)
        .all(|(&known, &byte)| if known == b'?' { byte.is_ascii_digit() } else { known == byte })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_tells() {
        let read = |mut text: &[u8]| {
            let (leading, bytes) = Leading::read(&mut text).unwrap();
            (leading, bytes.len())
        };
        assert_eq!(read(b""), (Leading::Text, 0));
        assert_eq!(read(b"q\n"), (Leading::Text, 1));
        assert_eq!(read(b"B\nBZh"), (Leading::Text, 2));
        assert_eq!(read(b"BZh and so on"), (Leading::Text, 4));
        assert_eq!(read(b"\xef\xbb\xbfa"), (Leading::Utf8Mark, 3));
        assert_eq!(read(b"\xff\xfea\0").0, Leading::Encoding("UTF-16 text", "UTF-16"));
        assert_eq!(read(b"\xff\xfe").0, Leading::Encoding("UTF-16 text", "UTF-16"));
        assert_eq!(read(b"\xff\xfe\0\0a\0\0\0").0, Leading::Encoding("UTF-32 text", "UTF-32"));
        assert_eq!(read(b"BZh91AY&SY\0").0, Leading::Compressed("bzip2", "bzip2 -dc"));
    }
}
