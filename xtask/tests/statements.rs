//! Checks statements in the documentation against the code: lists of files and crates, error codes,
//! and the errors that each operation documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Lists the names in a folder. A subfolder ends with a slash.
fn names_in(folder: &str) -> BTreeSet<String> {
    let entries =
        fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let name_of = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("a name of ASCII characters");
        if entry.path().is_dir() { name + "/" } else { name }
    };
    entries.map(|entry| name_of(entry.expect("the folder can be read"))).collect()
}

/// Returns the part of a page between two texts.
fn between<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("the page lacks {from:?}"));
    rest.split_once(to).unwrap_or_else(|| panic!("the page lacks {to:?} after {from:?}")).0
}

/// Returns the file names at the start of the indented lines of a text. One line may list several.
fn listed(text: &str) -> BTreeSet<String> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| !line.starts_with(' '));
    let names = |line: &str| -> Vec<String> {
        // Two spaces separate the names from their description.
        line.split("  ").next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    lines.flat_map(names).filter(|name| name.ends_with(".rs") || name.ends_with('/')).collect()
}

#[test]
fn the_architecture_lists_every_file_of_keystore_core() {
    let page = read("docs/architecture.md");
    let list = between(&page, "Inside keystore-core:", "## The two traits");
    assert_eq!(listed(list), names_in("keystore-core/src"));
}

#[test]
fn the_architecture_lists_what_backends_share() {
    let page = read("docs/architecture.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let list = between(&page, "is in `backend/common` (", ")");
    let list: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();
    let files = names_in("keystore-core/src/backend/common");
    let shared = files.iter().filter_map(|name| name.strip_suffix(".rs"));
    assert_eq!(list, shared.filter(|name| *name != "mod").collect());
}

#[test]
fn the_architecture_maps_every_crate_and_what_it_uses() {
    let page = read("docs/architecture.md");
    let map = between(&page, "## The map", "What must stay true");
    let manifest = read("Cargo.toml");
    let members: BTreeSet<&str> =
        between(&manifest, "members = [", "]").split('"').skip(1).step_by(2).collect();
    let lines: BTreeMap<&str, &str> =
        map.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(' ')).collect();
    let mapped: BTreeSet<&str> = lines.keys().copied().filter(|name| *name != "docs").collect();
    assert_eq!(mapped, members);
    for member in members {
        let manifest = read(&format!("{member}/Cargo.toml"));
        let dependencies = between(&manifest, "\n[dependencies]\n", "\n\n");
        let uses: BTreeSet<&str> = dependencies
            .lines()
            .filter_map(|line| line.split([' ', '.', '=']).next())
            .filter(|name| name.starts_with("keystore"))
            .map(|name| name.strip_prefix("keystore-").unwrap_or(name))
            .collect();
        let said = lines[member].split_once(" uses ").map_or("", |(_, said)| said);
        assert_eq!(
            said.split(", ").filter(|name| !name.is_empty()).collect::<BTreeSet<_>>(),
            uses,
            "{member}"
        );
    }
}

/// Returns the cells of the rows of a table, for rows whose first cell is a number.
fn rows(text: &str) -> Vec<(i32, Vec<String>)> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    text.lines().map(cells).filter_map(|row| Some((row[0].parse().ok()?, row))).collect()
}

#[test]
fn the_page_of_error_codes_has_every_code_of_rust_and_c() {
    let page = read("docs/error-codes.md");
    let (happens, reserved) = page.split_once("## Reserved codes").expect("both tables");
    let (happens, reserved) = (rows(happens), rows(reserved));
    let listed: BTreeSet<i32> = happens.iter().chain(&reserved).map(|row| row.0).collect();

    let source = read("keystore-core/src/error.rs");
    let in_rust: BTreeSet<i32> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once(": i32 = "))
        .map(|(_, number)| number.trim_end_matches(';').parse().expect("a number"))
        .collect();
    assert!(
        in_rust.len() > 10 && in_rust.is_subset(&listed),
        "{in_rust:?} and on the page {listed:?}"
    );

    let header = read("keystore-ffi/include/keystore.h");
    let in_c: BTreeSet<(i32, String)> = header
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .filter(|(name, number)| number.starts_with('-') || *name == "KS_OK")
        .map(|(name, number)| (number.trim().parse().expect("a number"), format!("`{name}`")))
        .collect();
    let on_the_page = happens
        .iter()
        .map(|(code, row)| (*code, row[1].clone()))
        .filter(|(_, name)| name != "(none)");
    assert_eq!(in_c, on_the_page.collect());
}

/// Returns the error codes in the documentation of each operation. They include the codes of the
/// operation that the section `# Errors` links to first.
fn documented_errors() -> BTreeMap<String, BTreeSet<i32>> {
    let source = read("keystore-core/src/keystore/mod.rs");
    let body = between(&source, "pub trait Keystore {", "\n}\n");
    let (mut named, mut refers) = (BTreeMap::new(), BTreeMap::new());
    let mut text = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(documentation) = line.strip_prefix("///") {
            text.push_str(documentation);
        } else if let Some(operation) = line.strip_prefix("fn ") {
            let operation = operation.split(['(', '<']).next().expect("a name").to_owned();
            let errors = text.split_once("# Errors").expect("every operation names its errors").1;
            let numbers =
                errors.split('-').skip(1).map(|rest| rest.chars().take_while(char::is_ascii_digit));
            let codes: BTreeSet<i32> = numbers
                .filter_map(|digits| digits.collect::<String>().parse::<i32>().ok())
                .map(|n| -n)
                .collect();
            let referred = errors.split("](Self::").nth(1).and_then(|rest| rest.split(')').next());
            refers.insert(operation.clone(), referred.map(str::to_owned));
            named.insert(operation, codes);
            text.clear();
        }
    }
    let all = |operation: &String| {
        let mut codes = BTreeSet::new();
        let mut at = Some(operation);
        while let Some(operation) = at {
            codes.extend(&named[operation]);
            at = refers[operation].as_ref();
        }
        codes
    };
    named.keys().map(|operation| (operation.clone(), all(operation))).collect()
}

#[test]
fn the_documentation_of_each_verb_names_every_error_that_it_can_return() {
    let read = BTreeSet::from([-10, -20, -30]);
    let write = BTreeSet::from([-10, -20, -30, -43, -51]);
    let scan = BTreeSet::from([-10, -30]);
    let resume = BTreeSet::from([-10, -20, -30, -43]);
    let enter = BTreeSet::from([-10]);
    let none = BTreeSet::new();
    for (operation, codes) in documented_errors() {
        let expected = match operation.trim_end_matches("_dyn") {
            "read" | "contains" | "read_many" | "get" | "take" | "delete" | "delete_many"
            | "get_into" | "take_many" => &read,
            "set" | "insert" | "update" | "compare_exchange" | "set_many" | "update_with"
            | "insert_many" | "update_many" | "update_all" => &write,
            "scan" | "iter" => &resume,
            "for_each" | "retain" | "clear" | "stats" | "reserve" | "shrink" => &scan,
            "table_bytes" | "counters" | "session" => &enter,
            // `describe` returns only errors of the formatter.
            "describe" => &none,
            "len" | "is_empty" => &none,
            other => panic!("{other} is new: name its errors here"),
        };
        assert_eq!(&codes, expected, "{operation}");
    }
}

#[test]
fn the_page_of_tests_names_tests_that_there_are() {
    let page = read("docs/testing.md");
    let promises = between(&page, "## Promises", "## Models");
    let mut seen = 0;
    for name in promises.split('`').skip(1).step_by(2) {
        let Some((module, test)) = name.split_once("::").filter(|(_, test)| test.ends_with('…'))
        else {
            continue;
        };
        let source = read(&format!("keystore/tests/conformance/{module}.rs"));
        let beginning = format!("fn {}", test.trim_end_matches('…'));
        assert!(source.contains(&beginning), "{name}: no test of {module} starts like this");
        seen += 1;
    }
    assert!(seen >= 5, "{seen} names");
}

/// Lists every file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn no_public_signature_names_a_type_of_a_dependency() {
    const DEPENDENCIES: [&str; 6] = [
        "crossbeam_epoch::",
        "crossbeam_utils::",
        "dashmap::",
        "foldhash::",
        "lock_api::",
        "parking_lot::",
    ];
    for source in ["keystore/src", "keystore-core/src", "keystore-pool/src"]
        .into_iter()
        .flat_map(|name| sources(&root().join(name)))
    {
        let text = fs::read_to_string(&source).expect("the file can be read");
        for line in text.lines().map(str::trim) {
            let public = ["pub fn", "pub type", "pub const", "pub use"]
                .iter()
                .any(|start| line.starts_with(start));
            let ours = line.starts_with("pub use backend::");
            let foreign = DEPENDENCIES.iter().find(|dependency| line.contains(**dependency));
            assert!(!public || ours || foreign.is_none(), "{}: {line}", source.display());
        }
    }
}

/// Checks that unsafe blocks are short, so that a reader can check each against the SAFETY comment
/// above it. The tests of the two crates are left out, because they test the safe code.
#[test]
fn no_unsafe_block_of_core_or_pool_is_longer_than_ten_lines() {
    let mut long = Vec::new();
    for path in
        ["keystore-core/src", "keystore-pool/src"].iter().flat_map(|s| sources(&root().join(s)))
    {
        let text = fs::read_to_string(&path).expect("the file can be read");
        let lines: Vec<&str> =
            text.split("#[cfg(test)]").next().unwrap_or_default().lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.ends_with("unsafe {")) {
            let indent = line.len() - line.trim_start().len();
            let is_end =
                |line: &&str| line.starts_with('}') || line.get(indent..indent + 1) == Some("}");
            let length = lines[at + 1..].iter().take_while(|line| !is_end(line)).count();
            if length > 10 && !path.components().any(|part| part.as_os_str() == "tests") {
                long.push(format!("{}:{}: {length} lines", path.display(), at + 1));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn every_published_crate_says_what_a_registry_shows() {
    let manifest = read("Cargo.toml");
    for member in between(&manifest, "members = [", "]").split('"').skip(1).step_by(2) {
        let manifest = read(&format!("{member}/Cargo.toml"));
        if manifest.contains("publish = false") {
            continue;
        }
        for field in
            ["description = ", "readme = ", "license", "repository", "keywords", "categories"]
        {
            assert!(manifest.lines().any(|line| line.starts_with(field)), "{member} lacks {field}");
        }
        let files = names_in(member);
        for file in ["README.md", "LICENSE-APACHE", "LICENSE-MIT"] {
            assert!(files.contains(file), "{member} lacks {file}");
        }
    }
}

#[test]
fn every_page_links_to_files_that_are_there() {
    let mut pages: Vec<PathBuf> =
        names_in("docs").into_iter().map(|name| Path::new("docs").join(name)).collect();
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from));
    for page in
        pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md"))
    {
        let text = read(&page.to_string_lossy());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let local = !link.is_empty() && !link.contains("://");
            let target = root().join(page.parent().expect("a folder")).join(link);
            assert!(
                !local || target.exists(),
                "{} links to {link}, which does not exist",
                page.display()
            );
        }
    }
}
