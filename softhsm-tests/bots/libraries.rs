//! ccxt as bots use it. What all of its exchanges sign is compared by `scripts/bots.py`.

use crate::{RAW_SECRET, libraries, place, script, stand_in};

#[test]
fn ccxts_requests_go_to_the_agent_whole_and_errors_are_of_its_own_kinds() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    place.import(&["--exchange", "binance", "--api-key", "b"], RAW_SECRET);
    let text = r#"
import ccxt, hsmsign, hsmsign.ccxt, sys
def sent(exchange, call, *args):
    seen = []
    exchange.fetch = lambda *parts: seen.append(parts) or {}
    exchange.nonce = lambda: 1700000000001
    exchange.milliseconds = exchange.nonce
    getattr(exchange, call)(*args)
    return seen[0]
secret, kraken, binance = sys.argv[1:]
# Neither key was allowed raw MACs: what is signed here is signed as a whole request.
order = {"symbol": "BTCUSDT", "side": "BUY"}
plain = sent(ccxt.binance({"apiKey": "b", "secret": secret}), "privateGetAccount")
assert sent(ccxt.binance({"apiKey": "b", "secret": binance}), "privateGetAccount") == plain, plain
exchange = ccxt.kraken({"apiKey": "example", "secret": kraken})
sent(exchange, "privatePostAddOrder", {"pair": "XBTUSD"})
for call, theirs, ours in (
    ("privatePostWithdraw", ccxt.PermissionDenied, hsmsign.PolicyDenied),
):
    try:
        sent(exchange, call, {"asset": "XBT"})
        raise SystemExit(f"{call} was signed")
    except theirs as error:
        assert isinstance(error, ours) and error.code == "denied" and error.fix in str(error), error
try:
    sent(ccxt.luno({"apiKey": "a", "secret": kraken}), "privateGetBalance")
    raise SystemExit("the placeholder was sent")
except ccxt.NotSupported as error:
    assert isinstance(error, hsmsign.SecretWouldBeSent) and "luno wants the secret itself" in str(error), error
try:
    sent(ccxt.kraken({"apiKey": "a", "secret": hsmsign.placeholder("nobody")}), "privatePostBalance")
    raise SystemExit("signed for nobody")
except ccxt.AuthenticationError as error:
    assert isinstance(error, hsmsign.KeyNotFound), error
attached = hsmsign.ccxt.attach(ccxt.kraken(), "kraken")
assert attached.apiKey == "example"
sent(attached, "privatePostBalance")
print("signed")
"#;
    let bot = script(&place, "bot.py", text);
    let done = place.run(
        &[
            "run",
            "--",
            python.to_str().unwrap(),
            &bot,
            RAW_SECRET,
            &stand_in(&place, "kraken"),
            &stand_in(&place, "binance"),
        ],
        "",
    );
    assert_eq!(done.stdout, "signed\n", "{done:?}");
}
