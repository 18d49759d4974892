//! `cargo xtask install`: installs the C libraries under a prefix, as a distribution lays them out.
//!
//! cargo-c does the same on more systems (`cargo cinstall --package keystore-ffi`). This command
//! needs only cargo and the system's `strip`, so the checks use it.
//!
//! An installed library differs from the one that `cargo build` makes: it has a soname and no debug
//! symbols. It is built in a separate target directory, so that the two builds never overwrite each
//! other's file. It also has another name: cargo names a library after its crate, and the crate
//! `keystore` is the Rust library. So cargo builds `libkeystore_ffi`, and this command installs it
//! as `libkeystore`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use cargo_metadata::{Message, MetadataCommand};
use keystore_text::{errln, outln};
use semver::Version;

use crate::command::cargo;

/// Version of the libraries, which is the workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Profile whose archives are stripped.
const DIST: &str = "dist";

/// A library to install.
struct Library {
    /// Package that it is built from.
    package: &'static str,
    /// Folder of the package.
    folder: &'static str,
    /// Crate that it is built from. cargo names the files that it builds after it.
    crate_name: &'static str,
    /// Name for the linker. The installed files have it.
    name: &'static str,
    /// Name for pkg-config.
    pkg_config: &'static str,
    /// Description for pkg-config.
    description: &'static str,
}

const LIBRARIES: [Library; 2] = [
    Library {
        package: "keystore-ffi",
        folder: "keystore-ffi",
        crate_name: "keystore_ffi",
        name: "keystore",
        pkg_config: "keystore",
        description: "A concurrent, in-process key-value store",
    },
    Library {
        package: "keystore-legacy",
        folder: "keystore-ffi/legacy",
        crate_name: "keystore_legacy",
        name: "keystore_legacy",
        pkg_config: "keystore-legacy",
        description: "keystore with the interface of its predecessor in C",
    },
];

/// Options of `cargo xtask install`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Install into DIR/include, DIR/lib and DIR/share; missing folders are created.
    #[arg(long, value_name = "DIR")]
    prefix: PathBuf,
    /// Build with this cargo profile. Only libraries of `dist` are stripped.
    #[arg(long, default_value = DIST)]
    profile: String,
}

/// Installs the libraries and prints the path of each file.
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

/// File names of a shared library.
struct Names {
    /// The library itself, with the full version.
    file: String,
    /// The name that linked programs load; all compatible versions share it.
    soname: String,
    /// The name that the linker searches for.
    link: String,
}

impl Names {
    /// Returns the names of a library on this system.
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
            Err("this system needs cargo-c: run `cargo install cargo-c`, then `cargo cinstall --package \
                 keystore-ffi --prefix DIR`"
                .into())
        }
    }

    /// Returns the linker argument that writes the soname into the library.
    fn linker_argument(&self, lib: &Path) -> String {
        if cfg!(target_os = "macos") {
            format!("-Wl,-install_name,{}", lib.join(&self.soname).display())
        } else {
            format!("-Wl,-soname,{}", self.soname)
        }
    }
}

/// Returns the part of the version that compatible releases share: the major version or, before
/// 1.0, also the minor version.
fn compatible_version() -> String {
    let Version { major, minor, .. } = Version::parse(VERSION).expect("cargo accepted the version");
    if major == 0 { format!("0.{minor}") } else { major.to_string() }
}

/// Builds and installs the libraries. Returns the installed files.
fn install(args: &Args) -> Result<Vec<PathBuf>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let prefix = std::path::absolute(&args.prefix)
        .map_err(|error| format!("{}: {error}", args.prefix.display()))?;
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
        fs::create_dir_all(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
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

/// Returns the workspace's target directory.
fn target_directory(root: &Path) -> Result<PathBuf, String> {
    let metadata = MetadataCommand::new().cargo_path(cargo()).current_dir(root).no_deps().exec();
    metadata
        .map(|metadata| metadata.target_directory.into_std_path_buf())
        .map_err(|error| format!("`cargo metadata --no-deps`: {error}"))
}

/// The files of a library that was built.
struct Built {
    shared: PathBuf,
    archive: PathBuf,
}

/// Builds a library, and reads from cargo's messages which files it wrote.
fn build(
    root: &Path,
    target: &Path,
    library: &Library,
    profile: &str,
    linker_argument: &str,
) -> Result<Built, String> {
    let output = Command::new(cargo())
        .current_dir(root)
        .stderr(Stdio::inherit())
        .args(["rustc", "--package", library.package, "--lib", "--crate-type", "cdylib,staticlib"])
        .args(["--profile", profile, "--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target)
        .args(["--", "-C", &format!("link-arg={linker_argument}")])
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("lib{} could not be built", library.name));
    }
    let mut built: Vec<PathBuf> = Vec::new();
    for message in Message::parse_stream(&output.stdout[..]) {
        match message.map_err(|error| format!("a message of cargo cannot be read: {error}"))? {
            Message::CompilerArtifact(artifact) if artifact.target.name == library.crate_name => {
                built.extend(artifact.filenames.into_iter().map(|file| file.into_std_path_buf()));
            }
            _ => {}
        }
    }
    let find = |extension: &str| {
        let found = built.iter().find(|file| file.extension().is_some_and(|e| e == extension));
        found
            .cloned()
            .ok_or_else(|| format!("cargo built no lib{}.{extension}", library.crate_name))
    };
    Ok(Built { shared: find(std::env::consts::DLL_EXTENSION)?, archive: find("a")? })
}

/// Removes the debug symbols from an archive. In a shared library the linker removes them, because
/// the profile asks for it; an archive is never linked.
fn strip(archive: &Path) -> io::Result<()> {
    let program = std::env::var_os("STRIP").unwrap_or_else(|| "strip".into());
    let failed = |why: String| io::Error::other(format!("{} -S: {why}", program.display()));
    let status = Command::new(&program).arg("-S").arg(archive).status();
    match status.map_err(|error| {
        failed(format!("{error} (install binutils, or name another program in STRIP)"))
    })? {
        status if status.success() => Ok(()),
        status => Err(failed(status.to_string())),
    }
}

/// Lists the files of a directory in order.
fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let list =
        || fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut files = list().map_err(|error| format!("{}: {error}", directory.display()))?;
    files.sort();
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<PathBuf, String> {
    put(to, |path| fs::copy(from, path).map(drop))
}

/// Makes `at` a symbolic link to `file`, a file in the same directory.
fn link(file: &str, at: &Path) -> Result<PathBuf, String> {
    put(at, |path| symlink(file, path))
}

#[cfg(unix)]
fn symlink(file: &str, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(file, at)
}

/// Copies the file. It is never called, because `Names::here` refuses systems other than Unix
/// first.
#[cfg(not(unix))]
fn symlink(file: &str, at: &Path) -> io::Result<()> {
    fs::copy(at.with_file_name(file), at).map(drop)
}

/// Makes a file under a temporary name in the target's directory, and then renames it to `to`. So
/// no program ever sees half a file, and a program that runs with the old library keeps it.
fn put(to: &Path, mut make: impl FnMut(&Path) -> io::Result<()>) -> Result<PathBuf, String> {
    let directory = to.parent().unwrap_or(Path::new("."));
    let make = |path: &Path| {
        make(path).inspect_err(|_| {
            let _ = fs::remove_file(path); // There may be none. The caller reports the first error.
        })
    };
    let made = tempfile::Builder::new().prefix(".installing-").make_in(directory, make);
    made.and_then(|file| Ok(file.into_temp_path().persist(to)?))
        .map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(to.to_owned())
}

/// Returns the pkg-config file of a library. Its prefix is relative to the file, so that the whole
/// installation can be moved.
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
