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
    sizes(&prefix)?;
    old_and_new_names(&prefix, &project)?;
    without_installing(root, &project)?;
    Ok("built and run with CMake, with pkg-config and without installing, shared and static; sizes are right"
        .into())
}

/// Checks that what is installed has nothing in it that only a debugger wants, and is no larger
/// than it was, and a bit.
fn sizes(prefix: &Path) -> Result<(), String> {
    for (extension, limit) in [(std::env::consts::DLL_EXTENSION, 1_500_000), ("a", 6_000_000)] {
        for library in ["keystore", "keystore_legacy"] {
            let path = prefix.join(format!("lib/lib{library}.{extension}"));
            let file = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if file.len() > limit {
                return Err(format!("{} has {} bytes, over {limit}", path.display(), file.len()));
            }
            // Not by a look for the name: the library has code that reads such sections of others.
            if cfg!(target_os = "linux") {
                let sections = run(Command::new("readelf").args(["--sections", "--wide"]).arg(&path))?;
                if sections.contains(" .debug_info ") {
                    return Err(format!("{} has debugging symbols", path.display()));
                }
            }
        }
    }
    Ok(())
}

/// A program written for the predecessor.
const OLD: &str = r#"
#include "key_store.h"
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    key_store_value value = {(unsigned char *)"42", 3};
    if (initialise_key_store(64, 0.5, true) != 0 || set_key("answer", &value) != 0 || get_key("answer", &value) != 0)
        return 1;
    printf("%s\n", (char *)value.data);
    free(value.data);
    return cleanup_key_store();
}
"#;

/// A program with a function of its own that is named like one of the predecessor's.
const NEW: &str = r#"
#include <keystore.h>
#include <stdio.h>

int get_key(int number);
int get_key(int number) { return number + 1; }

int main(void) {
    ks_store *store;
    if (ks_open(NULL, &store) != KS_OK || ks_set(store, "k", 1, "v", 1) != KS_OK || ks_close(store) != KS_OK)
        return 1;
    printf("%d\n", get_key(41));
    return 0;
}
"#;

/// Checks that old programs build as the documentation says, and that their names are free for
/// everyone else.
fn old_and_new_names(prefix: &Path, project: &Project) -> Result<(), String> {
    for (name, source, package) in [("old", OLD, "keystore-legacy"), ("new", NEW, "keystore")] {
        let file = project.0.join(format!("{name}.c"));
        fs::write(&file, source).map_err(|error| format!("{}: {error}", file.display()))?;
        // As the documentation has it: the shell splits what pkg-config prints.
        let command = format!("${{CC:-cc}} {name}.c $(pkg-config --cflags --libs {package}) -o {name}");
        run(Command::new("sh")
            .args(["-c", &command])
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
            .current_dir(&project.0))?;
        let printed = run(Command::new(project.0.join(name)).env("LD_LIBRARY_PATH", prefix.join("lib")))?;
        if printed != "42\n" {
            return Err(format!("{} printed {printed:?}, not 42", file.display()));
        }
    }
    Ok(())
}

/// Links with the folder that cargo builds to, as the documentation says for those who do not
/// install. An installation before that must not have left its library there.
fn without_installing(root: &Path, project: &Project) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo).args(["build", "--release", "-p", "keystore-ffi"]).current_dir(root))?;
    let program = project.0.join("ten_lines");
    for link in [
        &["-L", "target/release", "-lkeystore_ffi"][..],
        &["target/release/libkeystore_ffi.a", "-lpthread", "-ldl", "-lm"],
    ] {
        run(Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-I", "keystore-ffi/include", "keystore-ffi/examples/ten_lines.c"])
            .args(link)
            .arg("-o")
            .arg(&program)
            .current_dir(root))?;
        let printed = run(Command::new(&program).env("LD_LIBRARY_PATH", root.join("target/release")))?;
        if printed != "42\n" {
            return Err(format!("ten_lines.c, linked with {link:?}, printed {printed:?}, not 42"));
        }
    }
    Ok(())
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
