//! Messages built a second time, from what is sent alone and without the scheme language.

mod more;

use base64ct::{Base64, Encoding as _};
use hsmsign::{json::Json, request::SignedRequest};
use sha2::{Digest as _, Sha256, Sha512};

struct Sent<'a> {
    signed: &'a SignedRequest,
    method: &'a str,
    host: String,
    path: String,
    query: String,
    target: String,
    body: String,
}

impl Sent<'_> {
    fn header(&self, name: &str) -> &str {
        let mut headers = self.signed.headers.iter();
        headers
            .find(|(have, _)| have == name)
            .map_or("", |(_, value)| value)
    }

    /// What stands behind `name=` in the Authorization header, up to the next comma.
    fn authorization(&self, name: &str) -> &str {
        let (_, rest) = self
            .header("Authorization")
            .split_once(&format!("{name}="))
            .unwrap();
        rest.split(',').next().unwrap()
    }
}

/// The value of a field of a form or query, or of a member of a JSON object.
fn value(text: &str, name: &str) -> String {
    if text.starts_with('{') {
        let json = Json::parse(text).unwrap();
        return json.get(name).unwrap().scalar().unwrap().to_owned();
    }
    text.split('&')
        .find_map(|piece| piece.strip_prefix(&format!("{name}=")))
        .unwrap()
        .to_owned()
}

/// The text without its last field, which is the signature.
fn without(text: &str, signature: &str) -> String {
    if let Some((front, _)) = text.rsplit_once(&format!("&{signature}=")) {
        return front.to_owned();
    }
    if text.starts_with(&format!("{signature}=")) {
        return String::new();
    }
    text.to_owned()
}

/// The fields of texts, sorted by name; fields of the same name in their order.
fn sorted(texts: &[&str]) -> String {
    let mut fields: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split('&'))
        .filter(|field| !field.is_empty())
        .collect();
    fields.sort_by(|a, b| {
        let name = |field: &str| field.split('=').next().unwrap().to_owned();
        name(a).cmp(&name(b))
    });
    fields.join("&")
}

/// A query's fields, decoded and encoded again.
fn anew(query: &str) -> String {
    let again = |part: &str| more::encoded(&String::from_utf8(decoded(part, true)).unwrap());
    let fields = query.split('&').filter(|field| !field.is_empty());
    let fields = fields.map(|field| match field.split_once('=') {
        Some((name, value)) => format!("{}={}", again(name), again(value)),
        None => again(field),
    });
    fields.collect::<Vec<_>>().join("&")
}

/// `%XX` undone, and `+` too where it stands for a space.
fn decoded(text: &str, plus: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            }
            b'+' if plus => out.push(b' '),
            byte => out.push(byte),
        }
    }
    out
}

/// Names and values of JSON one after the other, sorted by name.
fn flat(json: &Json) -> String {
    match json {
        Json::Object(members) => {
            let mut names: Vec<&String> = members.iter().map(|(name, _)| name).collect();
            names.sort();
            let member = |name: &String| format!("{name}{}", flat(json.get(name).unwrap()));
            names.into_iter().map(member).collect()
        }
        Json::List(items) => items.iter().map(flat).collect(),
        Json::String(text) => text.clone(),
        other => other.to_compact(),
    }
}

/// The members of a JSON object as `name=value`, sorted.
fn members(body: &str) -> String {
    let Ok(Json::Object(mut members)) = Json::parse(body) else {
        return String::new();
    };
    members.retain(|(name, _)| name != "signature");
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    let pairs = members.iter().map(|(name, value)| match value {
        Json::String(text) => format!("{name}={text}"),
        other => format!("{name}={}", other.to_compact()),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// The message, rebuilt from what is sent; nothing for an exchange that has no second description here.
pub fn rebuilt(exchange: &str, signed: &SignedRequest) -> Option<Vec<u8>> {
    let url = signed.url.clone().unwrap();
    let (host, target) = url.strip_prefix("https://").unwrap().split_once('/').unwrap();
    let target = format!("/{target}");
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let sent = Sent {
        signed,
        method: &signed.method,
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: String::from_utf8(signed.body.clone().unwrap_or_default()).unwrap(),
        target: target.clone(),
    };
    message(exchange, &sent)
        .or_else(|| other_message(exchange, &sent, &url))
        .or_else(|| more::message(exchange, &sent))
}

/// Of exchanges whose message is text one after the other.
fn message(exchange: &str, sent: &Sent<'_>) -> Option<Vec<u8>> {
    let Sent {
        method,
        host,
        path,
        query,
        target,
        body,
        ..
    } = sent;
    let header = |name| sent.header(name);
    let text = match exchange {
        "coinbaseexchange" => format!("{}{method}{target}{body}", header("CB-ACCESS-TIMESTAMP")),
        "coinbase-legacy" => {
            let signed = if path.starts_with("/v2/") { target } else { path };
            format!("{}{method}{signed}{body}", header("CB-ACCESS-TIMESTAMP"))
        }
        "bitfinex" => format!("/api{path}{}{body}", header("bfx-nonce")),
        "okx" | "myokx" | "okxus" => format!("{}{method}{target}{body}", header("OK-ACCESS-TIMESTAMP")),
        "bitvavo" => format!("{}{method}{target}{body}", header("BITVAVO-ACCESS-TIMESTAMP")),
        "bitmex" => format!("{method}{target}{}{body}", header("api-expires")),
        "phemex" => format!("{path}{query}{}{body}", header("x-phemex-request-expiry")),
        "btcmarkets" => format!("{method}{path}{}{body}", header("BM-AUTH-TIMESTAMP")),
        "bitso" => {
            let nonce = header("Authorization").split(':').nth(1).unwrap();
            format!("{nonce}{method}{target}{body}")
        }
        "hitbtc" | "bequant" | "fmfwio" => {
            let token = header("Authorization").strip_prefix("HS256 ").unwrap();
            let token = String::from_utf8(Base64::decode_vec(token).unwrap()).unwrap();
            format!("{method}{target}{body}{}", token.split(':').nth(2).unwrap())
        }
        "deribit" => format!(
            "{}\n{}\n{method}\n{target}\n{body}\n",
            sent.authorization("ts"),
            sent.authorization("nonce")
        ),
        "bitstamp" => format!(
            "BITSTAMP KEY{method}{host}{target}{}{}{}v2{body}",
            header("Content-Type"),
            header("X-Auth-Nonce"),
            header("X-Auth-Timestamp")
        ),
        "bitstamp-legacy" => format!("{}7KEY", value(body, "nonce")),
        "woo" if path.starts_with("/v1/") => {
            format!("{}|{}", sorted(&[query, body]), header("x-api-timestamp"))
        }
        "woo" => format!("{}{method}{target}{body}", header("x-api-timestamp")),
        "mexc" if path.starts_with("/api/v1/private/") => {
            format!("KEY{}{}{body}", header("Request-Time"), sorted(&[query]))
        }
        "mexc" => format!("{}{}", without(query, "signature"), without(body, "signature")),
        "binance" | "binanceus" => {
            format!("{}{}", without(query, "signature"), without(body, "signature"))
        }
        "htx" => format!(
            "{method}\n{host}\n{path}\n{}",
            sorted(&[&anew(&without(query, "Signature"))])
        ),
        "poloniex-legacy" => body.clone(),
        "poloniex" if *method == "GET" => {
            let stamp = format!("signTimestamp={}", header("signTimestamp"));
            format!("GET\n{path}\n{}", sorted(&[query, &stamp]))
        }
        "poloniex" => {
            let body = if body.is_empty() {
                String::new()
            } else {
                format!("requestBody={body}&")
            };
            format!(
                "{method}\n{path}\n{body}signTimestamp={}",
                header("signTimestamp")
            )
        }
        "cryptocom" => {
            let json = Json::parse(body).unwrap();
            let rpc = path.strip_prefix("/exchange/v1/").unwrap();
            let (id, nonce) = (value(body, "id"), value(body, "nonce"));
            format!("{rpc}{id}KEY{}{nonce}", flat(json.get("params").unwrap()))
        }
        _ => return None,
    };
    Some(text.into_bytes())
}

/// Of exchanges that hash, decode or wrap a part.
fn other_message(exchange: &str, sent: &Sent<'_>, url: &str) -> Option<Vec<u8>> {
    let Sent {
        method,
        path,
        query,
        body,
        ..
    } = sent;
    let header = |name| sent.header(name);
    Some(match exchange {
        "bittrex" => url.as_bytes().to_vec(),
        "kraken" => {
            let hash = Sha256::digest(format!("{}{body}", value(body, "nonce")));
            [path.as_bytes(), &hash].concat()
        }
        "krakenfutures" => {
            let path = path.strip_prefix("/derivatives").unwrap_or(path);
            Sha256::digest(format!("{query}{body}{}{path}", header("Nonce"))).to_vec()
        }
        "gate" | "gateeu" => {
            let hash = base16ct::lower::encode_string(&Sha512::digest(body));
            let query = decoded(query, true);
            let front = format!("{method}\n{path}\n");
            let back = format!("\n{hash}\n{}", header("Timestamp"));
            [front.as_bytes(), &query, back.as_bytes()].concat()
        }
        "bitget" => {
            let mark = if query.is_empty() { "" } else { "?" };
            let front = format!("{}{method}{path}{mark}", header("ACCESS-TIMESTAMP"));
            [front.as_bytes(), &decoded(query, false), body.as_bytes()].concat()
        }
        "bingx" => {
            let query = decoded(&without(query, "signature"), false);
            [query.as_slice(), members(body).as_bytes()].concat()
        }
        "xt" => {
            let spot = !path.starts_with("/future/");
            let head = if spot {
                "xt-validate-algorithms=HmacSHA256&xt-validate-appkey=KEY&xt-validate-recvwindow=5000"
            } else {
                "xt-validate-appkey=KEY"
            };
            let mut out = format!(
                "{head}&xt-validate-timestamp={}#",
                header("xt-validate-timestamp")
            );
            if spot {
                out.push_str(&format!("{method}#"));
            }
            out.push_str(path);
            let mut out = out.into_bytes();
            if !query.is_empty() {
                out.push(b'#');
                let sorted = sorted(&[query]);
                out.extend(if spot {
                    decoded(&sorted, false)
                } else {
                    sorted.into_bytes()
                });
            }
            if !body.is_empty() {
                out.push(b'#');
                out.extend(body.as_bytes());
            }
            out
        }
        "gemini" => {
            assert!(body.is_empty(), "the payload alone has the fields");
            let payload = header("X-GEMINI-PAYLOAD");
            let json = String::from_utf8(Base64::decode_vec(payload).unwrap()).unwrap();
            assert_eq!(value(&json, "request"), *path);
            payload.as_bytes().to_vec()
        }
        "whitebit" => {
            assert_eq!(value(body, "request"), *path);
            assert_eq!(Base64::encode_string(body.as_bytes()), header("X-TXC-PAYLOAD"));
            header("X-TXC-PAYLOAD").as_bytes().to_vec()
        }
        "coinone" | "coinone-plain" => {
            assert_eq!(body, header("X-COINONE-PAYLOAD"));
            body.as_bytes().to_vec()
        }
        _ => return None,
    })
}
