//! Whether a secret can be guessed. A token that keeps it is no help then: every signature tests a
//! guess, and so does the hash of the key that C_DigestKey gives on many tokens.

/// A secret of fewer bytes than this can be tried out, whoever chose it.
const SHORT: usize = 16;
/// The pairs of letters that make up half of English text.
const PAIRS: &[u8] =
    b"th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se le \
sa si ar ve ra ld ur co ho me li ri ro io ne be ma pe mo ic ce ca om us";

/// What makes a secret easy to guess, in words; none where it looks random.
pub(super) fn weakness(secret: &[u8]) -> Option<String> {
    let why = if secret.len() < SHORT {
        format!(
            "it has {} bytes, and fewer than {SHORT} can be tried out",
            secret.len()
        )
    } else if few_kinds(secret) {
        "it repeats itself".to_owned()
    } else if mostly_steps(secret) {
        "it counts up or down, or repeats itself".to_owned()
    } else if reads_like_words(secret) {
        "it reads like words".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "the secret looks as if it can be guessed: {why}. Whoever sees one signed request can test guesses against it, and so can whoever has the PIN, by the hash that C_DigestKey gives, however well the token keeps it; have the exchange issue a random one"
    ))
}

/// Whether it is made of very few different bytes: a random secret of 16 hex digits has 10 of 16 in the mean.
fn few_kinds(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    secret.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|seen| **seen).count() <= 5
}

/// Whether most bytes follow from the one before.
fn mostly_steps(secret: &[u8]) -> bool {
    let steps = secret
        .windows(2)
        .filter(|pair| matches!(pair[1].wrapping_sub(pair[0]), 0 | 1 | 0xff))
        .count();
    steps * 2 > secret.len()
}

/// Whether its letters follow each other as in English.
fn reads_like_words(secret: &[u8]) -> bool {
    if !secret.iter().all(u8::is_ascii_graphic) {
        return false;
    }
    // Counted one by one: a list of them would be the secret once more.
    let (mut pairs, mut common) = (0, 0);
    for pair in secret.windows(2) {
        if pair.iter().all(u8::is_ascii_alphabetic) {
            pairs += 1;
            common += usize::from(PAIRS.chunks(3).any(|known| known[..2].eq_ignore_ascii_case(pair)));
        }
    }
    pairs >= 12 && pairs * 2 > secret.len() && common * 7 > pairs * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_and_short_secrets_are_pointed_out() {
        for (secret, why) in [
            (&b"hunter2"[..], "7 bytes"),
            (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "repeats itself"),
            (b"abababababababababababababababab", "repeats itself"),
            (b"0123456789abcdef0123456789abcdef", "counts up"),
            (b"correct-horse-battery-staple", "words"),
            (b"thisismysecretpassword2024", "words"),
            (b"TheSecretOfMyOtherTradingAccount", "words"),
        ] {
            let said = weakness(secret).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(secret)));
            assert!(said.contains(why), "{said}");
            assert!(
                said.contains("one signed request") && said.contains("C_DigestKey"),
                "{said}"
            );
            assert!(!said.contains(std::str::from_utf8(secret).unwrap()));
        }
    }

    #[test]
    fn secrets_that_exchanges_issue_are_not() {
        for secret in [
            &b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"[..],
            b"73f8c1a5e2d94b60a7c3e8f1d2b49650",
            b"5a4f2cc7-9e61-4d0c-bf1a-2d3b8f7e6c91",
            b"YWJjZGVmQ0hBTkdFTUVub3Rjcm4xUTdXZQ",
            b"xKd92lQpwZ0vJ7tRb4Ym",
        ] {
            assert_eq!(weakness(secret), None, "{}", String::from_utf8_lossy(secret));
        }
        // Random bytes and texts of several alphabets: next to never.
        let mut wrong = 0;
        for round in 0..3000_u32 {
            let mut secret = [0; 64];
            getrandom::fill(&mut secret).unwrap();
            let alphabet: &[u8] = match round % 3 {
                0 => b"0123456789abcdef",
                1 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                _ => b"abcdefghijklmnopqrstuvwxyz0123456789",
            };
            assert_eq!(weakness(&secret), None);
            let text = secret.map(|byte| alphabet[usize::from(byte) % alphabet.len()]);
            for len in [20, 32, 64] {
                wrong += u32::from(weakness(&text[..len]).is_some());
            }
        }
        assert!(wrong < 10, "{wrong} of 9000");
    }
}
