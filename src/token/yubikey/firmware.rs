//! What a YubiKey's firmware can do, by its version (Yubico's manuals and release notes).

use std::{fmt, str::FromStr};

use crate::{
    algorithm::{MacAlgorithm, SignatureAlgorithm},
    error::{Error, bad_input},
    token::{Result, TokenError},
};

/// A version, as `5.7.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Firmware(pub [u8; 3]);

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl FromStr for Firmware {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let numbers: Option<Vec<u8>> = text.split('.').map(|number| number.parse().ok()).collect();
        numbers
            .and_then(|numbers| numbers.try_into().ok())
            .map(Self)
            .ok_or_else(|| bad_input(format!("{text:?} is no firmware's version")).fix("write it as 5.7.4"))
    }
}

impl Firmware {
    /// The MACs that its OATH applet makes: SHA-512 since 4.3.1, but not on the YubiKey 4 FIPS, which has 4.4.
    pub fn macs(self) -> Vec<MacAlgorithm> {
        let mut macs = vec![MacAlgorithm::HmacSha256];
        if self.0 >= [4, 3, 1] && !self.is_yubikey_4_fips() {
            macs.push(MacAlgorithm::HmacSha512);
        }
        macs
    }

    /// Whether its OATH applet makes this MAC.
    ///
    /// # Errors
    /// [`TokenError::Unsupported`] with the reason.
    pub fn can_make(self, algorithm: MacAlgorithm) -> Result<()> {
        if self.macs().contains(&algorithm) {
            return Ok(());
        }
        let why = match algorithm {
            MacAlgorithm::HmacSha384 => {
                "an OATH applet makes no hmac-sha384; a YubiHSM 2 and most tokens with a PKCS#11 module do"
                    .to_owned()
            }
            _ if self.is_yubikey_4_fips() => {
                format!("a YubiKey 4 FIPS (firmware {self}) makes no hmac-sha512")
            }
            _ => format!(
                "firmware {self} makes no hmac-sha512: it came with 4.3.1, and firmware cannot be renewed"
            ),
        };
        Err(TokenError::Unsupported(why))
    }

    /// The key pairs that its PIV applet has: Ed25519 and the long RSA keys since 5.7. Before 5.3 the applet does not tell
    /// which of its slots are in use, so that none is used.
    pub fn pairs(self) -> Vec<SignatureAlgorithm> {
        let all = SignatureAlgorithm::ALL.into_iter();
        all.filter(|algorithm| self.can_sign(*algorithm).is_ok())
            .collect()
    }

    /// Whether its PIV applet makes this signature.
    ///
    /// # Errors
    /// [`TokenError::Unsupported`] with the reason.
    pub fn can_sign(self, algorithm: SignatureAlgorithm) -> Result<()> {
        let since = match algorithm {
            SignatureAlgorithm::P256 | SignatureAlgorithm::Rsa2048 => [5, 3, 0],
            _ => [5, 7, 0],
        };
        if self.0 >= since {
            return Ok(());
        }
        Err(TokenError::Unsupported(format!(
            "firmware {self} makes no {algorithm} keys that hsmsign can use: that takes {} or later, and firmware cannot be renewed",
            Self(since)
        )))
    }

    /// Whether a key in a slot can be deleted.
    pub fn deletes_keys(self) -> bool {
        self.0 >= [5, 7, 0]
    }

    /// How many credentials its OATH applet has room for.
    pub fn credentials(self) -> usize {
        if self.0 >= [5, 7, 0] { 64 } else { 32 }
    }

    /// Whether a credential can want a touch.
    pub fn has_touch(self) -> bool {
        self.0 >= [4, 2, 6]
    }

    fn is_yubikey_4_fips(self) -> bool {
        self.0[..2] == [4, 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_firmware_has_what_its_makers_say() {
        let of = |text: &str| text.parse::<Firmware>().unwrap();
        for (text, sha512, room, touch) in [
            ("3.4.9", false, 32, false),
            ("4.2.6", false, 32, true),
            ("4.3.0", false, 32, true),
            ("4.3.1", true, 32, true),
            ("4.4.5", false, 32, true),
            ("5.0.0", true, 32, true),
            ("5.4.3", true, 32, true),
            ("5.7.0", true, 64, true),
        ] {
            let firmware = of(text);
            assert_eq!(
                firmware.can_make(MacAlgorithm::HmacSha512).is_ok(),
                sha512,
                "{text}"
            );
            assert!(firmware.can_make(MacAlgorithm::HmacSha256).is_ok(), "{text}");
            assert!(firmware.can_make(MacAlgorithm::HmacSha384).is_err(), "{text}");
            assert_eq!(
                (firmware.credentials(), firmware.has_touch()),
                (room, touch),
                "{text}"
            );
            assert_eq!(firmware.to_string(), text);
        }
        for (text, pairs) in [("5.2.7", 0), ("5.3.0", 2), ("5.4.3", 2), ("5.7.0", 5)] {
            assert_eq!(of(text).pairs().len(), pairs, "{text}");
        }
        for wrong in ["", "5", "5.7", "5.7.4.1", "5.7.x", "5.7.256"] {
            assert!(wrong.parse::<Firmware>().is_err(), "{wrong}");
        }
    }
}
