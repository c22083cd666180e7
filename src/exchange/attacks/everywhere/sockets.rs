//! WebSocket logins that are to sign a withdrawal.

use super::{Exchange, PAIRS, UUID, Verdict, exchanges, forms};
use crate::{
    json::Json,
    request::{Body, Request},
};

#[test]
fn no_login_signs_the_path_of_a_withdrawal() {
    for exchange in exchanges() {
        let Ok(sockets) = exchange.scheme.websocket() else {
            continue;
        };
        for (_, path) in exchange.withdrawals() {
            exchange.never_signs(&Request {
                path: Some(path),
                ..login()
            });
        }
        for plan in sockets.plans() {
            let bound = !plan.facts.signs_path || !plan.paths.is_empty();
            assert!(bound, "{}: its logins sign paths, and list none", exchange.id());
        }
    }
}

#[test]
fn no_login_has_the_message_of_a_withdrawal() {
    for exchange in exchanges() {
        if exchange.scheme.websocket().is_err() {
            continue;
        }
        for (method, path) in exchange.withdrawals() {
            for real in forms(method, &path, &PAIRS) {
                if let Ok((_, wanted)) = exchange.message(&real) {
                    try_oracles(&exchange, &path, &wanted);
                    // Where parameters are signed, what has none withdraws nothing.
                    let bare = real.query.is_none() && real.body.is_none() && real.params.is_none();
                    let facts = &exchange.scheme.plan_for(method, &path).facts;
                    let empty = bare && facts.sign_something() && !facts.signs_path;
                    if !empty && !exchange.spares(method, &path) {
                        differs(&exchange, &login(), &wanted);
                    }
                }
            }
        }
    }
}

/// What a login takes from its request is made to say what a withdrawal's message says.
fn try_oracles(exchange: &Exchange, path: &str, wanted: &[u8]) {
    let text = String::from_utf8_lossy(wanted).into_owned();
    for challenge in [
        text.clone(),
        path.to_owned(),
        format!("{path}{UUID}"),
        UUID.to_uppercase(),
    ] {
        exchange.never_signs(&Request {
            challenge: Some(challenge),
            ..login()
        });
    }
    for (channel, event) in [(text.as_str(), "y"), ("x", &text), (path, "y"), (&text, "")] {
        let members = [("channel", channel), ("event", event)];
        let members = members.map(|(name, value)| (name.to_owned(), Json::String(value.to_owned())));
        differs(
            exchange,
            &Request {
                body: Some(Body::Json(Json::Object(members.to_vec()).to_compact())),
                ..login()
            },
            wanted,
        );
    }
}

fn differs(exchange: &Exchange, login: &Request, wanted: &[u8]) {
    let signed = Verdict::Signed(wanted.to_vec());
    assert_ne!(exchange.judge(login), signed, "{}", exchange.id());
}

fn login() -> Request {
    Request {
        websocket: true,
        ..Request::default()
    }
}
