//! The management applet, as far as clients ask it who it is.

use super::{device::Profile, tlv::tlv};

/// The applet.
pub struct Management {
    config: Vec<u8>,
    version: String,
}

impl Management {
    pub fn new(profile: &Profile) -> Self {
        let [major, minor, patch] = profile.firmware;
        // OTP, U2F, FIDO2, OATH, PIV, OpenPGP.
        let capabilities = 0x023b_u16.to_be_bytes();
        let mut config = Vec::new();
        for (tag, value) in [
            (0x01, &capabilities[..]),
            (0x02, &profile.serial.unwrap_or(0).to_be_bytes()[..]),
            (0x03, &capabilities[..]),
            (0x04, &[if profile.fips { 0x81 } else { 0x01 }][..]),
            (0x05, &profile.firmware[..]),
            (0x08, &[0][..]),
            (0x0a, &[0][..]),
            (0x0d, &capabilities[..]),
            (0x0e, &capabilities[..]),
        ] {
            if tag != 0x02 || !profile.silent {
                config.extend(tlv(tag, value));
            }
        }
        Self {
            config,
            version: format!("Virtual mgr - FW version {major}.{minor}.{patch}"),
        }
    }

    pub fn select(&self) -> Vec<u8> {
        self.version.clone().into_bytes()
    }

    /// READ CONFIG, the first page.
    pub fn command(&self, ins: u8, p1: u8) -> (Vec<u8>, u16) {
        match (ins, p1) {
            (0x1d, 0) => ([&[self.config.len() as u8][..], &self.config].concat(), 0x9000),
            _ => (Vec::new(), 0x6d00),
        }
    }
}
