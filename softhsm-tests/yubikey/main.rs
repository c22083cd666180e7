//! YubiKeys: virtual ones on the real PC/SC stack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

mod around;
mod attested;
#[path = "../bench/mod.rs"]
mod bench;
#[path = "../card/mod.rs"]
mod card;
mod faults;
mod holder;
mod imports;
mod manners;
mod others;
mod pairs;
mod pins;
mod resident;
mod road;
#[path = "../agent/running.rs"]
#[allow(dead_code)] // The agent's own tests use the rest.
mod running;
mod user;

/// Runs the body in a process of its own with this variable, which the client library of pcscd reads. Answers what it
/// printed; none in that process.
fn alone(name: &str, value: &str, test: &str, body: impl FnOnce()) -> Option<String> {
    if std::env::var(INSIDE).is_ok() {
        body();
        return None;
    }
    let done = std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(name, value)
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8_lossy(&done.stdout).into_owned())
}

const INSIDE: &str = "HSMSIGN_TEST_INSIDE";
