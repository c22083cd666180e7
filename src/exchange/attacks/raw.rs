//! Withdrawals in bytes that hsmsign did not compose.

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};

use super::scheme;

#[test]
fn a_raw_message_that_shows_a_withdrawal_is_seen() {
    let raw = |exchange: &str, message: &[u8]| scheme(exchange).raw_moves_money(message);
    assert!(raw("kraken", b"/0/private/Withdraw\x01\xff\x00").is_some());
    assert!(raw("kraken", b"/0/private/AddOrder\x01\xff\x00").is_none());
    assert!(raw("binance", b"coin=BTC&address=x&timestamp=1").is_some());
    assert!(raw("binance", b"symbol=BTCUSDT&timestamp=1").is_none());
    assert!(
        raw(
            "okx",
            br#"2020-12-31T23:59:59.999ZPOST/api/v5/asset/withdrawal{"ccy":"BTC"}"#
        )
        .is_some()
    );
    assert!(raw("gemini", b"eyJyZXF1ZXN0IjoiL3YxL3dpdGhkcmF3L2J0YyJ9").is_some());
    // {"request":"/v1/withdraw"}, as the older API signs.
    assert!(raw("bitfinex", b"eyJyZXF1ZXN0IjoiL3YxL3dpdGhkcmF3In0=").is_some());
    // Where the beginning of the path is not signed.
    assert!(raw("cryptocom", b"private/create-withdrawal1keyaddressxamount1").is_some());
    assert!(raw("cryptocom", b"private/create-order1keyamount1").is_none());
    assert!(raw("cex", b"do_withdraw_funds1700000000{}").is_some());
    assert!(raw("cex", b"do_my_new_order1700000000{}").is_none());
    assert!(raw("poloniex-legacy", b"command=withdraw&nonce=1").is_some());
}

#[test]
fn a_raw_message_shows_a_withdrawal_however_its_path_is_spelled() {
    let raw = |exchange: &str, message: &str| scheme(exchange).raw_moves_money(message.as_bytes());
    for path in [
        "/0/private/%57ithdraw",
        "/0/private/%2557ithdraw",
        "/0/private/%252557ithdraw",
        "/0/private//WalletTransfer",
        "/0//private/./WalletTransfer",
        "/0/private/Balance/../WalletTransfer",
        "/0/private/Balance/%2e%2e/WalletTransfer",
        "/0/private;x=1/WalletTransfer",
        "/0\\private\\WalletTransfer",
    ] {
        assert!(raw("kraken", &format!("{path}\u{1}\u{2}")).is_some(), "{path}");
    }
    for path in [
        "/0/private//Balance",
        "/0/private/../public/Time",
        "/0/private/AddOrder;x",
    ] {
        assert!(raw("kraken", path).is_none(), "{path}");
    }
    for payload in [
        r#"{"request":"\/v1\/withdraw\/btc","nonce":1}"#,
        r#"{"request":"/v1/\u0077ithdraw/btc","nonce":1}"#,
        r#"{"request":"/v1//withdraw/btc","nonce":1}"#,
    ] {
        for text in [
            Base64::encode_string(payload.as_bytes()),
            Base64UrlUnpadded::encode_string(payload.as_bytes()),
        ] {
            assert!(raw("gemini", &text).is_some(), "{payload}");
        }
    }
    let order = Base64::encode_string(br#"{"request":"\/v1\/order\/new","nonce":1}"#);
    assert!(raw("gemini", &order).is_none());
}
