//! Packages outside the workspace that depend on the libraries as their users do.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use keystore_text::outln;

/// Where the packages and what they build go, from the workspace's folder.
pub(super) const FOLDER: &str = "target/outside";

/// The libraries that a package may depend on, with their folders' names.
pub(super) const LIBRARIES: [&str; 2] = ["keystore-core", "keystore-pool"];

/// A package of one program.
#[derive(Debug)]
pub(super) struct Package {
    /// The package's name and its folder's.
    pub(super) name: String,
    /// The table of its dependencies, with its heading.
    pub(super) dependencies: String,
    /// The program.
    pub(super) main: String,
}

impl Package {
    /// Writes the package below `root`, builds it and runs it. Returns what cargo and the program
    /// say if that fails.
    pub(super) fn run(&self, root: &Path) -> Result<(), String> {
        let Self { name, dependencies, main } = self;
        let folder = root.join(FOLDER).join(name);
        // A workspace of its own: otherwise cargo takes the package for a member of the one around
        // it.
        let mut manifest = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n{dependencies}\n\
             [patch.crates-io]\n"
        );
        for library in LIBRARIES {
            let _ = writeln!(manifest, "{library} = {{ path = {:?} }}", root.join(library));
        }
        // The workspace's versions of everything else.
        let locked = fs::read_to_string(root.join("Cargo.lock"))
            .map_err(|error| format!("{}: {error}", root.join("Cargo.lock").display()))?;
        fs::create_dir_all(folder.join("src")).map_err(|error| format!("{}: {error}", folder.display()))?;
        for (file, text) in [("Cargo.toml", &manifest), ("Cargo.lock", &locked), ("src/main.rs", main)] {
            let path = folder.join(file);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        outln!("   {name}");
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["run", "--quiet"])
            .env("CARGO_TARGET_DIR", root.join(FOLDER).join("target"))
            .current_dir(&folder)
            .output()
            .map_err(|error| format!("cargo could not be started: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`cargo run` in {} failed:\n{said}", folder.display()))
    }
}
