//! The hook for Node: a module that is loaded before the program's own.

use std::{ffi::OsString, path::Path};

macro_rules! package {
    ($($name:literal),* $(,)?) => {
        vec![$(($name, include_str!(concat!("../../clients/js/", $name)))),*]
    };
}

/// The files, by their paths below the folder.
pub(super) fn files() -> Vec<(&'static str, &'static str)> {
    package![
        "run/ccxt.cjs",
        "run/change.cjs",
        "run/compose.cjs",
        "run/forms.cjs",
        "run/hook.cjs",
        "run/label.cjs",
        "run/loader.mjs",
        "run/mac.cjs",
        "run/register.mjs",
        "run/wire.cjs",
        "src/connection.cjs",
        "src/errors.cjs",
        "src/line.cjs",
        "src/placeholder.cjs",
    ]
}

/// `NODE_OPTIONS` with the hook's option behind what it was before.
pub(super) fn options(folder: &Path) -> OsString {
    let before = std::env::var("NODE_OPTIONS").unwrap_or_default();
    let option = format!("--import={}", url(&folder.join("run/register.mjs")));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_hook_requires_comes_along() {
        let files = files();
        for (path, text) in &files {
            let (folder, _) = path.split_once('/').unwrap();
            let required = text
                .split("require('.")
                .skip(1)
                .filter_map(|rest| rest.split('\'').next());
            for name in required.filter(|name| name.ends_with(".cjs")) {
                let named = name
                    .strip_prefix("./")
                    .map_or_else(|| format!("{folder}{name}"), |up| up.to_owned());
                assert!(files.iter().any(|(path, _)| *path == named), "{path}: {named}");
            }
        }
    }

    #[test]
    fn a_folder_of_any_name_is_a_url_without_blanks_and_quotes() {
        assert_eq!(url(Path::new("/a b/c\"d%ä")), "file:///a%20b/c%22d%25%C3%A4");
    }
}
