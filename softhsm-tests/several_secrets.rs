//! Keys that hold more than one secret: KuCoin's passphrase, of which only the MAC is kept, and a partner's secret.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;

use std::{fs, path::Path};

use bench::{Done, Place};
use serde_json::Value;

const SECRET: &str = "527591e4-630c-efce-6755-de3453f8dd13";
const PASSPHRASE: &str = "sCz3MpWMKK#1";
const PASSPHRASE_MAC: &str = "6seuDOMJ7Z7nPEcVvH8cwEfFmn+JlweoWL7waTpREpY=";
const PARTNER_SECRET: &str = "00000000-aaaa-4bbb-8ccc-dddddddddddd";
const ACCOUNTS: [&str; 4] = ["sign", "kucoin", "GET", "/api/v1/accounts"];
const IMPORT: [&str; 5] = [
    "import",
    "--exchange",
    "kucoin",
    "--api-key",
    "57274b12a7d2f32ef873aa77",
];

fn import(place: &Place, more: &[&str], lines: &str) -> Done {
    place.run(&[&IMPORT, more].concat(), lines)
}

fn partner(place: &Place) -> Done {
    let lines = format!("{SECRET}\n{PASSPHRASE}\n{PARTNER_SECRET}\n");
    import(place, &["--partner", "FAKEPARTNER"], &lines)
}

/// The headers of a request that was signed before.
fn headers(place: &Place) -> Value {
    place.json(&[&ACCOUNTS[..], &["--timestamp", "1700000000000"]].concat())["headers"].clone()
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![(path.display().to_string(), fs::read(&path).unwrap())]
            }
        })
        .collect()
}

/// How many objects SoftHSM keeps.
fn objects(place: &Place) -> usize {
    files(&place.token_folder())
        .iter()
        .filter(|(name, _)| name.ends_with(".object") && !name.ends_with("token.object"))
        .count()
}

#[test]
fn a_passphrase_that_is_only_maced_is_not_kept_anywhere() {
    let Some(place) = Place::with_token() else { return };
    let done = import(&place, &[], &format!("{SECRET}\n{PASSPHRASE}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(objects(&place), 1, "the secret alone is on the token");
    for (name, bytes) in files(&place.home()) {
        let found = bytes
            .windows(PASSPHRASE.len())
            .any(|window| window == PASSPHRASE.as_bytes());
        assert!(!found, "{name}");
    }
    let headers = headers(&place);
    assert_eq!(headers["KC-API-PASSPHRASE"], PASSPHRASE_MAC);
    assert_eq!(
        headers["KC-API-SIGN"],
        "OkKFbbAlHycUHycIO25S2HHdf/5IBDxqsreHGo+cWsQ="
    );
    assert!(headers.get("KC-API-PARTNER").is_none(), "{headers}");
    let explained = place.run(&[&ACCOUNTS[..], &["--explain"]].concat(), "");
    assert!(explained.code == 0 && !explained.stderr.contains(PASSPHRASE));
    let shown = place.ok(&["show", "kucoin"]);
    assert!(
        shown.contains("not kept") && !shown.contains(PASSPHRASE_MAC),
        "{shown}"
    );
    place.ok(&["test", "kucoin"]);
}

#[test]
fn a_partners_secret_is_a_second_key_from_import_to_removal() {
    let Some(place) = Place::with_token() else { return };
    let done = partner(&place);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(objects(&place), 2);
    let first = headers(&place);
    assert_eq!(first["KC-API-PARTNER"], "FAKEPARTNER");
    assert_eq!(
        first["KC-API-PARTNER-SIGN"],
        "vpbVgEIjKlHdBfu36Oqa3/vDWShiysJivqOv1J1/yJo="
    );
    assert_eq!(first["KC-API-PARTNER-VERIFY"], "true");
    let tested = place.ok(&["test", "kucoin"]);
    assert_eq!(tested.matches("makes the MAC").count(), 2, "{tested}");

    let lines = format!(
        "{}\nnew words\n{PARTNER_SECRET}\n",
        SECRET.replace("dd13", "dd14")
    );
    let done = place.run(&["rotate", "kucoin", "--api-key", "new"], &lines);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(objects(&place), 4, "both pairs are there");
    let second = headers(&place);
    for name in [
        "KC-API-KEY",
        "KC-API-SIGN",
        "KC-API-PASSPHRASE",
        "KC-API-PARTNER-SIGN",
    ] {
        assert_ne!(first[name], second[name], "{name}");
    }
    place.ok(&["rotate", "kucoin", "--undo"]);
    assert_eq!((headers(&place), objects(&place)), (first, 2));
    let done = place.run(&["rotate", "kucoin", "--api-key", "new"], &lines);
    assert_eq!(done.code, 0, "{done:?}");
    place.ok(&["rotate", "kucoin", "--commit"]);
    assert_eq!((headers(&place), objects(&place)), (second, 2));
    place.ok(&["remove", "kucoin", "--yes"]);
    assert_eq!(objects(&place), 0);
}

#[test]
fn a_secret_too_few_or_too_many_is_said_and_nothing_is_left() {
    let Some(place) = Place::with_token() else { return };
    let named: &[&str] = &["--partner", "FAKEPARTNER"];
    for (more, lines, words) in [
        (&[][..], format!("{SECRET}\n"), "wants a passphrase"),
        (&[], format!("{SECRET}\n\n"), "the passphrase is empty"),
        (
            &[],
            format!("{SECRET}\n{PASSPHRASE}\n{PARTNER_SECRET}\n"),
            "more lines",
        ),
        (
            named,
            format!("{SECRET}\n{PASSPHRASE}\n"),
            "wants a partner secret",
        ),
        (
            named,
            format!("{SECRET}\n{PASSPHRASE}\n\n"),
            "the secret is empty",
        ),
    ] {
        let done = import(&place, more, &lines);
        assert_eq!(done.code, 5, "{done:?}");
        assert!(done.stderr.contains(words), "{words:?}: {done:?}");
        assert_eq!(objects(&place), 0);
    }
    let line = |more: &str| {
        format!(
            "{{\"exchange\":\"kucoin\",\"api_key\":\"a\",\"secret\":\"{SECRET}\",\"passphrase\":\"{PASSPHRASE}\"{more}}}\n"
        )
    };
    for (more, words) in [
        (r#","partner":"P""#, "its secret is missing"),
        (r#","partner_secret":"x""#, "without the partner's name"),
    ] {
        let done = place.run(&["import", "--json"], &line(more));
        assert!(done.code == 1 && done.stdout.contains(words), "{done:?}");
    }
    assert_eq!(place.ok(&["list", "--json"]).trim(), "[]");
}

#[test]
fn a_query_that_could_be_read_in_two_ways_is_refused() {
    let Some(place) = Place::with_token() else { return };
    let done = import(&place, &[], &format!("{SECRET}\n{PASSPHRASE}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    let orders = ["sign", "kucoin", "GET"];
    let sign = |path: &str| {
        let args = [&orders[..], &[path, "--timestamp", "1700000000000"]].concat();
        place.run(&args, "")
    };
    let spaced = sign("/api/v1/orders?symbol=A%20B");
    assert_eq!(spaced.code, 0, "{spaced:?}");
    let answer: Value = serde_json::from_str(&spaced.stdout).unwrap();
    assert_eq!(answer["url"], "https://api.kucoin.com/api/v1/orders?symbol=A%20B");
    let refused = sign("/api/v1/orders?symbol=A%26status=done");
    assert_eq!(refused.code, 5, "{refused:?}");
}

#[test]
fn a_mac_that_was_damaged_in_the_record_is_not_sent() {
    let Some(place) = Place::with_token() else { return };
    let done = import(&place, &[], &format!("{SECRET}\n{PASSPHRASE}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    let path = place.home().join("keys/kucoin.json");
    let record = fs::read_to_string(&path).unwrap();
    let mac = "eac7ae0ce309ed9ee7";
    assert!(record.contains(mac), "{record}");
    fs::write(&path, record.replace(mac, "eac7ae0ce309ed9ee")).unwrap();
    place.refused(&ACCOUNTS, "", 1, "damaged");
    fs::write(&path, record.replace(mac, "")).unwrap();
    place.refused(&ACCOUNTS, "", 1, "must have 32");
}
