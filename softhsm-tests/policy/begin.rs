//! Policies to begin with: templates at import, and what was learned of a bot. And the agent, which asks the same.

use std::fs;

use crate::{
    bench::{KRAKEN_SECRET, Place},
    running::Running,
};

/// A key that the token makes is the stronger one, and begins as one that is imported.
#[test]
fn a_key_that_was_made_begins_with_a_template_too() {
    let Some(place) = Place::with_token() else { return };
    let make = [
        "generate",
        "-e",
        "binance",
        "--algorithm",
        "ed25519",
        "--api-key",
        "k",
        "--policy",
    ];
    let path = place.home().join("policy/binance.toml");
    place.refused(
        &[&make[..], &["trade-no-leverage"]].concat(),
        "",
        5,
        "fits one on credit",
    );
    assert!(!path.exists() && place.ok(&["list"]).contains("no keys yet"));
    place.ok(&[&make[..], &["trade"]].concat());
    assert!(path.exists());
    place.ok(&["sign", "binance", "GET", "/api/v3/account"]);
    place.refused(
        &["sign", "binance", "POST", "/api/v3/order?foreign=1"],
        "",
        3,
        "policy/binance.toml",
    );
    let raw = [
        "import",
        "-e",
        "generic",
        "--algorithm",
        "hmac-sha256",
        "--encoding",
        "ascii",
        "--allow",
        "raw",
    ];
    place.refused(
        &[&raw[..], &["--policy", "full"]].concat(),
        "secret",
        5,
        "no template fits it",
    );
}

/// An owner's policy is neither replaced nor taken away by an import of that name, whether it fails or not.
#[test]
fn a_template_takes_no_policys_place() {
    let Some(place) = Place::with_token() else { return };
    let import = [
        "import",
        "--exchange",
        "kraken",
        "--api-key",
        "k",
        "--policy",
        "full",
    ];
    let secret = format!("{KRAKEN_SECRET}\n");
    let own = "policy = 1\n[[allow]]\npath = [\"/0/private/Balance\"]\n";
    let path = place.home().join("policy/kraken.toml");
    assert_eq!(place.run(&import[..5], &secret).code, 0);
    place.set_policy("kraken", own);
    let removed = place.run(&["remove", "kraken"], "");
    assert_eq!(removed.code, 0);
    assert!(
        removed.stderr.contains("hsmsign policy remove kraken"),
        "{removed:?}"
    );
    for given in ["not base64 at all !\n", &secret] {
        place.refused(&import, given, 5, "there is a policy/kraken.toml already");
        assert_eq!(fs::read_to_string(&path).unwrap(), own);
    }
    // The file alone is gone, as between an editor's two steps: its policy holds on.
    fs::remove_file(&path).unwrap();
    place.refused(&import, &secret, 5, "leave --policy out");
    place.ok(&["policy", "remove", "kraken"]);
    // What an import that was killed left behind is no hindrance.
    assert_eq!(place.run(&import, &secret).code, 0);
    place.ok(&["remove", "kraken"]);
    assert_eq!(place.run(&import, &secret).code, 0);
}

#[test]
fn a_template_holds_from_the_import_on() {
    let Some(place) = Place::with_token() else { return };
    let import = ["import", "--exchange", "kraken", "--api-key", "k", "--policy"];
    let secret = format!("{KRAKEN_SECRET}\n");
    place.refused(
        &[&import[..], &["everything"]].concat(),
        "",
        2,
        "there is no policy named",
    );
    // An import that fails leaves no policy.
    place.refused(
        &[&import[..], &["read-only"]].concat(),
        "not base64 at all !\n",
        5,
        "",
    );
    assert!(!place.home().join("policy/kraken.toml").exists());
    let done = place.run(&[&import[..], &["read-only"]].concat(), &secret);
    assert_eq!(done.code, 0, "{done:?}");
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    let order = [
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--form",
        "pair=XBTUSD",
        "--form",
        "volume=1",
    ];
    place.refused(&order, "", 3, "no rule fits");
    for (template, plain, leveraged, token) in [
        ("trade", 0, 0, 3),
        ("trade-no-leverage", 0, 3, 3),
        ("full", 0, 0, 0),
    ] {
        let name = template.replace('-', "");
        let done = place.run(&[&import[..], &[template, "--key", &name]].concat(), &secret);
        assert_eq!(done.code, 0, "{done:?}");
        let code = |path: &str, more: &[&str]| {
            let order = [
                "sign",
                &name,
                "POST",
                path,
                "--form",
                "pair=XBTUSD",
                "--form",
                "volume=1",
            ];
            place.run(&[&order[..], more].concat(), "").code
        };
        assert_eq!(code("/0/private/AddOrder", &[]), plain, "{template}");
        assert_eq!(
            code("/0/private/AddOrder", &["--form", "leverage=5"]),
            leveraged,
            "{template}"
        );
        assert_eq!(code("/0/private/GetWebSocketsToken", &[]), token, "{template}");
        assert_eq!(code("/0/private/Withdraw", &[]), 3, "{template}");
    }
    // What cannot be told apart is not promised.
    let binance = [
        "import",
        "--exchange",
        "binance",
        "--api-key",
        "k",
        "--policy",
        "trade-no-leverage",
    ];
    place.refused(&binance, "x\n", 5, "fits one on credit as well");
}

#[test]
fn what_is_learned_of_a_bot_lets_just_that_through() {
    let Some(place) = Place::with_kraken() else { return };
    let order = |pair: &str, volume: &str| {
        let (pair, volume) = (format!("pair={pair}"), format!("volume={volume}"));
        place
            .run(
                &[
                    "sign",
                    "kraken",
                    "POST",
                    "/0/private/AddOrder",
                    "--form",
                    &pair,
                    "--form",
                    &volume,
                ],
                "",
            )
            .code
    };
    let learn = ["policy", "learn", "kraken"];
    place.refused(&learn, "", 5, "is not watched");
    place.ok(&["policy", "learn", "kraken", "--begin"]);
    place.refused(&learn, "", 1, "nothing was signed");
    assert_eq!(order("XBTUSD", "0.3"), 0);
    assert_eq!(order("XBTUSD", "0.2"), 0);
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    let proposed = place.ok(&learn);
    for words in [
        "symbols = [\"XBTUSD\"]",
        "request = \"0.3\"",
        "day = \"0.5\"",
        "day = 3 }",
        "uid = ",
    ] {
        assert!(proposed.contains(words), "{words}: {proposed}");
    }
    assert!(!proposed.contains("method"), "Kraken signs none: {proposed}");
    place.ok(&["policy", "learn", "kraken", "--end"]);
    // The same again passes; more, something else, or elsewhere does not.
    let done = place.run(
        &["policy", "set", "kraken"],
        &proposed.replace("second = ", "second = 9"),
    );
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(order("XBTUSD", "0.31"), 3);
    assert_eq!(order("ETHUSD", "0.1"), 3);
    assert_eq!(order("XBTUSD", "0.3"), 0);
    assert_eq!(order("XBTUSD", "0.2"), 0);
    assert_eq!(order("XBTUSD", "0.1"), 3, "the day's");
    place.refused(
        &["sign", "kraken", "POST", "/0/private/CancelAll"],
        "",
        3,
        "no rule fits",
    );
}

#[test]
fn the_agent_asks_the_same_rules_and_counts_and_writes_the_same_log() {
    let Some(place) = Place::with_kraken() else { return };
    let policy = "policy = 1\n[[cap]]\nfield = \"volume\"\nday = \"1\"\n";
    place.set_policy("kraken", policy);
    let line = r#"{"key":"kraken","method":"POST","path":"/0/private/AddOrder","form":{"pair":"XBTUSD","volume":"0.4"}}"#;
    let balance = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    {
        let mut agent = Running::start(&place);
        let mut socket = agent.connect();
        assert_eq!(socket.ask(line)["ok"], true);
        assert_eq!(socket.ask(line)["ok"], true);
        assert_eq!(
            socket.ask(line)["error"]["code"],
            "denied",
            "0.8 of 1 are used up"
        );
        assert_eq!(socket.ask(balance)["ok"], true);
        // The switch, and a policy that is edited in place, from the next request on.
        place.ok(&["lock", "--all"]);
        assert_eq!(socket.ask(balance)["error"]["code"], "denied");
        place.ok(&["unlock", "--all"]);
        assert_eq!(socket.ask(balance)["ok"], true);
        let path = place.home().join("policy/kraken.toml");
        fs::write(&path, "policy = 1\n[[client]]\nuid = 4242\n").unwrap();
        assert!(
            socket.ask(balance)["error"]["message"]
                .as_str()
                .unwrap()
                .contains("is none of them")
        );
        fs::write(&path, "policy = 1\n[[client]").unwrap();
        assert_eq!(
            socket.ask(balance)["error"]["code"],
            "denied",
            "the one before holds"
        );
        fs::write(&path, policy).unwrap();
        assert_eq!(socket.ask(balance)["ok"], true);
        place.ok(&["agent", "stop"]);
        assert_eq!(agent.wait(), 0);
    }
    // Without it, the count goes on.
    let sign = |volume: &str| {
        let volume = format!("volume={volume}");
        place
            .run(
                &[
                    "sign",
                    "kraken",
                    "POST",
                    "/0/private/AddOrder",
                    "--form",
                    "pair=XBTUSD",
                    "--form",
                    &volume,
                ],
                "",
            )
            .code
    };
    assert_eq!(sign("0.3"), 3);
    assert_eq!(sign("0.2"), 0);
    let found = place.json(&["audit", "verify", "--json"]);
    assert_eq!(found["ok"], true, "{found}");
    assert_eq!(found["seals"], 1, "an agent seals when it ends: {found}");
    let log = place.ok(&["audit", "show", "--json", "--what", "sign"]);
    let count = |outcome: &str| log.matches(&format!("\"outcome\":\"{outcome}\"")).count();
    assert_eq!((count("signed"), count("denied")), (6, 5), "{log}");
    let own = std::env::current_exe().unwrap();
    assert!(
        log.contains(&format!("\"exe\":\"{}\"", own.display())),
        "who was at the other end: {log}"
    );
}
