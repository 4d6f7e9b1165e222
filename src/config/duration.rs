//! Durations in K2K's notation (`5 seconds`, `200 milliseconds`, `24 hours`) and in short forms.

use std::time::Duration;

/// Parses a duration.
///
/// # Errors
///
/// A message that says what was expected and what was found.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let expected = || {
        format!("expected a duration such as `5 seconds`, `200ms` or `24 hours`, found {text:?}")
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    let millis: u64 = match unit.trim() {
        "ms" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60 * 1000,
        "h" | "hour" | "hours" => 3600 * 1000,
        "d" | "day" | "days" => 24 * 3600 * 1000,
        "" => return Err(format!("{} (a bare number has no unit)", expected())),
        _ => return Err(expected()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_forms_are_equal() {
        for (long, short, millis) in [
            ("5 seconds", "5s", 5_000),
            ("200 milliseconds", "200ms", 200),
            ("24 hours", "24h", 86_400_000),
            ("1 minute", "1m", 60_000),
            ("2 days", "48h", 172_800_000),
        ] {
            assert_eq!(parse(long), Ok(Duration::from_millis(millis)), "{long}");
            assert_eq!(parse(short), Ok(Duration::from_millis(millis)), "{short}");
        }
    }

    #[test]
    fn anything_else_says_what_was_expected() {
        for text in ["", "5", "s", "-5s", "5 parsecs", "99999999999999999999s", "1.5s"] {
            assert!(
                parse(text).is_err_and(|error| error.contains("expected a duration")),
                "{text}"
            );
        }
        assert!(parse("5").is_err_and(|error| error.contains("no unit")));
    }
}
