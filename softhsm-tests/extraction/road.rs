//! The road of a key on any token: import, proof, signature, rotation, removal.

use serde_json::Value;

use crate::{
    bench::{KRAKEN_BODY, KRAKEN_SECRET, KRAKEN_SIGN},
    user::User,
};

const OTHER: &str =
    "QWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU2Nzg5QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo5OA==";

/// How many requests a stream has.
const STREAM: usize = 200;

/// Kraken's documented signature before a rotation and after it was undone, another one in between; nothing is left.
pub fn whole(user: &User) {
    user.ok(&user.init(&["--accept-leaky-token"]));
    let empty = user.objects();
    let done = user.run(
        &["import", "--exchange", "kraken", "--api-key", "a"],
        &format!("{KRAKEN_SECRET}\n"),
    );
    assert_eq!(done.code, 0, "{done:?}");
    let signature = || {
        let answer = user.ok(&[
            "sign",
            "kraken",
            "POST",
            "/0/private/AddOrder",
            "--data",
            KRAKEN_BODY,
        ]);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["headers"]["API-Sign"].as_str().unwrap().to_owned()
    };
    assert_eq!(signature(), KRAKEN_SIGN);
    user.ok(&["test", "kraken"]);
    let rotate = || {
        let done = user.run(&["rotate", "kraken", "--api-key", "b"], &format!("{OTHER}\n"));
        assert_eq!(done.code, 0, "{done:?}");
    };
    rotate();
    assert_ne!(signature(), KRAKEN_SIGN);
    user.ok(&["rotate", "kraken", "--undo"]);
    assert_eq!(signature(), KRAKEN_SIGN);
    rotate();
    let new = signature();
    user.ok(&["rotate", "kraken", "--commit"]);
    assert_eq!(signature(), new);
    user.ok(&["test", "kraken"]);
    user.ok(&["doctor"]);
    user.ok(&["remove", "kraken", "--yes"]);
    assert_eq!(user.objects(), empty, "nothing is left on the token");
    user.ok(&["doctor"]);
}

/// A stream of requests for two keys, answered in order, none left out and none signed with the other's key.
pub fn stream(user: &User) {
    user.ok(&user.init(&["--accept-leaky-token"]));
    for (key, secret) in [("one", KRAKEN_SECRET), ("two", OTHER)] {
        let done = user.run(
            &["import", "--exchange", "kraken", "--key", key, "--api-key", key],
            &format!("{secret}\n"),
        );
        assert_eq!(done.code, 0, "{done:?}");
    }
    let line = |number: usize| {
        let key = if number.is_multiple_of(3) { "two" } else { "one" };
        format!(
            "{{\"id\":{number},\"key\":\"{key}\",\"method\":\"POST\",\"path\":\"/0/private/AddOrder\",\"body\":\"{KRAKEN_BODY}\"}}\n"
        )
    };
    let lines: String = (0..STREAM).map(line).collect();
    let done = user.run(&["sign", "--json"], &lines);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let answers: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), STREAM);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer["id"], number);
        let documented = answer["headers"]["API-Sign"] == KRAKEN_SIGN;
        assert_eq!(documented, !number.is_multiple_of(3), "{answer}");
    }
}
