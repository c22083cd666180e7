//! Withdrawals that are known by their fields, since the path is not signed; and fields that stand twice.

use super::{Verdict, exchanges, forms, request, with_body, with_query};
use crate::{
    exchange::plan::{METHODS, Place},
    json::Json,
    request::Request,
};

#[test]
fn where_a_path_is_not_signed_the_fields_of_a_withdrawal_are_refused_in_every_disguise() {
    let mut tried = 0;
    for exchange in exchanges() {
        for path in exchange.innocent() {
            let rules = exchange.scheme.withdrawal.as_ref().unwrap();
            for rule in rules.fields.iter().filter(|_| exchange.is_loose(&path)) {
                let names: Vec<&str> = rule.shown.split('+').collect();
                for method in METHODS {
                    if exchange.spares(method, &path) {
                        continue;
                    }
                    for request in disguises(&request(method, &path), &names) {
                        exchange.never_signs(&request);
                        tried += 1;
                    }
                }
            }
            for rule in &rules.values {
                let value = rule.value.replace('*', "abc");
                for request in &forms("POST", &path, &[("a", "1"), (&rule.name, &value)])[1..] {
                    exchange.never_signs(request);
                }
            }
        }
    }
    assert!(tried > 10_000, "{tried}");
}

/// Requests that carry fields of these names, in every way in which a server could read them.
fn disguises(bare: &Request, names: &[&str]) -> Vec<Request> {
    let fields = |spell: &dyn Fn(&str) -> String, joint: &str| {
        let fields = names.iter().map(|name| format!("{}=1", spell(name)));
        fields.collect::<Vec<_>>().join(joint)
    };
    let plain = |name: &str| name.to_owned();
    let escaped = |name: &str| format!("%{:02X}{}", name.as_bytes()[0], &name[1..]);
    let whole = fields(&plain, "&");
    let texts = [
        whole.clone(),
        fields(&|name| name.to_uppercase(), "&"),
        fields(&escaped, "&"),
        fields(&|name| format!("{name}[0]"), "&"),
        fields(&|name| format!("{name}[]"), "&"),
        fields(&|name| format!("+{name}"), "&"),
        fields(&plain, ";"),
        format!("x=1%26{}", fields(&plain, "%26").replace('=', "%3D")),
        format!("{whole}&{whole}"),
        format!(
            "list=%5B%7B{}%7D%5D",
            members(names, |name| format!("%22{name}%22"))
                .replace(',', "%2C")
                .replace(':', "%3A")
        ),
    ];
    let mut all = Vec::new();
    for text in &texts {
        all.push(with_query(bare, &format!("a=1&{text}")));
        all.push(with_body(bare, &format!("a=1&{text}")));
    }
    // In two halves, the one in the query and the other in the body.
    let text = format!("a=1&{whole}");
    for at in 1..text.len() {
        let (front, back) = text.split_at(at);
        all.push(with_body(&with_query(bare, front), back));
        all.push(with_body(&with_query(bare, back), front));
    }
    let quoted = |name: &str| format!("\"{name}\"");
    let inner = members(names, quoted);
    for json in [
        format!("{{{inner}}}"),
        format!("{{{}}}", members(names, |name| quoted(&name.to_uppercase()))),
        format!(
            "{{{}}}",
            members(names, |name| quoted(&format!(
                "\\u{:04x}{}",
                name.as_bytes()[0],
                &name[1..]
            )))
        ),
        format!("{{\"x\":[{{{inner}}}]}}"),
        format!("[{{{inner}}}]"),
        format!("{{\"x\":\"{{{}}}\"}}", inner.replace('"', "\\\"")),
        format!("{{{inner},{inner}}}"),
    ] {
        all.push(with_body(bare, &json));
        if let Ok(Json::Object(params)) = Json::parse(&json) {
            let params = Some(params);
            all.push(Request {
                params,
                ..bare.clone()
            });
        }
    }
    all
}

fn members(names: &[&str], spell: impl Fn(&str) -> String) -> String {
    let members = names.iter().map(|name| format!("{}:1", spell(name)));
    members.collect::<Vec<_>>().join(",")
}

#[test]
fn fields_that_stand_twice_are_refused() {
    for exchange in exchanges() {
        for path in exchange.innocent() {
            let bare = request("POST", &path);
            for text in [
                r#"{"a":1,"a":2}"#,
                r#"{"x":{"a":1,"a":2}}"#,
                r#"{"a":1,"\u0061":2}"#,
            ] {
                assert_eq!(
                    exchange.judge(&with_body(&bare, text)),
                    Verdict::Refused,
                    "{} {text}",
                    exchange.id()
                );
            }
            for member in &exchange.scheme.plan_for("POST", &path).add {
                let twice = format!("{0}=1&b=2&{0}=1", member.name);
                // A query has no members of a JSON body.
                if member.place != Place::Json {
                    exchange.never_signs(&with_query(&bare, &twice));
                }
                exchange.never_signs(&with_body(&bare, &twice));
            }
        }
    }
}
