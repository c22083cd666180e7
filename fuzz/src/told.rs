//! What holds of every error: it is told, it fits an answer line, and it shows nothing that is secret.

use std::ops::Range;

use hsmsign::{error::Error, json::Json, request::error_line};

/// Words of eight characters that errors may have although they look like a piece of a secret.
const KNOWN: [&str; 4] = ["secp256r", "ecp256r1", "prime256", "rime256v"];

/// Checks an error. `hidden` must not stand in it.
pub fn told(error: &Error, hidden: Option<&str>) {
    assert!(
        !error.message().is_empty() && !error.advice().is_empty(),
        "{error:?}"
    );
    let line = error_line(None, error);
    let answer = Json::parse(&line).unwrap_or_else(|why| panic!("{why}: {line}"));
    let said = answer.get("error").and_then(|error| error.get("message"));
    assert_eq!(said.and_then(Json::as_str), Some(error.message()));
    assert!(!line.contains('\n'), "{line}");
    if let Some(secret) = hidden {
        hides(&format!("{} {}", error.message(), error.advice()), secret);
    }
}

/// Checks that the words show no eight characters of the secret that could be a piece of one: letters and digits mixed.
pub fn hides(words: &str, secret: &str) {
    for piece in secret.as_bytes().windows(8) {
        let Ok(piece) = std::str::from_utf8(piece) else {
            continue;
        };
        let telling = piece.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && piece.bytes().any(|byte| byte.is_ascii_digit())
            && piece.bytes().any(|byte| byte.is_ascii_alphabetic());
        assert!(
            !telling || KNOWN.contains(&piece) || !words.contains(piece),
            "{words:?} shows {piece:?} of {secret:?}"
        );
    }
}

/// Checks that an error does not show what stands at `place`: with other digits there it shows no five of these either.
pub fn hides_place(text: &str, place: Range<usize>, tell: impl Fn(&str) -> Option<Error>) {
    let Some(one) = tell(text) else { return };
    let shown = text[place.clone()]
        .split(|char: char| !char.is_ascii_digit())
        .any(|digits| digits.len() >= 5 && one.message().contains(digits));
    if !shown {
        return;
    }
    // The same digits may stand elsewhere, and there they may be shown.
    let other: String = text
        .char_indices()
        .map(|(at, char)| match char {
            '1'..='8' if place.contains(&at) => char::from(char as u8 + 1),
            '9' if place.contains(&at) => '1',
            char => char,
        })
        .collect();
    let other = tell(&other);
    assert_eq!(
        Some(one.message()),
        other.as_ref().map(Error::message),
        "{text:?}"
    );
}
