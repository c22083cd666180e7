//! Places where there is no home, or none that SoftHSM can use.

use std::{fs, path::Path};

use crate::{bench::Place, state::refused};

#[test]
fn without_a_place_there_is_nothing_to_do() {
    let place = Place::new();
    let done = place
        .command(&["list"])
        .env_remove("HSMSIGN_HOME")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&done.stderr).contains("HSMSIGN_HOME"));
    let file = place.path().join("home");
    fs::write(&file, "").unwrap();
    let done = place.run(&["list"], "");
    refused(&done, 5, "not a folder");
    assert!(!done.stderr.contains("chmod"), "{done:?}");
}

/// That no token is made there, as is told with what to do.
fn refuses_home(place: &Place, home: &Path, told: &str) {
    let done = place
        .command(&["init", "--softhsm"])
        .env("HSMSIGN_HOME", home)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains(told) && stderr.contains("set HSMSIGN_HOME to a folder"),
        "{stderr}"
    );
}

#[test]
fn a_folder_that_softhsm_cannot_use_is_named_with_what_to_do() {
    use std::os::unix::ffi::OsStrExt as _;

    if hsmsign::token::softhsm_module().is_err() {
        eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
        return;
    }
    for name in [&b"a#b"[..], b"a\nb", b"a\rb", b"\xff\xfe", b"a=b"] {
        let place = Place::new();
        // The folder that SoftHSM would take for it.
        fs::create_dir(place.path().join("a")).unwrap();
        let home = place.path().join(std::ffi::OsStr::from_bytes(name));
        refuses_home(&place, &home, "cannot use");
        assert_eq!(fs::read_dir(place.path().join("a")).unwrap().count(), 0);
    }
    let place = Place::new();
    let parent = place.path().join(format!("{0}/{0}/{0}/{0}", "x".repeat(240)));
    fs::create_dir_all(&parent).unwrap();
    refuses_home(&place, &parent.join("home"), "cannot use");
}

#[test]
fn a_home_that_is_a_file_or_a_link_to_nothing_is_told_so() {
    if hsmsign::token::softhsm_module().is_err() {
        eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
        return;
    }
    let place = Place::new();
    let (file, link) = (place.path().join("file"), place.path().join("link"));
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(place.path().join("gone"), &link).unwrap();
    for (home, told) in [(file, "file is not a folder"), (link, "which is not there")] {
        refuses_home(&place, &home, told);
        assert!(!place.path().join("gone").exists());
    }
}
