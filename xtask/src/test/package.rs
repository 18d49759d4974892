//! Packages outside the workspace, which depend on the libraries as users do.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use keystore_text::outln;

use crate::command::cargo;

/// Folder of the packages and their build output, relative to the workspace.
pub(super) const FOLDER: &str = "target/outside";

/// Libraries that a package may depend on. Each lies in a folder of its name.
pub(super) const LIBRARIES: [&str; 3] = ["keystore", "keystore-core", "keystore-pool"];

/// A package of one program.
#[derive(Debug)]
pub(super) struct Package {
    /// Name of the package and of its folder.
    pub(super) name: String,
    /// Table of dependencies, with its heading.
    pub(super) dependencies: String,
    /// Source of the program.
    pub(super) main: String,
}

impl Package {
    /// Writes the package below `root`, builds it and runs it. The error holds the output of cargo
    /// and of the program.
    pub(super) fn run(&self, root: &Path) -> Result<(), String> {
        let Self { name, dependencies, main } = self;
        let folder = root.join(FOLDER).join(name);
        // Without its own workspace, cargo would take the package for a member of ours.
        let mut manifest = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n{dependencies}\n\
             [patch.crates-io]\n"
        );
        for library in LIBRARIES {
            let _ = writeln!(manifest, "{library} = {{ path = {:?} }}", root.join(library));
        }
        // All other dependencies have the versions of our workspace.
        let locked = fs::read_to_string(root.join("Cargo.lock"))
            .map_err(|error| format!("{}: {error}", root.join("Cargo.lock").display()))?;
        fs::create_dir_all(folder.join("src"))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        for (file, text) in
            [("Cargo.toml", &manifest), ("Cargo.lock", &locked), ("src/main.rs", main)]
        {
            let path = folder.join(file);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        outln!("   {name}");
        let output = Command::new(cargo())
            .args(["run", "--quiet"])
            .env("CARGO_TARGET_DIR", root.join(FOLDER).join("target"))
            .current_dir(&folder)
            .output()
            .map_err(|error| format!("cargo could not be started: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("`cargo run` in {} failed:\n{errors}", folder.display()))
    }
}
