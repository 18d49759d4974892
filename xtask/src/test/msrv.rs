//! The minimum supported Rust version, kept true: a dependency that asks for a newer one breaks the
//! promise, and so does a member of the workspace that promises something else. So does a promise
//! of a newer one than any dependency asks for: it would keep users away for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::command::CommandLine;

/// What the workspace promises: this crate has the workspace's `rust-version`, like all.
const PROMISED: &str = env!("CARGO_PKG_RUST_VERSION");

/// Compares what every package of the dependency graph asks for, on any platform, with the promise.
pub(super) fn look(root: &Path) -> Result<String, String> {
    let promised: Version = PROMISED.parse()?;
    let compiler = CommandLine::new("rustc", "--version").output(root)?;
    let running: Version = compiler.split_whitespace().nth(1).unwrap_or_default().parse()?;
    if running < promised {
        return Err(format!("this is Rust {running}, and the workspace asks for {promised}: rustup update"));
    }
    let metadata = CommandLine::cargo("metadata --format-version 1 --all-features").output(root)?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)
        .map_err(|error| format!("what cargo metadata wrote cannot be read: {error}"))?;
    judge(&metadata, promised)
}

/// The verdict over what `cargo metadata` wrote.
fn judge(metadata: &serde_json::Value, promised: Version) -> Result<String, String> {
    let members = metadata["workspace_members"].as_array().ok_or("cargo metadata lists no members")?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let mut broken = Vec::new();
    let mut asking: BTreeMap<Version, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let asked: Option<Version> = package["rust_version"].as_str().map(str::parse).transpose()?;
        if members.contains(&package["id"]) {
            if asked != Some(promised) {
                broken.push(format!("{name} lacks `rust-version.workspace = true`"));
            }
            continue;
        }
        let Some(asked) = asked else { continue };
        if asked > promised {
            let version = package["version"].as_str().unwrap_or_default();
            broken.push(format!("{name} {version} asks for Rust {asked}"));
        }
        asking.entry(asked).or_default().insert(name);
    }
    if !broken.is_empty() {
        return Err(format!("the workspace promises Rust {promised}, but {}", broken.join(", ")));
    }
    let Some((newest, names)) = asking.last_key_value() else {
        return Err(format!("the workspace promises Rust {promised}, and no dependency asks for any"));
    };
    let names = names.iter().copied().collect::<Vec<&str>>().join(", ");
    if *newest < promised {
        return Err(format!(
            "the workspace promises Rust {promised}, and its dependencies need no more than {newest} ({names}): \
             promise that"
        ));
    }
    Ok(format!("the workspace promises Rust {promised}; dependencies that ask for it: {names}"))
}

/// A version of Rust: `1.95` is `1.95.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A nightly of 1.95.0 calls itself 1.95.0-nightly.
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut version = [0; 3];
        for (at, number) in numbers.split('.').enumerate() {
            let (Some(place), Ok(number)) = (version.get_mut(at), number.parse()) else {
                return Err(format!("{text:?} is no version of Rust"));
            };
            *place = number;
        }
        Ok(Self(version))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(member: &str, dependency: &str) -> serde_json::Value {
        json!({
            "workspace_members": ["ours"],
            "packages": [
                { "id": "ours", "name": "ours", "version": "0.1.0", "rust_version": member },
                { "id": "theirs", "name": "theirs", "version": "2.0.0", "rust_version": dependency },
                { "id": "silent", "name": "silent", "version": "1.0.0", "rust_version": null },
            ],
        })
    }

    #[test]
    fn a_version_is_read_with_what_follows_it() {
        assert_eq!("1.95".parse::<Version>().unwrap(), Version([1, 95, 0]));
        assert_eq!("1.96.0-nightly".parse::<Version>().unwrap(), Version([1, 96, 0]));
        assert!("1.9".parse::<Version>().unwrap() < "1.10".parse().unwrap());
        for wrong in ["", "1.x", "1.2.3.4"] {
            assert_eq!(wrong.parse::<Version>().unwrap_err(), format!("{wrong:?} is no version of Rust"));
        }
    }

    #[test]
    fn a_dependency_that_asks_for_more_is_named() {
        let promised = Version([1, 95, 0]);
        let found = judge(&metadata("1.95", "1.95"), promised).unwrap();
        assert_eq!(found, "the workspace promises Rust 1.95.0; dependencies that ask for it: theirs");
        let broken = judge(&metadata("1.95", "1.96"), promised).unwrap_err();
        assert_eq!(broken, "the workspace promises Rust 1.95.0, but theirs 2.0.0 asks for Rust 1.96.0");
    }

    #[test]
    fn a_promise_that_asks_users_for_more_than_is_needed_is_refused() {
        let broken = judge(&metadata("1.95", "1.84.1"), Version([1, 95, 0])).unwrap_err();
        assert!(broken.ends_with("need no more than 1.84.1 (theirs): promise that"), "{broken}");
    }

    #[test]
    fn a_member_that_promises_something_else_is_named() {
        let broken = judge(&metadata("1.85", "1.95"), Version([1, 95, 0])).unwrap_err();
        assert!(broken.contains("ours lacks `rust-version.workspace = true`"), "{broken}");
    }
}
