//! Reads and writes `results.json`, and writes any file atomically.

use std::fs;
use std::io::Write;
use std::path::Path;

use keystore_text::input::Input;
use serde::Deserialize;
use serde_json::Value;

use super::{Results, SCHEMA, check};
use crate::error::{Error, Result};

impl Results {
    /// Writes the results to a file. If this fails, the file is unchanged.
    ///
    /// # Errors
    /// [`Error::Text`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::unwritable(path, error.into()))?;
        write_whole(path, text.as_bytes())
    }

    /// Reads results that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::Text`] if the file cannot be read, [`Error::Results`] if it has another version,
    /// contains something else, or contradicts itself.
    pub fn load(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let wrong = |reason| Error::Results { path: path.to_owned(), reason };
        let text = Input::open(path)?.text()?;
        let malformed = |error: serde_json::Error| wrong(format!("these are no results: {error}"));
        let value: Value = serde_json::from_str(&text).map_err(malformed)?;
        let Versioned { schema } = Versioned::deserialize(&value).map_err(malformed)?;
        if schema != SCHEMA {
            return Err(wrong(format!("results of version {schema}: this version reads {SCHEMA}")));
        }
        if let Some(text) = check::unprintable(&value) {
            return Err(wrong(format!("{text} contains a control character")));
        }
        let results: Self = serde_json::from_str(&text).map_err(malformed)?;
        if let Some(reason) = check::contradiction(&results) {
            return Err(wrong(reason));
        }
        Ok(results)
    }
}

/// Writes a file atomically: it writes a temporary file in the same folder and renames it.
///
/// # Errors
/// [`Error::Text`] if the file cannot be written. The previous file is then unchanged.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |source| Error::unwritable(path, source);
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is private by default. A report has the usual permissions of a new file,
        // as the process's umask allows.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.prefix(".keystore-").tempfile_in(folder).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
