//! A YubiKey behind the agent, which outlives what happens to the key.

use std::{
    os::fd::AsFd as _,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    bench::KRAKEN_SIGN,
    card::{Profile, Touch},
    running::Running,
    user::{SIGN, User},
};

/// What is answered when the key is found again: a device that was missed or busy is looked for after a moment.
pub fn patiently(mut ask: impl FnMut() -> serde_json::Value) -> serde_json::Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = ask();
        let found =
            !["token-missing", "token-busy"].contains(&answer["error"]["code"].as_str().unwrap_or(""));
        if found || Instant::now() > deadline {
            return answer;
        }
        sleep(Duration::from_millis(20));
    }
}

pub const LINE: &str = r#"{"key":"kraken","method":"POST","path":"/0/private/AddOrder","body":"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"}"#;

#[test]
fn the_agent_goes_on_when_the_key_is_back_and_when_pcscd_is() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let User { place, mut desk } = user;
    let agent = Running::start(&place);
    let mut bot = agent.connect();
    let mut ask = || bot.ask(LINE);
    assert_eq!(ask()["headers"]["API-Sign"], KRAKEN_SIGN);
    desk.card(0).exchanges();
    assert_eq!(ask()["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(desk.card(0).instructions(), [0xa4, 0xa2]);
    desk.card(0).pull();
    assert_eq!(ask()["error"]["code"], "token-missing");
    desk.card(0).put_back();
    assert_eq!(patiently(&mut ask)["headers"]["API-Sign"], KRAKEN_SIGN);
    desk.stop();
    assert_eq!(ask()["error"]["code"], "token-missing");
    desk.start();
    assert_eq!(patiently(ask)["headers"]["API-Sign"], KRAKEN_SIGN);
}

#[test]
fn a_code_that_a_person_gives_is_remembered_by_the_agent() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let done = user
        .place
        .run(&["token", "code", "yubikey"], "a code that nobody writes down\n");
    assert_eq!(done.code, 0, "{done:?}");
    let agent = Running::start(&user.place);
    let mut bot = agent.connect();
    let locked = bot.ask(LINE);
    assert_eq!(locked["error"]["code"], "token-locked", "{locked}");
    assert_eq!(locked["error"]["fix"], "unlock it: hsmsign unlock yubikey");
    assert_eq!(
        unlock(&agent, Some(("another", "")))["error"]["code"],
        "wrong-pin"
    );
    let code = "a code that nobody writes down";
    assert_eq!(unlock(&agent, Some((code, "")))["ok"], true);
    for _ in 0..2 {
        assert_eq!(bot.ask(LINE)["headers"]["API-Sign"], KRAKEN_SIGN);
    }
    user.card().exchanges();
    assert_eq!(bot.ask(LINE)["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(user.card().instructions(), [0xa4, 0xa3, 0xa2]);
}

/// Hands this over, as `what`, where something is given; answers what the agent says.
fn unlock(agent: &Running, given: Option<(&str, &str)>) -> serde_json::Value {
    let mut person = agent.connect();
    let Some((code, what)) = given else {
        return person.ask(r#"{"op":"unlock","token":"yubikey"}"#);
    };
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&write, format!("{code}\n").as_bytes()).unwrap();
    drop(write);
    let what = match what {
        "" => String::new(),
        what => format!(",\"what\":\"{what}\""),
    };
    let line = format!("{{\"op\":\"unlock\",\"token\":\"yubikey\",\"pin\":true{what}}}\n");
    hsmsign::agent::wire::send_all(person.stream(), line.as_bytes(), &[read.as_fd()]).unwrap();
    person.answer()
}

const ORDER: &str = r#"{"key":"binance","method":"GET","path":"/api/v3/account"}"#;
const CODE: &str = "a code that nobody writes down";

/// With an OATH key behind an access code and a PIV key behind its PIN, neither of which stands anywhere.
fn with_both() -> Option<User> {
    let user = User::with_kraken()?;
    user.give_pin("123456");
    let done = user.generate("binance", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    std::fs::remove_file(user.place.path().join("pin")).unwrap();
    let done = user
        .place
        .run(&["token", "code", "yubikey"], &format!("{CODE}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    Some(user)
}

fn sources(user: &User, pin: &str, piv_pin: &str) {
    let config = user.place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.contains("pin-source")).collect();
    std::fs::write(&config, format!("{}\n{pin}\n{piv_pin}\n", kept.join("\n"))).unwrap();
}

/// Both are given apart, by their names, each is remembered, and `lock` forgets both.
#[test]
fn the_access_code_and_the_piv_pin_are_given_apart_and_forgotten_together() {
    let Some(user) = with_both() else {
        return;
    };
    for (pin, piv_pin) in [
        ("", ""),
        ("pin-source = \"terminal\"", "piv-pin-source = \"pinentry\""),
        ("pin-source = \"pinentry\"", ""),
    ] {
        sources(&user, pin, piv_pin);
        let agent = Running::start(&user.place);
        let mut bot = agent.connect();
        let mut code = |line: &str| bot.ask(line)["error"]["code"].as_str().map(str::to_owned);
        assert_eq!(code(LINE).as_deref(), Some("token-locked"), "{pin} {piv_pin}");
        assert_eq!(code(ORDER).as_deref(), Some("token-locked"), "{pin} {piv_pin}");
        let status = agent.connect().ask(r#"{"op":"status"}"#);
        let token = &status["tokens"][0];
        assert!(
            token["pin_source"].is_string() && token["piv_pin_source"].is_string(),
            "{status}"
        );

        assert_eq!(
            unlock(&agent, None)["wants"],
            serde_json::json!(["access-code", "piv-pin"])
        );
        // Of the two the one that was given is right, and nothing but it was tried.
        let answer = unlock(&agent, Some(("123456", "piv-pin")));
        assert_eq!(answer["wants"], serde_json::json!(["access-code"]), "{answer}");
        assert_eq!(code(ORDER), None);
        assert_eq!(code(LINE).as_deref(), Some("token-locked"));
        let answer = unlock(&agent, Some((CODE, "access-code")));
        assert_eq!(
            (&answer["ok"], &answer["wants"]),
            (&true.into(), &serde_json::Value::Null)
        );
        for _ in 0..2 {
            assert_eq!((code(LINE), code(ORDER)), (None, None));
        }
        user.place.ok(&["lock", "yubikey"]);
        assert_eq!(code(LINE).as_deref(), Some("token-locked"));
        assert_eq!(code(ORDER).as_deref(), Some("token-locked"));
        let answer = unlock(&agent, None);
        assert_eq!(
            answer["wants"],
            serde_json::json!(["access-code", "piv-pin"]),
            "{answer}"
        );

        user.card().inside().piv.tried = 0;
        let answer = unlock(&agent, Some(("654321", "piv-pin")));
        assert_eq!(answer["error"]["code"], "wrong-pin", "{answer}");
        assert_eq!(user.card().inside().piv.tried, 1, "a wrong one is tried once");
        assert_eq!(code(ORDER).as_deref(), Some("token-locked"), "and not kept");
        assert_eq!(unlock(&agent, Some(("123456", "piv-pin")))["ok"], true);
    }
}

#[test]
fn what_is_given_must_be_named_as_something_that_unlocks() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let agent = Running::start(&user.place);
    let error = unlock(&agent, Some(("x", "puk")));
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("\"puk\" is nothing"),
        "{error}"
    );
    let error = agent
        .connect()
        .ask(r#"{"op":"unlock","token":"yubikey","what":"piv-pin"}"#);
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("does not come along"),
        "{error}"
    );
}

/// The person who waits is told, though the key is the agent's.
#[test]
fn a_touch_that_the_agent_waits_for_is_told_where_somebody_waits() {
    let Some(user) = User::with(vec![Profile {
        touch: Touch::After(Duration::from_millis(1500)),
        ..Profile::default()
    }]) else {
        return;
    };
    user.place.ok(&["init", "--yubikey"]);
    user.import(&["--touch"]);
    user.import(&["--key", "untouched"]);
    let _agent = Running::start(&user.place);
    let signed = user.sign();
    assert!(signed.stdout.contains(KRAKEN_SIGN), "{signed:?}");
    assert!(
        signed.stderr.contains("touch the YubiKey 12345678 to sign"),
        "{signed:?}"
    );
    // So it is where the request is sent.
    let send = ["send", SIGN[1], "POST", "/0/private/Balance", "--dry-run"];
    let sent = user.place.run(&send, "");
    assert!(
        sent.code == 0 && sent.stderr.contains("touch the YubiKey 12345678 to sign"),
        "{sent:?}"
    );
    let mut other = SIGN;
    other[1] = "untouched";
    let signed = user.place.run(&other, "");
    assert!(signed.code == 0 && !signed.stderr.contains("touch"), "{signed:?}");
}

/// Once a person gave it, the PIN costs no look at the tries beforehand; and the last try is not spent on it again, unless a
/// person gives it anew.
#[test]
fn a_pin_that_is_remembered_is_given_in_one_transaction_and_never_for_the_last_try() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    let done = user.generate("binance", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    sources(&user, "", "");
    let agent = Running::start(&user.place);
    let mut bot = agent.connect();
    assert_eq!(unlock(&agent, Some(("123456", "piv-pin")))["ok"], true);
    assert_eq!(bot.ask(ORDER)["ok"], true);
    let begun = || {
        user.desk
            .log()
            .matches("SCardBeginTransaction() Status: rv=SCARD_S_SUCCESS")
            .count()
    };
    user.card().exchanges();
    let before = begun();
    assert_eq!(bot.ask(ORDER)["ok"], true);
    assert_eq!(begun() - before, 1);
    assert_eq!(user.card().instructions(), [0xa4, 0xf8, 0x20, 0x20, 0x87]);

    // Another program spent the others.
    user.card().inside().piv.tries = 1;
    for _ in 0..2 {
        user.card().inside().piv.tried = 0;
        let refused = bot.ask(ORDER);
        assert_eq!(refused["error"]["code"], "token-locked", "{refused}");
        let fix = refused["error"]["fix"].as_str().unwrap();
        assert!(fix.contains("hsmsign unlock yubikey"), "{refused}");
        assert_eq!(user.card().inside().piv.tried, 0);
    }
    assert_eq!(unlock(&agent, None)["wants"], serde_json::json!(["piv-pin"]));
    assert_eq!(unlock(&agent, Some(("123456", "piv-pin")))["ok"], true);
    assert_eq!(user.card().inside().piv.tries, 3);
    assert_eq!(bot.ask(ORDER)["ok"], true);
}
