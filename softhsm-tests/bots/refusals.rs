//! What a bot sees where nothing is signed: errors of the library's own kinds, with code and remedy.

use std::os::unix::fs::symlink;

use crate::{Agent, bench::RAW_SECRET, ccxt_for_node, libraries, place, script, stand_in};

#[test]
fn every_refusal_is_of_ccxts_own_kind_and_carries_code_and_remedy() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    place.import(
        &["--exchange", "binance", "--api-key", "b", "--allow", "raw"],
        RAW_SECRET,
    );
    let _agent = Agent::start(&place);
    let text = r#"
import asyncio, ccxt, hmac, hsmsign, subprocess, sys
import ccxt.async_support, ccxt.pro
kraken, binance, program = sys.argv[1:4]

def exchange(secret, kind=ccxt.kraken):
    made = kind({"apiKey": "example", "secret": secret, "enableRateLimit": False})
    made.fetch = sent
    return made

def sent(*_):
    raise SystemExit("it would have been sent")

async def in_async(secret, call, given):
    made = ccxt.async_support.kraken({"apiKey": "example", "secret": secret, "enableRateLimit": False})
    made.session = type("Session", (), {"headers": {}, "post": sent, "close": lambda self: asyncio.sleep(0)})()
    try:
        await getattr(made, call)(given)
    finally:
        await made.close()

def refused(theirs, ours, code, secret, call="privatePostAddOrder", given={"pair": "XBTUSD"}):
    for way in (lambda: getattr(exchange(secret), call)(given), lambda: asyncio.run(in_async(secret, call, given))):
        try:
            way()
            raise SystemExit(f"{code} was expected")
        except theirs as error:
            assert isinstance(error, ours) and isinstance(error, ccxt.BaseError), repr(error)
            assert (error.code, str(error).startswith("kraken hsmsign: ")) == (code, True), str(error)
            assert error.message in str(error) and error.fix and error.fix in str(error), str(error)

refused(ccxt.PermissionDenied, hsmsign.PolicyDenied, "denied", kraken, "privatePostWithdraw", {"asset": "XBT"})
refused(ccxt.AuthenticationError, hsmsign.KeyNotFound, "unknown-key", hsmsign.placeholder("nobody"))
refused(ccxt.BadRequest, hsmsign.HsmsignError, "bad-input", kraken[:-1])
# A login of a WebSocket is told of in the same way.
async def login():
    made = ccxt.pro.bitfinex({"apiKey": "example", "secret": kraken})
    made.client = lambda url: type("Client", (), {"subscriptions": {}, "future": lambda *_: None, "reusableFuture": lambda *_: None})()
    try:
        await made.authenticate()
    finally:
        await made.close()
try:
    asyncio.run(login())
    raise SystemExit("it logged in with another exchange's key")
except ccxt.BaseError as error:
    assert isinstance(error, hsmsign.HsmsignError) and error.fix, repr(error)

# What is too long for a line of the agent; and the next request has its own answer.
try:
    hmac.digest(binance.encode(), b"x" * (17 << 20), "sha256")
    raise SystemExit("it was signed")
except hsmsign.HsmsignError as error:
    assert error.fix, repr(error)
assert len(hmac.digest(binance.encode(), b"abc", "sha256")) == 32

subprocess.run([program, "lock", "softhsm"], check=True, capture_output=True)
refused(ccxt.AuthenticationError, hsmsign.TokenLocked, "token-locked", kraken)
subprocess.run([program, "unlock", "softhsm"], check=True, capture_output=True)
subprocess.run([program, "agent", "stop"], check=True, capture_output=True)
refused(ccxt.ExchangeNotAvailable, hsmsign.AgentUnavailable, "agent-unavailable", kraken)
print("refused")
"#;
    let bot = script(&place, "bot.py", text);
    let done = place.run(
        &[
            "run",
            "--",
            python.to_str().unwrap(),
            &bot,
            &stand_in(&place, "kraken"),
            &stand_in(&place, "binance"),
            env!("CARGO_BIN_EXE_hsmsign"),
        ],
        "",
    );
    assert_eq!(done.stdout, "refused\n", "{done:?}");
}

#[test]
fn a_raw_mac_that_is_only_compared_refuses_no_request() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    place.import(
        &["--exchange", "binance", "--api-key", "b", "--allow", "raw"],
        RAW_SECRET,
    );
    let rules = script(&place, "rules.toml", "policy = 1\nraw = false\n");
    place.ok(&["policy", "set", "binance", "--file", &rules]);
    let text = r#"
import ccxt, hsmsign, sys
from hsmsign import _compose

def sent(exchange):
    seen = []
    exchange.fetch = lambda *parts: seen.append(parts) or {}
    exchange.privateGetAccount()
    return seen[0][0]

for _ in range(2):
    exchange = ccxt.binance({"apiKey": "b", "secret": sys.argv[1]})
    assert "&signature=" in sent(exchange) and "&signature=" in sent(exchange)
assert hsmsign.counts() == {"binance": {"whole": 4, "raw": 0}}, hsmsign.counts()

# Where the two differ, what is sent is by raw MACs, and it is counted as no whole request.
original = _compose.Composed.raw
_compose.Composed.raw = lambda self, request: {**request, "url": "https://example.com/by-raw-macs"}
assert sent(ccxt.binance({"apiKey": "b", "secret": sys.argv[1]})).endswith("/by-raw-macs")
assert hsmsign.counts() == {"binance": {"whole": 4, "raw": 0}}, hsmsign.counts()
print("whole")
"#;
    let bot = script(&place, "bot.py", text);
    let secret = stand_in(&place, "binance");
    let done = place.run(&["run", "--", python.to_str().unwrap(), &bot, &secret], "");
    assert_eq!(done.stdout, "whole\n", "{done:?}");

    let Some(modules) = ccxt_for_node() else { return };
    symlink(modules, place.path().join("node_modules")).unwrap();
    let text = r"
import ccxt from 'ccxt';
import { subscribe } from 'node:diagnostics_channel';
const ways = [];
subscribe('hsmsign.signed', ({ way }) => ways.push(way));
const exchange = new ccxt.binance({ apiKey: 'b', secret: process.argv[2] });
let url;
exchange.fetch = async (given) => { url = given; return {}; };
await exchange.privateGetAccount();
await exchange.privateGetAccount();
console.log(url.includes('&signature='), ways.join());
";
    let bot = script(&place, "bot.mjs", text);
    let done = place.run(&["run", "--", "node", &bot, &secret], "");
    assert_eq!(done.stdout, "true whole,whole\n", "{done:?}");
}
