//! The places that a PIN comes from, as they are written in `config.toml`.

use std::{path::PathBuf, str::FromStr};

use crate::error::{Error, Result, bad_input};

/// Where a PIN comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinSource {
    /// Asked for at the terminal.
    Terminal,
    /// Asked for by the pinentry program.
    Pinentry,
    /// The first line of a file of mode 0600.
    File(PathBuf),
    /// The first line of an open file descriptor.
    Fd(i32),
    /// A systemd credential, by name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl PinSource {
    /// How it is written in `config.toml`.
    pub fn text(&self) -> String {
        match self {
            Self::Terminal => "terminal".to_owned(),
            Self::Pinentry => "pinentry".to_owned(),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Fd(number) => format!("fd:{number}"),
            Self::Credential(name) => format!("credential:{name}"),
        }
    }

    /// Whether a person is asked.
    pub const fn interactive(&self) -> bool {
        matches!(self, Self::Terminal | Self::Pinentry)
    }
}

impl FromStr for PinSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("terminal", "") => Ok(Self::Terminal),
            ("pinentry", "") => Ok(Self::Pinentry),
            ("file", path) if !path.is_empty() => {
                let path = path.strip_prefix("//").unwrap_or(path);
                // Two slashes at its front would be taken for those of a URL when it is read again.
                let path = match path.trim_start_matches('/') {
                    below if below.len() < path.len() => format!("/{below}"),
                    below => below.to_owned(),
                };
                std::path::absolute(&path)
                    .map(Self::File)
                    .map_err(|error| bad_input(format!("{path:?} is no file's name: {error}")))
            }
            ("fd", number) if number.parse::<i32>().is_ok_and(|number| number >= 0) => {
                Ok(Self::Fd(number.parse().unwrap_or_default()))
            }
            ("credential", name)
                if !name.is_empty() && !name.contains('/') && name != "." && name != ".." =>
            {
                Ok(Self::Credential(name.to_owned()))
            }
            _ => Err(
                bad_input("the pin-source is none of the forms there are; a PIN itself is never one").fix(
                    "use terminal, pinentry, file:PATH (mode 0600), fd:NUMBER or credential:NAME (systemd)",
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_what_the_contract_names_and_a_pin_is_none() {
        for text in ["terminal", "pinentry", "file:/p/in", "fd:7", "credential:pin"] {
            assert_eq!(text.parse::<PinSource>().unwrap().text(), text);
        }
        for text in [
            "1234",
            "pin:1234",
            "file:",
            "fd:x",
            "fd:-1",
            "credential:../x",
            "",
        ] {
            let error = text.parse::<PinSource>().unwrap_err();
            assert!(text.len() < 4 || !error.message().contains(text), "{text}");
        }
    }
}
