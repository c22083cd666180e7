//! Words that are looked for in a text all at once.

/// Some words of two letters or more, with the pairs of characters that they begin with.
pub(in crate::policy) struct Words {
    words: &'static [&'static str],
    /// A bit a pair, by the five lowest bits of each character.
    pairs: [u64; 16],
}

const fn pair(first: u8, second: u8) -> (usize, u64) {
    let both = ((first & 31) as usize) << 5 | (second & 31) as usize;
    (both >> 6, 1 << (both & 63))
}

impl Words {
    pub(super) const fn new(words: &'static [&'static str]) -> Self {
        let mut pairs = [0; 16];
        let mut at = 0;
        while at < words.len() {
            let word = words[at].as_bytes();
            let (place, bit) = pair(word[0], word[1]);
            pairs[place] |= bit;
            at += 1;
        }
        Self { words, pairs }
    }

    /// Whether one of them stands in the text.
    pub fn stand_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        bytes.windows(2).enumerate().any(|(at, two)| {
            let (place, bit) = pair(two[0], two[1]);
            self.pairs[place] & bit != 0
                && self
                    .words
                    .iter()
                    .any(|word| bytes[at..].starts_with(word.as_bytes()))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::policy::known::calm;

    proptest! {
        #[test]
        fn words_are_found_as_they_are_one_by_one(parts in prop::collection::vec("[a-z/é_-]{0,3}", 0..4), word in 0..100_usize) {
            for words in [&calm::TRADES_OTHERWISE, &calm::AMENDS, &calm::LOOKS_AT, &calm::ACTS, &calm::NO_CANCELS] {
                let text = parts.join(words.words[word % words.words.len()]);
                let found = words.words.iter().any(|word| text.contains(word));
                prop_assert_eq!(words.stand_in(&text), found, "{}", text);
                let cut = text.get(1..).unwrap_or_default();
                prop_assert_eq!(words.stand_in(cut), words.words.iter().any(|word| cut.contains(word)));
            }
        }
    }
}
