//! The PIV applet.

use super::device::Profile;

/// The applet.
pub struct Piv {}

impl Piv {
    pub fn new(_: &Profile) -> Self {
        Self {}
    }

    pub fn lock(&mut self) {}

    pub fn select(&mut self) -> Vec<u8> {
        Vec::new()
    }

    pub fn command(&mut self, _: &Profile, _: u8, _: u8, _: u8, _: &[u8]) -> (Vec<u8>, u16) {
        (Vec::new(), 0x6d00)
    }
}
