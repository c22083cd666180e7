//! `confirm` where a person cannot see what they would agree to.

use std::os::unix::fs::PermissionsExt as _;

use crate::{bench::Place, person::Person, running::Running};

const CONFIRM: &str = "policy = 1\n[[confirm]]\npath = \"/0/private/AddOrder\"\n";

/// A key that wants a person asked, and a folder with this program as `pinentry`.
fn with_pinentry(program: &str) -> Option<(Place, String)> {
    let place = Place::with_kraken()?;
    place.set_policy("kraken", CONFIRM);
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

#[test]
fn a_question_longer_than_pinentry_takes_is_denied_in_its_own_words() {
    // It agrees to whatever it is told, and writes down how long that was.
    let Some((place, path)) = with_pinentry(
        "#!/bin/sh\necho OK\nwhile read -r line; do\n\
        case \"$line\" in SETDESC*) printf %s \"$line\" | wc -c >told;; esac\necho OK\ndone\n",
    ) else {
        return;
    };
    let agent = agent(&place, &path);
    let mut bot = agent.connect();
    let mut asked = |note: &str| {
        let answer = bot.ask(&order(note));
        if answer["ok"] == false {
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(
                message.contains("too long to be shown: 40 fields and 990 bytes"),
                "{answer}"
            );
            assert_eq!(
                answer["error"]["rule"],
                "confirm 1 (/0/private/AddOrder) of policy/kraken.toml"
            );
        }
        answer["ok"] == true
    };
    // A percent sign goes to it as three bytes.
    assert!(!asked(&"%".repeat(330)) && asked(&"y".repeat(330)));
    let length = (500..1000)
        .rev()
        .find(|length| asked(&"y".repeat(*length)))
        .unwrap();
    let told: usize = std::fs::read_to_string(place.path().join("told"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    // With its line feed that is the longest line but one of the Assuan protocol.
    assert_eq!(told, 998);
    drop(agent);
    // What the limit lets through a real one shows.
    std::fs::remove_dir_all(place.path().join("programs")).unwrap();
    let Some(person) = Person::at_terminal(&place) else {
        return;
    };
    let mut command = place.command(&["agent"]);
    person.set(&mut command);
    let agent = Running::of(&place, command);
    let mut bot = agent.connect();
    bot.send(format!("{}\n", order(&"y".repeat(length))).as_bytes());
    person.is_asked("volume = \"1\"");
}

#[test]
fn a_yes_is_for_the_question_that_was_seen() {
    let Some(place) = Place::with_kraken() else { return };
    let Some(mut person) = Person::at_terminal(&place) else {
        return;
    };
    place.set_policy("kraken", CONFIRM);
    let mut command = place.command(&["agent"]);
    person.set(&mut command);
    let agent = Running::of(&place, command);
    let mut bot = agent.connect();
    bot.send(format!("{}\n", order("-")).as_bytes());
    person.is_asked("https://api.kraken.com");
    // While they look at it, the key is given another address.
    place.ok(&["set", "kraken", "--base-url", "https://localhost:7443"]);
    person.agrees();
    person.is_asked("https://localhost:7443");
    assert!(place.log(&["--what", "sign", "--outcome", "signed"]).is_empty());
    person.agrees();
    let answer = bot.answer();
    assert_eq!(
        answer["url"], "https://localhost:7443/0/private/AddOrder",
        "{answer}"
    );
}
