//! What tells the schemes of a process apart.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that no other scheme of this process has, read from the same file or not: what was found for one holds for no
/// other.
#[derive(Debug)]
pub(crate) struct Number(u64);

impl Number {
    pub fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }

    pub const fn get(&self) -> u64 {
        self.0
    }
}

impl Clone for Number {
    /// A copy may be changed, and is another.
    fn clone(&self) -> Self {
        Self::new()
    }
}
