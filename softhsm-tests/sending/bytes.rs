//! What goes on the wire is what was signed, byte for byte.

use crate::{
    judges, send,
    server::{Server, ok},
    shop_at,
};

#[test]
fn targets_are_sent_byte_for_byte() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = shop_at("shop.example", "") else {
        return;
    };
    place.ok(&["set", "shop", "--base-url", &server.url()]);
    let targets = [
        "/plain",
        "/a%2Db/c+d/~e",
        "/orders/1:2,3@4!5$6()*'7",
        "/q?a=b&&c=%20+%2f%2F&=x&a=c&",
        "/q?",
        "/q?filter={%22symbol%22:[1]}|^`\\[]",
        "/q?a=?&b=/../x&c=%e4%C3%a4",
        "/q?empty&b",
    ];
    for target in targets {
        let done = send(&place, &server, &["shop", "GET", target]);
        assert_eq!(done.code, 0, "{target}: {done:?}");
    }
    let received = server.received();
    for (request, target) in received.iter().zip(targets) {
        judges::shop(request);
        // A lone question mark is no query, and is not signed either.
        assert_eq!(request.target, target.strip_suffix('?').unwrap_or(target));
    }
    assert_eq!(received.len(), targets.len());
}

#[test]
fn what_the_client_could_not_send_exactly_is_refused_before_it_is_sent() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = shop_at("shop.example", "") else {
        return;
    };
    place.ok(&["set", "shop", "--base-url", &server.url()]);
    for (target, words) in [("/q?a=\"b\"", "'\"'"), ("/q?a<b", "'<'"), ("/q?a>b", "'>'")] {
        for extra in [&[][..], &["--dry-run"][..]] {
            let done = send(&place, &server, &[&["shop", "GET", target], extra].concat());
            assert_eq!(done.code, 5, "{target}: {done:?}");
            assert!(
                done.stderr.contains(words) && done.stderr.contains("percent-encode"),
                "{done:?}"
            );
        }
    }
    let long = format!("/q?a={}", "x".repeat(70_000));
    let done = send(&place, &server, &["shop", "GET", &long]);
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert_eq!(server.connections(), 0);
}

#[test]
fn bodies_go_with_every_method_and_no_body_has_no_type() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = shop_at("shop.example", "") else {
        return;
    };
    place.ok(&["set", "shop", "--base-url", &server.url()]);
    let body = "{ \"a\" : 1.0, \"ä\":\"\\u00e4\" }";
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let done = send(&place, &server, &["shop", method, "/orders", "--data", body]);
        assert_eq!(done.code, 0, "{method}: {done:?}");
        let request = server.received().pop().unwrap();
        judges::shop(&request);
        assert_eq!((request.method.as_str(), request.body.as_str()), (method, body));
        assert_eq!(request.header("Content-Type"), "application/json");
        assert_eq!(request.header("Content-Length"), body.len().to_string());

        let done = send(&place, &server, &["shop", method, "/orders"]);
        assert_eq!(done.code, 0, "{method}: {done:?}");
        let request = server.received().pop().unwrap();
        judges::shop(&request);
        assert!(
            request.body.is_empty() && !request.has("Content-Type"),
            "{request:?}"
        );
        let length = if matches!(method, "GET" | "DELETE") {
            None
        } else {
            Some("0")
        };
        assert_eq!(
            request
                .has("Content-Length")
                .then(|| request.header("Content-Length")),
            length
        );
    }
}
