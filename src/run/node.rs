//! The hook for Node: a module that is loaded before the program's own.

use std::{ffi::OsString, path::Path};

/// The files, by their paths below the folder.
pub(super) fn files() -> Vec<(&'static str, &'static str)> {
    vec![
        ("register.mjs", include_str!("../../clients/js/run/register.mjs")),
        ("loader.mjs", include_str!("../../clients/js/run/loader.mjs")),
        ("change.cjs", include_str!("../../clients/js/run/change.cjs")),
        ("hook.cjs", include_str!("../../clients/js/run/hook.cjs")),
        ("wire.cjs", include_str!("../../clients/js/run/wire.cjs")),
    ]
}

/// `NODE_OPTIONS` with the hook's option behind what it was before.
pub(super) fn options(folder: &Path) -> OsString {
    let before = std::env::var("NODE_OPTIONS").unwrap_or_default();
    let option = format!("--import={}", url(&folder.join("register.mjs")));
    if before.contains(&option) {
        return before.into();
    }
    format!("{before} {option}").trim_start().into()
}

/// The path as a `file:` URL, which has no blanks and no quotes in it.
fn url(path: &Path) -> String {
    let mut url = "file://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            url.push(char::from(*byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}
