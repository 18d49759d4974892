//! `cargo xtask install`: the C libraries under a prefix, as a distribution would lay them out.
//!
//! cargo-c does the same (`cargo cinstall --package keystore-ffi`), on every system that it knows. This needs nothing but
//! cargo and the system's `strip`; the checks use it.
//!
//! An installed library differs from the one that `cargo build` makes: it has a soname, and no
//! symbols for a debugger. So it is built in a target directory of its own, for two recipes must
//! not write one file.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use keystore_text::{errln, outln};

/// The library's version, which is the workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The profile whose libraries are stripped.
const DIST: &str = "dist";

/// A library that is installed.
struct Library {
    /// The package that it is built from.
    package: &'static str,
    /// The package's folder.
    folder: &'static str,
    /// Its name for the linker.
    name: &'static str,
    /// Its name for pkg-config.
    pkg_config: &'static str,
    /// What pkg-config says of it.
    description: &'static str,
}

const LIBRARIES: [Library; 2] = [
    Library {
        package: "keystore-ffi",
        folder: "keystore-ffi",
        name: "keystore",
        pkg_config: "keystore",
        description: "A concurrent, in-process key-value store",
    },
    Library {
        package: "keystore-legacy",
        folder: "keystore-ffi/legacy",
        name: "keystore_legacy",
        pkg_config: "keystore-legacy",
        description: "keystore with the interface of its C predecessor",
    },
];

/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to: DIR/include, DIR/lib and DIR/share are made where they are missing.
    #[arg(long, value_name = "DIR")]
    prefix: PathBuf,
    /// The cargo profile that the libraries are built in. Those of `dist` are stripped.
    #[arg(long, default_value = DIST)]
    profile: String,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> ExitCode {
    match install(args) {
        Ok(installed) => {
            for file in installed {
                outln!("{}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            errln!("cargo xtask install: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How a system names the forms of a shared library.
struct Names {
    /// The file, by its whole version.
    file: String,
    /// What programs that were linked with it look for: compatible versions share it.
    soname: String,
    /// What the linker looks for.
    link: String,
}

impl Names {
    /// Those of a library on this system.
    fn here(library: &str) -> Result<Self, String> {
        let compatible = compatible_version();
        if cfg!(target_os = "macos") {
            Ok(Self {
                file: format!("lib{library}.{VERSION}.dylib"),
                soname: format!("lib{library}.{compatible}.dylib"),
                link: format!("lib{library}.dylib"),
            })
        } else if cfg!(unix) {
            Ok(Self {
                file: format!("lib{library}.so.{VERSION}"),
                soname: format!("lib{library}.so.{compatible}"),
                link: format!("lib{library}.so"),
            })
        } else {
            Err("this system's libraries are installed by cargo-c: cargo install cargo-c, then cargo cinstall \
                 --package keystore-ffi --prefix DIR"
                .into())
        }
    }

    /// What the linker has to be told to write the soname into the library.
    fn linker_argument(&self, lib: &Path) -> String {
        if cfg!(target_os = "macos") {
            format!("-Wl,-install_name,{}", lib.join(&self.soname).display())
        } else {
            format!("-Wl,-soname,{}", self.soname)
        }
    }
}

/// The part of the version that stays the same as long as programs need not be built anew: before 1.0, the minor
/// version; from then on the major one.
fn compatible_version() -> &'static str {
    let mut dots = VERSION.match_indices('.').map(|(at, _)| at);
    let first = dots.next().unwrap_or(VERSION.len());
    if &VERSION[..first] == "0" {
        &VERSION[..dots.next().unwrap_or(VERSION.len())]
    } else {
        &VERSION[..first]
    }
}

/// Builds the libraries and puts everything in its place: the files that were written.
fn install(args: &Args) -> Result<Vec<PathBuf>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let prefix =
        std::path::absolute(&args.prefix).map_err(|error| format!("{}: {error}", args.prefix.display()))?;
    let (include, lib) = (prefix.join("include"), prefix.join("lib"));
    let (pkgconfig, cmake) = (lib.join("pkgconfig"), prefix.join("share/keystore/cmake"));

    let target = target_directory(root)?.join("install");
    let mut built = Vec::new();
    for library in &LIBRARIES {
        let names = Names::here(library.name)?;
        let files = build(root, &target, library, &args.profile, &names.linker_argument(&lib))?;
        built.push((library, names, files));
    }
    for directory in [&include, &pkgconfig, &cmake] {
        fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }

    let mut installed = Vec::new();
    for file in files(&root.join("keystore-ffi/cmake"))? {
        installed.push(copy(&file, &cmake.join(file.file_name().unwrap_or_default()))?);
    }
    for (library, names, built) in built {
        for file in files(&root.join(library.folder).join("include"))? {
            installed.push(copy(&file, &include.join(file.file_name().unwrap_or_default()))?);
        }
        let archive = lib.join(format!("lib{}.a", library.name));
        installed.push(put(&archive, |path| {
            fs::copy(&built.archive, path)?;
            if args.profile == DIST { strip(path) } else { Ok(()) }
        })?);
        installed.push(copy(&built.shared, &lib.join(&names.file))?);
        installed.push(link(&names.file, &lib.join(&names.soname))?);
        installed.push(link(&names.soname, &lib.join(&names.link))?);
        let described = pkgconfig.join(format!("{}.pc", library.pkg_config));
        installed.push(put(&described, |path| fs::write(path, pkg_config(library)))?);
    }
    Ok(installed)
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).stderr(Stdio::inherit());
    cargo
}

/// Where cargo builds this workspace.
fn target_directory(root: &Path) -> Result<PathBuf, String> {
    let output = cargo(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let target = metadata["target_directory"].as_str();
    target.map(PathBuf::from).ok_or_else(|| "cargo metadata names no target directory".into())
}

/// What was built.
struct Built {
    shared: PathBuf,
    archive: PathBuf,
}

/// Builds a library, and asks cargo where it is.
fn build(
    root: &Path,
    target: &Path,
    library: &Library,
    profile: &str,
    linker_argument: &str,
) -> Result<Built, String> {
    let output = cargo(root)
        .args(["rustc", "--package", library.package, "--lib", "--crate-type", "cdylib,staticlib"])
        .args(["--profile", profile, "--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target)
        .args(["--", "-C", &format!("link-arg={linker_argument}")])
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("lib{} could not be built", library.name));
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let built: Vec<PathBuf> = stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == library.name)
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .collect();
    let find = |extension: &str| {
        let found = built.iter().find(|file| file.extension().is_some_and(|e| e == extension));
        found.cloned().ok_or_else(|| format!("cargo built no lib{}.{extension}", library.name))
    };
    Ok(Built { shared: find(std::env::consts::DLL_EXTENSION)?, archive: find("a")? })
}

/// Removes what only a debugger wants from an archive. For a shared library the profile says so to
/// the linker; for an archive there is no linker that could do it.
fn strip(archive: &Path) -> io::Result<()> {
    let program = std::env::var_os("STRIP").unwrap_or_else(|| "strip".into());
    let failed = |why: String| io::Error::other(format!("{} -S: {why}", program.display()));
    let status = Command::new(&program).arg("-S").arg(archive).status();
    match status.map_err(|error| failed(format!("{error} (it comes with binutils; STRIP names another)")))? {
        status if status.success() => Ok(()),
        status => Err(failed(status.to_string())),
    }
}

/// The files of a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let list = || fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut files = list().map_err(|error| format!("{}: {error}", directory.display()))?;
    files.sort();
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<PathBuf, String> {
    put(to, |path| fs::copy(from, path).map(drop))
}

/// A link at `at` to a file beside it.
fn link(file: &str, at: &Path) -> Result<PathBuf, String> {
    put(at, |path| symlink(file, path))
}

#[cfg(unix)]
fn symlink(file: &str, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(file, at)
}

/// `Names::here` refuses such systems before this is called.
#[cfg(not(unix))]
fn symlink(file: &str, at: &Path) -> io::Result<()> {
    fs::copy(at.with_file_name(file), at).map(drop)
}

/// Makes a file beside its place and then moves it there: a program that runs with the library of before keeps it, and
/// nothing is ever there by half.
fn put(to: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<PathBuf, String> {
    let mut name = OsString::from(".installing-");
    name.push(to.file_name().unwrap_or_default());
    let fresh = to.with_file_name(name);
    let _ = fs::remove_file(&fresh); // Left by a run that was interrupted.
    make(&fresh).and_then(|()| fs::rename(&fresh, to)).map_err(|error| {
        let _ = fs::remove_file(&fresh); // There may be none; what is told is why.
        format!("{}: {error}", to.display())
    })?;
    Ok(to.to_owned())
}

/// What pkg-config is told. The prefix is where the file lies, so that the whole can be moved.
fn pkg_config(library: &Library) -> String {
    let Library { name, pkg_config, description, .. } = library;
    let system = if cfg!(target_os = "linux") { "-lpthread -ldl -lm" } else { "-lpthread -lm" };
    format!(
        "prefix=${{pcfiledir}}/../..\n\
         libdir=${{prefix}}/lib\n\
         includedir=${{prefix}}/include\n\
         \n\
         Name: {pkg_config}\n\
         Description: {description}\n\
         Version: {VERSION}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -l{name}\n\
         Libs.private: {system}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compatible_versions_share_a_soname() {
        let compatible = compatible_version();
        assert!(VERSION.starts_with(&format!("{compatible}.")), "{compatible}");
        assert_eq!(compatible.contains('.'), VERSION.starts_with("0."));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_library_has_three_names() {
        let names = Names::here("keystore").unwrap();
        assert_eq!(names.file, format!("libkeystore.so.{VERSION}"));
        assert_eq!(names.soname, format!("libkeystore.so.{}", compatible_version()));
        assert_eq!(names.link, "libkeystore.so");
    }
}
