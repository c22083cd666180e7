//! Generated tries: an order of more than is allowed, spelled in every way that a server might read, among decoys.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::select};

use crate::judge::Judge;

const FORM: &str = r#"
symbols = ["XBTUSD"]
[[cap]]
field = "volume"
request = "0.1"
"#;

static KRAKEN: LazyLock<Judge> = LazyLock::new(|| Judge::new("kraken", FORM));
static OKX: LazyLock<Judge> =
    LazyLock::new(|| Judge::new("okx", "[[cap]]\nfield = \"sz\"\nrequest = \"0.1\""));
static DENIED: LazyLock<Judge> =
    LazyLock::new(|| Judge::new("okx", "[[deny]]\npath = \"/api/v5/*withdraw*\""));

/// A name as some server might still read it: each letter in either case, plain or encoded, with a mark behind it.
fn name(of: &'static str) -> impl Strategy<Value = String> {
    let letter = (any::<bool>(), 0..4_u8);
    (
        vec(letter, of.len()),
        select(vec!["", "", "", "[]", "[0]", "%5B%5D", "_", "+", "%20", "%00"]),
    )
        .prop_map(move |(forms, behind)| {
            let mut text = String::new();
            for (letter, (upper, form)) in of.bytes().zip(forms) {
                let letter = if upper {
                    letter.to_ascii_uppercase()
                } else {
                    letter
                };
                match form {
                    0 => text.push_str(&format!("%{letter:02X}")),
                    1 => text.push_str(&format!("%{letter:02x}")),
                    _ => text.push(char::from(letter)),
                }
            }
            text + behind
        })
}

/// More than 0.1, however spelled.
fn more() -> impl Strategy<Value = String> {
    (1_u32..1_000_000, 0..8_u8, 0_u32..6).prop_map(|(number, form, shift)| match form {
        0 => format!("{number}"),
        1 => format!("{number}.{}", "0".repeat(shift as usize)),
        2 => format!("{number}e{shift}"),
        3 => format!("{}{number}", "0".repeat(shift as usize)),
        4 => format!("%2B{number}"),
        5 => format!("-{number}"),
        6 => format!("{number}{}E-{shift}", "0".repeat(shift as usize)),
        _ => number
            .to_string()
            .bytes()
            .map(|digit| format!("%{digit:02x}"))
            .collect(),
    })
}

fn honest() -> impl Strategy<Value = String> {
    select(vec![
        "pair=XBTUSD",
        "volume=0.1",
        "type=buy",
        "ordertype=limit",
        "price=1",
        "userref=5",
        "close[price]=3",
        "x=%7B%22a%22:1%7D",
        "validate=true",
        "volume=0.05",
        "a=1;b=2",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Wherever the greater volume stands, whatever stands around it: it is not signed.
    #[test]
    fn a_volume_beyond_the_cap_is_never_permitted(
        before in vec(honest(), 0..4),
        behind in vec(honest(), 0..4),
        name in name("volume"),
        value in more(),
        by in select(vec!["&", ";", "%26"]),
    ) {
        let mut body = before.join("&");
        if !body.is_empty() {
            body.push_str(by);
        }
        body.push_str(&format!("{name}={value}"));
        for piece in behind {
            body.push_str(&format!("&{piece}"));
        }
        let line = serde_json::json!({"method": "POST", "path": "/0/private/AddOrder", "body": body});
        prop_assert!(KRAKEN.ask(&line.to_string()).is_err(), "{body}");
    }

    /// The same as JSON, at any depth, with escapes.
    #[test]
    fn a_size_beyond_the_cap_is_never_permitted_in_json(
        number in 1_u32..100_000,
        spelling in 0..5_u8,
        escaped in vec(any::<bool>(), 2),
        upper in vec(any::<bool>(), 2),
        depth in 0..5_usize,
        as_text in any::<bool>(),
        decoy in any::<bool>(),
    ) {
        let mut name = String::new();
        for (at, letter) in "sz".bytes().enumerate() {
            let letter = if upper[at] { letter.to_ascii_uppercase() } else { letter };
            if escaped[at] {
                name.push_str(&format!("\\u{letter:04x}"));
            } else {
                name.push(char::from(letter));
            }
        }
        let value = match spelling {
            0 => number.to_string(),
            1 => format!("{number}.0"),
            2 => format!("{number}e0"),
            3 => format!("\"{number}\""),
            _ => format!("-{number}"),
        };
        let mut body = format!("{{\"{name}\":{value}}}");
        for level in 0..depth {
            body = match (level % 3, as_text) {
                (0, true) => format!("{{\"x\":{}}}", serde_json::Value::String(body)),
                (1, _) => format!("{{\"list\":[{body}]}}"),
                _ => format!("{{\"x\":{body}}}"),
            };
        }
        if decoy {
            body = format!("{{\"sz\":\"0.01\",\"inner\":{body}}}");
        }
        let line = serde_json::json!({"method": "POST", "path": "/api/v5/trade/order", "body": body});
        prop_assert!(OKX.ask(&line.to_string()).is_err(), "{body}");
    }

    /// A path that an exchange could read as the denied one is denied.
    #[test]
    fn a_denied_path_is_denied_in_every_spelling(name in name("withdraw"), ending in select(vec!["", "/", ".json", "?x=1", "Funds", "/x"])) {
        let name = name.trim_end_matches(['+', '[', ']', '0', '_']).replace("%5B%5D", "").replace("%20", "").replace("%00", "");
        let path = format!("/api/v5/asset/{name}{ending}");
        let line = serde_json::json!({"method": "GET", "path": path});
        prop_assert!(DENIED.ask(&line.to_string()).is_err(), "{path}");
    }

    /// What stands in a policy file is read or refused, and never ends the program.
    #[test]
    fn any_text_is_a_policy_or_an_error(text in "(policy = 1\n)?[ -~\n]{0,200}") {
        if let Err(error) = hsmsign::policy::Policy::parse(&text, "p") {
            prop_assert!(!error.message().is_empty() && !error.advice().is_empty());
        }
    }
}
