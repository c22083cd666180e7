//! Whether a file that people edit in place may change again and seem as it was.

use std::time::Duration;

use crate::{clock, home::Mark};

/// How coarsely a file system tells when a file was changed, at worst: FAT by two seconds.
const COARSE: Duration = Duration::from_secs(3);

/// Whether the file was changed so lately that a change after this one could have the same mark.
pub(super) fn is_fresh(mark: Mark) -> bool {
    could_repeat(mark.changed())
}

fn could_repeat(changed: Duration) -> bool {
    clock::now() < changed + COARSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_changed_lately_or_has_a_time_to_come_may_repeat() {
        let now = clock::now();
        assert!(could_repeat(now));
        assert!(!could_repeat(now.saturating_sub(Duration::from_secs(10))));
        assert!(could_repeat(now + Duration::from_secs(1_000)));
    }
}
