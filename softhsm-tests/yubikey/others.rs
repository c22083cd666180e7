//! Yubico's own program on the same card, so that the card is not our own reading of the protocol alone.

use crate::{
    bench::{KRAKEN_SECRET, KRAKEN_SIGN},
    user::{SIGN, User},
};

#[test]
fn what_hsmsign_writes_ykman_lists_and_takes_away() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let Some(told) = user.ykman(&["oath", "info"]) else {
        return;
    };
    assert!(told.contains("5.7.4"), "{told}");
    let accounts = user.ykman(&["oath", "accounts", "list"]).unwrap();
    assert!(accounts.starts_with("hsmsign:kraken "), "{accounts}");
    user.ykman(&["oath", "accounts", "delete", "--force", accounts.trim()]);
    user.place.refused(&SIGN, "", 4, "has no key with the id");
}

#[test]
fn what_ykman_writes_hsmsign_leaves_alone() {
    let Some(user) = User::ready() else {
        return;
    };
    let add = [
        "oath",
        "accounts",
        "add",
        "-a",
        "SHA256",
        "-o",
        "TOTP",
        "me@example",
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    ];
    if user.ykman(&add).is_none() {
        return;
    }
    user.import(&[]);
    assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
    user.place.ok(&["remove", "kraken"]);
    assert_eq!(
        user.ykman(&["oath", "accounts", "list"]).unwrap().trim(),
        "me@example"
    );
}

#[test]
fn an_access_code_is_the_same_to_both() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let code = "both know this code";
    if user.ykman(&["oath", "access", "change", "-n", code]).is_none() {
        return;
    }
    let source = user.place.path().join("code");
    std::fs::write(&source, code).unwrap();
    std::fs::set_permissions(&source, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = user.place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let line = format!("pin-source = \"file:{}\"\n", source.display());
    std::fs::write(&config, format!("{text}{line}")).unwrap();
    assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
    let done = user
        .place
        .run(&["token", "code", "yubikey"], "hsmsign chose this\n");
    assert_eq!(done.code, 0, "{done:?}");
    let listed = user
        .ykman(&["oath", "accounts", "list", "-p", "hsmsign chose this"])
        .unwrap();
    assert!(listed.contains("hsmsign:kraken"), "{listed}");
    assert!(!listed.contains(KRAKEN_SECRET));
}

/// Yubico's library, in a program that scripts/test.sh builds; what it printed, or none where it is not there.
fn yubikit(user: &User, args: &[&str]) -> Option<String> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/.cache/yubikit/target/debug/yubikit-oath"
    );
    if !std::path::Path::new(path).exists() {
        eprintln!("SKIPPED: the program over yubikit is not there; scripts/test.sh builds it");
        return None;
    }
    let mut command = std::process::Command::new(path);
    command.arg("Virtual PCD 00 00").args(args);
    let done = user.desk.at(&mut command).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    Some(String::from_utf8(done.stdout).unwrap())
}

#[test]
fn yubikit_makes_the_same_mac_of_the_same_key() {
    let Some(user) = User::ready() else {
        return;
    };
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let args = [
        "import",
        "--exchange",
        "generic",
        "--allow",
        "raw",
        "--algorithm",
        "hmac-sha256",
        "--key",
        "k",
    ];
    assert_eq!(user.place.run(&args, &format!("{secret}\n")).code, 0);
    let Some(names) = yubikit(&user, &["-", "list"]) else {
        return;
    };
    assert!(names.starts_with("hsmsign:k "), "{names}");
    let message = [b'm'; 64];
    let hex = base16ct::lower::encode_string(&message);
    let theirs = yubikit(&user, &["-", "mac", names.trim(), &hex]).unwrap();
    let ours = user.place.run(
        &["hmac", "k", "--output", "hex"],
        std::str::from_utf8(&message).unwrap(),
    );
    assert_eq!(ours.stdout.trim(), theirs.trim());
    let code = "the same to yubikit";
    assert_eq!(
        user.place
            .run(&["token", "code", "yubikey"], &format!("{code}\n"))
            .code,
        0
    );
    assert_eq!(
        yubikit(&user, &[code, "mac", names.trim(), &hex]).unwrap(),
        theirs
    );
}
