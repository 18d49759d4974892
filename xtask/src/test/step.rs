//! The steps: the purpose of each, and the checks that it runs. Cheap steps come first.

use std::fmt;
use std::path::Path;

use clap::ValueEnum;

use super::{msrv, outside, pages, setup, width, without};
use crate::command::CommandLine;

/// A step. Steps run in this order, and `--list` prints the comment of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Step {
    /// the tools that the other steps need are found or installed
    Setup,
    /// the code is formatted, and comments and pages end at 100 columns
    Format,
    /// no dependency needs a newer Rust than the workspace promises
    Msrv,
    /// clippy has no warning, with every feature on
    Lint,
    /// each backend and each pool builds alone, and a build without them names the missing features
    Features,
    /// the documentation builds without a warning
    Docs,
    /// unit tests, integration tests and the examples in the documentation pass
    Tests,
    /// the programs in the pages run with exactly the printed features
    Pages,
    /// the lock-free protocols are correct in every interleaving that the models allow
    Models,
    /// the C header is up to date
    Header,
    /// the C library installs, and a project outside the repository builds against it
    Install,
    /// every backend on every pool passes the stress test
    Stress,
    /// every backend on every pool is linearizable and keeps memory bounded
    Soak,
    /// the benchmark runs and writes its report
    Bench,
    /// every crate can be packaged for publishing
    Package,
}

/// A check, of which a step has one or more.
#[derive(Debug)]
pub(super) enum Check {
    /// A command that must succeed.
    Command(CommandLine),
    /// A check in this program. It returns a summary of what it found.
    BuiltIn { name: &'static str, run: fn(&Path) -> Result<String, String> },
}

impl Step {
    /// Returns the purpose of the step.
    pub(super) fn purpose(self) -> String {
        self.to_possible_value()
            .and_then(|value| value.get_help().map(ToString::to_string))
            .unwrap_or_default()
    }

    /// Returns the checks of the step, in order.
    pub(super) fn checks(self) -> Vec<Check> {
        let cargo = |arguments: &str| vec![Check::Command(CommandLine::cargo(arguments))];
        let xtask = |arguments: &str| vec![Check::Command(CommandLine::xtask(arguments))];
        match self {
            Self::Setup => vec![
                Check::BuiltIn { name: "rustfmt and clippy", run: setup::components },
                Check::BuiltIn { name: "a C compiler", run: setup::c_compiler },
                Check::BuiltIn {
                    name: "the tools of the C library's tests",
                    run: setup::c_library_tools,
                },
            ],
            Self::Format => vec![
                Check::Command(CommandLine::cargo("fmt --all --check")),
                Check::BuiltIn {
                    name: "comments and pages of at most 100 columns",
                    run: width::check,
                },
            ],
            Self::Msrv => {
                vec![Check::BuiltIn {
                    name: "the Rust version that dependencies need",
                    run: msrv::check,
                }]
            }
            Self::Lint => cargo("clippy --workspace --all-targets --all-features -- -D warnings"),
            Self::Features => {
                let backends =
                    ["", "rwlock", "epoch", "dashmap"].map(|only| ("keystore-core", only));
                let pools = ["", "slab", "arena"].map(|only| ("keystore-pool", only));
                let facade = ["", "rwlock", "epoch", "dashmap", "slab", "arena"];
                let facade = facade.map(|only| ("keystore", only));
                let packages = backends.into_iter().chain(pools).chain(facade);
                let alone = packages.map(|(package, only)| alone(package, only));
                alone
                    .chain([Check::BuiltIn {
                        name: "the errors of a build without features",
                        run: without::check,
                    }])
                    .collect()
            }
            Self::Docs => vec![Check::Command(
                CommandLine::cargo("doc --workspace --no-deps --all-features")
                    .with("RUSTDOCFLAGS", "-D warnings"),
            )],
            Self::Tests => cargo("test --workspace --all-features"),
            Self::Pages => {
                vec![Check::BuiltIn { name: "the programs in the pages", run: pages::check }]
            }
            Self::Models => xtask("model"),
            Self::Header => xtask("header --check"),
            Self::Install => vec![
                Check::Command(CommandLine::xtask(&format!(
                    "install --prefix {}",
                    outside::PREFIX
                ))),
                Check::BuiltIn {
                    name: "a project outside the repository, with CMake and pkg-config",
                    run: outside::check,
                },
            ],
            Self::Stress => xtask("stress --threads 64 --keys 500"),
            Self::Soak => xtask("soak --minutes 0.4 --entries 10000"),
            Self::Bench => xtask("bench --suite smoke --out target/test-bench"),
            // Without `--no-verify`, cargo would also build every package and all of its
            // dependencies.
            Self::Package => cargo("package --workspace --no-verify --allow-dirty"),
        }
    }
}

/// Returns the check that a package builds with one of its features, or with none.
fn alone(package: &str, feature: &str) -> Check {
    let features = if feature.is_empty() { String::new() } else { format!("--features {feature}") };
    Check::Command(CommandLine::cargo(&format!(
        "clippy -p {package} --lib --no-default-features {features} -- -D warnings"
    )))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => command.fmt(f),
            Self::BuiltIn { name, .. } => write!(f, "(built-in check) {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_purpose_and_checks_something() {
        for step in Step::value_variants() {
            assert!(!step.purpose().is_empty(), "{step}");
            assert!(!step.checks().is_empty(), "{step}");
        }
    }

    #[test]
    fn a_feature_alone_is_a_build_without_the_others() {
        assert_eq!(
            alone("keystore-core", "epoch").to_string(),
            "cargo clippy -p keystore-core --lib --no-default-features --features epoch -- -D warnings"
        );
        assert_eq!(
            alone("keystore-pool", "").to_string(),
            "cargo clippy -p keystore-pool --lib --no-default-features -- -D warnings"
        );
    }
}
