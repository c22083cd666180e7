//! `config.toml`.

use hsmsign::{config::Config, token};

use super::{
    told::{hides_pin, told},
    uri,
};

/// Runs one input, the text of the file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let pins: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.trim().starts_with("pin"))
        .map(|(_, value)| value)
        .collect();
    let config = match Config::parse(text, "config.toml") {
        Ok(config) => config,
        Err(error) => {
            pins.iter().for_each(|pin| hides_pin(&error, pin));
            return told(&error, &[]);
        }
    };
    if let Err(error) = config.usual_token() {
        told(&error, &[]);
    }
    for (name, settings) in &config.tokens {
        config.token(name).unwrap();
        if let Err(error) = token::pin_source(settings) {
            told(&error, &[]);
            pins.iter().for_each(|pin| hides_pin(&error, pin));
        }
        if let Some(text) = &settings.uri {
            uri::run(text.as_bytes());
        }
    }
}
