//! The exchanges that were added with ccxt as their measure.

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use hsmsign::json::Json;
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512};

use super::{Sent, anew, decoded, sorted, value, without};

/// Of exchanges whose message is text one after the other.
pub fn message(exchange: &str, sent: &Sent<'_>) -> Option<Vec<u8>> {
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
    let url = format!("https://{host}{target}");
    let unsigned = format!("{}{}", without(query, "signature"), without(body, "signature"));
    let text = match exchange {
        "bit2c" | "coinspot" | "zaif" | "zebpay" => format!("{query}{body}"),
        "digifinex" if !path.starts_with("/swap/") => format!("{query}{body}"),
        "indodax" if path.starts_with("/api/v2/") => query.clone(),
        "indodax" => body.clone(),
        "btcbox" | "coinsph" | "hashkey" | "tokocrypto" => unsigned,
        "bitrue" if !path.starts_with("/fapi/") => unsigned,
        "toobit" => format!("{}{}", without(body, "signature"), without(query, "signature")),
        "bitbank" if *method == "POST" => format!("{}5000{body}", header("ACCESS-REQUEST-TIME")),
        "bitbank" => format!("{}5000{target}", header("ACCESS-REQUEST-TIME")),
        "bitflyer" | "weex" | "deepcoin" | "digifinex" | "bitrue" => {
            let stamp = match exchange {
                "deepcoin" => "DC-ACCESS-TIMESTAMP",
                "bitrue" => "X-CH-TS",
                _ => "ACCESS-TIMESTAMP",
            };
            format!("{}{method}{target}{body}", header(stamp))
        }
        "delta" => format!("{method}{}{target}{body}", header("timestamp")),
        "hollaex" => format!("{method}{target}{}{body}", header("api-expires")),
        "blofin" => {
            let (stamp, nonce) = (header("ACCESS-TIMESTAMP"), header("ACCESS-NONCE"));
            format!("{target}{method}{stamp}{nonce}{body}")
        }
        "bithumb-legacy" => format!("{path}\0{body}\0{}", header("Api-Nonce")),
        "bittrade" => format!(
            "{method}\n{host}\n{path}\n{}",
            sorted(&[&anew(&without(query, "Signature"))])
        ),
        "btcturk" => format!("KEY{}", header("X-Stamp")),
        "ndax" => format!("{}7KEY", header("Nonce")),
        "coinmate" => format!("{}7KEY", value(body, "nonce")),
        "btse" => {
            let wallet = ["/futures", "/spot", "/otc"];
            let short = wallet.into_iter().find_map(|front| path.strip_prefix(front));
            format!("{}{}{body}", short.unwrap_or(path), header("request-nonce"))
        }
        "bullish" => {
            let text = format!(
                "{}{}{method}{path}{body}",
                header("BX-TIMESTAMP"),
                header("BX-NONCE")
            );
            if *method == "GET" {
                text
            } else {
                base16ct::lower::encode_string(&Sha256::digest(text))
            }
        }
        "bybit" | "bybiteu" | "bybitid" => {
            format!("{}KEY5000{query}{body}", header("X-BAPI-TIMESTAMP"))
        }
        "bydfi" => format!("KEY{}{query}{body}", header("X-API-TIMESTAMP")),
        "cex" => {
            let action = path.strip_prefix("/api/spot/rest/").unwrap();
            format!("{action}{}{body}", header("X-AGGR-TIMESTAMP"))
        }
        "coincheck" => format!("{}{url}{body}", header("ACCESS-NONCE")),
        "mercado" => format!("{path}?{body}"),
        "paymium" => format!("{}https://{host}{path}{query}{body}", header("Api-Nonce")),
        "revolutx" => format!("{}{method}{path}{query}{body}", header("X-Revx-Timestamp")),
        "latoken" => format!("{method}{path}{query}{}", fields(body, "", "&", true)),
        "independentreserve" => format!("{url},{}", fields(body, "", ",", false)),
        "pacifica" => pacifica(body),
        _ => return wrapped(exchange, sent),
    };
    Some(text.into_bytes())
}

/// Of exchanges that decode, hash or wrap a part.
fn wrapped(exchange: &str, sent: &Sent<'_>) -> Option<Vec<u8>> {
    let Sent {
        method,
        host,
        path,
        query,
        body,
        ..
    } = sent;
    let header = |name| sent.header(name);
    let mark = if query.is_empty() { "" } else { "?" };
    Some(match exchange {
        "apex" => {
            let front = format!("{}{method}{path}{mark}", header("APEX-TIMESTAMP"));
            let form = decoded(&sorted(&[body]), false);
            [front.as_bytes(), &decoded(query, false), &form].concat()
        }
        "foxbit" => {
            let front = format!("{}{method}{path}", header("X-FB-ACCESS-TIMESTAMP"));
            [front.as_bytes(), &decoded(query, false), body.as_bytes()].concat()
        }
        "woofipro" | "modetrade" => {
            let front = format!("{}{method}{path}{mark}", header("orderly-timestamp"));
            [front.as_bytes(), &decoded(query, false), body.as_bytes()].concat()
        }
        "lbank" => {
            let own = body.split('&').filter(|field| !field.starts_with("sign="));
            let own: Vec<&str> = own.collect();
            let all = [
                own.join("&"),
                format!("echostr={}", header("echostr")),
                "signature_method=HmacSHA256".to_owned(),
                format!("timestamp={}", header("timestamp")),
            ];
            let all = sorted(&all.each_ref().map(String::as_str));
            let hash = Md5::digest(decoded(&all, false));
            base16ct::upper::encode_string(&hash).into_bytes()
        }
        "bitbns" => {
            let payload = Base64::decode_vec(header("X-BITBNS-PAYLOAD")).unwrap();
            let payload = Json::parse_bytes(&payload).unwrap();
            let inside = payload.get("body").and_then(Json::as_str);
            assert_eq!(inside.unwrap_or_default(), body);
            header("X-BITBNS-PAYLOAD").as_bytes().to_vec()
        }
        "bitopro" => {
            let payload = header("X-BITOPRO-PAYLOAD");
            let inside = String::from_utf8(Base64::decode_vec(payload).unwrap()).unwrap();
            if matches!(*method, "GET" | "DELETE") {
                let nonce = value(&inside, "nonce");
                assert_eq!(inside, format!(r#"{{"identity":"7","nonce":{nonce}}}"#));
            } else {
                assert_eq!(inside, *body);
            }
            payload.as_bytes().to_vec()
        }
        "p2b" => {
            assert_eq!(value(body, "request"), *path);
            Base64::encode_string(body.as_bytes()).into_bytes()
        }
        "bigone" => token(sent, r#"{"alg":"HS256","typ":"JWT"}"#, |claims| {
            let nonce = value(claims, "nonce");
            format!(r#"{{"type":"OpenAPIV2","sub":"KEY","nonce":"{nonce}"}}"#)
        }),
        "bithumb" | "upbit" => token(sent, r#"{"alg":"HS256","typ":"JWT"}"#, |claims| {
            let plain = exchange == "upbit";
            let front = if plain {
                decoded(query, false)
            } else {
                query.as_bytes().to_vec()
            };
            let signed = [front, fields(body, "[]", "&", !plain).into_bytes()].concat();
            let mut out = format!(r#"{{"access_key":"KEY","nonce":"{}""#, value(claims, "nonce"));
            if !plain {
                out.push_str(&format!(r#","timestamp":{}"#, value(claims, "timestamp")));
            }
            if !signed.is_empty() {
                let hash = base16ct::lower::encode_string(&Sha512::digest(&signed));
                out.push_str(&format!(r#","query_hash":"{hash}","query_hash_alg":"SHA512""#));
            }
            out + "}"
        }),
        "coinbase" => {
            let nonce = value(&part(sent, 0), "nonce");
            let head = format!(r#"{{"alg":"ES256","kid":"KEY","nonce":"{nonce}","typ":"JWT"}}"#);
            token(sent, &head, |claims| {
                let now: u64 = value(claims, "nbf").parse().unwrap();
                format!(
                    r#"{{"sub":"KEY","iss":"cdp","nbf":{now},"exp":{},"uri":"{method} {host}{path}"}}"#,
                    now + 120
                )
            })
        }
        _ => return None,
    })
}

/// The message of a JSON Web Token, its claims written anew from what must be taken over.
fn token(sent: &Sent<'_>, head: &str, claims: impl Fn(&str) -> String) -> Vec<u8> {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    format!("{}.{}", encode(head), encode(&claims(&part(sent, 1)))).into_bytes()
}

/// A part of the token of a request, as text.
fn part(sent: &Sent<'_>, at: usize) -> String {
    let token = sent.header("Authorization").strip_prefix("Bearer ").unwrap();
    let part = Base64UrlUnpadded::decode_vec(token.split('.').nth(at).unwrap()).unwrap();
    String::from_utf8(part).unwrap()
}

/// A JSON object's members as fields in their order, without its signature; lists as repeated names with a mark.
fn fields(body: &str, mark: &str, separator: &str, encode: bool) -> String {
    let Ok(Json::Object(members)) = Json::parse(body) else {
        return body.to_owned();
    };
    let write = |text: &str| if encode { encoded(text) } else { text.to_owned() };
    let plain = |value: &Json| match value {
        Json::String(text) => write(text),
        other => write(&other.to_compact()),
    };
    let mut all = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| name != "signature") {
        match value {
            Json::List(items) => {
                all.extend(
                    items
                        .iter()
                        .map(|item| format!("{}{mark}={}", write(name), plain(item))),
                );
            }
            value => all.push(format!("{}={}", write(name), plain(value))),
        }
    }
    all.join(separator)
}

/// All but unreserved characters as `%XX` (RFC 3986).
pub fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Operation, stamps and sorted data as compact JSON.
fn pacifica(body: &str) -> String {
    fn order(json: &Json) -> String {
        match json {
            Json::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                let member = |(name, value): &&(String, Json)| {
                    format!("{}:{}", Json::String(name.clone()).to_compact(), order(value))
                };
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
            Json::List(items) => format!("[{}]", items.iter().map(order).collect::<Vec<_>>().join(",")),
            other => other.to_compact(),
        }
    }
    let Json::Object(mut members) = Json::parse(body).unwrap() else {
        panic!("no object: {body}");
    };
    let own = [
        "account",
        "agent_wallet",
        "timestamp",
        "expiry_window",
        "signature",
    ];
    members.retain(|(name, _)| !own.contains(&name.as_str()));
    let window = Json::parse(body).unwrap().get("expiry_window").cloned();
    let window = window.map_or_else(String::new, |window| {
        format!("\"expiry_window\":{},", window.to_compact())
    });
    format!(
        r#"{{"data":{},{window}"timestamp":{},"type":"create_order"}}"#,
        order(&Json::Object(members)),
        value(body, "timestamp")
    )
}
