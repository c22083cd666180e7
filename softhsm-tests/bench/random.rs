//! Random numbers that can be had again, and how often a test repeats itself.

/// Random numbers from a seed (SplitMix64), so that a failure can be had again: HSMSIGN_TEST_SEED.
pub struct Random(u64);

/// HSMSIGN_TEST_SEED, or this.
pub fn seed(usual: u64) -> u64 {
    let given = std::env::var("HSMSIGN_TEST_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

impl Random {
    /// From the environment's seed, or this one.
    pub fn new(usual: u64) -> Self {
        Self(seed(usual))
    }

    /// From this seed.
    pub const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// How often a test repeats itself: HSMSIGN_TEST_ROUNDS, or this.
pub fn rounds(usual: usize) -> usize {
    let given = std::env::var("HSMSIGN_TEST_ROUNDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(usual)
}
