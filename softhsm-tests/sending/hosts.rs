//! Where a request goes: the exchange's hosts, its testnet's, the key's base-url, and nowhere else.

use crate::{
    judges, send,
    server::{Server, ok},
    shop_at,
};

/// A shop whose usual host is `real` and whose testnet is at `test`.
fn with_testnet(real: &str, test: &str) -> Option<crate::Place> {
    shop_at(
        real,
        &format!(
            "[send]\ntestnet = {{ \"{real}\" = \"{test}\" }}\ntestnet-headers = {{ X-Simulated = \"1\" }}\n"
        ),
    )
}

#[test]
fn the_testnet_is_the_one_that_the_scheme_names() {
    let (real, test) = (Server::new(vec![ok("{}")]), Server::new(vec![ok("{}")]));
    let Some(place) = with_testnet(&real.host(), &test.host()) else {
        return;
    };
    let done = send(&place, &test, &["shop", "GET", "/orders", "--testnet"]);
    assert_eq!(done.code, 0, "{done:?}");
    let named = format!("{}/orders", test.url());
    assert_eq!(send(&place, &test, &["shop", "GET", &named]).code, 0);
    assert_eq!((test.received().len(), real.received().len()), (2, 0));
    for request in test.received() {
        judges::shop(&request);
        assert_eq!(request.header("X-Simulated"), "1");
    }
    assert_eq!(send(&place, &real, &["shop", "GET", "/orders"]).code, 0);
    assert!(!real.received()[0].has("X-Simulated"));
    let signed = place.json(&["sign", "shop", "GET", "/orders", "--testnet"]);
    assert_eq!(signed["url"], named.as_str());
    assert_eq!(signed["headers"]["X-Simulated"], "1");
}

#[test]
fn a_testnet_that_is_not_there_is_refused() {
    let Some(place) = with_testnet("shop.example", "test.shop.example") else {
        return;
    };
    let refused = |args: &[&str], words: &str| place.refused(&[&["send"], args].concat(), "", 5, words);
    refused(
        &["shop", "GET", "/x", "--testnet", "--host", "other.example"],
        "has no host other.example",
    );
    place.ok(&["set", "shop", "--base-url", "https://mine.example"]);
    refused(&["shop", "GET", "/x", "--testnet"], "its own base-url");
    let Some(place) = crate::Place::with_kraken() else {
        return;
    };
    place.refused(
        &["send", "kraken", "POST", "/0/private/Balance", "--testnet"],
        "",
        5,
        "Kraken spot has no testnet",
    );
}

#[test]
fn no_request_chooses_another_host_than_the_keys() {
    let (mine, other) = (Server::new(vec![ok("{}")]), Server::new(vec![ok("{}")]));
    let Some(place) = shop_at("shop.example", "") else {
        return;
    };
    place.ok(&["set", "shop", "--base-url", &mine.url()]);
    for args in [
        vec!["shop", "GET", "/x", "--host", &other.host()],
        vec!["shop", "GET", &format!("{}/x", other.url())],
    ] {
        assert_eq!(send(&place, &other, &args).code, 5);
    }
    assert_eq!(
        send(&place, &mine, &["shop", "GET", "/x", "--host", &mine.host()]).code,
        0
    );
    assert_eq!((mine.received().len(), other.connections()), (1, 0));
}
