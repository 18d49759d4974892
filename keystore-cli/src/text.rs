//! Bytes as text, for people.

use std::fmt::Write;

/// Bytes as a terminal can show them: UTF-8 as it is, control characters and bytes that are no UTF-8 escaped.
pub(crate) fn show(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::show;

    #[test]
    fn text_is_shown_as_it_is_and_the_rest_escaped() {
        assert_eq!(show("naïve café".as_bytes()), "naïve café");
        assert_eq!(show(b"a\tb\x1b[31m\n"), "a\\tb\\u{1b}[31m\\n");
        assert_eq!(show(b"caf\xe9!"), "caf\\xe9!");
        assert_eq!(show(b""), "");
    }
}
