//! A slot of a nonce file: one line of fixed length, with a checksum.

use sha2::{Digest as _, Sha256};

/// The length of a slot in bytes.
pub const SLOT: usize = 128;
const VERSION: &str = "1";
const PROMISED: &str = " p";

/// What a slot says.
pub struct Slot {
    /// How often the file was written; the newer of two slots has the greater one.
    pub sequence: u64,
    /// The greatest nonce that may have been given out in the boot that wrote it.
    pub last: u64,
    /// The greatest that may have been given out before a power cut.
    pub reserved: u64,
    /// Whether the disk may not have that reservation yet: then nobody gives out nonces by it.
    pub promised: bool,
}

impl Slot {
    /// The slot's bytes.
    pub fn render(&self, boot: Option<&str>) -> [u8; SLOT] {
        let boot = boot.unwrap_or("-");
        let promised = if self.promised { PROMISED } else { "" };
        let text = format!(
            "{VERSION} {:020} {:020} {:020} {boot:36}{promised}",
            self.sequence, self.last, self.reserved
        );
        let sum = &base16ct::lower::encode_string(&Sha256::digest(text.as_bytes()))[..16];
        let line = format!("{text} {sum}");
        let mut slot = [b' '; SLOT];
        slot[..line.len()].copy_from_slice(line.as_bytes());
        slot[SLOT - 1] = b'\n';
        slot
    }

    /// The slot and the boot it was written in; none if it is torn.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &str)> {
        let (text, sum) = std::str::from_utf8(bytes).ok()?.trim_end().rsplit_once(' ')?;
        let digest = base16ct::lower::encode_string(&Sha256::digest(text.as_bytes()));
        if digest.get(..16)? != sum {
            return None;
        }
        let mut words = text.split_ascii_whitespace();
        if words.next()? != VERSION {
            return None;
        }
        let mut number = || words.next()?.parse::<u64>().ok();
        let slot = Self {
            // The last number there is has no successor, so nobody wrote it.
            sequence: number().filter(|&sequence| sequence < u64::MAX)?,
            last: number()?,
            reserved: number()?,
            promised: text.ends_with(PROMISED),
        };
        let boot = words.next()?;
        if slot.promised {
            words.next()?;
        }
        words.next().is_none().then_some((slot, boot))
    }
}
