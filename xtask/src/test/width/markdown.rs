//! Finds the lines of a Markdown page that must be wrapped.

use std::collections::BTreeSet;

/// Languages of fenced blocks that show output. A block without a language shows output too.
const OUTPUT: [&str; 4] = ["", "text", "console", "json"];

/// Starts of generated blocks, which `cargo xtask bench --publish` writes.
const GENERATED: [&str; 2] = ["<!-- figures:", "<!-- advice:"];

/// The end of a generated block.
const END: &str = "<!-- end -->";

/// The part of a page that a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'p> {
    /// Text, at the margin or in a list.
    Text,
    /// A block of code between lines of these fences.
    Fenced { fence: &'p str, is_output: bool },
    /// A block of code that is marked by four more spaces than the text has.
    Indented,
    /// A generated block.
    Generated,
}

/// Returns the numbers, from 1, of the lines that must be wrapped: text, and code in a named
/// language.
pub(super) fn wrapped_lines(page: &str) -> BTreeSet<usize> {
    let mut wrapped = BTreeSet::new();
    let (mut part, mut margin, mut follows_blank) = (Part::Text, 0, true);
    for (at, line) in page.lines().enumerate() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        part = match part {
            Part::Generated if line == END => Part::Text,
            Part::Fenced { fence, .. } if content.trim_end() == fence => Part::Text,
            Part::Generated | Part::Fenced { .. } => part,
            Part::Text | Part::Indented => {
                if GENERATED.iter().any(|start| line.starts_with(start)) {
                    Part::Generated
                } else if let Some(fenced) = fenced(content) {
                    fenced
                } else if content.is_empty() {
                    part
                } else if indent >= margin + 4 && (part == Part::Indented || follows_blank) {
                    Part::Indented
                } else {
                    // A line to the left of the list's text ends the list, unless it continues the
                    // paragraph of the line above ("lazy continuation").
                    let ends_list = indent < margin && follows_blank;
                    margin =
                        list_margin(indent, content).unwrap_or(if ends_list { 0 } else { margin });
                    Part::Text
                }
            }
        };
        follows_blank = content.is_empty();
        let is_wrapped = match part {
            Part::Text => !is_link_definition(content),
            Part::Fenced { is_output, .. } => !is_output,
            Part::Indented | Part::Generated => false,
        };
        if is_wrapped {
            wrapped.insert(at + 1);
        }
    }
    wrapped
}

/// Returns the block that an opening fence starts: three or more backticks or tildes.
fn fenced(content: &str) -> Option<Part<'_>> {
    let character = content.chars().next().filter(|c| ['`', '~'].contains(c))?;
    let language = content.trim_start_matches(character);
    let fence = &content[..content.len() - language.len()];
    // Backticks behind the fence make it code within a sentence.
    if fence.len() < 3 || language.contains('`') {
        return None;
    }
    Some(Part::Fenced { fence, is_output: OUTPUT.contains(&language.trim()) })
}

/// Returns the column at which the text of a list item begins, if the line starts one.
fn list_margin(indent: usize, content: &str) -> Option<usize> {
    let digits = content.len() - content.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let is_marker = |c: char| if digits == 0 { "-*+".contains(c) } else { ".)".contains(c) };
    let text = content[digits..].strip_prefix(is_marker)?;
    let spaces = text.len() - text.trim_start().len();
    (spaces > 0).then_some(indent + digits + 1 + spaces)
}

/// Returns true for a line `[name]: address`.
fn is_link_definition(content: &str) -> bool {
    content.starts_with('[') && content.contains("]: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(page: &str) -> Vec<usize> {
        wrapped_lines(page)
            .into_iter()
            .filter(|line| page.lines().nth(line - 1) != Some(""))
            .collect()
    }

    #[test]
    fn output_is_left_as_it_is_and_code_is_not() {
        let page = "1\n\n```\nno\n```\n\n```sh\n8\n```\n~~~text\n```\nno\n~~~\n14\n";
        let lines = wrapped(page);
        assert!([1, 7, 8, 14].iter().all(|line| lines.contains(line)), "{lines:?}");
        assert!([4, 11, 12].iter().all(|line| !lines.contains(line)), "{lines:?}");
    }

    #[test]
    fn an_indented_block_begins_behind_a_blank_line_and_ends_with_text() {
        assert_eq!(wrapped("text\n    still text\n\n    no\n\n    no\ntext\n"), [1, 2, 7]);
    }

    #[test]
    fn text_of_a_list_is_no_indented_block() {
        assert_eq!(
            wrapped("1.  one\n    text\n\n    text\n\n        no\n- two\n\n      no\n"),
            [1, 2, 4, 7]
        );
        assert_eq!(wrapped("- one\n\ntext\n\n    no\n"), [1, 3]);
    }

    #[test]
    fn generated_blocks_and_link_definitions_are_exempt() {
        let page = "1\n<!-- figures: quick -->\nno\n<!-- end -->\n[name]: address\n6\n";
        assert_eq!(wrapped(page), [1, 4, 6]);
    }

    #[test]
    fn code_within_a_sentence_is_no_fence() {
        assert_eq!(wrapped("```a``` b\ntext\n"), [1, 2]);
    }
}
