//! Builds and runs the Rust programs in the pages, as a reader would. Each program gets a package
//! outside the workspace, with exactly the dependencies and features printed above it. As doctests
//! of the crate `keystore` they would have the features of that build, and nothing would read the
//! printed ones.

mod blocks;

use std::fs;
use std::path::{Path, PathBuf};

use keystore_bench::Suite;

use self::blocks::{Block, blocks};
use super::package::{FOLDER, LIBRARIES, Package};

/// Runs every Rust program in the pages, and reads every scenario file.
pub(super) fn check(root: &Path) -> Result<String, String> {
    let (mut programs, mut scenarios) = (0, 0);
    for page in pages(root)? {
        let text =
            fs::read_to_string(root.join(&page)).map_err(|error| format!("{page}: {error}"))?;
        let mut dependencies = None;
        for block in blocks(&text) {
            let place = format!("{page}:{}", block.line);
            match block.language {
                "toml" if block.code.starts_with("[dependencies]") => {
                    dependencies = Some(block.code)
                }
                "toml" => {
                    read_scenarios(root, &block.code)
                        .map_err(|error| format!("{place}: {error}"))?;
                    scenarios += 1;
                }
                "rust" => {
                    let package = package(&place, dependencies.as_deref(), &block);
                    package.run(root).map_err(|error| format!("{place}: {error}"))?;
                    programs += 1;
                }
                _ => {}
            }
        }
    }
    Ok(format!("{programs} programs ran, and {scenarios} scenario files were read"))
}

/// Start of the names of the pages for users of other crates.
const COMING_FROM: &str = "coming-from-";

/// Returns the paths of the pages, relative to the workspace. The page of keystore-bench and the
/// pages for users of other crates are missing because their code is in doctests. The latter also
/// have many short blocks, which are faster to build as one program.
fn pages(root: &Path) -> Result<Vec<String>, String> {
    let mut pages = vec!["README.md".to_owned()];
    pages.extend(LIBRARIES.map(|name| format!("{name}/README.md")));
    let mut docs = Vec::new();
    for entry in fs::read_dir(root.join("docs")).map_err(|error| format!("docs: {error}"))? {
        let name = entry.map_err(|error| format!("docs: {error}"))?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".md") && !name.starts_with(COMING_FROM) {
            docs.push(format!("docs/{name}"));
        }
    }
    docs.sort();
    pages.extend(docs);
    Ok(pages)
}

/// Makes a package of a block at `place`, a page and a line. If the page prints no dependencies,
/// the package has the crates that the code names, with their default features, as `cargo add`
/// does.
fn package(place: &str, dependencies: Option<&str>, block: &Block<'_>) -> Package {
    let main = if block.code.contains("fn main()") {
        block.code.clone()
    } else {
        let Block { before, code, .. } = block;
        format!(
            "fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{before}\n{code}Ok(())\n}}\n"
        )
    };
    let named = || {
        let path = |name: &str| name.replace('-', "_") + "::";
        let named = LIBRARIES.iter().filter(|name| main.contains(&path(name)));
        named.fold("[dependencies]\n".to_owned(), |all, name| all + name + " = \"0.1\"\n")
    };
    let dependencies = dependencies.map_or_else(named, str::to_owned);
    let name = place.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    Package { name, dependencies, main }
}

/// Reads a scenario file, as `cargo xtask bench --scenario` does.
fn read_scenarios(root: &Path, text: &str) -> Result<(), String> {
    let path: PathBuf = root.join(FOLDER).join("scenarios.toml");
    let folder = path.parent().expect("the file is in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Suite::read(&path).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(code: &str) -> Block<'_> {
        Block { language: "rust", line: 1, code: code.to_owned(), before: "let n = 1;".to_owned() }
    }

    #[test]
    fn a_program_gets_the_printed_dependencies_and_no_others() {
        let printed =
            "[dependencies]\nkeystore-core = { version = \"0.1\", features = [\"rwlock\"] }\n";
        let package = package(
            "docs/a.md:7",
            Some(printed),
            &block("use keystore_pool::SlabPool;\nfn main() {}\n"),
        );
        assert_eq!(package.name, "docs-a-md-7");
        assert_eq!(package.dependencies, printed);
        assert!(!package.main.contains("let n = 1;"), "a whole program is taken as it is");
    }

    #[test]
    fn a_fragment_gets_what_stands_before_it_and_the_crates_that_it_names() {
        let package = package("a.md:1", None, &block("keystore_core::f(n)?;\n"));
        assert_eq!(package.dependencies, "[dependencies]\nkeystore-core = \"0.1\"\n");
        let facade = self::package("a.md:1", None, &block("keystore::f(n)?;\n"));
        assert_eq!(facade.dependencies, "[dependencies]\nkeystore = \"0.1\"\n");
        assert!(
            package.main.contains("{\nlet n = 1;\nkeystore_core::f(n)?;\nOk(())\n}"),
            "{}",
            package.main
        );
    }
}
