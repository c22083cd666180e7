//! What a test looks at from outside: the files of a folder, the objects of a token, another user.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

pub use crate::bench::random::{Random, rounds, seed};
use crate::bench::{Done, Place};

/// Every file of a folder with its mode and bytes, without what opening a token changes: locks, SoftHSM's counters; and
/// without the log, which tells of refusals too.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if name != "audit" {
                    folders.push(path);
                }
            } else if !(name.ends_with(".lock")
                || name.ends_with(".kept")
                || name == "token.object"
                || name == "generation"
                || path.parent().unwrap().ends_with("locks"))
            {
                let mode = fs::metadata(&path).unwrap().mode();
                all.insert(path.clone(), (mode, fs::read(&path).unwrap()));
            }
        }
    }
    all
}

/// The names of files that a write leaves beside the file it replaces.
pub fn unfinished(folder: &Path) -> Vec<PathBuf> {
    files(folder)
        .into_keys()
        .filter(|path| path.extension().is_some_and(|end| end == "new"))
        .collect()
}

/// What OpenSC's `pkcs11-tool` lists on the development token: each object's label, or an empty one. The key that seals the
/// log, and what the token keeps of it, are left out: they are no user's.
pub fn objects(place: &Place) -> Option<Vec<String>> {
    let config = fs::read_to_string(place.home().join("config.toml")).unwrap();
    let value = |name: &str| {
        let line = config.lines().find(|line| line.starts_with(name)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let pin = fs::read_to_string(place.home().join("softhsm/softhsm.pin")).unwrap();
    let listed = Command::new("pkcs11-tool")
        .args(["--module", &value("module"), "--token-label", &value("label")])
        .args(["--login", "--list-objects", "--pin", pin.trim()])
        .env("SOFTHSM2_CONF", place.home().join("softhsm/softhsm2.conf"))
        .output();
    let Ok(listed) = listed else {
        eprintln!("SKIPPED: pkcs11-tool is not installed (Debian: opensc)");
        return None;
    };
    assert!(listed.status.success(), "{listed:?}");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut labels: Vec<String> = Vec::new();
    for line in text.lines() {
        if !line.starts_with(' ') && line.contains("bject") {
            labels.push(String::new());
        } else if let Some(label) = line.trim().strip_prefix("label:") {
            let label = label.trim().trim_matches('\'').to_owned();
            *labels.last_mut().unwrap() = label;
        }
    }
    labels.retain(|label| label != "hsmsign:SEAL" && !label.starts_with("hsmsign:SEALED:"));
    labels.sort();
    Some(labels)
}

/// The labels that the objects of these folders' keys should have, sorted.
pub fn expected_objects(place: &Place) -> Vec<String> {
    let mut labels = Vec::new();
    for key in place.json(&["list", "--json"]).as_array().unwrap() {
        let name = key["key"].as_str().unwrap();
        for pair in ["current", "previous", "next"].map(|pair| &key[pair]) {
            for copy in pair["copies"].as_array().into_iter().flatten() {
                for slot in copy["objects"].as_object().unwrap().keys() {
                    labels.push(if slot == "secret" {
                        format!("hsmsign:{name}")
                    } else {
                        format!("hsmsign:{name}:{slot}")
                    });
                }
            }
        }
    }
    labels.sort();
    labels
}

/// The names of the keys.
pub fn names(place: &Place) -> Vec<String> {
    let keys = place.json(&["list", "--json"]);
    let names = keys.as_array().unwrap().iter();
    names.map(|key| key["key"].as_str().unwrap().to_owned()).collect()
}

/// The nonce in a signed Kraken request.
pub fn nonce(answer: &Value) -> u64 {
    let body = answer["body"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let (_, rest) = body.split_once("nonce=").unwrap();
    rest.split('&').next().unwrap().parse().unwrap()
}

/// Whether the tests run as root, who can become another user and mount file systems.
pub fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this user's processes may make a mount namespace of their own.
pub fn mounts() -> bool {
    let made = Command::new("unshare")
        .args(["-m", "true"])
        .output()
        .is_ok_and(|done| done.status.success());
    if !made {
        eprintln!("SKIPPED: no mount namespace can be made here (needs root)");
    }
    made
}

/// A failure of the contract's form: this exit code, the words, and what to do on a line of its own.
#[track_caller]
pub fn refused(done: &Done, code: i32, words: &str) {
    assert_eq!(done.code, code, "wanted {words:?}: {done:?}");
    assert!(done.stderr.contains(words), "wanted {words:?}: {done:?}");
    assert!(done.stderr.starts_with("hsmsign: "), "{done:?}");
    assert!(
        done.stderr
            .lines()
            .skip(1)
            .any(|line| line.starts_with("  ") && line.len() > 8),
        "no remedy: {done:?}"
    );
    assert!(!done.stderr.contains("panicked"), "{done:?}");
}

/// Sets a file's mode.
pub fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
