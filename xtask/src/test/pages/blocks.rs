//! Finds the code blocks of a Markdown page.

/// A fenced block of code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'p> {
    /// Language after the opening fence: `rust`, `toml`, …
    pub(super) language: &'p str,
    /// Line of the page at which the code starts, from 1.
    pub(super) line: usize,
    /// Code between the fences.
    pub(super) code: String,
    /// Text of a comment `<!-- before: … -->` right above the block. It holds statements that the
    /// code needs before it and that readers of the page do not see.
    pub(super) before: String,
}

const COMMENT: (&str, &str) = ("<!-- before:", "-->");

/// Returns the fenced blocks of a page, in order.
pub(super) fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut before = String::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(text) = line.strip_prefix(COMMENT.0) {
            before = comment(text, &mut lines);
        } else if let Some(language) = line.strip_prefix("```") {
            let code =
                lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```"));
            let code = code.flat_map(|line| [line, "\n"]).collect();
            blocks.push(Block {
                language,
                line: number + 2,
                code,
                before: std::mem::take(&mut before),
            });
        } else if !line.is_empty() {
            before.clear();
        }
    }
    blocks
}

/// Returns the text of a comment, of which `first` is the rest of the first line.
fn comment<'p>(first: &'p str, lines: &mut impl Iterator<Item = (usize, &'p str)>) -> String {
    let mut text = String::new();
    let mut line = Some(first);
    while let Some(part) = line {
        if let Some((last, _)) = part.split_once(COMMENT.1) {
            text.push_str(last);
            break;
        }
        text.push_str(part);
        text.push('\n');
        line = lines.next().map(|(_, line)| line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_language_line_and_comment() {
        let page = "Text.\n\n```sh\nls\n```\n\n<!-- before: let n = 1;\nlet m = 2; -->\n```rust\nf(n);\n\ng(m);\n```\n\
                    ```rust\nh();\n```\n";
        let found = blocks(page);
        let line = |n: usize| page.lines().nth(n - 1).unwrap();
        assert_eq!(
            found.iter().map(|block| block.language).collect::<Vec<_>>(),
            ["sh", "rust", "rust"]
        );
        assert_eq!(found[1].code, "f(n);\n\ng(m);\n");
        assert_eq!(found[1].before.split_whitespace().collect::<String>(), "letn=1;letm=2;");
        assert_eq!(
            found.iter().map(|block| line(block.line)).collect::<Vec<_>>(),
            ["ls", "f(n);", "h();"]
        );
        assert_eq!(found[2].before, "", "a comment belongs to the block right below it");
    }
}
