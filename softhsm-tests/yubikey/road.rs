//! The command line over a virtual YubiKey.

use std::time::{Duration, Instant};

use hsmsign::{
    algorithm::MacAlgorithm,
    secret::{BlockKey, Secret},
    token::{KeyMeta, ObjectId, Token as _, Wishes},
};

use crate::{
    bench::KRAKEN_SIGN,
    card::Profile,
    user::{SIGN, User},
};

const SELECT: u8 = 0xa4;
const CALCULATE: u8 = 0xa2;
const VALIDATE: u8 = 0xa3;

#[test]
fn a_signature_is_one_transaction_of_two_commands() {
    let Some(user) = User::with(vec![Profile::default()]) else {
        return;
    };
    let offered = user.place.run(&["init"], "").stderr;
    assert!(
        offered.contains("YubiKey 12345678, without a PKCS#11 module"),
        "{offered}"
    );
    let told = user.place.ok(&["init", "--yubikey"]);
    assert!(
        told.contains("token yubikey is set up: YubiKey (serial 12345678)"),
        "{told}"
    );
    assert!(
        user.card().inside().oath.credentials.is_empty(),
        "the probe leaves nothing"
    );
    user.import(&[]);
    user.card().exchanges();
    let begun = || {
        user.desk
            .log()
            .matches("SCardBeginTransaction() Status: rv=SCARD_S_SUCCESS")
            .count()
    };
    let before = begun();
    let signed = user.place.json(&SIGN);
    assert_eq!(signed["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(user.card().instructions(), [SELECT, CALCULATE]);
    assert_eq!(begun() - before, 1);
    user.place.ok(&["test", "kraken"]);
    user.place.ok(&["doctor"]);
    user.place.ok(&["remove", "kraken"]);
    assert!(user.card().inside().oath.credentials.is_empty());
}

#[test]
fn an_access_code_costs_one_command_more_and_is_tried_once() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let file = user.place.path().join("code");
    let write = |code: &str| {
        let _ = std::fs::remove_file(&file);
        // Later than the clock of files ticks.
        std::thread::sleep(std::time::Duration::from_millis(30));
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
        std::io::Write::write_all(&mut options.open(&file).unwrap(), code.as_bytes()).unwrap();
    };
    let done = user
        .place
        .run(&["token", "code", "yubikey"], "first access code\n");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("it is asked for"), "{done:?}");
    user.refused(4, "no terminal to ask at", "set pin-source for [token.yubikey]");
    let config = user.place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    write("first access code");
    let source = format!("\npin-source = \"file:{}\"\n", file.display());
    std::fs::write(
        &config,
        text.replace("\nyubikey = true\n", &format!("\nyubikey = true{source}")),
    )
    .unwrap();
    user.card().exchanges();
    assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(user.card().instructions(), [SELECT, VALIDATE, CALCULATE]);

    write("a wrong one");
    user.place.refused(&SIGN, "", 4, "refused the PIN from file:");
    user.card().exchanges();
    user.place.refused(&SIGN, "", 4, "refused the PIN in file:");
    assert!(
        !user.card().instructions().contains(&VALIDATE),
        "the code that was refused is not tried again"
    );

    write("first access code");
    let done = user.place.run(&["token", "code", "yubikey"], "short\n");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stderr.contains("the key counts no wrong ones") && done.stdout.contains("put it into file:"),
        "{done:?}"
    );
    write("short");
    assert_eq!(user.sign().code, 0);
    user.place.ok(&["token", "code", "yubikey", "--remove"]);
    assert!(!user.card().inside().oath.is_locked());
    user.place
        .refused(&["token", "code", "yubikey"], "\n", 5, "empty");
}

#[test]
fn what_fits_the_key_is_said_before_and_what_does_not_is_refused_before_it_is_asked() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let fits = user.place.json(&["exchanges", "--token", "yubikey", "--json"]);
    let of = |exchange: &str| {
        let rows = fits.as_array().unwrap();
        rows.iter().find(|row| row["exchange"] == exchange).unwrap()["fits"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(of("kraken"), "fits where path has at most 32 bytes");
    assert_eq!(of("krakenfutures"), "fits");
    assert_eq!(of("gate"), "never fits");
    assert_eq!(of("bitfinex"), "none of its algorithms");
    user.card().exchanges();
    let path = format!("/0/private/{}", "x".repeat(22));
    for (words, path) in [
        (
            "a message of 65 bytes is over the token's limit of 64",
            path.as_str(),
        ),
        ("hsmsign exchanges --token yubikey", path.as_str()),
    ] {
        user.place
            .refused(&["sign", "kraken", "POST", path], "", 5, words);
    }
    assert!(user.card().exchanges().is_empty());
    let doctor = user.place.run(&["doctor"], "");
    assert!(
        doctor
            .stdout
            .contains("every request: fits where path has at most 32 bytes"),
        "{doctor:?}"
    );
    user.place.refused(
        &["import", "--exchange", "gate", "--api-key", "k"],
        "",
        5,
        "no request of Gate",
    );
    user.place.refused(
        &["import", "--exchange", "bitfinex"],
        "",
        5,
        "does not compute hmac-sha384",
    );
}

/// The time of a signature over pcscd and its driver, and what is left of it without the card's.
#[test]
fn a_signature_takes_little_time_beside_the_cards_own() {
    const MARK: &str = "a signature took ";
    let Some(user) = User::with(vec![Profile::default()]) else {
        return;
    };
    let (name, value) = user.desk.environment();
    let test = "road::a_signature_takes_little_time_beside_the_cards_own";
    let printed = crate::alone(&name, &value, test, || {
        let key = crate::user::key();
        let algorithm = MacAlgorithm::HmacSha512;
        let secret = Secret::take(&mut [7; 64]).unwrap();
        let meta = KeyMeta {
            id: ObjectId::random().unwrap(),
            label: "hsmsign:time".to_owned(),
            wishes: Wishes::default(),
        };
        let made = key
            .import_mac(&BlockKey::new(algorithm, &secret).unwrap(), &meta)
            .unwrap();
        let sign = || {
            let begun = Instant::now();
            key.mac(&made.key, algorithm, &[1; 64]).unwrap();
            begun.elapsed()
        };
        sign();
        println!(
            "\n{MARK}{} ns",
            median((0..200).map(|_| sign()).collect()).as_nanos()
        );
        key.delete(&made.key).unwrap();
    });
    let Some(printed) = printed else { return };
    let (_, nanos) = printed.split_once(MARK).unwrap();
    let whole = Duration::from_nanos(nanos.split(' ').next().unwrap().parse().unwrap());
    let exchanges = user.card().exchanges();
    let pairs = exchanges
        .windows(2)
        .filter(|pair| pair[1].command[1] == CALCULATE);
    let card = median(pairs.map(|pair| pair[0].took + pair[1].took).collect());
    let own = whole.saturating_sub(card);
    println!(
        "a signature over pcscd: {whole:?}, of which the card itself {card:?}, so that {own:?} are left"
    );
    // Of a debug build on a busy machine; a release build takes a part of it.
    assert!(own < Duration::from_millis(10), "{own:?}");
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// A key that is locked already is set up with its code; where that is missing, what is told is to be done at this command.
#[test]
fn a_locked_key_is_set_up_with_its_code() {
    let Some(user) = User::ready() else {
        return;
    };
    let done = user
        .place
        .run(&["token", "code", "yubikey"], "a code of some length\n");
    assert_eq!(done.code, 0, "{done:?}");
    user.place.ok(&["token", "remove", "yubikey"]);
    let done = user.place.run(&["init", "--yubikey"], "");
    assert_eq!(done.code, 4, "{done:?}");
    assert!(
        done.stderr.contains("its OATH access code is needed")
            && done.stderr.contains("--pin-source file:PATH"),
        "{done:?}"
    );
    assert!(!done.stderr.contains("config.toml"), "{done:?}");
    let file = user.place.path().join("code");
    user.secret(&file, "a code of some length");
    let source = format!("file:{}", file.display());
    user.place.ok(&["init", "--yubikey", "--pin-source", &source]);
    user.import(&[]);
    assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
}
