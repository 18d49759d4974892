//! Checks the pages for users of other crates, `docs/coming-from-*.md`. Their code blocks are
//! doctests of the crate: `cargo test -p keystore --all-features --doc coming_from` runs them. The
//! tests here check what a doctest cannot: which blocks there are, and the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Names of the crates with a page.
const CRATES: [&str; 4] = ["dashmap", "scc", "papaya", "moka"];

/// Functions of the standard library in the tables.
const OF_STD: [&str; 2] = ["collect", "find"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the pages by the names of their crates.
fn pages() -> BTreeMap<&'static str, String> {
    CRATES.into_iter().map(|name| (name, read(format!("docs/coming-from-{name}.md")))).collect()
}

/// Lists the Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Returns the word at the end of a text.
fn last_word(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    &text[text.trim_end_matches(is_part).len()..]
}

/// Returns the names before the opening brackets of a text.
fn called(text: &str) -> BTreeSet<&str> {
    let before = text.match_indices('(').map(|(at, _)| last_word(&text[..at]));
    before.filter(|name| !name.is_empty()).collect()
}

/// Returns the section of a page from a heading to the next one of its level.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, section) = page.split_once(heading).unwrap_or_else(|| panic!("no {heading:?}"));
    section.split("\n## ").next().unwrap_or_default()
}

/// Returns the Rust code in a text, block by block.
fn blocks(text: &str) -> Vec<&str> {
    let starts = text.split("```rust\n").skip(1);
    starts.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// Returns the two cells of each row of the table in a text, without its head.
fn rows(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.skip(1).map(|line| line.split_once(" | ").expect("two cells")).collect()
}

/// Returns the pieces of code in a cell.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_page_is_a_doctest_and_linked() {
    let library = read("keystore/src/lib.rs");
    let list = read("docs/README.md");
    let files = fs::read_dir(root().join("docs")).expect("the folder can be read");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let names: BTreeSet<String> = names.filter(|name| name.starts_with("coming-from-")).collect();
    assert_eq!(names, CRATES.map(|name| format!("coming-from-{name}.md")).into());
    for name in names {
        assert!(library.contains(&format!("include_str!(\"../../docs/{name}\")")), "{name}");
        assert!(library.contains(&format!("`docs/{name}`")), "the crate's text lacks {name}");
        assert!(list.contains(&format!("]({name})")), "the list of pages lacks {name}");
    }
}

#[test]
fn every_pair_has_the_other_crate_first_and_both_check_a_result() {
    for (name, page) in pages() {
        let pairs = section(&page, "\n## Side by side\n");
        let pairs: Vec<&str> = pairs.split("\n### ").skip(1).collect();
        assert!((5..=8).contains(&pairs.len()), "{name} has {} pairs", pairs.len());
        for pair in pairs {
            let title = pair.lines().next().unwrap_or_default();
            let [theirs, ours] = blocks(pair)[..] else { panic!("{name}, {title}: two blocks") };
            let uses = |code: &str, name: &str| code.contains(&format!("use {name}::"));
            assert!(uses(theirs, name) && !uses(theirs, "keystore"), "{name}, {title}");
            assert!(uses(ours, "keystore") && !uses(ours, name), "{name}, {title}");
            assert!(theirs.contains("assert") && ours.contains("assert"), "{name}, {title}");
        }
    }
}

#[test]
fn every_trap_with_code_checks_a_result() {
    for (name, page) in pages() {
        let traps = blocks(section(&page, "\n## Traps\n"));
        assert!(traps.len() >= 3, "{name}: {} blocks", traps.len());
        for trap in traps {
            assert!(trap.contains("use keystore::") && trap.contains("assert"), "{name}: {trap}");
        }
    }
}

#[test]
fn the_tables_name_calls_that_there_are() {
    let folders = ["keystore/src/map", "keystore-core/src"].map(|name| root().join(name));
    let texts = folders.iter().flat_map(|folder| sources(folder)).map(read).collect::<Vec<_>>();
    let after_fn = |line: &str| {
        let rest = line.trim_start().trim_start_matches("pub ").trim_start_matches("const ");
        let end = rest.strip_prefix("fn ")?.find(['(', '<'])?;
        Some(rest[3..][..end].to_owned())
    };
    let known: BTreeSet<String> =
        texts.iter().flat_map(|t| t.lines()).filter_map(after_fn).collect();
    for (name, page) in pages() {
        let rows = rows(section(&page, "\n## Methods\n"));
        assert!(rows.len() >= 20, "{name}: {} rows", rows.len());
        for (theirs, ours) in rows {
            for call in code(ours).flat_map(called) {
                let is_known = known.contains(call) || OF_STD.contains(&call);
                assert!(is_known, "{name}, {theirs}: there is no {call}");
            }
        }
    }
}

#[test]
fn the_parts_of_a_page_are_found() {
    assert_eq!(called("map.update_or_insert_with(&k, f, g)?; (Map::new())"), {
        BTreeSet::from(["new", "update_or_insert_with"])
    });
    let page = "# A\n\n## B\n\n| a | b |\n|---|---|\n| `f()` | `g(1)`, `h` |\n\n## C\n";
    assert_eq!(rows(section(page, "\n## B\n")), [("`f()`", "`g(1)`, `h`")]);
    assert_eq!(code("`g(1)`, `h`").collect::<Vec<_>>(), ["g(1)", "h"]);
    assert_eq!(blocks("```toml\nx\n```\n```rust\ny\n```\n"), ["y\n"]);
}
