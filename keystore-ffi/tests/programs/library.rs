//! Builds the library with cargo, for the tests of both C libraries and for the benchmark.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The two forms of the library.
pub struct Library {
    pub shared: PathBuf,
    pub archive: PathBuf,
}

impl Library {
    /// Builds the library of this test's package in a profile, in the target directory of this
    /// program. The paths come from cargo's messages, because cargo guarantees file names only
    /// there.
    pub fn build(profile: &str) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--package", env!("CARGO_PKG_NAME"), "--lib", "--profile", profile])
            .args(["--message-format", "json-render-diagnostics", "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let files: Vec<PathBuf> = stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| {
                message["reason"] == "compiler-artifact" && message["manifest_path"] == manifest
            })
            .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
            .filter_map(|file| file.as_str().map(PathBuf::from))
            .collect();
        let find = |extension: &str| {
            let found = files.iter().find(|file| file.extension().is_some_and(|e| e == extension));
            found
                .unwrap_or_else(|| {
                    panic!("cargo built no library that ends with .{extension}: {files:?}")
                })
                .clone()
        };
        Self { shared: find(env::consts::DLL_EXTENSION), archive: find("a") }
    }
}
