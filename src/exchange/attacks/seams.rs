//! Withdrawals where what is signed runs together: path, query, body, stamps and words for endpoints.

use super::{harmless, refused, withdrawal};
use crate::{exchange::Scheme, request::Request};

/// A file whose message has an endpoint's word in place of method and path.
fn by_words(message: &str) -> Scheme {
    let text = format!(
        r#"
id = "x"
name = "X"
hosts = ["x.com"]
key = {{ algorithm = "hmac-sha256", secret = "ascii", encoding = "hex" }}
params = {{ default = "query" }}
signature = {{ message = "{message}" }}
[endpoints]
"GET /withdrawals" = "withdrawals"
"POST /withdrawals" = "withdraw"
"GET /funds" = "funds"
"PUT /withdrawals/now" = "funds"
[withdrawal]
paths = ["POST /withdrawals*", "PUT /withdrawals*"]
"#
    );
    Scheme::parse(&text, "x").unwrap()
}

#[test]
fn an_endpoints_word_tells_a_question_from_a_withdrawal_where_it_stands_apart() {
    let moves = |scheme: &Scheme, method: &str, path: &str| {
        let line = format!(r#"{{"method":"{method}","path":"{path}","query":"a=1"}}"#);
        let request = Request::parse_line(&line).unwrap();
        let prepared = scheme
            .prepare(&request, scheme.kind(None).unwrap(), None)
            .unwrap();
        prepared.moves_money().is_some()
    };
    for apart in [
        "{endpoint}&{query}",
        "do={endpoint}{when(query, '&', query)}",
        "{query}&{endpoint}",
    ] {
        let scheme = by_words(apart);
        assert!(!moves(&scheme, "GET", "/withdrawals"), "{apart}");
        assert!(moves(&scheme, "POST", "/withdrawals"), "{apart}");
        // The word is that of a withdrawal too.
        assert!(moves(&scheme, "GET", "/funds"), "{apart}");
    }
    // `withdrawals` and `a=1` could be `withdraw` and `alsa=1`.
    for joined in [
        "{endpoint}{query}",
        "{endpoint}s{query}",
        "{query}{endpoint}",
        "{hex(endpoint, query)}",
    ] {
        assert!(moves(&by_words(joined), "GET", "/withdrawals"), "{joined}");
    }
}

#[test]
fn a_path_and_a_body_cannot_share_a_word() {
    refused(
        "okx",
        r#"{"method":"POST","path":"/api/v5/asset/withdrawa","body":"l{\"ccy\":\"BTC\"}"}"#,
        "neither JSON nor a form",
    );
    refused(
        "okx",
        r#"{"method":"POST","path":"/api/v5/asset/withdrawa","body":"l=1"}"#,
        "does not take",
    );
    refused(
        "bitso",
        r#"{"method":"POST","path":"/api/v3/withdrawa","body":"l"}"#,
        "neither",
    );
    refused(
        "bitfinex",
        r#"{"method":"POST","path":"/v2/auth/w/order","body":"{}x"}"#,
        "not JSON",
    );
}

#[test]
fn digits_of_a_stamp_cannot_hide_at_the_end_of_the_path() {
    withdrawal(
        "bitfinex",
        r#"{"method":"POST","path":"/v2/auth/w/withdraw17","nonce":"00"}"#
            .replace("\"00\"", "\"7\"")
            .as_str(),
    );
    withdrawal(
        "bitfinex",
        r#"{"method":"POST","path":"/v2/auth/w/transfer1","json":{}}"#,
    );
    withdrawal(
        "bitmex",
        r#"{"method":"POST","path":"/api/v1/user/requestWithdrawal17","json":{}}"#,
    );
    withdrawal(
        "btcmarkets",
        r#"{"method":"POST","path":"/v3/withdrawals1","json":{}}"#,
    );
    refused(
        "btcmarkets",
        r#"{"method":"POST","path":"/v3/withdrawals1","json":{},"timestamp":"700000000000"}"#,
        "form",
    );
}

#[test]
fn a_path_that_runs_into_its_query_is_looked_at_with_it() {
    withdrawal(
        "phemex",
        r#"{"method":"GET","path":"/phemex-withdra","query":"w/wallets/api/createWithdraw"}"#,
    );
    harmless(
        "phemex",
        r#"{"method":"GET","path":"/accounts/accountPositions","query":"currency=BTC"}"#,
    );
}

#[test]
fn a_body_in_front_of_the_path_cannot_end_in_one() {
    refused(
        "krakenfutures",
        r#"{"method":"POST","path":"/v3/withdrawal","body":"amount=1&x=/api"}"#,
        "has no path",
    );
    withdrawal(
        "krakenfutures",
        r#"{"method":"POST","path":"/derivatives/api/x/api/v3/withdrawal"}"#,
    );
    withdrawal(
        "krakenfutures",
        r#"{"method":"POST","path":"/derivatives/api/v3/withdrawal"}"#,
    );
    harmless(
        "krakenfutures",
        r#"{"method":"POST","path":"/derivatives/api/v3/sendorder"}"#,
    );
}
