//! Finds the tools that the other steps need. Installs missing tools if it may do so without
//! asking.

use std::path::Path;

use keystore_text::outln;
use which::which;

use crate::command::CommandLine;

/// Finds rustfmt and clippy, or adds them to the toolchain.
pub(super) fn components(root: &Path) -> Result<String, String> {
    let versions = || -> Result<String, String> {
        let rustfmt = CommandLine::cargo("fmt --version").output(root)?;
        let clippy = CommandLine::cargo("clippy --version").output(root)?;
        Ok(format!("{}, {}", rustfmt.trim(), clippy.trim()))
    };
    versions().or_else(|missing| {
        outln!("{missing}");
        CommandLine::new("rustup", "component add rustfmt clippy").run(root).map_err(
            |failure| {
                format!(
                    "{failure}; add rustfmt and clippy the way the Rust toolchain was installed"
                )
            },
        )?;
        versions()
    })
}

/// Finds a C compiler, which compiles mimalloc and the tests of the C library. If there is none, it
/// installs one for root on a Debian system; other users get the command as an error.
pub(super) fn c_compiler(root: &Path) -> Result<String, String> {
    // The cc crate finds Microsoft's compiler in the registry, not on the path.
    if cfg!(target_env = "msvc") {
        return Ok("the build finds the compiler of Visual Studio".into());
    }
    find_c_compiler(root).or_else(|missing| {
        outln!("{missing}");
        if !can_install(root) {
            return Err(format!("{missing}; {INSTALL}"));
        }
        CommandLine::new("apt-get", "update").run(root)?;
        CommandLine::new("apt-get", "install --yes --no-install-recommends gcc libc6-dev")
            .run(root)?;
        find_c_compiler(root)
    })
}

/// Commands that install a C compiler.
const INSTALL: &str = "install one:
    Debian, Ubuntu   sudo apt-get install gcc libc6-dev
    Fedora           sudo dnf install gcc
    Arch             sudo pacman -S gcc
    Alpine           sudo apk add gcc musl-dev
    macOS            xcode-select --install";

/// Returns the first line of the C compiler's version. The compiler is the one that `CC` names, or
/// the first of the usual names on the search path.
fn find_c_compiler(root: &Path) -> Result<String, String> {
    let version = match std::env::var("CC") {
        Ok(named) => {
            // `CC` may hold a wrapper or arguments too: `ccache gcc`.
            let (compiler, arguments) = named.split_once(' ').unwrap_or((&named, ""));
            CommandLine::new(compiler, &format!("{arguments} --version")).output(root)?
        }
        Err(_) => {
            let compiler = ["cc", "gcc", "clang"].into_iter().find(|name| which(name).is_ok());
            let compiler =
                compiler.ok_or("no C compiler: none of cc, gcc, clang is on the search path")?;
            CommandLine::new(compiler, "--version").output(root)?
        }
    };
    Ok(version.lines().next().unwrap_or_default().to_owned())
}

/// Tools that the tests of the C library run, and the Debian package of each.
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

/// Finds the tools of [`C_LIBRARY_TOOLS`]. It installs missing ones for root on a Debian system;
/// other users get the command as an error.
pub(super) fn c_library_tools(root: &Path) -> Result<String, String> {
    let missing = || -> Vec<&str> {
        let missing = C_LIBRARY_TOOLS.iter().filter(|(tool, _)| which(tool).is_err());
        missing.map(|&(_, package)| package).collect()
    };
    let packages = missing();
    if !packages.is_empty() && can_install(root) {
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

/// Returns true for root on a system with Debian's package manager.
fn can_install(root: &Path) -> bool {
    let is_root = || CommandLine::new("id", "-u").output(root).is_ok_and(|id| id.trim() == "0");
    which("apt-get").is_ok() && is_root()
}
