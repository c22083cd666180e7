//! `confirm` where a person cannot see what they would agree to.

use std::os::unix::fs::PermissionsExt as _;

use crate::{bench::Place, running::Running};

const CONFIRM: &str = "policy = 1\n[[confirm]]\npath = \"/0/private/AddOrder\"\n";

/// A key that wants a person asked, and a folder with this program as `pinentry`.
fn with_pinentry(program: &str) -> Option<(Place, String)> {
    let place = Place::with_kraken()?;
    assert_eq!(place.run(&["policy", "set", "kraken"], CONFIRM).code, 0);
    let programs = place.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let pinentry = programs.join("pinentry");
    std::fs::write(&pinentry, program).unwrap();
    std::fs::set_permissions(&pinentry, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    Some((place, path))
}

fn agent<'p>(place: &'p Place, path: &str) -> Running<'p> {
    let mut command = place.command(&["agent"]);
    command.env("PATH", path);
    Running::of(place, command)
}

/// An order with a note of its own.
fn order(note: &str) -> String {
    serde_json::json!({"key": "kraken", "method": "POST", "path": "/0/private/AddOrder",
        "form": {"pair": "XBTUSD", "volume": "1", "note": note}})
    .to_string()
}

#[test]
fn what_a_pinentry_does_not_show_nobody_agrees_to() {
    // It would have the person agree, and takes no description.
    let blind = "#!/bin/sh\necho OK\nwhile read -r line; do\n\
        case \"$line\" in SETDESC*) echo 'ERR 83886360 line too long';; *) echo OK;; esac\ndone\n";
    let Some((place, path)) = with_pinentry(blind) else {
        return;
    };
    let answer = agent(&place, &path).connect().ask(&order("-"));
    assert_eq!(answer["error"]["code"], "denied", "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("pinentry could not ask: line too long"),
        "{answer}"
    );
}
