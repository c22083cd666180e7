//! What stands in the log.

use std::path::Path;

use hsmsign::{audit::Log, home::Home};
use serde_json::Value;

use crate::{bench::Place, written::entry};

#[test]
fn signatures_denials_imports_policies_and_locks_are_lines() {
    let Some(place) = Place::with_kraken() else { return };
    let policy = "policy = 1\nsymbols = [\"XBTUSD\"]\n[[allow]]\npath = \"/0/private/AddOrder\"\n[[cap]]\nfield = \"volume\"\nrequest = \"1\"\n";
    place.set_policy("kraken", policy);
    let order = [
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--form",
        "pair=XBTUSD",
        "--form",
        "volume=0.1",
        "--form",
        "userref=77",
    ];
    place.ok(&order);
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
        3,
        "allow of",
    );
    place.refused(&["sign", "kraken", "POST", "/0//x"], "", 5, "//");
    place.ok(&["lock", "--all"]);
    place.ok(&["unlock", "--all"]);
    place.ok(&["remove", "kraken", "--yes"]);
    let lines = place.log(&[]);
    let told: Vec<_> = lines
        .iter()
        .map(|line| [&line["what"], &line["outcome"]].map(|text| text.as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        told,
        [
            ["begin", ""],
            ["import", "done"],
            ["policy", "done"],
            ["sign", "signed"],
            ["sign", "denied"],
            ["sign", "failed"],
            ["lock", "done"],
            ["unlock", "done"],
            ["remove", "done"],
        ]
    );
    let signed = &lines[3];
    assert_eq!(
        signed["fields"],
        serde_json::json!({"pair": "XBTUSD", "volume": "0.1"}),
        "named by the policy"
    );
    let text = signed.to_string();
    assert!(
        !text.contains("userref") && !text.contains("77&"),
        "the others stand there as a hash: {text}"
    );
    assert_eq!(signed["digest"].as_str().map(str::len), Some(32));
    assert_eq!(
        (&signed["method"], &signed["path"]),
        (&"POST".into(), &"/0/private/AddOrder".into())
    );
    assert_eq!(signed["exchange"], "kraken");
    assert!(signed["rule"].as_str().unwrap().starts_with("allow 1"));
    assert!(signed["us"].as_u64().unwrap() > 0);
    let own = std::env::current_exe().unwrap();
    assert_eq!(
        signed["exe"].as_str(),
        own.to_str(),
        "the program that ran hsmsign"
    );
    assert!(lines[4]["message"].as_str().unwrap().contains("no rule fits"));
    // Each line's number is one more, and times do not go back.
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line["n"].as_u64(), Some(at as u64 + 1));
    }
}

#[test]
fn no_line_holds_a_secret_or_a_signature() {
    let Some(place) = Place::with_token() else { return };
    place.import(
        &["--exchange", "coinbaseexchange", "--api-key", "k"],
        "c2VjcmV0LXNlY3JldC1zZWNyZXQ=\nthe-passphrase",
    );
    place.import_raw("raw", "0123456789abcdef0123456789abcdef");
    let signed = place.ok(&["sign", "coinbaseexchange", "GET", "/accounts"]);
    let signature = serde_json::from_str::<Value>(&signed).unwrap()["headers"]["CB-ACCESS-SIGN"]
        .as_str()
        .unwrap()
        .to_owned();
    let mac = place.run(&["hmac", "raw"], "a message in clear").stdout;
    let text = place.ok(&["audit", "show", "--json"]);
    for secret in [
        "c2VjcmV0",
        "secret-secret",
        "the-passphrase",
        &signature,
        mac.trim(),
        "0123456789abcdef0123",
        "a message in clear",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("\"what\":\"raw\""));
}

#[test]
fn lines_are_shown_by_key_outcome_time_and_program() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Withdraw"],
        "",
        3,
        "move money out",
    );
    let count = |args: &[&str]| {
        place
            .ok(&[&["audit", "show"], args].concat())
            .lines()
            .filter(|line| !line.is_empty())
            .count()
    };
    assert_eq!(count(&[]), 4);
    assert_eq!(count(&["--what", "sign"]), 2);
    assert_eq!(count(&["--outcome", "denied"]), 1);
    assert_eq!(count(&["--key", "kraken"]), 3);
    assert_eq!(count(&["--key", "other"]), 0);
    assert_eq!(count(&["--path", "/0/private/With"]), 1);
    assert_eq!(count(&["--since", "1h"]), 4);
    assert_eq!(count(&["--until", "1h"]), 0);
    assert_eq!(
        count(&["--since", "2020-01-01", "--until", "2020-01-02T00:00:00Z"]),
        0
    );
    assert_eq!(count(&["-n", "2"]), 2);
    let own = std::env::current_exe().unwrap();
    assert_eq!(
        count(&["--program", own.file_name().unwrap().to_str().unwrap()]),
        3
    );
    assert_eq!(count(&["--uid", "4242"]), 0);
    place.refused(&["audit", "show", "--since", "yesterday"], "", 5, "is no time");
    // What no line has would show none, as if nothing had been refused.
    for by in [["--outcome", "refused"], ["--what", "signature"]] {
        let done = place.run(&[&["audit", "show"], &by[..]].concat(), "");
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains("possible values"), "{done:?}");
    }
    for by in ["begin", "seal", "import"] {
        place.ok(&["audit", "show", "--what", by]);
    }
}

#[test]
fn no_request_hides_its_line_or_passes_for_another() {
    let Some(place) = Place::with_kraken() else { return };
    let policy = "policy = 1\n[[cap]]\nfield = \"volume\"\nday = \"9\"\n";
    place.set_policy("kraken", policy);
    // Of a list of orders the rules look at the same field of each.
    let two = r#"{"pair":"XBTUSD","orders":[{"volume":"1"},{"volume":"2"}]}"#;
    place.ok(&[
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrderBatch",
        "--data",
        two,
        "--content-type",
        "application/json",
    ]);
    let lines = place.ok(&["audit", "show", "--what", "sign", "--json"]);
    let line: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(line["fields"], serde_json::json!({"volume": ["1", "2"]}));
    assert!(place.ok(&["audit", "show"]).contains(" volume=1,2 (uid "));
    assert!(place.ok(&["audit", "report"]).contains("AddOrderBatch"));
    // While a bot is watched its symbols are in the log as it wrote them.
    place.ok(&["policy", "learn", "kraken", "--begin"]);
    let pair = "pair=XBTUSD (uid 0, process 1 /usr/sbin/owner)";
    place.ok(&[
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--form",
        pair,
        "--form",
        "volume=1",
    ]);
    let shown = place.ok(&["audit", "show", "-n", "1"]);
    assert!(
        shown.contains("pair=\"XBTUSD (uid 0, process 1 /usr/sbin/owner)\" volume=1 (uid "),
        "{shown}"
    );
    let odd = serde_json::json!({"key": "kraken", "method": "POST /0/private/Balance", "path": "/x"});
    place.run(&["sign", "--json"], &format!("{odd}\n"));
    let shown = place.ok(&["audit", "show", "-n", "1"]);
    assert!(
        shown.contains(" sign failed kraken \"POST /0/private/Bala"),
        "{shown}"
    );
    // Escaped it would be longer than a line can be.
    let many: serde_json::Map<_, _> = (0..200_000)
        .map(|at| (format!("\u{1}{at:x}"), "".into()))
        .collect();
    let long = [
        serde_json::json!({"volume": 1, "pair".to_owned() + &"\u{1}".repeat(900_000): "X"}),
        serde_json::json!({"volume": 1, "pair": "\u{1}".repeat(900_000)}),
        many.into(),
    ];
    for form in long {
        let line = serde_json::json!({"key": "kraken", "method": "POST", "path": "/0/private/AddOrder", "form": form});
        place.run(&["sign", "--json"], &format!("{line}\n"));
        let shown = place.run(&["audit", "show", "--what", "sign", "-n", "1", "--json"], "");
        assert!(
            shown.stderr.is_empty() && (100..2_000_000).contains(&shown.stdout.len()),
            "{}",
            shown.stderr
        );
    }
    assert_eq!(
        place
            .ok(&["audit", "show", "--what", "sign", "--json"])
            .lines()
            .count(),
        6
    );
    let found = place.ok(&["audit", "verify", "--no-token"]);
    assert!(found.contains("lines as they were written"), "{found}");
}

#[test]
fn lines_are_followed_as_they_come() {
    use std::io::BufRead as _;

    let Some(place) = Place::with_kraken() else { return };
    let mut child = place.start(&["audit", "show", "--follow", "--json", "--outcome", "signed"]);
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    for path in ["/0/private/Balance", "/0/private/OpenOrders"] {
        place.ok(&["sign", "kraken", "POST", path]);
        assert!(lines.next().unwrap().unwrap().contains(path));
    }
    // A log that is moved away is followed by a new one, whose file has the same name and is shorter.
    let away = place.home().join("away");
    std::fs::create_dir(&away).unwrap();
    for name in ["audit", "audit.seal"] {
        std::fs::rename(place.home().join(name), away.join(name)).unwrap();
    }
    place.ok(&["sign", "kraken", "POST", "/0/private/TradeBalance"]);
    assert!(lines.next().unwrap().unwrap().contains("TradeBalance"));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Of other users' programs an agent is told no more than the unit: it is what tells them apart.
#[test]
fn where_no_program_is_known_its_unit_is_shown() {
    let Some(place) = Place::with_token() else { return };
    let log = Log::new(&Home::at(&place.home()));
    for (executable, cgroup) in [
        (None, "/system.slice/bot.service"),
        (None, "/docker/17"),
        (None, "/"),
        (Some("/opt/bot"), "/system.slice/other.service"),
    ] {
        let mut entry = entry("/0/private/Balance");
        entry.caller.executable = executable.map(|path| Path::new(path).into());
        entry.caller.cgroup = Some(cgroup.into());
        log.record(entry);
    }
    log.flush().unwrap();
    let shown = place.ok(&["audit", "show"]);
    let report = place.ok(&["audit", "report"]);
    for (told, is_there) in [
        ("bot.service", true),
        ("/docker/17", true),
        ("/opt/bot", true),
        ("other.service", false),
    ] {
        assert_eq!(shown.contains(&format!(" {told})")), is_there, "{told}: {shown}");
        assert_eq!(
            report.contains(&format!("{told} (uid ")),
            is_there,
            "{told}: {report}"
        );
        assert_eq!(
            place.log(&["--program", told]).len(),
            usize::from(is_there),
            "{told}"
        );
    }
    assert!(report.contains("unknown (uid "), "{report}");
}

/// Whoever asks next did not change it: nobody is to be accused of that.
#[test]
fn a_policy_that_was_edited_is_told_as_nobodys_doing() {
    let Some(place) = Place::with_kraken() else { return };
    place.set_policy("kraken", "policy = 1\n[[allow]]\npath = \"/0/private/Balance\"\n");
    let file = place.home().join("policy/kraken.toml");
    std::fs::write(&file, "policy = 1\n").unwrap();
    place.ok(&["sign", "kraken", "POST", "/0/private/Ledgers"]);
    let unknown = |line: &Value| {
        let detail = line["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("policy/kraken.toml is in force, with the hash"),
            "{detail}"
        );
        detail.ends_with("who changed it is not known")
    };
    let told: Vec<_> = place.log(&["--what", "policy"]).iter().map(unknown).collect();
    assert_eq!(told, [false, true]);
}

#[test]
fn where_a_keys_nonces_go_on_and_its_requests_go_is_told() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&["nonce", "kraken"]);
    place.ok(&["nonce", "kraken", "--set-above", "17"]);
    place.ok(&["nonce", "kraken", "--reset"]);
    let told: Vec<_> = place.log(&["--what", "set", "--key", "kraken"]);
    let told: Vec<_> = told.iter().map(|line| line["detail"].as_str().unwrap()).collect();
    assert_eq!(told, ["nonces above 17", "nonces that begin at the clock again"]);
    let args = [
        "-e",
        "kraken",
        "-k",
        "else",
        "--api-key",
        "e",
        "--base-url",
        "https://else.example",
    ];
    place.import(&args, crate::bench::KRAKEN_SECRET);
    let told = place.log(&["--what", "import", "--key", "else"]);
    assert_eq!(told[0]["detail"], "kraken, base-url \"https://else.example\"");
}
