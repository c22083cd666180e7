//! A token that another program serves, by p11-kit: the module at hand only passes calls on over a socket.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    bench::{Place, finish},
    running::{BALANCE, Connection, Running, until},
};

const CLIENT: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib64/pkcs11/p11-kit-client.so",
    "/usr/lib/pkcs11/p11-kit-client.so",
];

/// Serves the place's SoftHSM token; ended with the value, and each of its connections with it.
struct Served(Child);

impl Served {
    fn begin(place: &Place, socket: &Path) -> Self {
        let _ = std::fs::remove_file(socket);
        let child = Command::new("p11-kit")
            .args(["server", "--foreground", "--name"])
            .arg(socket)
            .arg("--provider")
            .arg(hsmsign::token::softhsm_module().unwrap())
            .arg("pkcs11:")
            .env("SOFTHSM2_CONF", place.home().join("softhsm/softhsm2.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let served = Self(child);
        until("it serves", || socket.exists());
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

#[test]
fn a_token_that_p11_kit_serves_is_found_without_the_variable_and_again_behind_its_server() {
    let Some(client) = CLIENT.iter().map(PathBuf::from).find(|file| file.exists()) else {
        eprintln!("SKIPPED: p11-kit-client.so is not installed (Debian: p11-kit p11-kit-modules)");
        return;
    };
    let Some(place) = Place::with_token() else { return };
    let socket = place.path().join("served.sock");
    let served = Served::begin(&place, &socket);
    let (far, pin) = (place.path().join("far"), place.home().join("softhsm/softhsm.pin"));
    let command = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("HSMSIGN_HOME", &far).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let pin = format!("file:{}", pin.display());
    let mut init = command(&["init", "--pkcs11", client.to_str().unwrap(), "--pin-source", &pin]);
    let address = format!("unix:path={}", socket.display());
    init.env("P11_KIT_SERVER_ADDRESS", &address);
    let done = finish(init.spawn().unwrap(), b"");
    assert_eq!(done.code, 0, "{done:?}");

    let import = ["import", "-e", "kraken", "--api-key", "example"];
    let secret =
        b"kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==\n";
    let done = finish(command(&import).spawn().unwrap(), secret);
    assert_eq!(done.code, 0, "{done:?}");
    let done = finish(command(&["test", "kraken"]).spawn().unwrap(), b"");
    assert_eq!(done.code, 0, "{done:?}");

    let _agent = Running::at(&place, command(&["agent"]), &far.join("agent.sock"));
    let mut connection = Connection::to(&far.join("agent.sock"));
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    drop(served);
    let refused = connection.ask(BALANCE);
    assert_eq!(refused["ok"], false, "{refused}");
    let _served = Served::begin(&place, &socket);
    until("it signs again", || connection.ask(BALANCE)["ok"] == true);
}
