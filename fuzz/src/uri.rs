//! PKCS #11 URIs and sources of PINs.

use hsmsign::token::{Identity, PinSource, uri::TokenUri};

use super::told::{hides_pin, told};

/// Runs one input, the text of a URI.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let pins: Vec<&str> = text
        .split(['?', '&', ';'])
        .filter_map(|part| part.split_once('='))
        .filter(|(name, _)| name.to_ascii_lowercase().contains("pin-value"))
        .map(|(_, pin)| pin)
        .collect();
    match text.parse::<TokenUri>() {
        Err(error) => {
            told(&error, &[]);
            pins.iter().for_each(|pin| hides_pin(&error, pin));
        }
        Ok(uri) => {
            assert!(pins.is_empty(), "{text:?}");
            let written = uri.to_string();
            assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "{written:?}");
            assert_eq!(written.parse::<TokenUri>().unwrap(), uri, "{written}");
            let _ = uri.fits(&Identity::default());
            if let Some(source) = &uri.pin_source {
                pin_source(source);
            }
        }
    }
    pin_source(text);
}

/// Where a PIN comes from, as `config.toml` and URIs have it.
pub fn pin_source(text: &str) {
    match text.parse::<PinSource>() {
        // A PIN that was written in its place is not shown.
        Err(error) => {
            told(&error, &[]);
            hides_pin(&error, text);
        }
        Ok(source) => assert_eq!(source.text().parse::<PinSource>().unwrap(), source, "{text:?}"),
    }
}
