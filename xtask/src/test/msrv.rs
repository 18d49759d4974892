//! Checks the promise of a minimum supported Rust version (MSRV).
//!
//! A dependency that needs a newer Rust breaks the promise, and so does a workspace member that
//! declares another version. The check also fails if the promised Rust is newer than every
//! dependency needs, because that would exclude users without a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};
use semver::{BuildMetadata, Prerelease, Version};

use crate::command::{CommandLine, cargo};

/// The promised version. This crate inherits the workspace's `rust-version`, as all members do.
const PROMISED: &str = env!("CARGO_PKG_RUST_VERSION");

/// Compares the promise with the `rust-version` of every package in the dependency graph, on all
/// platforms.
pub(super) fn check(root: &Path) -> Result<String, String> {
    let promised = rust_version(PROMISED)?;
    let compiler = CommandLine::new("rustc", "--version").output(root)?;
    let running = rust_version(compiler.split_whitespace().nth(1).unwrap_or_default())?;
    if running < promised {
        return Err(format!(
            "this is Rust {running}, and the workspace needs {promised}: run `rustup update`"
        ));
    }
    let metadata = MetadataCommand::new()
        .cargo_path(cargo())
        .current_dir(root)
        .features(CargoOpt::AllFeatures)
        .exec()
        .map_err(|error| format!("`cargo metadata --all-features`: {error}"))?;
    compare(&metadata, &promised)
}

/// Compares the promise with the packages that `cargo metadata` lists.
fn compare(metadata: &Metadata, promised: &Version) -> Result<String, String> {
    let mut broken = Vec::new();
    let mut needed: BTreeMap<&Version, BTreeSet<&str>> = BTreeMap::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if metadata.workspace_members.contains(&package.id) {
            if package.rust_version.as_ref() != Some(promised) {
                broken.push(format!("{name} lacks `rust-version.workspace = true`"));
            }
            continue;
        }
        let Some(version) = &package.rust_version else { continue };
        if version > promised {
            broken.push(format!("{name} {} needs Rust {version}", package.version));
        }
        needed.entry(version).or_default().insert(name);
    }
    if !broken.is_empty() {
        return Err(format!("the workspace promises Rust {promised}, but {}", broken.join(", ")));
    }
    let Some((newest, names)) = needed.last_key_value() else {
        return Err(format!(
            "the workspace promises Rust {promised}, but no dependency names a version"
        ));
    };
    let names = names.iter().copied().collect::<Vec<&str>>().join(", ");
    if *newest < promised {
        return Err(format!(
            "the workspace promises Rust {promised}, but its dependencies need only {newest} ({names}): \
             promise that"
        ));
    }
    Ok(format!("the workspace promises Rust {promised}; dependencies that need it: {names}"))
}

/// Parses a version of Rust. `1.95` means `1.95.0`, and a nightly `1.95.0-nightly` counts as its
/// release.
fn rust_version(text: &str) -> Result<Version, String> {
    let invalid = || format!("{text:?} is not a version of Rust");
    let release = text.split(['-', '+']).next().unwrap_or_default();
    let missing = 2_usize.saturating_sub(release.matches('.').count());
    let mut version =
        Version::parse(&format!("{release}{}", ".0".repeat(missing))).map_err(|_| invalid())?;
    (version.pre, version.build) = (Prerelease::EMPTY, BuildMetadata::EMPTY);
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, version: &str, rust_version: Option<&str>) -> serde_json::Value {
        json!({
            "id": name,
            "name": name,
            "version": version,
            "rust_version": rust_version,
            "manifest_path": format!("/{name}/Cargo.toml"),
            "dependencies": [],
            "targets": [],
            "features": {},
        })
    }

    fn metadata(member: &str, dependency: &str) -> Metadata {
        let metadata = json!({
            "packages": [
                package("ours", "0.1.0", Some(member)),
                package("theirs", "2.0.0", Some(dependency)),
                package("silent", "1.0.0", None),
            ],
            "workspace_members": ["ours"],
            "workspace_root": "/",
            "target_directory": "/target",
            "resolve": null,
            "version": 1,
        });
        serde_json::from_value(metadata).unwrap()
    }

    fn promised() -> Version {
        Version::new(1, 95, 0)
    }

    #[test]
    fn a_version_is_read_with_what_follows_it() {
        assert_eq!(rust_version("1.95"), Ok(Version::new(1, 95, 0)));
        assert_eq!(rust_version("1.96.0-nightly"), Ok(Version::new(1, 96, 0)));
        assert!(rust_version("1.9").unwrap() < rust_version("1.10").unwrap());
        for wrong in ["", "1.x", "1.2.3.4"] {
            assert_eq!(
                rust_version(wrong).unwrap_err(),
                format!("{wrong:?} is not a version of Rust")
            );
        }
    }

    #[test]
    fn a_dependency_that_asks_for_more_is_named() {
        let found = compare(&metadata("1.95", "1.95"), &promised()).unwrap();
        assert_eq!(found, "the workspace promises Rust 1.95.0; dependencies that need it: theirs");
        let broken = compare(&metadata("1.95", "1.96"), &promised()).unwrap_err();
        assert_eq!(
            broken,
            "the workspace promises Rust 1.95.0, but theirs 2.0.0 needs Rust 1.96.0"
        );
    }

    #[test]
    fn a_promise_that_asks_users_for_more_than_is_needed_is_refused() {
        let broken = compare(&metadata("1.95", "1.84.1"), &promised()).unwrap_err();
        assert!(broken.ends_with("need only 1.84.1 (theirs): promise that"), "{broken}");
    }

    #[test]
    fn a_member_that_promises_something_else_is_named() {
        let broken = compare(&metadata("1.85", "1.95"), &promised()).unwrap_err();
        assert!(broken.contains("ours lacks `rust-version.workspace = true`"), "{broken}");
    }
}
