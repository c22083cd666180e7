//! The scheme language against 177 requests that the exchanges' own and common client libraries signed. HMACs are
//! computed here in software; of other signatures the message is compared.
#![allow(clippy::unwrap_used)]

#[path = "scheme_language/properties.rs"]
mod properties;

use std::{collections::BTreeMap, path::Path, time::Duration};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hsmsign::{
    algorithm::{Algorithm, MacAlgorithm},
    exchange::{Prepared, Scheme, Stamps, builtin, builtin_ids},
    json::Json,
    request::{Credentials, Request, SignedRequest},
    secret::Secret,
};

struct Row {
    id: String,
    exchange: String,
    algorithm: Algorithm,
    credentials: Vec<(String, Json)>,
    request: Vec<(String, Json)>,
    expected: Json,
    compare: String,
    message: Vec<u8>,
    signature: String,
    ignore: Vec<String>,
    params: Option<Json>,
}

fn text<'a>(row: &'a Json, name: &str) -> &'a str {
    row.get(name).and_then(Json::as_str).unwrap_or_default()
}

fn members(json: &Json) -> Vec<(String, Json)> {
    match json {
        Json::Object(members) => members.clone(),
        _ => Vec::new(),
    }
}

fn rows() -> Vec<Row> {
    include_str!("data/vectors.jsonl")
        .lines()
        .map(|line| {
            let row = Json::parse(line).unwrap();
            Row {
                id: text(&row, "id").into(),
                exchange: text(&row, "exchange").into(),
                algorithm: text(&row, "algorithm").parse().unwrap(),
                credentials: members(row.get("credentials").unwrap()),
                request: members(row.get("request").unwrap()),
                expected: row.get("expected").unwrap().clone(),
                compare: text(&row, "compare").into(),
                message: base16ct::lower::decode_vec(text(&row, "message_hex")).unwrap(),
                signature: text(&row, "signature").into(),
                ignore: match row.get("ignore") {
                    Some(Json::List(names)) => {
                        names.iter().map(|name| name.as_str().unwrap().into()).collect()
                    }
                    _ => Vec::new(),
                },
                params: row.get("params").cloned(),
            }
        })
        .collect()
}

/// The file of an exchange: shipped, or test data that proves the language.
fn scheme(exchange: &str) -> Scheme {
    let origin = format!("{exchange}.toml");
    match builtin(exchange) {
        Some(text) => Scheme::parse(text, &origin).unwrap(),
        None => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("softhsm-tests/data/schemes");
            let text = std::fs::read_to_string(folder.join(&origin)).unwrap();
            Scheme::parse(&text, &origin).unwrap()
        }
    }
}

fn schemes(rows: &[Row]) -> BTreeMap<String, Scheme> {
    rows.iter()
        .map(|row| (row.exchange.clone(), scheme(&row.exchange)))
        .collect()
}

fn mac(algorithm: MacAlgorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    macro_rules! mac {
        ($hash:ty) => {
            Hmac::<$hash>::new_from_slice(key)
                .unwrap()
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec()
        };
    }
    match algorithm {
        MacAlgorithm::HmacSha256 => mac!(sha2::Sha256),
        MacAlgorithm::HmacSha384 => mac!(sha2::Sha384),
        MacAlgorithm::HmacSha512 => mac!(sha2::Sha512),
    }
}

fn secret(text: &str) -> Secret {
    Secret::take(&mut text.as_bytes().to_vec()).unwrap()
}

struct Outcome {
    signed: SignedRequest,
    message: Vec<u8>,
}

fn run(row: &Row, scheme: &Scheme, request: &[(String, Json)]) -> Result<Outcome, String> {
    let line = Json::Object(request.to_vec()).to_compact();
    let request = Request::parse_line(&line).map_err(|(_, error)| format!("line: {error}"))?;
    let kind = scheme
        .kind(Some(row.algorithm))
        .map_err(|error| error.to_string())?;
    let prepared: Prepared<'_> = scheme
        .prepare(&request, kind, None)
        .map_err(|error| format!("prepare: {error}"))?;
    let mut credentials = Credentials::default();
    let mut secrets = BTreeMap::new();
    for (name, value) in &row.credentials {
        let value = value.as_str().unwrap();
        match name.as_str() {
            "api_key" => credentials.api_key = Some(value.into()),
            "passphrase" => credentials.passphrase = Some(secret(value)),
            name if name.ends_with("secret") => {
                secrets.insert(name.to_owned(), value.to_owned());
            }
            name => credentials.extra.push((name.into(), value.into())),
        }
    }
    let stamps = Stamps {
        now: Duration::from_secs(1_700_000_000),
        nonce: Some(1_700_000_000_000),
    };
    let mut composed = prepared
        .compose(&credentials, &stamps)
        .map_err(|error| format!("compose: {error}"))?;
    let mut message = Vec::new();
    while let Some(part) = composed.next().map_err(|error| format!("next: {error}"))? {
        if part.slot == "secret" && message.is_empty() {
            message.clone_from(&part.message);
        }
        let signature = match row.algorithm {
            Algorithm::Mac(algorithm) => {
                let (key, _) = kind
                    .read_secret(&secret(&secrets[&part.slot]))
                    .map_err(|error| error.to_string())?;
                mac(algorithm, key.expose(), &part.message)
            }
            Algorithm::Signature(_) => Base64::decode_vec(&row.signature)
                .or_else(|_| Base64UrlUnpadded::decode_vec(&row.signature))
                .unwrap(),
        };
        composed.supply(&signature).map_err(|error| error.to_string())?;
    }
    let signed = composed.attach().map_err(|error| format!("attach: {error}"))?;
    Ok(Outcome { signed, message })
}

fn body(signed: &SignedRequest) -> String {
    String::from_utf8_lossy(signed.body.as_deref().unwrap_or_default()).into_owned()
}

/// What is wrong with the outcome, if something is.
fn judge(row: &Row, outcome: &Outcome) -> Option<String> {
    let Outcome { signed, message } = outcome;
    let all = format!("{signed:?} {}", body(signed));
    match row.compare.as_str() {
        "informative" => None,
        "verify" => claims(row, message),
        _ if *message != row.message => Some(format!("message {:?}", String::from_utf8_lossy(message))),
        "contains-signature" => {
            (!all.contains(&row.signature)).then(|| format!("no signature {} in {all}", row.signature))
        }
        _ => {
            if signed.method != text(&row.expected, "method") {
                return Some(format!("method {}", signed.method));
            }
            if signed.url.as_deref() != row.expected.get("url").and_then(Json::as_str) {
                return Some(format!("url {:?}", signed.url));
            }
            let wanted = row
                .expected
                .get("body")
                .and_then(Json::as_str)
                .unwrap_or_default();
            if !row.ignore.iter().any(|name| name == "body") && body(signed) != wanted {
                return Some(format!("body {:?}", body(signed)));
            }
            for (name, value) in members(row.expected.get("headers").unwrap()) {
                let have = signed
                    .headers
                    .iter()
                    .find(|(have, _)| have.eq_ignore_ascii_case(&name));
                let ignored = row.ignore.iter().any(|ignore| ignore.eq_ignore_ascii_case(&name));
                if !ignored && have.map(|(_, value)| value.as_str()) != value.as_str() {
                    return Some(format!("header {name}: {have:?}, not {value:?}"));
                }
            }
            None
        }
    }
}

fn claims(row: &Row, message: &[u8]) -> Option<String> {
    let read = |message: &[u8]| {
        let message = String::from_utf8(message.to_vec()).unwrap();
        let claims = Base64UrlUnpadded::decode_vec(message.split('.').nth(1).unwrap()).unwrap();
        Json::parse_bytes(&claims).unwrap()
    };
    let (have, wanted) = (read(message), read(&row.message));
    ["sub", "iss", "uri"]
        .into_iter()
        .find(|name| have.get(name) != wanted.get(name))
        .map(|name| format!("claim {name}"))
}

fn member<'a>(request: &'a [(String, Json)], name: &str) -> Option<&'a str> {
    request
        .iter()
        .find(|(have, _)| have == name)
        .and_then(|(_, value)| value.as_str())
}

fn check_all(what: &str, change: impl Fn(&Row) -> Option<Vec<(String, Json)>>) -> usize {
    let rows = rows();
    assert_eq!(rows.len(), 177);
    let schemes = schemes(&rows);
    let mut faults = Vec::new();
    let mut done = 0;
    for row in &rows {
        let Some(request) = change(row) else { continue };
        let fault = match run(row, &schemes[&row.exchange], &request) {
            Ok(outcome) => judge(row, &outcome),
            Err(error) if row.compare == "informative" => {
                eprintln!("{}: refused: {error}", row.id);
                None
            }
            Err(error) => Some(error),
        };
        done += 1;
        faults.extend(fault.map(|fault| format!("{}: {fault}", row.id)));
    }
    eprintln!("{what}: {done} rows, {} faults", faults.len());
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
    done
}

#[test]
fn every_row_comes_out_as_it_was_signed() {
    assert_eq!(check_all("as given", |row| Some(row.request.clone())), 177);
}

#[test]
fn the_query_may_stand_behind_the_path() {
    let done = check_all("path?query", |row| {
        let (path, query) = (member(&row.request, "path")?, member(&row.request, "query")?);
        let merged = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let mut request = row.request.clone();
        request.retain(|(name, _)| name != "query" && name != "path");
        request.push(("path".into(), Json::String(merged)));
        Some(request)
    });
    assert_eq!(done, 158);
}

#[test]
fn a_url_may_stand_for_host_path_and_query() {
    let done = check_all("url", |row| {
        let [host, path, query] = ["host", "path", "query"].map(|name| member(&row.request, name));
        let (host, path, query) = (host?, path?, query?);
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = row.request.clone();
        request.retain(|(name, _)| !matches!(name.as_str(), "host" | "query" | "path"));
        request.push((
            "url".into(),
            Json::String(format!("https://{host}{path}{mark}{query}")),
        ));
        Some(request)
    });
    assert_eq!(done, 158);
}

#[test]
fn every_file_is_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("softhsm-tests/data/schemes");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        Scheme::parse(&text, &path.display().to_string()).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert_eq!(count + builtin_ids().len(), 34 + 33);
}

/// Rows that calls by parts do not reproduce, each for a whim of the library that made it.
const NOT_BY_PARTS: [&str; 3] = [
    "bybit-rsa-04",     // its cursor was percent-encoded before
    "krakenfutures-08", // the library puts JSON into a form as it is
    "woo-03",           // the library adds its broker_id
];

/// The call as a caller would give it who knows the parameters and not where they go.
fn by_parts(row: &Row) -> Option<Vec<(String, Json)>> {
    let Some(Json::List(params)) = &row.params else {
        return None;
    };
    let (path, query) = (member(&row.request, "path")?, member(&row.request, "query")?);
    let body = member(&row.request, "body").unwrap_or_default();
    let stamp = |name: &str| {
        let in_form = |text: &str| {
            text.split('&')
                .find_map(|piece| piece.strip_prefix(&format!("{name}=")))
                .map(|value| value.replace("%3A", ":"))
        };
        let in_json = || {
            let json = Json::parse(body).ok()?;
            json.get(name).and_then(Json::scalar).map(str::to_owned)
        };
        member(&row.request, name)
            .map(str::to_owned)
            .or_else(|| in_form(query))
            .or_else(|| in_form(body))
            .or_else(in_json)
    };
    let mut request: Vec<(String, Json)> = row
        .request
        .iter()
        .filter(|(name, _)| {
            matches!(
                name.as_str(),
                "method" | "host" | "path" | "window" | "nonce" | "timestamp"
            )
        })
        .cloned()
        .collect();
    for (name, found) in [
        ("timestamp", stamp("timestamp").or_else(|| stamp("Timestamp"))),
        ("nonce", stamp("nonce")),
    ] {
        if let (Some(found), None) = (found, member(&request, name)) {
            request.retain(|(have, _)| have != name);
            request.push((name.into(), Json::String(found)));
        }
    }
    let mut call = Vec::new();
    if let Some(command) = stamp("command") {
        call.push(("command".to_owned(), Json::String(command)));
    }
    for pair in params {
        let Json::List(pair) = pair else { return None };
        let [Json::String(name), value] = pair.as_slice() else {
            return None;
        };
        let in_path = value
            .scalar()
            .is_some_and(|value| !value.is_empty() && path.split('/').any(|segment| segment == value));
        let sent = [query, body]
            .iter()
            .any(|text| text.contains(&format!("{name}=")) || text.contains(&format!("\"{name}\"")));
        if sent || !in_path {
            call.push((name.clone(), value.clone()));
        }
    }
    if let Some(window) = stamp("recvWindow") {
        if row.exchange == "mexc" {
            request.push(("window".to_owned(), Json::String(window)));
        } else {
            call.push(("recvWindow".to_owned(), Json::String(window)));
        }
    }
    request.push(("params".into(), Json::Object(call)));
    Some(request)
}

#[test]
fn calls_by_parts_come_out_as_the_libraries_sign_them() {
    let done = check_all("by parts", |row| {
        (!NOT_BY_PARTS.contains(&row.id.as_str()))
            .then(|| by_parts(row))
            .flatten()
    });
    assert_eq!(done + NOT_BY_PARTS.len(), 100);
}

#[test]
fn the_example_of_the_documentation_proves_itself() {
    let page = include_str!("../docs/adding-an-exchange.md");
    let file = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let scheme = Scheme::parse(file, "docs/adding-an-exchange.md").unwrap();
    assert!(
        scheme.faults().is_empty() && scheme.warnings().is_empty(),
        "{:?}",
        scheme.warnings()
    );
    for test in scheme.tests() {
        test.run(&scheme).unwrap();
    }
}

#[test]
fn the_secrets_that_exchanges_issue_are_not_unusual() {
    for row in rows().iter().filter(|row| builtin(&row.exchange).is_some()) {
        let scheme = scheme(&row.exchange);
        let kind = scheme.kind(Some(row.algorithm)).unwrap();
        if let (Algorithm::Mac(_), Some(text)) = (row.algorithm, member(&row.credentials, "secret")) {
            let (_, warnings) = kind.read_secret(&secret(text)).unwrap();
            assert!(warnings.is_empty(), "{}: {warnings:?}", row.id);
        }
    }
}

#[test]
fn no_shipped_file_has_a_fault() {
    for id in builtin_ids() {
        let scheme = scheme(id);
        assert!(scheme.faults().is_empty(), "{id}");
        assert!(scheme.docs().is_some() || scheme.closed().is_some(), "{id}");
        let unsigned = scheme.warnings();
        let wanted = match *id {
            "binance" | "bybit" | "poloniex-legacy" => 1,
            "coinbase" => 2,
            _ => 0,
        };
        assert_eq!(unsigned.len(), wanted, "{id}: {unsigned:?}");
    }
}
