//! Checks that comments and Markdown pages end at [`LIMIT`] columns. rustfmt wraps code, but
//! neither comments nor pages.
//!
//! Every tracked file of a known language takes part. Lines that cannot be wrapped are exempt:
//! table rows, a URL that stands alone, link definitions, output in a page, and generated blocks.

mod comments;
mod markdown;

use std::fs;
use std::path::Path;

use self::comments::Language;
use crate::command::CommandLine;

/// Columns of the widest line, counted in characters.
const LIMIT: usize = 100;

/// Number of lines that a failure lists. It only counts the others.
const LISTED: usize = 20;

/// A line that is too wide.
#[derive(Debug, PartialEq, Eq)]
struct Wide {
    /// Number of the line in its file, from 1.
    line: usize,
    columns: usize,
}

/// Checks every tracked file of the repository.
pub(super) fn check(root: &Path) -> Result<String, String> {
    let tracked = CommandLine::new("git", "ls-files -z").output(root)?;
    let (mut checked, mut faults) = (0, Vec::new());
    for file in tracked.split_terminator('\0') {
        let Some(lines) = check_for(Path::new(file)) else { continue };
        let path = root.join(file);
        // A tracked file may have been deleted, and the deletion not been staged.
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        checked += 1;
        for Wide { line, columns } in lines.wide_lines(&text) {
            faults.push(format!("{file}:{line}: {columns} columns, the limit is {LIMIT}"));
        }
    }
    report(checked, &faults)
}

/// Lists the first faults and counts all.
fn report(checked: usize, faults: &[String]) -> Result<String, String> {
    let lines =
        |count: usize| if count == 1 { "1 line is".into() } else { format!("{count} lines are") };
    if faults.is_empty() {
        return Ok(format!("no comment and no page of {checked} files passes {LIMIT} columns"));
    }
    let mut report = format!("{} too wide:", lines(faults.len()));
    for fault in faults.iter().take(LISTED) {
        report.push('\n');
        report.push_str(fault);
    }
    if let more @ 1.. = faults.len().saturating_sub(LISTED) {
        report.push_str(&format!("\n… and {more} more"));
    }
    Err(report)
}

/// The check of a file, which depends on its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Lines with a comment in them.
    Comments(Language),
    /// All lines of a Markdown page, except for the exempt ones.
    Markdown,
}

/// Returns the check for a file by its extension.
fn check_for(file: &Path) -> Option<Check> {
    // The classes for Python and Node are files to copy, until packages replace them.
    if file.components().any(|part| ["python", "node"].iter().any(|name| part.as_os_str() == *name))
    {
        return None;
    }
    let comments = |language| Some(Check::Comments(language));
    match file.extension()?.to_str()? {
        "md" => Some(Check::Markdown),
        "rs" => comments(Language::Rust),
        "c" | "h" | "cpp" | "hpp" => comments(Language::C),
        "mjs" => comments(Language::JavaScript),
        "py" => comments(Language::Python),
        "toml" => comments(Language::Toml),
        "sh" => comments(Language::Shell),
        _ => None,
    }
}

impl Check {
    /// Returns the lines of a text that are too wide.
    fn wide_lines(self, text: &str) -> Vec<Wide> {
        let checked = match self {
            Self::Comments(language) => comments::commented_lines(text, language),
            Self::Markdown => markdown::wrapped_lines(text),
        };
        let wide = |line: usize, content: &str| {
            let columns = content.chars().count();
            (columns > LIMIT && checked.contains(&line) && !is_unbreakable(content))
                .then_some(Wide { line, columns })
        };
        text.lines().enumerate().filter_map(|(at, content)| wide(at + 1, content)).collect()
    }
}

/// Returns true for a table row and for a URL alone, behind any marker of a comment or a list.
fn is_unbreakable(line: &str) -> bool {
    let content = line.trim_start_matches(|c: char| c.is_whitespace() || "/*#!-+>".contains(c));
    content.starts_with('|')
        || (content.contains("://") && !content.trim_end().contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(file: &str, text: &str) -> Vec<usize> {
        let check = check_for(Path::new(file)).expect("the language is known");
        check.wide_lines(text).into_iter().map(|wide| wide.line).collect()
    }

    #[test]
    fn a_line_of_a_hundred_characters_is_no_fault_and_one_more_is() {
        let text = format!("// {}\n// {}\n", "é".repeat(97), "é".repeat(98));
        let check = Check::Comments(Language::Rust);
        assert_eq!(check.wide_lines(&text), [Wide { line: 2, columns: 101 }]);
        assert_eq!(wide("a.md", &format!("{}\r\n{}\n", "x".repeat(100), "x".repeat(101))), [2]);
    }

    #[test]
    fn code_is_left_to_the_formatter_unless_a_comment_stands_beside_it() {
        let (code, long) = ("let a = 1; ".repeat(10), "x ".repeat(60));
        for (file, comment) in [
            ("a.rs", "//"),
            ("a.c", "//"),
            ("a.mjs", "//"),
            ("a.py", "#"),
            ("a.toml", "#"),
            ("a.sh", "#"),
        ] {
            let text = format!("{code}\n{code} {comment} why\n{comment} {long}\n");
            assert_eq!(wide(file, &text), [2, 3], "{file}");
        }
    }

    #[test]
    fn a_url_alone_and_a_table_row_are_exempt_and_text_before_a_url_is_not() {
        let url = format!("https://example.org/{}", "x".repeat(100));
        assert!(wide("a.rs", &format!("// {url}\n//! | a | {url} |\n")).is_empty());
        assert!(wide("a.md", &format!("- {url}\n| a | {url} |\n> <{url}>\n")).is_empty());
        assert_eq!(wide("a.rs", &format!("// See {url}\n")), [1]);
        assert_eq!(wide("a.md", &format!("See {url}\n")), [1]);
    }

    #[test]
    fn files_of_other_kinds_are_not_checked() {
        for file in ["LICENSE-MIT", "Cargo.lock", "plots/a.svg", ".gitignore"] {
            assert_eq!(check_for(Path::new(file)), None, "{file}");
        }
    }

    #[test]
    fn the_first_faults_are_listed_and_all_are_counted() {
        let faults: Vec<String> = (1..=25).map(|line| format!("a.rs:{line}: wide")).collect();
        let said = report(3, &faults).unwrap_err();
        assert!(said.starts_with("25 lines are too wide:\na.rs:1: wide\n"), "{said}");
        assert!(said.ends_with("\na.rs:20: wide\n… and 5 more"), "{said}");
        assert_eq!(report(3, &faults[..1]).unwrap_err(), "1 line is too wide:\na.rs:1: wide");
        assert!(report(3, &[]).unwrap().contains("3 files"));
    }
}
