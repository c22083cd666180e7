use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    time::Duration,
};

use super::*;
use crate::error::Code;

fn temporary() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
        .unwrap()
}

#[test]
fn a_loose_mode_is_refused_with_the_chmod() {
    let folder = temporary();
    let file = folder.path().join("f");
    write_private(&file, b"x").unwrap();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let error = read_private(&file, 10).unwrap_err();
    assert_eq!(error.code(), Code::BadInput);
    assert_eq!(
        error.remedy(),
        Some(format!("chmod 600 {}", file.display()).as_str())
    );
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = create_folder(folder.path()).unwrap_err();
    assert!(error.remedy().unwrap().starts_with("chmod 700 "));
}

#[test]
fn a_write_replaces_whole_and_leaves_nothing_beside() {
    let folder = temporary();
    let file = folder.path().join("f");
    write_private(&file, b"one").unwrap();
    write_private(&file, b"two").unwrap();
    assert_eq!(read_private(&file, 10).unwrap().unwrap(), b"two");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(read_private(&file, 2).is_err(), "over the limit");
    assert!(read_private(&folder.path().join("none"), 2).unwrap().is_none());
}

#[test]
fn a_failed_write_keeps_what_was_there() {
    let folder = temporary();
    let file = folder.path().join("taken");
    fs::create_dir(&file).unwrap();
    assert!(write_private(&file, b"x").is_err(), "a folder is in the place");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not() {
    let folder = temporary();
    let home = Home::at(folder.path());
    fs::create_dir(home.state("pins")).unwrap();
    fs::create_dir(home.state("keys")).unwrap();
    let make = |name: &str| fs::write(folder.path().join(name), "").unwrap();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let gone = child.id();
    child.wait().unwrap();
    make(&format!("pins/.softhsm.refused.{gone}.0.new"));
    make(&format!("pins/.softhsm.refused.{}.0.new", std::process::id()));
    make("keys/.kraken.json.1.7.new");
    make("pins/.mine.new");
    make("keys/kraken.json");
    home.sweep_unfinished();
    let left = |name: &str| {
        let mut names: Vec<_> = fs::read_dir(home.state(name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let living = format!(".softhsm.refused.{}.0.new", std::process::id());
    assert_eq!(left("pins"), [".mine.new".to_owned(), living]);
    assert_eq!(left("keys"), ["kraken.json"]);
}

#[test]
fn only_plain_files_and_folders_are_used_and_a_pipe_is_not_waited_for() {
    let folder = temporary();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let error = read_private(&pipe, 10).unwrap_err();
    assert!(error.message().contains("not a plain file"), "{error}");
    let error = check_folder(&pipe).unwrap_err();
    assert!(!error.advice().contains("chmod 600"), "{}", error.advice());
}

#[test]
fn a_lock_is_held_once() {
    let folder = temporary();
    let path = folder.path().join("lock");
    let held = FileLock::try_acquire(&path).unwrap();
    assert!(held.is_some());
    assert!(FileLock::try_acquire(&path).unwrap().is_none());
    let error = FileLock::acquire(&path, Duration::from_millis(5), "an import has been running").unwrap_err();
    assert_eq!(error.code(), Code::TokenBusy);
    drop(held);
    assert!(FileLock::try_acquire(&path).unwrap().is_some());
}
