//! What `policy check` says of messages for sockets.

use crate::bench::Place;

#[test]
fn what_is_asked_about_a_login_is_all_that_was_given_of_it() {
    let Some(place) = Place::with_token() else { return };
    place.import(&["-e", "htx", "--api-key", "k"], "secret");
    let policy = "policy = 1\nexpires = 2090-01-01T00:00:00Z\n";
    place.set_policy("htx", policy);
    let late = ["--timestamp", "2099-01-01T00:00:00"];
    for (signs, asks) in [
        (&late[..], &late[..]),
        (&["--host", "nowhere.example"], &["--host", "nowhere.example"]),
        (&["--challenge", "x"], &["--challenge", "x"]),
    ] {
        let signed = place.run(&[&["websocket", "htx"], signs].concat(), "");
        let asked = place.run(&[&["policy", "check", "htx", "WS"], asks].concat(), "");
        assert_ne!(signed.code, 0, "{signs:?}");
        assert_eq!(
            (signed.code, signed.stderr),
            (asked.code, asked.stderr),
            "{asks:?}"
        );
    }
    place.import(&["-e", "krakenfutures", "--api-key", "k"], "c2VjcmV0");
    let challenge = ["--challenge", "226aee50-88fc-4618-a42a-34f7709570b2"];
    place.ok(&[&["policy", "check", "krakenfutures", "WS"][..], &challenge].concat());
    place.import(&["-e", "binance", "--api-key", "k"], "secret");
    let policy = "policy = 1\n[[allow]]\nmethod = \"WS\"\nfields = [\"symbol\"]\n";
    place.set_policy("binance", policy);
    for (message, code) in [(r#"{"symbol":"A"}"#, 0), (r#"{"asset":"A"}"#, 3)] {
        let check = ["policy", "check", "binance", "WS", "--data", message];
        assert_eq!(place.run(&check, "").code, code, "{message}");
        let signed = place.run(&["websocket", "binance", "--data", message], "");
        assert_eq!(signed.code, code, "{message}: {signed:?}");
    }
}
