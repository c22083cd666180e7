//! Which known name was probably meant.

/// The known name that is nearest to what was typed, if one is near: a beginning, or at most two letters off.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase();
    if typed.is_empty() || typed.len() > 63 {
        return None;
    }
    let allowed = if typed.len() < 4 { 1 } else { 2 };
    known
        .into_iter()
        .map(|name| {
            let begins = name.starts_with(&typed) || (typed.len() > 2 && typed.starts_with(name));
            (if begins { 0 } else { distance(&typed, name) }, name)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (column, against) in other.bytes().enumerate() {
            let change = corner + usize::from(letter != against);
            corner = row[column + 1];
            row[column + 1] = change.min(row[column] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["kraken", "krakenfutures", "binance", "okx"];
        for (typed, meant) in [
            ("krakn", Some("kraken")),
            ("Kraken", Some("kraken")),
            ("bin", Some("binance")),
            ("biannce", Some("binance")),
            ("okex", Some("okx")),
            ("coinbase", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
