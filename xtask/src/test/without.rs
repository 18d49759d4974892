//! Checks that a build without a backend or pool names the feature that adds it: at run time, and
//! at compile time.

use std::collections::BTreeSet;
use std::path::Path;

use super::package::Package;

/// Crates that have the backends and the pools: the facade, which has both, or one crate for each.
const CRATES: [(&str, &str); 2] = [("keystore", "keystore"), ("keystore-core", "keystore-pool")];

/// Opens every backend and pool by name, and expects each error to name the missing feature.
const AT_RUN_TIME: &str = r#"
use BACKENDS::{BackendKind, Config, open, open_local};
use POOLS::{AnyPool, PoolKind};

fn main() -> BACKENDS::Result<()> {
    let config = Config::default();
    let system = || AnyPool::new(PoolKind::System, &config);
    for name in ["rwlock", "epoch", "dashmap"] {
        let kind: BackendKind = name.parse()?;
        let expected = format!("is not supported: feature {name:?} is not enabled");
        let shared = open(kind, &config, system()?).err().expect("refused").to_string();
        let local = open_local(kind, &config, system()?).err().expect("refused").to_string();
        assert!(shared.ends_with(&expected) && local.ends_with(&expected), "{shared}; {local}");
    }
    for name in ["slab", "arena"] {
        let kind: PoolKind = name.parse()?;
        let error = AnyPool::new(kind, &config).err().expect("refused").to_string();
        let expected = format!("is not supported: feature {name:?} is not enabled");
        assert!(error.ends_with(&expected), "{error}");
    }
    Ok(())
}
"#;

/// Uses types that are not compiled in.
const AT_COMPILE_TIME: &str = "
use BACKENDS::{DashMapKeystore, EpochKeystore, LocalKeystore, RwLockKeystore};
use POOLS::{ArenaPool, SlabPool};
fn main() {}
";

/// Runs a program without any feature, and compiles a program that uses types of missing features.
/// It does both with the facade, and with the crates that the facade is made of.
pub(super) fn check(root: &Path) -> Result<String, String> {
    for (backends, pools) in CRATES {
        package("run", backends, pools, AT_RUN_TIME).run(root)?;
        let Err(errors) = package("compile", backends, pools, AT_COMPILE_TIME).run(root) else {
            return Err(format!(
                "a program builds although it uses what {backends} and {pools} do not have compiled in"
            ));
        };
        for feature in ["rwlock", "epoch", "dashmap", "slab", "arena"] {
            if !errors.contains(&format!("gated behind the `{feature}` feature")) {
                return Err(format!("the compiler does not name the feature {feature}:\n{errors}"));
            }
        }
    }
    Ok("each missing backend and pool is refused with the name of its feature, also by the compiler".into())
}

/// Makes a package of a program that has these crates, without their features.
fn package(time: &str, backends: &str, pools: &str, program: &str) -> Package {
    let crates = BTreeSet::from([backends, pools]);
    let line = |name: &str| format!("{name} = {{ version = \"0.1\", default-features = false }}\n");
    Package {
        name: format!("without-{backends}-at-{time}-time"),
        dependencies: crates
            .iter()
            .fold("[dependencies]\n".to_owned(), |all, name| all + &line(name)),
        main: program
            .replace("BACKENDS", &backends.replace('-', "_"))
            .replace("POOLS", &pools.replace('-', "_")),
    }
}
