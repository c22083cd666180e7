//! A process and a folder for each test: modules take their settings from the environment, which a process has once.
#![allow(dead_code)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

const FOLDER: &str = "HSMSIGN_TEST_FOLDER";
const ROLE: &str = "HSMSIGN_TEST_ROLE";

/// Runs `body` in a process of its own, with a new folder and the environment that is made for it.
pub fn alone(test: &str, environment: impl FnOnce(&Path) -> Vec<(String, String)>, body: impl FnOnce(&Path)) {
    hosted(test, environment, |command| command, body);
}

/// The same, with the process started as `host` says.
pub fn hosted(
    test: &str,
    environment: impl FnOnce(&Path) -> Vec<(String, String)>,
    host: impl FnOnce(Command) -> Command,
    body: impl FnOnce(&Path),
) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return body(&PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let status = host(again(test))
        .envs(environment(folder.path()))
        .env(FOLDER, folder.path())
        .status()
        .expect("the test starts itself");
    assert!(status.success(), "{test} failed in its own process: {status}");
}

/// This test's program once more, for a helper process of the same folder.
pub fn helper(test: &str, role: &str) -> Command {
    let mut command = again(test);
    command.env(ROLE, role);
    command
}

/// What this process is to play, if it is a helper.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--quiet", "--test-threads=1"]);
    command
}
