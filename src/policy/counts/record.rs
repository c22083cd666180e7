//! One count: the sums of the latest spans of its window, so that "a day" is any 24 hours. A span never goes back: a clock
//! that was set back counts into the latest one. A record lies in one sector, so it is written whole or not at all.

use sha2::{Digest as _, Sha256};

use crate::policy::rules::Window;

/// The length of a record, and of the head of the file.
pub const RECORD: usize = 512;
/// The most spans that a window has, the latest one included.
const SPANS: usize = 25;

impl Window {
    /// How long a span is, in milliseconds, and how many of them the window has.
    pub(in crate::policy) const fn spans(self) -> (u64, usize) {
        match self {
            Self::Second => (100, 11),
            Self::Minute => (3_000, 21),
            Self::Day => (3_600_000, 25),
        }
    }
}

/// One count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What tells it from every other: [`identity`].
    pub id: [u8; 16],
    /// Milliseconds of a span.
    span: u64,
    /// The number of the latest span since 1970.
    pub latest: u64,
    /// Its sum, then that of the one before it, and so on.
    pub sums: [u128; SPANS],
}

/// What a count is known by in its file.
pub fn identity(identity: &str) -> [u8; 16] {
    let digest = Sha256::digest(identity.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

impl Record {
    /// Nothing counted yet, in spans of so many milliseconds.
    pub const fn new(id: [u8; 16], span: u64, millis: u64) -> Self {
        Self {
            id,
            span,
            latest: millis / span,
            sums: [0; SPANS],
        }
    }

    /// The place of a record in which nothing was ever counted.
    pub const fn none() -> Self {
        Self::new([0; 16], 1, 0)
    }

    /// Goes on to a span; never back.
    pub fn turn(&mut self, to: u64) {
        let by = usize::try_from(to.saturating_sub(self.latest))
            .unwrap_or(SPANS)
            .min(SPANS);
        self.sums.rotate_right(by % SPANS);
        self.sums[..by].fill(0);
        self.latest = self.latest.max(to);
    }

    /// Whether its window lies in the past, whatever it is.
    pub fn is_over(&self, millis: u64) -> bool {
        (self.latest + SPANS as u64 + 1).saturating_mul(self.span) < millis
    }

    /// As it stands in the file.
    pub fn render(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..24].copy_from_slice(&self.span.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.latest.to_le_bytes());
        for (sum, place) in self.sums.iter().zip(bytes[32..].chunks_exact_mut(16)) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        let sum = checksum(&bytes[..RECORD - 8]);
        bytes[RECORD - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Of these bytes of the file; none where they are damaged.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at(RECORD - 8);
        if sum != checksum(body).to_le_bytes() {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?));
        let mut sums = [0; SPANS];
        for (sum, place) in sums.iter_mut().zip(body[32..].chunks_exact(16)) {
            *sum = u128::from_le_bytes(place.try_into().ok()?);
        }
        Some(Self {
            id: body[..16].try_into().ok()?,
            span: number(16).filter(|span| *span > 0)?,
            latest: number(24).filter(|latest| *latest < u64::MAX / 2)?,
            sums,
        })
    }
}

/// FNV-1a over words: it finds what a broken disk did, and no more is asked of it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        let mut whole = [0; 8];
        whole[..word.len()].copy_from_slice(word);
        (sum ^ u64::from_le_bytes(whole))
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23)
    })
}
