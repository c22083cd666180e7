//! `config.toml`.

use std::ops::Range;

use hsmsign::{config::Config, token};

use super::{
    told::{hides_place, told},
    uri,
};

/// Runs one input, the text of the file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let config = match Config::parse(text, "config.toml") {
        Ok(config) => config,
        Err(wrong) => {
            told(&wrong, None);
            for pin in pins(text) {
                hides_place(text, pin, |text| Config::parse(text, "config.toml").err());
            }
            return;
        }
    };
    if let Err(error) = config.usual_token() {
        told(&error, None);
    }
    for (name, settings) in &config.tokens {
        config.token(name).unwrap();
        if let Err(error) = token::pin_source(settings) {
            told(&error, None);
        }
        if let Some(text) = &settings.uri {
            uri::run(text.as_bytes());
        }
    }
}

/// What stands behind `=` in lines that begin with `pin`, and behind `pin-value=`.
fn pins(text: &str) -> Vec<Range<usize>> {
    let mut pins = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let named = line
            .trim_start()
            .starts_with("pin")
            .then(|| line.find('='))
            .flatten();
        let valued = line.find("pin-value=").map(|at| at + "pin-value".len());
        if let Some(begin) = named.or(valued) {
            pins.push(at + begin..at + line.len());
        }
        at += line.len();
    }
    pins
}
