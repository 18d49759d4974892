//! Checks that a build without a backend or pool names the feature that adds it: at run time, and
//! at compile time.

use std::path::Path;

use super::package::Package;

const NO_FEATURES: &str = "[dependencies]
keystore-core = { version = \"0.1\", default-features = false }
keystore-pool = { version = \"0.1\", default-features = false }
";

/// Opens every backend and pool by name, and expects each error to name the missing feature.
const AT_RUN_TIME: &str = r#"
use keystore_core::{BackendKind, Config, open, open_local};
use keystore_pool::{AnyPool, PoolKind};

fn main() -> keystore_core::Result<()> {
    let config = Config::default();
    let system = || AnyPool::new(PoolKind::System, &config);
    for name in ["rwlock", "epoch", "dashmap"] {
        let kind: BackendKind = name.parse()?;
        let expected = format!("feature {name:?} of keystore-core is not enabled");
        let shared = open(kind, &config, system()?).err().expect("refused").to_string();
        let local = open_local(kind, &config, system()?).err().expect("refused").to_string();
        assert!(shared.ends_with(&expected) && local.ends_with(&expected), "{shared}; {local}");
    }
    for name in ["slab", "arena"] {
        let kind: PoolKind = name.parse()?;
        let error = AnyPool::new(kind, &config).err().expect("refused").to_string();
        assert!(error.ends_with(&format!("feature {name:?} of keystore-pool is not enabled")), "{error}");
    }
    Ok(())
}
"#;

/// Uses types that are not compiled in.
const AT_COMPILE_TIME: &str = "
use keystore_core::{DashMapKeystore, EpochKeystore, LocalKeystore, RwLockKeystore};
use keystore_pool::{ArenaPool, SlabPool};
fn main() {}
";

/// Runs a program without any feature, and compiles one that uses types of missing features.
pub(super) fn check(root: &Path) -> Result<String, String> {
    let package = |name: &str, main: &str| Package {
        name: name.to_owned(),
        dependencies: NO_FEATURES.to_owned(),
        main: main.to_owned(),
    };
    package("without-at-run-time", AT_RUN_TIME).run(root)?;
    let Err(errors) = package("without-at-compile-time", AT_COMPILE_TIME).run(root) else {
        return Err("a program builds although it uses backends and pools that are not compiled in".into());
    };
    for feature in ["rwlock", "epoch", "dashmap", "slab", "arena"] {
        if !errors.contains(&format!("gated behind the `{feature}` feature")) {
            return Err(format!("the compiler does not name the feature {feature}:\n{errors}"));
        }
    }
    Ok("each missing backend and pool is refused with the name of its feature, also by the compiler".into())
}
