//! What a person sees: JSON indented, and nothing that a terminal would act on.

use std::{fs::File, io::Read as _, process::Stdio};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::{
    BALANCE, command, kraken_at,
    server::{Act, Server, ok, status},
};

/// What a terminal gets of a request.
fn shown(act: Act) -> Option<String> {
    let server = Server::new(vec![act]);
    let place = kraken_at(&server)?;
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut command = command(&place, &server, &BALANCE);
    let mut child = command.stdin(Stdio::null()).stdout(terminal).spawn().unwrap();
    drop(command);
    assert!(child.wait().unwrap().code().is_some());
    let mut bytes = Vec::new();
    // The last side that was open is closed: Linux answers EIO behind what was written.
    let _ = File::from(master).read_to_end(&mut bytes);
    Some(String::from_utf8(bytes).unwrap().replace("\r\n", "\n"))
}

#[test]
fn json_is_indented_and_numbers_keep_their_spelling() {
    let Some(shown) = shown(ok(r#"{"error":[],"result":{"XXBT":1.0100000000}}"#)) else {
        return;
    };
    assert_eq!(
        shown,
        "{\n  \"error\": [],\n  \"result\": {\n    \"XXBT\": 1.0100000000\n  }\n}\n"
    );
}

#[test]
fn nothing_reaches_the_terminal_that_it_would_act_on() {
    for body in [
        "{\"a\":\"\\u001b]0;x\\u0007\u{9b}2J\"}",
        "plain \u{1b}[2J text\u{7}",
    ] {
        let Some(shown) = shown(ok(body)) else { return };
        let acting = |char: char| char.is_control() && char != '\n';
        assert!(!shown.contains(acting) && shown.contains("2J"), "{shown:?}");
    }
}

#[test]
fn an_answer_without_a_body_shows_its_status() {
    let Some(shown) = shown(status(204, "")) else {
        return;
    };
    assert_eq!(shown, "204 No Content\n");
}
