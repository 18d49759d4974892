//! Formats numbers and names for plots, tables and messages.

/// Longest slug in bytes. A file name has at most 255 bytes on common systems, and a slug is one
/// part of it.
const MAX_SLUG: usize = 160;

/// Returns a name in a form that fits into a file name: `95/5 Zipf` becomes `95-5-zipf`. A name
/// without any letter or digit becomes `scenario`. A long name is cut.
pub(crate) fn slug(name: &str) -> String {
    // In lower case first: it may add a character which is no letter, such as the dot of `İ`.
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return "scenario".to_owned();
    }
    let mut slug = words.join("-");
    slug.truncate(slug.floor_char_boundary(MAX_SLUG));
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// Returns a number of threads with the noun: `1 thread`, `2 threads`.
pub(crate) fn threads_text(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// Returns a number with three significant digits. All digits of its integer part are kept.
pub(crate) fn three_digits(value: f64) -> String {
    let digits = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Returns a rate in millions, with three significant digits.
pub(crate) fn millions_text(per_second: f64) -> String {
    three_digits(per_second / 1e6)
}

/// Returns a number of keys with a unit: `10k`, `1M`, `1.5M`.
pub(crate) fn count_text(count: usize) -> String {
    let (value, unit) = match count {
        n if n >= 1_000_000 && n.is_multiple_of(100_000) => (n as f64 / 1e6, "M"),
        n if n >= 1_000 && n.is_multiple_of(100) => (n as f64 / 1e3, "k"),
        n => return n.to_string(),
    };
    let digits = usize::from(value.fract() != 0.0);
    format!("{value:.digits$}{unit}")
}

/// Returns an integer with its digits grouped in threes by commas: `1,234,567`.
pub(crate) fn digits_grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_units() {
        assert_eq!(slug("95/5 Zipf"), "95-5-zipf");
        assert_eq!(slug("???"), "scenario");
        for name in ["name ".repeat(60), "ß".repeat(255), "İ-".repeat(100), "ΑΣ".repeat(99)] {
            let cut = slug(&name);
            assert!(cut.len() <= MAX_SLUG && cut.len() > MAX_SLUG - 6, "{cut}");
            assert_eq!(slug(&cut), cut);
        }
        assert_eq!(slug("smoke: hot set at a fixed rate"), "smoke-hot-set-at-a-fixed-rate");
        assert_eq!(
            [1_234_567.0, 45_678_901.0, 123_456_789.0].map(millions_text),
            ["1.23", "45.7", "123"]
        );
        assert_eq!(
            [50, 10_000, 1_500_000, 10_000_000].map(count_text),
            ["50", "10k", "1.5M", "10M"]
        );
    }
}
