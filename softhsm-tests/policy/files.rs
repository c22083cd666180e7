//! Policy files: what is refused in them, how a change takes effect, and the switch.

use std::fs;

use hsmsign::{nonce, policy::Policy};

use crate::bench::{Place, RAW_SECRET};

const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

#[test]
fn what_is_wrong_in_a_file_is_told() {
    for (text, words) in [
        ("", "does not begin with `policy = 1`"),
        ("rate = { day = 1 }", "does not begin with `policy = 1`"),
        ("policy = 2", "has version 2"),
        ("policy = 0", "has version 0"),
        ("policy = \"1\"", "does not begin with"),
        ("policy = 1\nallows = []", "unknown field `allows`"),
        (
            "policy = 1\n[[allow]]\npath = \"/x\"\nsymbols = [\"A\"]",
            "line 4: unknown field `symbols`",
        ),
        (
            "policy = 1\n[[allow]]\n",
            "neither `method` nor `path` nor `fields`",
        ),
        ("policy = 1\n[[allow]]\npath = \"x\"", "does not begin with `/`"),
        ("policy = 1\n[[allow]]\npath = \"/x?y\"", "'?'"),
        ("policy = 1\n[[allow]]\npath = \"/%57\"", "'%'"),
        (
            "policy = 1\n[[allow]]\nmethod = \"get\"",
            "there is no method \"get\"",
        ),
        (
            "policy = 1\n[[deny]]\npath = \"/x\"\nfields = []",
            "`fields` is empty",
        ),
        (
            "policy = 1\n[[deny]]\nvalues = { side = [] }",
            "`values.side` is an empty list",
        ),
        (
            "policy = 1\n[[allow]]\npath = \"/x\"\nvalues = { side = [\"buy\"] }",
            "is for a [[deny]]",
        ),
        (
            "policy = 1\n[[cap]]\nfield = \"volume\"",
            "neither `request` nor `day`",
        ),
        (
            "policy = 1\n[[cap]]\nfield = \"volume\"\nrequest = 0.1",
            "expected a string",
        ),
        (
            "policy = 1\n[[cap]]\nfield = \"volume\"\nrequest = \"-1\"",
            "is no amount",
        ),
        (
            "policy = 1\n[[cap]]\nfield = \"\"\nday = \"1\"",
            "cannot be a field's name",
        ),
        ("policy = 1\nrate = { hour = 1 }", "unknown field `hour`"),
        ("policy = 1\nrate = { day = -1 }", "invalid value"),
        ("policy = 1\nhours = [\"8-18\"]", "`hours` has"),
        ("policy = 1\nexpires = 2026-01-01T00:00:00", "which has no zone"),
        ("policy = 1\nexpires = 9999-12-31", "at the end of all years"),
        ("policy = 1\n[[client]]", "it names nobody"),
        ("policy = 1\n[[client]]\nexecutable = \"bot\"", "no whole path"),
        (
            "policy = 1\n[[client]]\nuid = \"no-such-user-here\"",
            "there is no \"no-such-user-here\"",
        ),
        ("policy = 1\npolicy = 1", "duplicate key"),
        // What is empty would mean anything.
        ("policy = 1\nhours = []", "`hours` is an empty list"),
        ("policy = 1\nrate = {}", "`rate` says nothing"),
        (
            "policy = 1\n[[allow]]\nmethod = []\npath = \"/x\"",
            "`method` is an empty list",
        ),
        (
            "policy = 1\n[[allow]]\nmethod = \"GET\"\npath = []",
            "`path` is an empty list",
        ),
        (
            "policy = 1\n[[cap]]\nfield = \"x\"\nday = \"1\"\npath = []",
            "cap 1: `path` is an empty list",
        ),
        (
            "policy = 1\n[[cap]]\nfield = \"x\"\nday = \"1\"\nsymbol = []",
            "cap 1: `symbol` is an empty list",
        ),
        (
            "policy = 1\n[[client]]\ncgroup = \"\"",
            "client 1: `cgroup` does not begin with `/`",
        ),
        (
            "policy = 1\n[[client]]\ncgroup = \"system.slice/bot.service\"",
            "`cgroup` does not begin with `/`",
        ),
        ("policy = 1\n[[client]]\nexecutable = \"\"", "no whole path"),
        (
            "policy = 1\n[[client]]\nexecutable = \"/usr/../bin/bot\"",
            "no whole path",
        ),
        (
            "policy = 1\n[[client]]\nexecutable = \"/usr//bin/bot/\"",
            "no whole path",
        ),
        (
            "policy = 1\n[[allow]]\npath = \"/a/../b\"",
            "has the segment `..`, so it can never match",
        ),
        ("policy = 1\nuncapped = [\"/./a\"]", "has the segment `.`"),
    ] {
        let error = Policy::parse(text, "p.toml").expect_err(text);
        assert!(error.message().contains(words), "{text:?}: {error}");
        assert!(error.message().starts_with("p.toml"), "{error}");
    }
}

#[test]
fn rules_that_can_never_match_are_pointed_out() {
    for (text, words) in [
        (
            "[[allow]]\npath = \"/a\"\n[[deny]]\npath = \"/a\"",
            "allow 1: it can never match, since deny 1",
        ),
        (
            "[[allow]]\nmethod = \"GET\"\npath = \"/a\"\n[[deny]]\npath = \"*\"",
            "allow 1: it can never match",
        ),
        ("allow = []", "lets nothing through"),
        ("symbols = []", "lets nothing through"),
        ("values = { type = [] }", "values.type: the list is empty"),
        ("[[client]]\nunit = \"\"", "the unit \"\" can never match"),
        ("[[client]]\nunit = \"bot\"", "the unit \"bot\" can never match"),
        ("rate = { minute = 0 }", "rate.minute: it lets nothing through"),
        ("symbols = [\"XBT*\"]", "symbols: \"xbt*\" can hardly match"),
        ("symbols = [\" XBTUSD\"]", "can hardly match"),
        ("symbols = [\"\"]", "can hardly match"),
        (
            "[[cap]]\nfield = \"x\"\nsymbol = \"XBT*\"\nday = \"1\"",
            "cap 1: \"xbt*\" can hardly match",
        ),
        ("expires = 2020-01-01", "is over"),
        (
            "symbols = [\"A\"]\n[[cap]]\nfield = \"x\"\nsymbol = \"B\"\nday = \"1\"",
            "cap 1: it can never match",
        ),
        (
            "[[cap]]\nfield = \"x\"\nrequest = \"2\"\nday = \"1\"",
            "only `day` counts",
        ),
        (
            "[[client]]\nexecutable = \"/usr/bin/python3.11\"",
            "runs whatever script it is given",
        ),
    ] {
        let policy = Policy::parse(&format!("policy = 1\n{text}"), "p").unwrap();
        let warnings = policy.warnings(nonce::now());
        assert!(
            warnings.iter().any(|warning| warning.contains(words)),
            "{text:?}: {warnings:?}"
        );
    }
    let fine = "policy = 1\n[[allow]]\npath = \"/a\"\n[[deny]]\nmethod = \"GET\"\npath = \"/a\"\n[[client]]\nexecutable = \"/usr/bin/bot\"";
    assert!(
        Policy::parse(fine, "p")
            .unwrap()
            .warnings(nonce::now())
            .is_empty()
    );
}

/// The kernel tells where a program is, and not by which link it was started.
#[test]
fn a_program_that_is_named_by_a_link_is_pointed_out() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap().join("bot");
    fs::write(&real, "").unwrap();
    let link = real.with_file_name("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    for (path, warns) in [(&real, 0), (&link, 1)] {
        let text = format!("policy = 1\n[[client]]\nexecutable = {path:?}");
        let warnings = Policy::parse(&text, "p").unwrap().warnings(nonce::now());
        assert_eq!(warnings.len(), warns, "{warnings:?}");
        let words = format!("write {}", real.display());
        assert!(
            warnings.iter().all(|warning| warning.ends_with(&words)),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_change_takes_effect_whole_or_not_at_all() {
    let Some(place) = Place::with_kraken() else { return };
    let path = place.home().join("policy/kraken.toml");
    let write = |text: &str| {
        fs::write(&path, text).unwrap();
    };
    // Without an earlier one, a broken file denies all.
    place.set_policy("kraken", "policy = 1\n");
    assert_eq!(place.run(&["policy", "remove", "kraken"], "").code, 0);
    place.ok(&BALANCE);
    let done = place.run(
        &["policy", "set", "kraken"],
        "policy = 1\n[[allow]]\npath = \"/0/private/Balance\"\n",
    );
    assert_eq!(done.code, 0, "{done:?}");
    place.ok(&BALANCE);
    let whole = fs::read_to_string(&path).unwrap();
    for broken in [
        "",
        "policy = 1\n[[deny]]\npath = \"*",
        "policy = 1\nunknown = 1\n",
        "x",
        "policy = 9\n",
    ] {
        write(broken);
        let done = place.run(&["policy", "check", "kraken", "POST", "/0/private/CancelAll"], "");
        assert_eq!(done.code, 3, "the old one holds: {done:?}");
        assert!(done.stderr.contains("the policy before holds, since"), "{done:?}");
        place.ok(&BALANCE);
    }
    fs::remove_file(&path).unwrap();
    place.refused(
        &["sign", "kraken", "POST", "/0/private/CancelAll"],
        "",
        3,
        "no rule fits",
    );
    let shown = place.run(&["policy", "show", "kraken"], "");
    assert!(
        shown.stderr.contains("is gone; what it said is still in force"),
        "{shown:?}"
    );
    write(&whole.replace("Balance", "CancelAll"));
    set_mode(&path, 0o644);
    place.refused(
        &["sign", "kraken", "POST", "/0/private/CancelAll"],
        "",
        3,
        "no rule fits",
    );
    set_mode(&path, 0o600);
    place.ok(&["sign", "kraken", "POST", "/0/private/CancelAll"]);
    place.refused(&BALANCE, "", 3, "no rule fits");
    place.ok(&["policy", "remove", "kraken"]);
    place.ok(&BALANCE);
    place.refused(
        &["policy", "remove", "kraken"],
        "",
        5,
        "there is no policy/kraken.toml",
    );
}

#[test]
fn a_broken_file_with_none_before_it_denies_all() {
    let Some(place) = Place::with_kraken() else { return };
    fs::write(place.home().join("policy.toml"), "policy = 1\n[[allow").unwrap();
    set_mode(&place.home().join("policy.toml"), 0o600);
    place.refused(
        &BALANCE,
        "",
        3,
        "there is a policy that cannot be used, so nothing is signed: policy.toml: line 2",
    );
    fs::write(
        place.home().join("policy.toml"),
        "policy = 1\n[[deny]]\npath = \"/0/private/Bal*\"",
    )
    .unwrap();
    place.refused(&BALANCE, "", 3, "deny 1 (/0/private/Bal*) of policy.toml");
    // Both files must permit.
    assert_eq!(
        place
            .run(
                &["policy", "set", "kraken"],
                "policy = 1\n[[allow]]\npath = \"*\""
            )
            .code,
        0
    );
    place.refused(&BALANCE, "", 3, "deny 1 (/0/private/Bal*) of policy.toml");
    place.ok(&["policy", "remove", "--all"]);
    place.ok(&BALANCE);
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_switch_denies_every_path_from_the_next_request_on() {
    let Some(place) = Place::with_kraken() else { return };
    place.import_raw("raw", RAW_SECRET);
    let mut stream = place.start(&["sign", "--json"]);
    let mut ask = crate::bench::Stream::of(&mut stream);
    let line = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    assert!(ask.answer(line).contains("\"ok\":true"));
    for (on, off) in [
        (&["lock", "--all"][..], &["unlock", "--all"][..]),
        (
            &["policy", "deny-all", "kraken"],
            &["policy", "deny-all", "kraken", "--undo"],
        ),
    ] {
        place.ok(on);
        assert!(
            ask.answer(line).contains("\"code\":\"denied\""),
            "a stream that was open"
        );
        place.refused(&BALANCE, "", 3, "hsmsign: ");
        place.refused(
            &["send", "kraken", "POST", "/0/private/Balance"],
            "",
            3,
            "hsmsign ",
        );
        if on[0] == "lock" {
            place.refused(&["hmac", "raw"], "x", 3, "every key is locked");
        } else {
            assert_eq!(place.run(&["hmac", "raw"], "x").code, 0, "another key");
        }
        place.ok(off);
        assert!(ask.answer(line).contains("\"ok\":true"));
        place.ok(&BALANCE);
    }
    fs::write(place.home().join("policy/denied.json"), "{").unwrap();
    place.refused(&BALANCE, "", 1, "is damaged, so nothing is signed");
    place.ok(&["unlock", "--all"]);
    place.ok(&BALANCE);
    drop(ask);
    stream.wait().unwrap();
}

#[test]
fn a_question_that_nobody_can_answer_is_a_denial() {
    let Some(place) = Place::with_kraken() else { return };
    assert_eq!(
        place
            .run(
                &["policy", "set", "kraken"],
                "policy = 1\n[[confirm]]\npath = \"/0/private/AddOrder\""
            )
            .code,
        0
    );
    place.ok(&BALANCE);
    let order = [
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--form",
        "volume=1",
    ];
    // Without a terminal of its own.
    let done = std::process::Command::new("setsid")
        .args(["--wait", env!("CARGO_BIN_EXE_hsmsign")])
        .args(order)
        .env("HSMSIGN_HOME", place.home())
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(3), "{done:?}");
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(told.contains("a person is to be asked"), "{told}");
    let checked = place.ok(&[
        "policy",
        "check",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--form",
        "volume=1",
    ]);
    assert!(
        checked.contains("a person is asked first, by confirm 1"),
        "{checked}"
    );
}
