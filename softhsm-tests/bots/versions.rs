//! Other versions of the libraries than those that are installed, and modules that come in ways of a program's own: the hooks find
//! what there is, and break nothing.

use std::fs;

use crate::{RAW_SECRET, bench::Place, libraries, place, run_python, run_with, stand_in};

#[test]
fn a_try_again_of_ccxts_is_signed_where_it_is_not_composed_anew() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    // As ccxt was before it composed each try by itself, and before it had a method for its last request.
    let text = r#"
import asyncio, sys
import ccxt, hsmsign
import ccxt.async_support as module
from ccxt.base.exchange import BaseExchange
base = next(kind for kind in module.kraken.__mro__ if "fetch" in kind.__dict__)

async def fetch2(self, path, api="public", method="GET", params={}, config={}):
    request = self.sign(path, api, method, params)
    for left in (1, 0):
        try:
            return await self.fetch(request["url"], request["method"], request["headers"], request["body"])
        except ccxt.OperationFailed:
            if not left:
                return await self.fetch("https://example.com/", "POST", {}, "another")

base.fetch2 = fetch2
del BaseExchange.set_last_request

class Session:
    headers, sent = {}, []
    def post(self, url, data=None, headers=None, **_):
        self.sent.append((str(url), data.decode() if isinstance(data, bytes) else data, headers.get("API-Sign")))
        raise ccxt.RequestTimeout("no answer")
    async def close(self):
        pass

async def run():
    exchange = module.kraken({"apiKey": "example", "secret": sys.argv[1], "enableRateLimit": False})
    exchange.session = Session()
    try:
        await exchange.privatePostAddOrder({"pair": "XBTUSD"})
    except ccxt.RequestTimeout:
        pass
    first, second, other = Session.sent
    nonce = first[1].split("nonce=")[1].split("&")[0]
    again = hsmsign.Signer("kraken").sign("POST", "/0/private/AddOrder", body=first[1], nonce=nonce)
    assert first == second and first[2] == again.headers["API-Sign"], Session.sent
    # Another request is no try of that one.
    assert other[:2] == ("https://example.com/", "another"), other
    assert hsmsign.counts() == {"kraken": {"whole": 2, "raw": 0}}, hsmsign.counts()
    await exchange.close()

asyncio.run(run())
print("twice")
"#;
    let done = run_with(&place, &python, text, &["kraken"]);
    assert_eq!(done.stdout, "twice\n", "{done:?}");
}

/// Writes the modules of a library, by their paths.
fn library(place: &Place, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn libraries_that_lack_what_newer_ones_have_load_and_sign() {
    let Some(place) = place() else { return };
    place.import(
        &[
            "--exchange",
            "coinbase",
            "--key",
            "coinbase",
            "--algorithm",
            "p256",
            "--api-key",
            "organizations/nobody/apiKeys/nobody",
        ],
        include_str!("../data/keys/p256.pem"),
    );
    let signs = "import hmac\ndef signed(secret, text):\n    return hmac.new(secret.encode(), text.encode(), 'sha256').hexdigest()\n";
    library(
        &place,
        &[
            ("pybit/__init__.py", ""),
            (
                "pybit/exceptions.py",
                "class FailedRequestError(Exception): pass\n",
            ),
            ("pybit/_http_manager.py", signs),
            ("binance/__init__.py", ""),
            (
                "binance/exceptions.py",
                "class BinanceRequestException(Exception): pass\n",
            ),
            (
                "binance/base_client.py",
                &format!("{signs}class BaseClient: pass\n"),
            ),
            ("coinbase/__init__.py", ""),
            (
                "coinbase/jwt_generator.py",
                "def build_jwt(key_var, secret_var, service, uri=None):\n    return f'{secret_var} {service} {uri}'\n",
            ),
            ("ccxt/__init__.py", ""),
            ("ccxt/base/__init__.py", ""),
            (
                "ccxt/base/exchange.py",
                "import hashlib, hmac\nclass Exchange:\n    @staticmethod\n    def hmac(request, secret, algorithm=hashlib.sha256, digest='hex'):\n        return hmac.new(secret, request, algorithm).hexdigest()\n",
            ),
        ],
    );
    let text = r#"
import base64, hmac, json, sys
import binance.base_client, coinbase.jwt_generator, pybit._http_manager
from ccxt.base.exchange import Exchange
raw, key, secret = sys.argv[1:]
want = hmac.new(secret.encode(), b"abc", "sha256").hexdigest()
assert binance.base_client.signed(raw, "abc") == pybit._http_manager.signed(raw, "abc") == want
assert Exchange().hmac(b"abc", raw.encode()) == want
build = coinbase.jwt_generator.build_jwt
assert build("a", "mine", "service", uri="GET h/p") == build("a", "mine", service="service", uri="GET h/p") == "mine service GET h/p"
for token in (
    build("a", key, "retail_rest_api_proxy", "GET api.coinbase.com/api/v3/brokerage/accounts"),
    build(key_var="a", secret_var=key, service="s", uri="GET api.coinbase.com/api/v3/brokerage/accounts"),
):
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["uri"] == "GET api.coinbase.com/api/v3/brokerage/accounts", claims
print("same")
"#;
    let (raw, key) = (stand_in(&place, "raw"), stand_in(&place, "coinbase"));
    let done = run_python(&place, text, &[&raw, &key, RAW_SECRET]);
    assert_eq!(done.stdout, "same\n", "{done:?}");
}

#[test]
fn modules_that_a_finder_of_the_programs_own_brings_have_the_hooks_too() {
    let Some(place) = place() else { return };
    // One finder has a module that is in no file; the other asks all finders, as those of tracing libraries do.
    let text = r#"
import hmac, importlib.abc, importlib.util, sys
raw, secret = sys.argv[1].encode(), sys.argv[2].encode()
theirs = "def new(key, msg=b'', digestmod=None):\n    return 'theirs'\n"
SOURCES = {"Crypto": "", "Crypto.Hash": "", "Crypto.Hash.HMAC": theirs}

class Own(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self, is_package=name != "Crypto.Hash.HMAC") if name in SOURCES else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(SOURCES[module.__name__], module.__dict__)

class Tracing:
    asking = set()
    def find_spec(self, name, path, target=None):
        if name in self.asking:
            return None
        self.asking.add(name)
        try:
            return importlib.util.find_spec(name)
        finally:
            self.asking.discard(name)

class SHA256:
    __name__ = "Crypto.Hash.SHA256"

sys.meta_path.append(Own())
for place in (0, len(sys.meta_path)):
    tracing = Tracing()
    sys.meta_path.insert(place, tracing)
    for name in [name for name in sys.modules if name.startswith("Crypto")]:
        del sys.modules[name]
    from Crypto.Hash import HMAC
    assert HMAC.new(raw, b"abc", SHA256()).digest() == hmac.digest(secret, b"abc", "sha256")
    assert HMAC.new(b"another key", b"abc") == "theirs" and HMAC.new.__wrapped__(raw) == "theirs"
    sys.meta_path.remove(tracing)
print("same")
"#;
    let done = run_python(&place, text, &[&stand_in(&place, "raw"), RAW_SECRET]);
    assert_eq!(done.stdout, "same\n", "{done:?}");
}

#[test]
fn a_thread_that_asks_for_the_keys_leaves_the_others_theirs() {
    let Some(place) = place() else { return };
    // The other thread's look happens while the answer is being read.
    let text = r#"
import sys
from hsmsign import _keys
looked = []

class Keys(list):
    def __iter__(self):
        for key in list.__iter__(self):
            looked.append(_keys.by_label("raw")["key"])
            yield key

real, asked = _keys.ask, []

def ask(request):
    asked.append(request)
    answer = real(request)
    return {**answer, "keys": Keys(answer["keys"])} if len(asked) == 2 else answer

_keys.ask = ask
assert _keys.by_label("kraken")["key"] == "kraken"
try:
    _keys.by_label("nobody")
except _keys.KeyNotFound:
    pass
assert looked == ["raw", "raw"] and len(asked) == 2, (looked, asked)
print("theirs")
"#;
    let done = run_python(&place, text, &[]);
    assert_eq!(done.stdout, "theirs\n", "{done:?}");
}
