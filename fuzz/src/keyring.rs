//! The files that hsmsign writes for itself: records, entries of the journal, backups. The first line of an input says
//! which.

use std::{fmt::Debug, path::Path};

use hsmsign::{
    backup::Snapshot,
    error::Error,
    home::Home,
    keyring::{FileKeyring, Keyring as _, Pending, Record},
};
use serde_json::Value;

use super::told::told;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (Some(kind), Some(file)) = (parts.next(), parts.next()) else {
        return;
    };
    match kind {
        b"record" => reread(file, Record::parse, |record| serde_json::to_vec(record).unwrap()),
        b"journal" => reread(file, Pending::parse, |pending| {
            serde_json::to_vec(pending).unwrap()
        }),
        b"backup" => backup(file),
        _ => {}
    }
}

/// What is accepted is written and read again, the same.
fn reread<T: Debug>(file: &[u8], parse: impl Fn(&[u8]) -> Result<T, Error>, write: impl Fn(&T) -> Vec<u8>) {
    match parse(file) {
        Err(error) => told(&error, None),
        Ok(read) => {
            let text = write(&read);
            let again = parse(&text).unwrap_or_else(|error| panic!("{error}: {read:?}"));
            assert_eq!(write(&again), text);
        }
    }
}

fn backup(file: &[u8]) {
    let Ok(text) = std::str::from_utf8(file) else {
        return;
    };
    let snapshot = match Snapshot::parse(text) {
        Ok(snapshot) => snapshot,
        Err(error) => return told(&error, None),
    };
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("home");
    let home = Home::at(&inside);
    if let Err(error) = snapshot.restore(&home) {
        told(&error, None);
    }
    only(folder.path(), "home");
    let Ok(text) = snapshot
        .to_text()
        .map(|text| serde_json::from_str::<Value>(&text).unwrap())
    else {
        panic!("a snapshot that was read is not written");
    };
    let keyring = FileKeyring::new(&home);
    for name in keyring.names().unwrap() {
        let record = serde_json::to_value(keyring.get(&name).unwrap()).unwrap();
        assert!(text["keys"].as_array().unwrap().contains(&record), "{record}");
    }
}

/// Nothing was written beside the one folder.
fn only(folder: &Path, name: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        assert_eq!(entry.unwrap().file_name(), name);
    }
}
