//! ccxt as bots use it. What all of its exchanges sign is compared by `scripts/bots.py`.

use crate::{RAW_SECRET, libraries, place, run_with, script, stand_in};

#[test]
fn ccxts_requests_go_to_the_agent_whole_and_errors_are_of_its_own_kinds() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    place.import(&["--exchange", "binance", "--api-key", "b"], RAW_SECRET);
    place.import(&["--exchange", "bybit", "--api-key", "y"], RAW_SECRET);
    let text = r#"
import ccxt, hsmsign, hsmsign.ccxt, sys
def sent(exchange, call, *args):
    seen = []
    exchange.fetch = lambda *parts: seen.append(parts) or {}
    exchange.nonce = lambda: 1700000000001
    exchange.milliseconds = exchange.nonce
    getattr(exchange, call)(*args)
    return seen[0]
secret, kraken, binance, bybit = sys.argv[1:]
# No key was allowed raw MACs: what is signed here is signed as a whole request.
order = {"symbol": "BTCUSDT", "side": "BUY"}
# Where there is no query, ccxt writes its question mark all the same.
url, *rest = sent(ccxt.bybit({"apiKey": "y", "secret": secret}), "privateGetV5UserQueryApi")
same = [url.removesuffix("?"), *rest]
assert url != same[0] and list(sent(ccxt.bybit({"apiKey": "y", "secret": bybit}), "privateGetV5UserQueryApi")) == same, url
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
            &stand_in(&place, "bybit"),
        ],
        "",
    );
    assert_eq!(done.stdout, "signed\n", "{done:?}");
}

/// A key of the form that Coinbase issues, of its file of tests.
const COINBASE_SECRET: &str =
    "nlNyhKjsN6fcjEHTh8FleD7fe53H66ZsrD1rZa5k3PPwpOctWU+640VfFi1PZpvLV8i32S1cCpBmMW7Dz6UW9A==";

#[test]
fn the_tokens_time_does_not_stop_the_event_loop_of_ccxt() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    // Between bot and agent stands one who gives no answer until the bot's loop has turned meanwhile.
    let text = r#"
import asyncio, json, os, socket, sys, threading
import ccxt, hsmsign
import ccxt.async_support as module
turned, asked = threading.Event(), threading.Event()
real, slow = os.environ["HSMSIGN_SOCKET"], os.path.join(os.path.dirname(sys.argv[0]), "slow")
listener = socket.socket(socket.AF_UNIX)
listener.bind(slow)
listener.listen()

def relay(client):
    agent = socket.socket(socket.AF_UNIX)
    agent.connect(real)
    for line in client.makefile():
        agent.sendall(line.encode())
        answer = agent.makefile().readline()
        if '"method"' in line:
            asked.set()
            # Long enough for any loop that turns; one that stands still waits for this here.
            turned.wait(20)
            answer = answer if turned.is_set() else '{"ok":false,"error":{"code":"failed","message":"the loop stood still"}}\n'
        client.sendall(answer.encode())

def serve():
    while True:
        threading.Thread(target=relay, args=(listener.accept()[0],), daemon=True).start()

threading.Thread(target=serve, daemon=True).start()
os.environ["HSMSIGN_SOCKET"] = slow

class Session:
    headers, sent = {}, []
    def post(self, url, data=None, headers=None, **_):
        self.sent.append((str(url), data, headers))
        raise ccxt.OnMaintenance("nothing is sent")
    async def close(self):
        pass

async def turn():
    while not asked.is_set():
        await asyncio.sleep(0.01)
    turned.set()

async def run():
    exchange = module.kraken({"apiKey": "example", "secret": sys.argv[1], "enableRateLimit": False})
    exchange.session = Session()
    try:
        await asyncio.gather(turn(), exchange.privatePostAddOrder({"pair": "XBTUSD"}))
    except ccxt.OnMaintenance:
        pass
    url, data, headers = Session.sent[0]
    # What was sent carries the agent's signature of it, and ccxt says the same of its last request.
    nonce = data.decode().split("nonce=")[1].split("&")[0]
    again = hsmsign.Signer("kraken").sign("POST", "/0/private/AddOrder", body=data, nonce=nonce)
    assert headers["API-Sign"] == again.headers["API-Sign"] == exchange.last_request_headers["API-Sign"], headers
    assert hsmsign.counts() == {"kraken": {"whole": 2, "raw": 0}}, hsmsign.counts()
    # A `fetch` of the bot's own sees the signature, and one that is refused is ccxt's kind of error.
    seen = []
    async def fetch(*parts):
        seen.append(parts)
    exchange.fetch = fetch
    await exchange.privatePostAddOrder({"pair": "XBTUSD"})
    assert len(seen[0][2]["API-Sign"]) == 88, seen
    del exchange.fetch
    for call in (exchange.privatePostWithdraw, exchange.privatePostWithdraw):
        try:
            await call({"asset": "XBT"})
            raise SystemExit("a withdrawal was signed")
        except ccxt.PermissionDenied as error:
            assert isinstance(error, hsmsign.PolicyDenied) and "kraken hsmsign:" in str(error), error
    await exchange.close()

asyncio.run(run())
print("turned")
"#;
    let done = run_with(&place, &python, text, &["kraken"]);
    assert_eq!(done.stdout, "turned\n", "{done:?}");
}

#[test]
fn libraries_with_private_keys_have_whole_requests_signed_and_errors_of_their_own_kinds() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    for (name, exchange, algorithm) in [
        ("binance-e", "binance", "ed25519"),
        ("binance-r", "binance", "rsa2048"),
        ("bybit-r", "bybit", "rsa2048"),
    ] {
        let args = ["--key", name, "--exchange", exchange, "--algorithm", algorithm];
        place.ok(&[&["generate"], &args[..]].concat());
        place.ok(&["set", name, "--api-key", "b"]);
    }
    for (name, algorithm, secret) in [
        ("coinbase-p", "p256", include_str!("../data/keys/p256.pem")),
        ("coinbase-e", "ed25519", COINBASE_SECRET),
    ] {
        let api_key = format!("organizations/nobody/apiKeys/{name}");
        let args = ["--key", name, "--exchange", "coinbase", "--algorithm", algorithm];
        place.import(&[&args[..], &["--api-key", &api_key]].concat(), secret);
    }
    place.import(&["--exchange", "bybit", "--api-key", "bybit"], RAW_SECRET);
    let text = r#"
import base64, json, sys
import hsmsign, requests
from hsmsign._login import verifies
from hsmsign._keys import by_label
from binance.client import Client
from binance.exceptions import BinanceRequestException
from coinbase.rest import RESTClient
from pybit.exceptions import FailedRequestError
from pybit.unified_trading import HTTP
ed, rsa, bybit_rsa, p256, coinbase_ed, bybit = sys.argv[1:7]

class Sent(Exception):
    pass

def send(self, request, **_):
    raise Sent(request)

requests.Session.send = send

def sent(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Sent as request:
        return request.args[0]

for key, name in ((ed, "binance-e"), (rsa, "binance-r")):
    client = Client("b", private_key=key, ping=False)
    for request in (
        sent(client.create_order, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1"),
        sent(client.get_account),
    ):
        query = request.body or request.url.partition("?")[2]
        query = query.decode() if isinstance(query, bytes) else query
        message, _, signature = query.partition("&signature=")
        signature = base64.b64decode(requests.utils.unquote(signature))
        assert verifies(by_label(name)["public_key"], message.encode(), signature), query
    try:
        client.withdraw(coin="BTC", address="a", amount="1")
        raise SystemExit("a withdrawal was signed")
    except BinanceRequestException as error:
        assert isinstance(error, hsmsign.PolicyDenied) and error.code == "denied" and error.fix in str(error), error

for key, name, is_rsa in ((bybit_rsa, "bybit-r", True), (bybit, "bybit", False)):
    client = HTTP(api_key="b", api_secret=key, rsa_authentication=is_rsa)
    order = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "1"}
    request = sent(client.place_order, **order)
    headers = request.headers
    if is_rsa:
        message = headers["X-BAPI-TIMESTAMP"] + "b" + headers["X-BAPI-RECV-WINDOW"] + request.body
        assert headers["X-BAPI-API-KEY"] == "b"
    try:
        client.withdraw(coin="BTC", address="a", amount="1", timestamp=1, accountType="FUND")
        raise SystemExit("a withdrawal was signed")
    except FailedRequestError as error:
        assert isinstance(error, hsmsign.PolicyDenied) and error.fix in str(error), error

for key, name, algorithm in ((p256, "coinbase-p", "ES256"), (coinbase_ed, "coinbase-e", "EdDSA")):
    api_key = f"organizations/nobody/apiKeys/{name}"
    request = sent(RESTClient(api_key=api_key, api_secret=key).get_accounts)
    token = request.headers["Authorization"].partition("Bearer ")[2]
    message, _, signature = token.rpartition(".")
    decoded = base64.urlsafe_b64decode(signature + "==")
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in message.split("."))
    assert head["alg"] == algorithm and claims["uri"] == "GET api.coinbase.com/api/v3/brokerage/accounts", claims
    assert verifies(by_label(name)["public_key"], message.encode(), decoded)

# None of these keys makes raw MACs, and so none was made.
assert all(row["raw"] == 0 and row["whole"] > 0 for row in hsmsign.counts().values()), hsmsign.counts()
try:
    Client("b", private_key=ed[:20], ping=False)
    raise SystemExit("a part of a placeholder was taken")
except hsmsign.HsmsignError as error:
    assert error.code == "bad-input", error
print("whole")
"#;
    let keys = [
        "binance-e",
        "binance-r",
        "bybit-r",
        "coinbase-p",
        "coinbase-e",
        "bybit",
    ];
    let done = run_with(&place, &python, text, &keys);
    assert_eq!(done.stdout, "whole\n", "{done:?}");
}

#[test]
fn what_would_send_a_placeholder_is_refused() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    let text = r#"
import asyncio, sys
import aiohttp, httpx, requests
from hsmsign import SecretWouldBeSent
key, url = sys.argv[1], "http://127.0.0.1:9/"

async def with_httpx(**parts):
    async with httpx.AsyncClient() as client:
        await client.post(url, **parts)

async def with_aiohttp(**parts):
    async with aiohttp.ClientSession() as session:
        await session.post(url, **parts)

def refused(kind, call):
    try:
        call()
    except kind as error:
        assert isinstance(error, SecretWouldBeSent) and "127.0.0.1" in str(error) and key not in str(error), error
        return
    raise SystemExit("it was sent")

for parts in ({"headers": {"X-Secret": key}}, {"json": {"secret": key}}, {"data": {"secret": key}}, {"params": {"secret": key}}):
    refused(requests.RequestException, lambda: requests.post(url, **parts))
    refused(httpx.RequestError, lambda: httpx.post(url, **parts))
    refused(httpx.RequestError, lambda: asyncio.run(with_httpx(**parts)))
    refused(aiohttp.ClientError, lambda: asyncio.run(with_aiohttp(**parts)))
for headers in ([("X-Secret", key)], (pair for pair in [("X-Secret", key)])):
    refused(aiohttp.ClientError, lambda: asyncio.run(with_aiohttp(headers=headers)))
refused(requests.RequestException, lambda: requests.get(url, auth=("user", key)))
refused(requests.RequestException, lambda: requests.get(url, headers={"Authorization": f"Basic {key}"}))
refused(httpx.RequestError, lambda: httpx.get(url, auth=("user", key)))
# What carries none goes its way: nobody listens there. A user of that name is no placeholder, nor is an error that is told on.
told = {"text": "kraken hsmsign: the key kraken signs no raw bytes [denied]"}
pairs = (pair for pair in [("X-Note", "a")])
for kind, call in (
    (requests.ConnectionError, lambda: requests.get(url)),
    (requests.ConnectionError, lambda: requests.get(url, auth=("hsmsign", "a password"))),
    (httpx.ConnectError, lambda: httpx.get(url)),
    (httpx.ConnectError, lambda: httpx.get(url, auth=("hsmsign", "a password"))),
    (requests.ConnectionError, lambda: requests.post(url, json=told)),
    (httpx.ConnectError, lambda: httpx.post(url, json=told)),
    (aiohttp.ClientConnectorError, lambda: asyncio.run(with_aiohttp(json=told))),
    (aiohttp.ClientConnectorError, lambda: asyncio.run(with_aiohttp(data=b"hsmsign: denied"))),
    (aiohttp.ClientConnectorError, lambda: asyncio.run(with_aiohttp(headers=pairs))),
):
    try:
        call()
    except kind as error:
        assert not isinstance(error, SecretWouldBeSent)
    else:
        raise SystemExit("somebody listens there")
print("refused")
"#;
    let done = run_with(&place, &python, text, &["raw"]);
    assert_eq!(done.stdout, "refused\n", "{done:?}");
}
