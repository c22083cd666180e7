//! PKCS #11 URIs and sources of PINs.

use hsmsign::token::{Identity, PinSource, uri::TokenUri};

use super::told::{hides_place, told};

/// Runs one input, the text of a URI.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let error = |text: &str| text.parse::<TokenUri>().err();
    let pin = text.find("pin-value=").map(|at| {
        let rest = &text[at..];
        at + "pin-value=".len()..at + rest.find(['&', ';', '?']).unwrap_or(rest.len())
    });
    match text.parse::<TokenUri>() {
        Err(wrong) => {
            told(&wrong);
            pin.into_iter().for_each(|pin| hides_place(text, pin, error));
        }
        Ok(uri) => {
            let written = uri.to_string();
            assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "{written:?}");
            assert_eq!(written.parse::<TokenUri>().unwrap(), uri, "{written}");
            let _ = uri.fits(&Identity::default(), "", "");
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
        Err(wrong) => {
            told(&wrong);
            hides_place(text, 0..text.len(), |text| text.parse::<PinSource>().err());
        }
        Ok(source) => assert_eq!(source.text().parse::<PinSource>().unwrap(), source, "{text:?}"),
    }
}
