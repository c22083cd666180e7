//! Moving secrets out of the files of bots, through the real binary.

#![allow(clippy::unwrap_used)]

mod bench;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    process::Command,
};

use bench::{KRAKEN_BODY, KRAKEN_SECRET, KRAKEN_SIGN, Place};

const BINANCE_SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
/// What stands for the key `kraken`.
const KRAKEN_PLACE: &str = "aHNtc2lnbjprcmFrZW4AAAAAAAAAAAAA";

/// Writes a file and answers its path.
fn file(place: &Place, name: &str, text: &str) -> PathBuf {
    let path = place.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// Adopts a file, which must work; answers what is in it then.
fn adopted(place: &Place, path: &PathBuf, more: &[&str]) -> String {
    let done = place.run(&[&["adopt", path.to_str().unwrap(), "--yes"], more].concat(), "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!(done.stdout + &done.stderr).contains(KRAKEN_SECRET));
    fs::read_to_string(path).unwrap()
}

fn signs_as_kraken(place: &Place, key: &str) {
    let signed = place.json(&["sign", key, "POST", "/0/private/AddOrder", "--data", KRAKEN_BODY]);
    assert_eq!(signed["headers"]["API-Sign"], KRAKEN_SIGN);
}

/// Files in which the one secret is Kraken's, each with the name that its key gets.
const FILES: [(&str, &str); 8] = [
    (
        ".env",
        "# bot\nexport KRAKEN_API_KEY=abc\nKRAKEN_SECRET=\"@@\"  # keep\r\nDB_PASSWORD=x\n",
    ),
    ("bot.env", "EXCHANGE=kraken\nAPI_KEY='abc'\nAPI_SECRET='@@'\n"),
    (
        "fq.env",
        "FREQTRADE__EXCHANGE__NAME=kraken\nFREQTRADE__EXCHANGE__KEY=abc\nFREQTRADE__EXCHANGE__SECRET=@@",
    ),
    (
        "config.json",
        "{\n  // freqtrade\n  \"dry_run\": false,\n  \"exchange\": {\"name\": \"kraken\", \"key\": \"abc\", \"secret\": \"@@\", \"x\": [1,],},\n  \"api_server\": {\"jwt_secret_key\": \"stays\", \"password\": \"stays\"}\n}",
    ),
    (
        "keys.json",
        "{\"kraken\": {\"apiKey\": \"abc\", \"secret\": \"@@\", \"enableRateLimit\": true}}",
    ),
    (
        "ccxt.yaml",
        "# accounts\nkraken:\n    apiKey: abc   # mine\n    secret: '@@'  # hush\n    options: {a: b}\n",
    ),
    (
        "docker-compose.yml",
        "services:\n  bot:\n    image: bot\n    environment:\n      - KRAKEN_API_KEY=abc\n      - KRAKEN_API_SECRET=@@\n",
    ),
    (
        "compose.yaml",
        "services:\n  bot:\n    environment:\n      KRAKEN_API_KEY: abc\n      KRAKEN_API_SECRET: \"@@\"\n    ports: [\"80:80\"]\n",
    ),
];

#[test]
fn every_format_keeps_all_of_itself_but_the_secret() {
    let Some(place) = Place::with_token() else { return };
    for (name, text) in FILES {
        let path = file(&place, name, &text.replace("@@", KRAKEN_SECRET));
        let before = fs::read_to_string(&path).unwrap();
        assert_eq!(before.matches(KRAKEN_SECRET).count(), 1, "{before}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let after = adopted(&place, &path, &[]);
        assert_eq!(after, before.replace(KRAKEN_SECRET, KRAKEN_PLACE), "{name}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640, "{name}");
        signs_as_kraken(&place, "kraken");
    }
    // The same secret in several files is one key.
    assert_eq!(place.json(&["list", "--json"]).as_array().map_or(1, Vec::len), 1);
    let show = place.json(&["show", "kraken", "--json"]);
    assert!(show.to_string().contains("\"abc\""), "{show}");
}

#[test]
fn several_secrets_of_a_file_are_keys_of_their_own() {
    let Some(place) = Place::with_token() else { return };
    let path = file(
        &place,
        ".env",
        &format!(
            "KRAKEN_SECRET={KRAKEN_SECRET}\nBINANCE_MAIN_SECRET={BINANCE_SECRET}\nBINANCE_MAIN_API_KEY=k\nBINANCE_SPARE_SECRET={}\n",
            BINANCE_SECRET.to_lowercase()
        ),
    );
    let after = adopted(&place, &path, &[]);
    for key in ["kraken", "binance-main", "binance-spare"] {
        assert!(
            after.contains(place.ok(&["placeholder", key]).trim()),
            "{key}: {after}"
        );
    }
    let signed = place.json(&["sign", "binance-main", "GET", "/api/v3/account"]);
    assert_eq!(signed["headers"]["X-MBX-APIKEY"], "k");
}

#[test]
fn what_is_adopted_stands_in_the_log_as_imported() {
    let Some(place) = Place::with_token() else { return };
    let text =
        format!("KRAKEN_SECRET={KRAKEN_SECRET}\nBITFINEX_SECRET=abcdefghijklmnopqrstuvwxyz0123456789\n");
    let path = file(&place, ".env", &text);
    for _ in 0..2 {
        place.ok(&["adopt", path.to_str().unwrap(), "--yes", "--allow", "withdrawals"]);
    }
    let export = format!(
        "{{\"https://pro.kraken.com\":{{\"me\":\"{KRAKEN_SECRET}\"}},\"https://www.gemini.com\":{{\"me\":\"abcdefghijklmnopqrstuvwxyz\"}}}}"
    );
    let done = place.run(&["adopt", "-", "--yes"], &export);
    assert_eq!(done.code, 0, "{done:?}");
    let told: Vec<_> = place
        .log(&["--what", "import"])
        .iter()
        .map(|line| line["detail"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        told,
        [
            "kraken, allowed withdrawals",
            "bitfinex, allowed withdrawals",
            "gemini"
        ],
        "one line a key, and none for one that was there"
    );
}

#[test]
fn a_dry_run_and_a_missing_yes_change_nothing() {
    let Some(place) = Place::with_token() else { return };
    let text = format!("KRAKEN_SECRET={KRAKEN_SECRET}\n");
    let path = file(&place, ".env", &text);
    let told = place.ok(&["adopt", ".env", "--dry-run"]);
    assert!(
        told.contains(".env:1: KRAKEN_SECRET is a secret of kraken"),
        "{told}"
    );
    // In a session of its own there is no terminal to ask at.
    let refused = Command::new("setsid")
        .args(["--wait", env!("CARGO_BIN_EXE_hsmsign"), "adopt", ".env"])
        .env("HSMSIGN_HOME", place.home())
        .current_dir(place.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("look at it with --dry-run, then give --yes"),
        "{refused:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(place.run(&["show", "kraken"], "").code == 5);
}

#[test]
fn a_failure_leaves_the_file_as_it_was_and_no_key() {
    let Some(place) = Place::with_token() else { return };
    let text = format!("KRAKEN_SECRET={KRAKEN_SECRET}\nKRAKENFUTURES_SECRET=no base64\n");
    let path = file(&place, ".env", &text);
    place.refused(&["adopt", ".env", "--yes"], "", 5, ".env, line 2: the secret");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    place.refused(&["show", "kraken"], "", 5, "no key named kraken");
    for (name, text, words) in [
        (
            "config.json",
            "{\"kraken\": {\"secret\": \"x\" \"y\"}}",
            "line 1 is not JSON",
        ),
        ("notes.md", "just words\n", "no format that adopt knows"),
    ] {
        file(&place, name, text);
        place.refused(&["adopt", name, "--yes"], "", 5, words);
    }
    place.refused(
        &["adopt", "nowhere.env", "--yes"],
        "",
        5,
        "there is no file nowhere.env",
    );
}

#[test]
fn what_is_no_secret_of_an_exchange_stays_with_its_reason() {
    let Some(place) = Place::with_token() else { return };
    let text = "KRAKEN_SECRET=${OTHER}\nBINANCE_SECRET=your-secret-here\nALPACA_SECRET=abcdefghijklmnop\nOKX_SECRET=\n\
                SOME_API_KEY=a\nSOME_API_SECRET=abcdefghijklmnopqrstuv\nTELEGRAM_TOKEN=1234\nJWT_SECRET=abcdefghijkl\n";
    let path = file(&place, ".env", text);
    let told = place.ok(&["adopt", ".env", "--yes"]);
    for words in [
        ".env:1: KRAKEN_SECRET stays: it stands for a text that is elsewhere",
        ".env:2: BINANCE_SECRET stays: it looks like an example",
        ".env:3: ALPACA_SECRET stays: Alpaca wants the secret itself sent",
        ".env:6: SOME_API_SECRET stays: the file does not say of which exchange it is; give --exchange",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("JWT") && !told.contains("OKX"), "{told}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_link_is_followed_and_other_names_of_the_file_are_told() {
    let Some(place) = Place::with_token() else { return };
    let path = file(&place, "real/.env", &format!("KRAKEN_SECRET={KRAKEN_SECRET}\n"));
    std::os::unix::fs::symlink(&path, place.path().join(".env")).unwrap();
    fs::hard_link(&path, place.path().join("other")).unwrap();
    let done = place.run(&["adopt", ".env", "--yes"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("the file had 2 names"), "{done:?}");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("KRAKEN_SECRET={KRAKEN_PLACE}\n")
    );
    assert!(
        fs::symlink_metadata(place.path().join(".env"))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn the_old_bytes_are_overwritten_where_they_lay() {
    let Some(place) = Place::with_token() else { return };
    let path = file(&place, ".env", &format!("KRAKEN_SECRET={KRAKEN_SECRET}\n"));
    let before = fs::File::open(&path).unwrap();
    adopted(&place, &path, &[]);
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut &before, &mut left).unwrap();
    assert!(!left.is_empty() && left.iter().all(|&byte| byte == 0));
}

#[test]
fn hummingbots_encrypted_values_are_replaced_under_their_password() {
    let Some(place) = Place::with_token() else { return };
    let path = file(&place, "kraken.yml", include_str!("data/hummingbot-kraken.yml"));
    let before = fs::read_to_string(&path).unwrap();
    let wrong = place.run(&["adopt", "kraken.yml", "--yes"], "another\n");
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.stderr.contains("the password is not the one"), "{wrong:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    let done = place.run(&["adopt", "kraken.yml", "--yes"], "hummingbot password\n");
    assert_eq!(done.code, 0, "{done:?}");
    signs_as_kraken(&place, "kraken");
    let after = fs::read_to_string(&path).unwrap();
    let changed: Vec<_> = before
        .lines()
        .zip(after.lines())
        .filter(|(old, new)| old != new)
        .collect();
    assert_eq!(changed.len(), 1, "{after}");
    assert!(changed[0].1.starts_with("kraken_secret_key: 7b22"), "{after}");
    // The placeholder is under the same password: it is known again, as a file that was adopted already.
    let again = place.run(&["adopt", "kraken.yml", "--yes"], "hummingbot password\n");
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("holds a placeholder already"), "{again:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
}

#[test]
fn a_password_managers_export_is_taken_entry_by_entry() {
    let Some(place) = Place::with_token() else { return };
    let export = format!(
        "{{\"kraken.com\":{{\"abcdefghijklmnop1234\":\"{KRAKEN_SECRET}\"}},\"mail.example\":{{\"me@example.com\":\"hush\"}}}}"
    );
    let done = place.run(&["adopt", "-", "--yes"], &export);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("1 entries are of no exchange"), "{done:?}");
    assert!(!(done.stdout.clone() + &done.stderr).contains("hush"));
    signs_as_kraken(&place, "kraken");
    let shown = place.json(&["show", "kraken", "--json"]).to_string();
    assert!(shown.contains("abcdefghijklmnop1234"), "{shown}");
    place.refused(&["adopt", "-", "--yes"], "[\"hush\"]", 5, "not of the form");
}

#[test]
fn a_scan_sees_secrets_in_files_programs_and_git_histories() {
    let Some(place) = Place::with_token() else { return };
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .args([
                "-C",
                place.path().join("bots").to_str().unwrap(),
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
            ])
            .args(args)
            .env("HOME", place.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    file(
        &place,
        "bots/sub/bot.py",
        &format!("ex = ccxt.kraken({{'apiKey': 'a', 'secret': '{KRAKEN_SECRET}'}})\n"),
    );
    let gone = file(&place, "bots/.env", &format!("BINANCE_SECRET={BINANCE_SECRET}\n"));
    git(&["init", "-q"]);
    git(&["add", ".env"]);
    git(&["commit", "-qm", "one"]);
    fs::remove_file(&gone).unwrap();
    git(&["commit", "-qam", "two"]);
    file(
        &place,
        "bots/clean.json",
        &format!("{{\"kraken\": {{\"secret\": \"{KRAKEN_PLACE}\"}}}}"),
    );
    let done = place.run(&["adopt", "--scan", "bots"], "");
    assert_eq!(done.code, 1, "{done:?}");
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{done:?}");
    assert!(
        lines[0].starts_with("bots/.env:1: BINANCE_SECRET (binance), in git since "),
        "{done:?}"
    );
    assert_eq!(lines[1], "bots/sub/bot.py:1: kraken.secret (kraken)");
    assert!(!done.stdout.contains(KRAKEN_SECRET) && !done.stdout.contains(BINANCE_SECRET));
    let clean = place.run(&["adopt", "--scan", "home"], "");
    assert_eq!(
        (clean.code, clean.stdout.as_str()),
        (0, "no exchange secret was seen\n"),
        "{clean:?}"
    );
}

#[test]
fn unusual_ways_of_writing_a_file_are_kept_too() {
    let Some(place) = Place::with_token() else { return };
    for (name, text) in [
        (
            "windows.env",
            "\u{feff}KRAKEN_SECRET=@@\r\nKRAKEN_API_KEY=abc\r\n",
        ),
        ("flow.yaml", "kraken: {apiKey: abc, secret: @@}   # mine\n"),
        (
            "list.yaml",
            "accounts:\n  - {exchange: kraken, key: abc, secret: \"@@\"}\n",
        ),
    ] {
        let path = file(&place, name, &text.replace("@@", KRAKEN_SECRET));
        assert_eq!(
            adopted(&place, &path, &[]),
            text.replace("@@", KRAKEN_PLACE),
            "{name}"
        );
    }
}

#[test]
fn a_secret_that_stays_in_the_file_is_told() {
    let Some(place) = Place::with_token() else { return };
    for (name, text) in [
        ("copy.env", "# KRAKEN_SECRET=@@\nKRAKEN_SECRET=@@\n"),
        ("old.json", "{\n  // \"krakenSecret\": \"@@\",\n  \"a\": 1\n}\n"),
    ] {
        let path = file(&place, name, &text.replace("@@", KRAKEN_SECRET));
        let done = place.run(&["adopt", path.to_str().unwrap(), "--yes"], "");
        let told = done.stdout + &done.stderr;
        assert!(
            told.contains("stays: it stands where adopt changes nothing"),
            "{name}: {told}"
        );
        assert!(!told.contains(KRAKEN_SECRET));
    }
    let wide: Vec<u8> = format!("\u{feff}KRAKEN_SECRET={KRAKEN_SECRET}\n")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let path = file(&place, "wide.env", "");
    fs::write(&path, wide).unwrap();
    place.refused(
        &["adopt", path.to_str().unwrap(), "--yes"],
        "",
        5,
        "written in UTF-16",
    );
    let path = file(
        &place,
        "bot.toml",
        &format!("[kraken]\nsecret = \"{KRAKEN_SECRET}\"\n"),
    );
    place.refused(
        &["adopt", path.to_str().unwrap(), "--yes"],
        "",
        5,
        "no format that adopt knows",
    );
}

#[test]
fn a_scan_sees_what_is_not_written_as_a_bot_would() {
    let Some(place) = Place::with_token() else { return };
    for (name, text) in [
        ("windows.env", "\u{feff}KRAKEN_SECRET=@@\r\n"),
        ("comment.env", "# KRAKEN_SECRET=@@\n"),
        ("flow.yaml", "kraken: {apiKey: abc, secret: @@}\n"),
        ("bot.toml", "[kraken]\nsecret = \"@@\"\n"),
        ("bot.ini", "[kraken]\nsecret = @@\n"),
        (
            "nothing.env",
            "KRAKEN_SECRET=\n# KRAKEN_SECRET=your-secret-goes-here\n",
        ),
    ] {
        file(
            &place,
            &format!("tree/{name}"),
            &text.replace("@@", KRAKEN_SECRET),
        );
    }
    let done = place.run(
        &["adopt", "--scan", place.path().join("tree").to_str().unwrap()],
        "",
    );
    assert_eq!(done.code, 1, "{done:?}");
    let lines: Vec<_> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{done:?}");
    for (name, line) in [
        ("bot.ini", 2),
        ("bot.toml", 2),
        ("comment.env", 1),
        ("flow.yaml", 1),
        ("windows.env", 1),
    ] {
        assert!(
            lines
                .iter()
                .any(|seen| seen.contains(&format!("{name}:{line}: "))),
            "{name}: {done:?}"
        );
    }
}
