//! Builds a project outside the repository against an installed library, of which it knows only the
//! prefix.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::command::cargo;

/// Prefix of the installation, which the step makes first; relative to the workspace.
pub(super) const PREFIX: &str = "target/test-install";

const TEXT: &str = "one two two\n";
const WORDS: &str = "2 two\n1 one\n";

/// Builds the C example with CMake and with make and pkg-config, against the shared and the static
/// library, and runs each program.
pub(super) fn check(root: &Path) -> Result<String, String> {
    let prefix = root.join(PREFIX);
    let project = copy_of(&root.join("keystore-ffi/examples/c"))?;
    let path = |name: &str| project.path().join(name);
    fs::write(path("text"), TEXT)
        .map_err(|error| format!("{}: {error}", path("text").display()))?;

    run(Command::new("cmake")
        .args(["-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release"])
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()))
        .current_dir(project.path()))?;
    run(Command::new("cmake").args(["--build", "build"]).current_dir(project.path()))?;
    run(Command::new("make")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .env("LDFLAGS", format!("-Wl,-rpath,{}", prefix.join("lib").display()))
        .current_dir(project.path()))?;

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
    legacy_and_current_names(&prefix, &project)?;
    without_installing(root, &project)?;
    Ok("built and run with CMake, with pkg-config and without installing, shared and static; sizes are right"
        .into())
}

/// Checks that the installed libraries have no debug symbols and are not much larger than before.
fn sizes(prefix: &Path) -> Result<(), String> {
    for (extension, limit) in [(std::env::consts::DLL_EXTENSION, 1_500_000), ("a", 6_000_000)] {
        for library in ["keystore", "keystore_legacy"] {
            let path = prefix.join(format!("lib/lib{library}.{extension}"));
            let file =
                fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if file.len() > limit {
                return Err(format!(
                    "{} has {} bytes, the limit is {limit}",
                    path.display(),
                    file.len()
                ));
            }
            // The name of a section alone proves nothing, because the library has code that reads
            // such sections.
            if cfg!(target_os = "linux") {
                let sections =
                    run(Command::new("readelf").args(["--sections", "--wide"]).arg(&path))?;
                if sections.contains(" .debug_info ") {
                    return Err(format!("{} has debugging symbols", path.display()));
                }
            }
        }
    }
    Ok(())
}

/// A program that uses the legacy interface.
const LEGACY: &str = r#"
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

/// A program that defines a function with a name of the legacy interface.
const CURRENT: &str = r#"
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

/// Checks that programs for the legacy interface build as the documentation says, and that other
/// programs can use the legacy names themselves.
fn legacy_and_current_names(prefix: &Path, project: &TempDir) -> Result<(), String> {
    for (name, source, package) in
        [("legacy", LEGACY, "keystore-legacy"), ("current", CURRENT, "keystore")]
    {
        let file = project.path().join(format!("{name}.c"));
        fs::write(&file, source).map_err(|error| format!("{}: {error}", file.display()))?;
        // The command of the documentation: the shell splits the output of pkg-config.
        let command =
            format!("${{CC:-cc}} {name}.c $(pkg-config --cflags --libs {package}) -o {name}");
        run(Command::new("sh")
            .args(["-c", &command])
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
            .current_dir(project.path()))?;
        let printed = run(
            Command::new(project.path().join(name)).env("LD_LIBRARY_PATH", prefix.join("lib"))
        )?;
        if printed != "42\n" {
            return Err(format!("{} printed {printed:?}, not 42", file.display()));
        }
    }
    Ok(())
}

/// Links with the folder that cargo builds to, as the documentation says for use without
/// installation. An earlier installation must not have left its library there.
fn without_installing(root: &Path, project: &TempDir) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    run(Command::new(cargo())
        .args(["build", "--release", "-p", "keystore-ffi"])
        .current_dir(root))?;
    let program = project.path().join("ten_lines");
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
        let printed =
            run(Command::new(&program).env("LD_LIBRARY_PATH", root.join("target/release")))?;
        if printed != "42\n" {
            return Err(format!("ten_lines.c, linked with {link:?}, printed {printed:?}, not 42"));
        }
    }
    Ok(())
}

/// Checks that a program loads the library by its soname, so that it never loads an incompatible
/// version.
fn names_the_versioned_library(program: &Path) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let bytes = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    let soname = b"libkeystore.so.";
    if bytes.windows(soname.len()).any(|window| window == soname) {
        return Ok(());
    }
    Err(format!("{} loads the library without a version", program.display()))
}

/// Copies a project, which has no subfolders, into a temporary folder.
fn copy_of(project: &Path) -> Result<TempDir, String> {
    let copy = || -> io::Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("keystore-outside-").tempdir()?;
        for entry in fs::read_dir(project)? {
            let entry = entry?;
            fs::copy(entry.path(), folder.path().join(entry.file_name()))?;
        }
        Ok(folder)
    };
    copy().map_err(|error| format!("a copy of {}: {error}", project.display()))
}

/// Runs a command and returns its standard output. If it fails, the error shows the command and its
/// output.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| {
        format!("{} could not be started: {error}", command.get_program().display())
    })?;
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(stdout.into_owned())
    } else {
        Err(format!("{command:?} failed:\n{stdout}{stderr}"))
    }
}
