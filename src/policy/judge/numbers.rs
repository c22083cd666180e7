//! Numbers in values that are none, as readers take them that are not strict about it.

use super::endpoints::plain;
use crate::policy::decimal::Decimal;

/// The number that a lenient reader makes of a value that is none: of hex as Spring and JavaScript, with `_` between its digits
/// or digits of another script as Python and Java, of what it begins with as PHP.
fn begun(value: &str) -> Option<String> {
    let value: String = value
        .trim()
        .chars()
        .map(in_ascii)
        .filter(|char| *char != '_')
        .collect();
    let (sign, bare) = match value.strip_prefix('-') {
        Some(bare) => ("-", bare),
        None => ("", value.strip_prefix('+').unwrap_or(&value)),
    };
    if let Some(number) = bare
        .strip_prefix("0x")
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
    {
        return Some(format!("{sign}{number}"));
    }
    let ends = bare
        .char_indices()
        .map(|(at, char)| at + char.len_utf8())
        .take(40);
    let number = ends
        .filter_map(|end| Decimal::parse(&bare[..end]))
        .last()?
        .amount()?;
    Some(format!("{sign}{number}"))
}

/// A digit of the scripts that have their own, as ASCII's.
fn in_ascii(char: char) -> char {
    let digit = [0x660, 0x6f0, 0x966, 0xff10].into_iter().find_map(|zero| {
        let digit = u32::from(char).checked_sub(zero)?;
        char::from_digit(digit, 10)
    });
    digit.unwrap_or(char)
}

/// Whether a pattern that is a number is the one that a value is read as.
pub(super) fn is_number(pattern: &str, value: &str) -> bool {
    Decimal::parse(pattern.trim()).is_some() && begun(value).is_some_and(|number| number == plain(pattern))
}
