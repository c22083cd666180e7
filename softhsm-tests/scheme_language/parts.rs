//! Rows of the vectors as calls by parts: method, path and parameters, without saying where these go.

use hsmsign::json::Json;

/// A member of a request that is text.
pub fn member<'a>(request: &'a [(String, Json)], name: &str) -> Option<&'a str> {
    request
        .iter()
        .find(|(have, _)| have == name)
        .and_then(|(_, value)| value.as_str())
}

/// Rows that calls by parts do not reproduce, each for a whim of the library that made it.
pub const NOT_BY_PARTS: [&str; 3] = [
    "bybit-rsa-04",     // its cursor was percent-encoded before
    "krakenfutures-08", // the library puts JSON into a form as it is
    "woo-03",           // the library adds its broker_id
];

/// The call as a caller would give it who knows the parameters and not where they go.
pub fn by_parts(exchange: &str, given: &[(String, Json)], params: &Json) -> Option<Vec<(String, Json)>> {
    let Json::List(params) = params else { return None };
    let (path, query) = (member(given, "path")?, member(given, "query")?);
    let body = member(given, "body").unwrap_or_default();
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
        member(given, name)
            .map(str::to_owned)
            .or_else(|| in_form(query))
            .or_else(|| in_form(body))
            .or_else(in_json)
    };
    let mut request: Vec<(String, Json)> = given
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
    // MEXC's file has ccxt's own.
    if let Some(window) = stamp("recvWindow").filter(|_| exchange != "mexc") {
        call.push(("recvWindow".to_owned(), Json::String(window)));
    }
    request.push(("params".into(), Json::Object(call)));
    Some(request)
}

/// Rows of ccxt's that calls by parts do not reproduce, by the beginning of their ids, each with the reason.
const NOT_BY_STAMPS: [(&str, &str); 10] = [
    ("binanceus-02", "ccxt adds its broker's id, and the window last"),
    ("binanceus-03", "ccxt puts the window last"),
    ("bitopro-03", "ccxt leaves the path's parameters in the body"),
    ("bitopro-06", "ccxt leaves the path's parameters in the body"),
    ("coinsph", "ccxt ends the query in an &"),
    ("digifinex-05", "ccxt puts spaces into the JSON"),
    ("digifinex-07", "ccxt puts spaces into the JSON"),
    ("hashkey-04", "ccxt takes the body from a parameter"),
    ("hashkey-06", "ccxt leaves commas as they are"),
    ("tokocrypto", "ccxt puts the window last"),
];

/// The same for the rows that `scripts/ccxt-vectors.py` wrote down, which say their stamps.
pub fn by_stamps(
    id: &str,
    given: &[(String, Json)],
    stamps: &Json,
    params: &Json,
) -> Option<Vec<(String, Json)>> {
    if NOT_BY_STAMPS.iter().any(|(begin, _)| id.starts_with(begin)) {
        return None;
    }
    let (Json::List(params), Json::Object(stamps)) = (params, stamps) else {
        return None;
    };
    let pair = |pair: &Json| match pair {
        Json::List(pair) => Some((pair[0].as_str()?.to_owned(), pair[1].clone())),
        _ => None,
    };
    let params = params.iter().map(pair).collect::<Option<_>>()?;
    let mut request: Vec<(String, Json)> = given
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "method" | "host" | "path"))
        .cloned()
        .collect();
    request.extend(stamps.clone());
    request.push(("params".into(), Json::Object(params)));
    Some(request)
}
