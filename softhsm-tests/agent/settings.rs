//! A key's receive window and the exchange's clock, as its owner set them: the same with an agent and without.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    bench::{Place, RAW_SECRET},
    running::{Running, nonce},
};

const ACCOUNT: &str = r#"{"key":"binance","method":"GET","path":"/api/v3/account"}"#;
const HOUR: i64 = 3_600_000;

fn place() -> Option<Place> {
    let place = Place::with_kraken()?;
    for exchange in ["binance", "bybit", "mexc"] {
        place.import(&["--exchange", exchange, "--api-key", "example"], "secretof64");
    }
    Some(place)
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Signs a line without an agent.
fn here(place: &Place, line: &str) -> Value {
    let done = place.run(&["sign", "--json"], &format!("{line}\n"));
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// The value of a parameter in the query of what was signed.
fn query<'a>(signed: &'a Value, name: &str) -> Option<&'a str> {
    let url = signed["url"].as_str().unwrap_or_else(|| panic!("{signed}"));
    url.split_once('?')?
        .1
        .split('&')
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

/// Looks at what both ways sign, by turns.
fn both_ways(place: &Place, look: impl Fn(&dyn Fn(&str) -> Value)) {
    look(&|line| here(place, line));
    let agent = Running::start(place);
    look(&|line| agent.connect().ask(line));
    drop(agent);
}

#[test]
fn a_window_is_in_every_request_that_knows_one_and_brings_none() {
    let Some(place) = place() else { return };
    for key in ["binance", "bybit", "mexc"] {
        place.ok(&["set", key, "--window", "7000"]);
    }
    both_ways(&place, |sign| {
        assert_eq!(query(&sign(ACCOUNT), "recvWindow"), Some("7000"));
        let bybit = r#"{"key":"bybit","method":"GET","path":"/v5/account/wallet-balance","query":"coin=BTC""#;
        assert_eq!(
            sign(&format!("{bybit}}}"))["headers"]["X-BAPI-RECV-WINDOW"],
            "7000"
        );
        let own = sign(&format!("{bybit},\"window\":\"9000\"}}"));
        assert_eq!(own["headers"]["X-BAPI-RECV-WINDOW"], "9000");
        // Its file's own 5000 gives way.
        let mexc = sign(r#"{"key":"mexc","method":"GET","path":"/api/v3/account"}"#);
        assert_eq!(query(&mexc, "recvWindow"), Some("7000"));
        // The request's own stands, wherever it stands.
        let field =
            sign(r#"{"key":"binance","method":"GET","path":"/api/v3/account","query":"recvWindow=3000"}"#);
        assert_eq!(field["url"].as_str().unwrap().matches("recvWindow").count(), 1);
        assert_eq!(query(&field, "recvWindow"), Some("3000"));
    });
    place.ok(&["set", "binance", "--window", ""]);
    both_ways(&place, |sign| {
        assert_eq!(query(&sign(ACCOUNT), "recvWindow"), None)
    });
}

#[test]
fn what_is_finished_is_signed_as_it_is() {
    let Some(place) = place() else { return };
    let finished =
        r#"{"key":"binance","method":"GET","path":"/api/v3/account","query":"timestamp=1700000000000&a=b"}"#;
    let kraken =
        r#"{"key":"kraken","method":"POST","path":"/0/private/Balance","body":"nonce=1616492376594"}"#;
    let before = (here(&place, finished), here(&place, kraken));
    place.ok(&["set", "binance", "--window", "7000", "--offset-ms", "5000"]);
    place.ok(&["set", "kraken", "--offset-ms", "-5000"]);
    both_ways(&place, |sign| {
        assert_eq!((sign(finished), sign(kraken)), before);
        let stamped =
            sign(r#"{"key":"binance","method":"GET","path":"/api/v3/account","timestamp":"1700000000000"}"#);
        assert_eq!(query(&stamped, "timestamp"), Some("1700000000000"));
    });
}

#[test]
fn an_offset_moves_timestamps_and_nonces_in_the_exchanges_unit() {
    let Some(place) = place() else { return };
    place.ok(&["set", "binance", "--offset-ms", &(-2 * HOUR).to_string()]);
    place.ok(&["set", "kraken", "--offset-ms", &HOUR.to_string()]);
    let balance = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    let between = |what: &str, before: i64, moved: i64| {
        assert!(
            moved >= before && moved <= now_ms(),
            "{what}: {moved} is not from {before} on"
        );
    };
    both_ways(&place, |sign| {
        let before = now_ms();
        let stamp: i64 = query(&sign(ACCOUNT), "timestamp").unwrap().parse().unwrap();
        between("milliseconds", before, stamp + 2 * HOUR);
        let before = now_ms();
        let micros = i64::try_from(nonce(&sign(balance))).unwrap();
        between("microseconds", before, micros / 1000 - HOUR);
        // A request's own goes before the key's.
        let before = now_ms();
        let own = sign(&ACCOUNT.replace('}', ",\"offset_ms\":0}"));
        between(
            "its own",
            before,
            query(&own, "timestamp").unwrap().parse().unwrap(),
        );
    });
    let before = now_ms();
    let signed = place.json(&[
        "sign",
        "binance",
        "GET",
        "/api/v3/account",
        "--offset-ms",
        "-60000",
    ]);
    let stamp: i64 = query(&signed, "timestamp").unwrap().parse().unwrap();
    between("by the flag", before, stamp + 60_000);
    // Back at the machine's own clock nonces still increase.
    let high = nonce(&here(&place, balance));
    place.ok(&["set", "kraken", "--offset-ms", "0"]);
    both_ways(&place, |sign| assert!(nonce(&sign(balance)) > high));
}

#[test]
fn a_running_agent_follows_what_is_set_at_once() {
    let Some(place) = place() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(query(&connection.ask(ACCOUNT), "recvWindow"), None);
    place.ok(&["set", "binance", "--window", "8000"]);
    assert_eq!(query(&connection.ask(ACCOUNT), "recvWindow"), Some("8000"));
    place.ok(&["set", "binance", "--window", "9000"]);
    assert_eq!(query(&connection.ask(ACCOUNT), "recvWindow"), Some("9000"));
}

#[test]
fn what_was_set_is_shown_backed_up_and_restored() {
    let Some(mut place) = place() else { return };
    place.ok(&["set", "binance", "--window", "7000", "--offset-ms", "-120"]);
    let shown = place.ok(&["show", "binance"]);
    assert!(
        shown.contains("window     7000, in the exchange's unit")
            && shown.contains("clock      the exchange's, 120 ms behind this machine's"),
        "{shown}"
    );
    let facts = place.json(&["show", "binance", "--json"]);
    assert_eq!(
        (&facts["window"], &facts["offset_ms"]),
        (&json!(7000), &json!(-120))
    );
    let other = place.json(&["show", "kraken", "--json"]);
    assert_eq!((&other["window"], &other["offset_ms"]), (&Value::Null, &json!(0)));
    let agent = Running::start(&place);
    let keys = agent.connect().ask(r#"{"op":"keys"}"#);
    let listed = keys["keys"].as_array().unwrap().iter();
    let binance = listed.clone().find(|key| key["key"] == "binance").unwrap();
    assert_eq!(
        (&binance["window"], &binance["offset_ms"]),
        (&json!(7000), &json!(-120))
    );
    drop(agent);
    place.ok(&["backup", "backup.json"]);
    place.set((
        "HSMSIGN_HOME".into(),
        place.path().join("other").to_str().unwrap().into(),
    ));
    place.ok(&["restore", "backup.json"]);
    let facts = place.json(&["show", "binance", "--json"]);
    assert_eq!(
        (&facts["window"], &facts["offset_ms"]),
        (&json!(7000), &json!(-120))
    );
}

#[test]
fn what_cannot_be_set_is_refused_and_nothing_is_changed() {
    let Some(place) = place() else { return };
    place.import_raw("raw", RAW_SECRET);
    let before = place.ok(&["list", "--json"]);
    for (args, code, words) in [
        (
            ["kraken", "--window", "5000"],
            5,
            "Kraken spot have no receive window",
        ),
        (["raw", "--window", "5000"], 5, "is for no exchange"),
        (["raw", "--offset-ms", "5"], 5, "is for no exchange"),
        (["binance", "--window", "0"], 5, "not a whole number above 0"),
        (["binance", "--window", "5s"], 5, "not a whole number above 0"),
        (
            ["binance", "--window", "99999999999"],
            5,
            "not a whole number above 0",
        ),
        (
            ["binance", "--offset-ms", "1.5"],
            5,
            "not a whole number of milliseconds",
        ),
        (
            ["binance", "--offset-ms", ""],
            5,
            "not a whole number of milliseconds",
        ),
        (["binance", "--offset-ms", "86400001"], 5, "more than a day"),
        (["nobody", "--window", "5000"], 5, "nobody"),
    ] {
        place.refused(&[&["set"], &args[..]].concat(), "", code, words);
    }
    assert_eq!(place.ok(&["list", "--json"]), before);
    let far = here(&place, &ACCOUNT.replace('}', ",\"offset_ms\":\"-86400001\"}"));
    assert_eq!(far["error"]["code"], "bad-input", "{far}");
}
