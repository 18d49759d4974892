//! Formats durations for people.

/// Formats nanoseconds in a suitable unit with two digits: `31 ns`, `1.5 µs`.
#[must_use]
pub fn nanoseconds_text(nanoseconds: f64) -> String {
    let (value, unit) = scaled(nanoseconds);
    let digits = usize::from(value < 10.0 && value.fract() != 0.0);
    format!("{value:.digits$} {unit}")
}

/// Formats nanoseconds in a suitable unit with two decimals: `999 ns`, `1.50 µs`.
#[must_use]
pub fn nanoseconds_exact(nanoseconds: f64) -> String {
    match scaled(nanoseconds) {
        (value, unit @ "ns") => format!("{value:.0} {unit}"),
        (value, unit) => format!("{value:.2} {unit}"),
    }
}

/// Returns the value in the largest unit in which it is at least 1.
fn scaled(nanoseconds: f64) -> (f64, &'static str) {
    match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        assert_eq!(
            [31.0, 1500.0, 10_000.0, 2_340_000.0, 3e9].map(nanoseconds_text),
            ["31 ns", "1.5 µs", "10 µs", "2.3 ms", "3 s"]
        );
        let shown = [0.0, 999.0, 1_500.0, 2_340_000.0, 61e9].map(nanoseconds_exact);
        assert_eq!(shown, ["0 ns", "999 ns", "1.50 µs", "2.34 ms", "61.00 s"]);
    }
}
