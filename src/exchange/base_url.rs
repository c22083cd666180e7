//! The look at a base-url, before it is written into a key's record.

use super::target::origin;
use crate::error::Result;

/// Looks at a base-url that is to stand in for the scheme's host.
///
/// # Errors
/// When it is not `https://host` or `https://host:port`; plain http only within the machine.
pub fn check_base_url(url: &str) -> Result<()> {
    origin(url).map(|_| ())
}
