//! Writes the names of files into results. JSON is UTF-8, but a file name can be any bytes, so a
//! replacement character stands for each invalid sequence. This loss is harmless: the name of a
//! file has no effect on the results.

use std::path::{Path, PathBuf};

use serde::Serializer;

/// Serializes a path as text.
pub(crate) fn text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Serializes an optional path as text.
pub(crate) fn text_if_some<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => text(path, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;

    use crate::workload::scenario::Scenario;

    #[test]
    fn results_name_a_file_whose_name_is_not_utf8() {
        let path = PathBuf::from(OsStr::from_bytes(b"n\xff.txt"));
        let scenario = Scenario { keys_from: Some(path), ..Scenario::default() };
        let json = serde_json::to_string(&scenario).unwrap();
        assert!(json.contains("\"keys_from\":\"n\u{fffd}.txt\""), "{json}");
    }
}
