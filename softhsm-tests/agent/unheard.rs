//! Requests that come to an agent while it ends, and lines of clients that are gone before they are answered.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::{
        fd::AsFd as _,
        unix::fs::PermissionsExt as _,
        unix::net::{UnixListener, UnixStream},
    },
    thread,
};

use rustix::event::{PollFd, PollFlags, poll};

use crate::{
    bench::{Done, Place},
    running::{BALANCE, Running, until},
};

/// Runs a command while something listens in the agent's place that takes as many connections as `ends`, one after the
/// other: it closes each when a line came, read where that is true, and at the last removes its socket.
fn while_one_ends(place: &Place, ends: &[bool], args: &[&str], input: &str) -> Done {
    let socket = place.home().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for (number, heard) in ends.iter().enumerate() {
                let (client, _) = listener.accept().unwrap();
                poll(&mut [PollFd::new(&client.as_fd(), PollFlags::IN)], None).unwrap();
                if *heard {
                    BufReader::new(&client).read_line(&mut String::new()).unwrap();
                }
                if number + 1 == ends.len() {
                    fs::remove_file(&socket).unwrap();
                }
            }
        });
        place.run(args, input)
    })
}

#[test]
fn a_request_that_an_ending_agent_did_not_take_is_signed_all_the_same() {
    let Some(place) = Place::with_kraken() else { return };
    let line = format!("{BALANCE}\n");
    let commands: [(&[&str], &str); 4] = [
        (&["sign", "kraken", "POST", "/0/private/Balance"], ""),
        (
            &["sign", "kraken", "POST", "/0/private/Balance", "--output", "curl"],
            "",
        ),
        (&["sign", "kraken", "POST", "/0/private/Balance", "--explain"], ""),
        (&["sign", "--json"], &line),
    ];
    for (args, input) in commands {
        for ends in [&[false][..], &[false, false]] {
            let done = while_one_ends(&place, ends, args, input);
            assert_eq!(done.code, 0, "{args:?}: {done:?}");
            assert!(done.stdout.contains("API-Sign"), "{args:?}: {done:?}");
        }
    }
}

#[test]
fn a_request_that_an_agent_took_is_not_signed_twice() {
    let Some(place) = Place::with_kraken() else { return };
    let done = while_one_ends(
        &place,
        &[true],
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
    );
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.stderr.contains("may have been signed"), "{done:?}");
    let told = while_one_ends(
        &place,
        &[false, true],
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
    );
    assert_eq!(told.code, 4, "{told:?}");
}

#[test]
fn what_a_client_said_before_it_hung_up_is_done() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    for _ in 0..10 {
        until("the token is open", || agent.token("softhsm")["state"] == "open");
        let mut client = UnixStream::connect(agent.socket()).unwrap();
        client.write_all(b"{\"op\":\"lock\"}\n").unwrap();
        drop(client);
        until("it is locked", || agent.token("softhsm")["state"] == "locked");
        assert_eq!(agent.connect().ask(r#"{"op":"unlock"}"#)["ok"], true);
    }
    until("nobody is left", || agent.status()["connections"] == 1);
}
