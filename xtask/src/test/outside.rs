//! A project outside the repository, built against an installed library: what someone does who only knows the prefix.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the step before this look installs to, from the workspace's folder.
pub(super) const PREFIX: &str = "target/test-install";

const TEXT: &str = "one two two\n";
const WORDS: &str = "2 two\n1 one\n";

/// Builds the example in C by CMake and by make with pkg-config, with the shared and the static library, and runs it.
pub(super) fn look(root: &Path) -> Result<String, String> {
    let prefix = root.join(PREFIX);
    let project = Project::new(&root.join("keystore-ffi/examples/c"))?;
    let path = |name: &str| project.0.join(name);
    fs::write(path("text"), TEXT).map_err(|error| format!("{}: {error}", path("text").display()))?;

    run(Command::new("cmake")
        .args(["-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release"])
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()))
        .current_dir(&project.0))?;
    run(Command::new("cmake").args(["--build", "build"]).current_dir(&project.0))?;
    run(Command::new("make")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .env("LDFLAGS", format!("-Wl,-rpath,{}", prefix.join("lib").display()))
        .current_dir(&project.0))?;

    let shared = [path("build/count_words"), path("count_words")];
    for program in shared.iter().chain([&path("build/count_words_static")]) {
        let text = File::open(path("text")).map_err(|error| error.to_string())?;
        let printed = run(Command::new(program).stdin(text))?;
        if printed != WORDS {
            return Err(format!("{} printed {printed:?}, not {WORDS:?}", program.display()));
        }
    }
    for program in &shared {
        names_the_versioned_library(program)?;
    }
    Ok("built and run with CMake and with pkg-config, shared and static".into())
}

/// Checks that a program asks for the library by its soname, so that an incompatible one is never loaded in its place.
fn names_the_versioned_library(program: &Path) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let bytes = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    let soname = b"libkeystore.so.";
    if bytes.windows(soname.len()).any(|window| window == soname) {
        return Ok(());
    }
    Err(format!("{} asks for the library without a version", program.display()))
}

/// A copy of a project in a folder of its own, which goes with it.
struct Project(PathBuf);

impl Project {
    fn new(from: &Path) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("keystore-outside-{}", std::process::id()));
        let copy = || {
            fs::create_dir_all(&folder)?;
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                fs::copy(entry.path(), folder.join(entry.file_name()))?;
            }
            Ok(())
        };
        copy().map_err(|error: std::io::Error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // It lies among the system's temporary files, and is small.
    }
}

/// Runs a command and returns what it prints; what it is and what it said where it fails.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{} could not be started: {error}", command.get_program().display()))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(stdout.into_owned())
    } else {
        Err(format!("{command:?} failed:\n{stdout}{stderr}"))
    }
}
