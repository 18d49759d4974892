//! The steps: what each is for, and what it runs. The cheap ones come first.

use std::fmt;
use std::path::Path;

use clap::ValueEnum;

use super::{msrv, outside, pages, setup, without};
use crate::command::CommandLine;

/// A step, in the order in which they run. What `--list` says of each is its comment here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Step {
    /// the tools that the other steps need are there, or are installed
    Setup,
    /// the code is formatted
    Format,
    /// no dependency asks for a newer Rust than the workspace promises
    Msrv,
    /// clippy has nothing to say, with every feature on
    Lint,
    /// each backend and each pool builds alone, and the build without any names the features that
    /// it lacks
    Features,
    /// the documentation builds without a warning
    Docs,
    /// unit tests, integration tests and the examples in the documentation pass
    Tests,
    /// the programs in the pages run, with exactly the features printed
    Pages,
    /// the lock-free protocols withstand every interleaving that the models allow
    Models,
    /// the C header is what the code says
    Header,
    /// the C library installs, and a project outside builds against it
    Install,
    /// every backend on every pool withstands many threads
    Stress,
    /// what threads see is linearizable, and memory stays bounded, on every backend and pool
    Soak,
    /// the comparison runs and writes its report
    Bench,
    /// every crate can be packed for publishing
    Package,
}

/// What a step does: one check or several.
#[derive(Debug)]
pub(super) enum Check {
    /// A command that has to succeed.
    Command(CommandLine),
    /// A look that no command makes: what it looks for, and how. The look says what it found.
    Look { at: &'static str, look: fn(&Path) -> Result<String, String> },
}

impl Step {
    /// What the step is for.
    pub(super) fn purpose(self) -> String {
        self.to_possible_value()
            .and_then(|value| value.get_help().map(ToString::to_string))
            .unwrap_or_default()
    }

    /// What the step runs, in order.
    pub(super) fn checks(self) -> Vec<Check> {
        let cargo = |arguments: &str| vec![Check::Command(CommandLine::cargo(arguments))];
        let xtask = |arguments: &str| vec![Check::Command(CommandLine::xtask(arguments))];
        match self {
            Self::Setup => vec![
                Check::Look { at: "rustfmt and clippy", look: setup::components },
                Check::Look { at: "a C compiler", look: setup::c_compiler },
                Check::Look { at: "what the C library's tests use", look: setup::c_library_tools },
            ],
            Self::Format => cargo("fmt --all --check"),
            Self::Msrv => vec![Check::Look { at: "the Rust that dependencies ask for", look: msrv::look }],
            Self::Lint => cargo("clippy --workspace --all-targets --all-features -- -D warnings"),
            Self::Features => {
                let backends = ["", "rwlock", "epoch", "dashmap"].map(|only| ("keystore-core", only));
                let pools = ["", "slab", "arena"].map(|only| ("keystore-pool", only));
                let facade = ["", "rwlock", "epoch", "dashmap", "slab", "arena"];
                let facade = facade.map(|only| ("keystore", only));
                let packages = backends.into_iter().chain(pools).chain(facade);
                let alone = packages.map(|(package, only)| alone(package, only));
                alone
                    .chain([Check::Look { at: "what a build says that lacks them", look: without::look }])
                    .collect()
            }
            Self::Docs => vec![Check::Command(
                CommandLine::cargo("doc --workspace --no-deps --all-features")
                    .with("RUSTDOCFLAGS", "-D warnings"),
            )],
            Self::Tests => cargo("test --workspace --all-features"),
            Self::Pages => vec![Check::Look { at: "the programs that the pages print", look: pages::look }],
            Self::Models => xtask("model"),
            Self::Header => xtask("header --check"),
            Self::Install => vec![
                Check::Command(CommandLine::xtask(&format!("install --prefix {}", outside::PREFIX))),
                Check::Look {
                    at: "a project outside that builds with CMake and pkg-config",
                    look: outside::look,
                },
            ],
            Self::Stress => xtask("stress --threads 64 --keys 500"),
            Self::Soak => xtask("soak --minutes 0.4 --entries 10000"),
            Self::Bench => xtask("bench --suite smoke --out target/test-bench"),
            // Without --no-verify, cargo also builds every packed crate anew, and all they depend on.
            Self::Package => cargo("package --workspace --no-verify --allow-dirty"),
        }
    }
}

/// The check that a package builds with one of its features, or none.
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
            Self::Look { at, .. } => write!(f, "(looks at) {at}"),
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
