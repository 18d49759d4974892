//! The fuzzer's corpus as one text file, for the test that replays it and for `cargo xtask fuzz`.
//!
//! Each line is one input, in hexadecimal digits; an empty line is the input of no bytes. Lines
//! that begin with `#` are comments. The inputs are sorted, and each is there once.

use std::collections::BTreeSet;
use std::fmt::Write;

/// Comment at the start of the file.
const HEADING: &str = "\
# Inputs of the fuzz target `sequences`, one a line, in hexadecimal digits.
# The test `corpus` replays them, and `cargo xtask fuzz --keep` adds to them.
";

/// Returns the text of the file that has these inputs.
pub(crate) fn pack(inputs: &BTreeSet<Vec<u8>>) -> String {
    let mut text = HEADING.to_owned();
    for input in inputs {
        for byte in input {
            write!(text, "{byte:02x}").expect("a string takes any text");
        }
        text.push('\n');
    }
    text
}

/// Returns the inputs of the file that has this text.
///
/// # Errors
/// Names the first line that is not an even number of hexadecimal digits.
pub(crate) fn unpack(text: &str) -> Result<BTreeSet<Vec<u8>>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines
        .map(|(at, line)| bytes(line).ok_or_else(|| format!("line {}: {line:?}", at + 1)))
        .collect()
}

/// Returns the bytes of a line, or `None` if it does not consist of pairs of hexadecimal digits.
fn bytes(line: &str) -> Option<Vec<u8>> {
    let digits = line.chars().map(|digit| Some(digit.to_digit(16)? as u8));
    let digits = digits.collect::<Option<Vec<u8>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
