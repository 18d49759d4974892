//! The tools that the steps need: looked for, and installed where that can be done without asking anybody.

use std::path::Path;

use keystore_text::outln;

use crate::command::CommandLine;

/// rustfmt and clippy, added to the toolchain where they are missing.
pub(super) fn components(root: &Path) -> Result<String, String> {
    let versions = || -> Result<String, String> {
        let rustfmt = CommandLine::cargo("fmt --version").output(root)?;
        let clippy = CommandLine::cargo("clippy --version").output(root)?;
        Ok(format!("{}, {}", rustfmt.trim(), clippy.trim()))
    };
    versions().or_else(|missing| {
        outln!("{missing}");
        CommandLine::new("rustup", "component add rustfmt clippy").run(root).map_err(|failure| {
            format!("{failure}; add rustfmt and clippy to the Rust toolchain the way it was installed")
        })?;
        versions()
    })
}

/// A C compiler: the tests of the C library use it, and mimalloc is compiled by it. Where none is found, a root user of a
/// Debian system gets one; everyone else is told the command.
pub(super) fn c_compiler(root: &Path) -> Result<String, String> {
    // The cc crate finds Microsoft's compiler in the registry, not on the path.
    if cfg!(target_env = "msvc") {
        return Ok("the compiler of Visual Studio, which the build finds by itself".into());
    }
    find_c_compiler(root).or_else(|missing| {
        outln!("{missing}");
        if !is_root(root) || CommandLine::new("apt-get", "--version").output(root).is_err() {
            return Err(format!("{missing}; {INSTALL}"));
        }
        CommandLine::new("apt-get", "update").run(root)?;
        CommandLine::new("apt-get", "install --yes --no-install-recommends gcc libc6-dev").run(root)?;
        find_c_compiler(root)
    })
}

/// What to type where this program may not install anything.
const INSTALL: &str = "install one:
    Debian, Ubuntu   sudo apt-get install gcc libc6-dev
    Fedora           sudo dnf install gcc
    Arch             sudo pacman -S gcc
    Alpine           sudo apk add gcc musl-dev
    macOS            xcode-select --install";

/// The first line that the C compiler says of itself: the one that `CC` names, or one of the usual names.
fn find_c_compiler(root: &Path) -> Result<String, String> {
    let version = match std::env::var("CC") {
        Ok(named) => {
            // The variable may hold a wrapper or arguments too: `ccache gcc`.
            let (compiler, arguments) = named.split_once(' ').unwrap_or((&named, ""));
            CommandLine::new(compiler, &format!("{arguments} --version")).output(root)?
        }
        Err(_) => ["cc", "gcc", "clang"]
            .into_iter()
            .find_map(|compiler| CommandLine::new(compiler, "--version").output(root).ok())
            .ok_or("no C compiler: none of cc, gcc, clang can be run")?,
    };
    Ok(version.lines().next().unwrap_or_default().to_owned())
}

/// What users of the C library have, and its tests run: each with Debian's package of it.
const C_LIBRARY_TOOLS: [(&str, &str); 8] = [
    ("c++", "g++"),
    ("make", "make"),
    ("cmake", "cmake"),
    ("pkg-config", "pkg-config"),
    ("valgrind", "valgrind"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

/// The tools of [`C_LIBRARY_TOOLS`], installed for a root user of a Debian system where they are missing; everyone else
/// is told the command.
pub(super) fn c_library_tools(root: &Path) -> Result<String, String> {
    let missing = || -> Vec<&str> {
        let is_missing = |tool: &str| CommandLine::new(tool, "--version").output(root).is_err();
        C_LIBRARY_TOOLS.iter().filter(|(tool, _)| is_missing(tool)).map(|&(_, package)| package).collect()
    };
    let packages = missing();
    if !packages.is_empty() && is_root(root) && CommandLine::new("apt-get", "--version").output(root).is_ok()
    {
        CommandLine::new("apt-get", "update").run(root)?;
        let install = format!("install --yes --no-install-recommends {}", packages.join(" "));
        CommandLine::new("apt-get", &install).run(root)?;
    }
    let packages = missing();
    if packages.is_empty() {
        return Ok(C_LIBRARY_TOOLS.map(|(tool, _)| tool).join(", "));
    }
    let packages = packages.join(" ");
    Err(format!("missing: {packages}; on Debian and Ubuntu: sudo apt-get install {packages}"))
}

fn is_root(root: &Path) -> bool {
    CommandLine::new("id", "-u").output(root).is_ok_and(|id| id.trim() == "0")
}
