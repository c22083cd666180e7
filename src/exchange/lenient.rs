//! Values as servers read them that are not strict about spelling.

/// How a value that is not all plain characters may be read: up to a NUL, without what stands around it and does not show,
/// and with letters that are ASCII's in the other case, as Java and Python make `SELL` of one that begins with a long s. None
/// where that is the value as it stands.
pub(crate) fn respelled(value: &str) -> Option<String> {
    let strange = |byte: u8| !byte.is_ascii() || byte.is_ascii_control();
    if !value.bytes().any(strange) {
        return None;
    }
    let unseen = |char: char| char.is_whitespace() || char <= ' ' || char == '\u{feff}';
    let begun = value.trim_start_matches(unseen);
    let shown = begun.split('\0').next().unwrap_or_default();
    let mut text = String::with_capacity(value.len());
    for char in shown.trim_end_matches(unseen).chars() {
        match in_ascii(char) {
            Some(other) => text.push_str(&other),
            None => text.push(char),
        }
    }
    (text != value).then_some(text)
}

/// The value as it is compared: in lower case, without blanks around it, [`respelled`].
pub(crate) fn lowered(value: &str) -> String {
    match respelled(value) {
        Some(value) => value.trim().to_lowercase(),
        None => value.trim().to_lowercase(),
    }
}

/// What a character beyond ASCII is in the other case, where that is ASCII: so are the long s, the i without a dot and the
/// sign of Kelvin.
fn in_ascii(char: char) -> Option<String> {
    if char.is_ascii() {
        return None;
    }
    let (upper, lower): (String, String) = (char.to_uppercase().collect(), char.to_lowercase().collect());
    [upper, lower].into_iter().find(|other| other.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_lenient_servers_take_it_for() {
        for (value, read) in [
            ("\u{17f}ell", "Sell"),
            ("l\u{131}mit", "lImit"),
            ("MAR\u{212a}ET", "MARkET"),
            ("\u{fb01}x", "FIx"),
            ("market\0", "market"),
            ("market\0x", "market"),
            ("\0market", "market"),
            ("\u{feff}market", "market"),
            ("\u{b}market\u{1f}", "market"),
            ("market\u{a0}", "market"),
        ] {
            assert_eq!(respelled(value).as_deref(), Some(read), "{value:?}");
        }
        for value in ["sell", " sell", "naïve", "币安USDT", "Å", "\u{9b}", "x\u{7f}", ""] {
            assert_eq!(respelled(value), None, "{value:?}");
        }
    }
}
