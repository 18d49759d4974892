//! Names of files in results. JSON is UTF-8 and file names need not be, so a byte that is none
//! becomes a replacement character. Results are about keys, not about their file's name.

use std::path::{Path, PathBuf};

use serde::Serializer;

/// Writes a path as text.
pub(crate) fn text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Writes a path as text, or none.
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
