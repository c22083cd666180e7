"""Has ccxt compose and sign every private call of every exchange, with a clock that stands still, and writes down what it
would send: ccxt_calls.py sync|async|pro SECRETS.json OUT.jsonl

SECRETS.json holds {"exchange": {"apiKey", "secret", …}}: the secrets themselves, or what stands for them. A line a call:
[exchange, method, path, what was signed, digest of the request, error, "whole" or why not]. Nothing is sent.
"""

import asyncio
import base64
import contextlib
import hashlib
import inspect
import json
import os
import re
import sys
import time
import uuid

NOW = 1700000000.001


class Captured(Exception):
    """Ends a call where ccxt would send it."""


def stand_still():
    """Time and chance are the same in every run."""
    import datetime
    import random
    import secrets

    time.time = lambda: NOW
    time.time_ns = lambda: int(NOW * 1000) * 1_000_000
    uuid.uuid4 = uuid.uuid1 = lambda *_: uuid.UUID(int=0x1234567890ABCDEF1234567890ABCDEF)
    random.seed(7)
    random.randint = lambda low, high: low
    random.getrandbits = lambda bits: (1 << (bits - 1)) + 7
    random.random = lambda: 0.5
    secrets.token_hex = lambda size=16: "ab" * size
    secrets.token_bytes = lambda size=16: b"\xab" * size

    class Still(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(NOW, tz)

        @classmethod
        def utcnow(cls):
            return cls.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)

    datetime.datetime = Still


def entries(kind):
    """The calls of an exchange, each once."""
    found = {}
    for each in kind.__mro__:
        for value in vars(each).values():
            if type(value).__name__ == "Entry":
                found[json.dumps([value.path, value.api, value.method])] = value
    return [found[key] for key in sorted(found)]


def spread(all_entries, count):
    """So many of the calls, from all over; every call that looks like a private one comes first."""
    private = [entry for entry in all_entries if "rivate" in str(entry.api) or entry.path == "auth"] or all_entries
    step = max(1, len(private) // count)
    return all_entries if count >= len(all_entries) else private[::step][:count]


def params(name, entry):
    """Some parameters, with all that stand in the path."""
    given = {name: "1234" for name in re.findall(r"{([^}]+)}", entry.path)}
    if entry.method in ("POST", "PUT"):
        given.update(symbol="BTCUSDT", amount="1.5", note="a b/c")
    else:
        given.update(symbol="BTCUSDT", limit=5)
    # Where it wants several orders, ccxt signs a list alone.
    return [given, given] if (name, entry.method, entry.path) == ("backpack", "POST", "api/v1/orders") else given


MARKET = {
    "id": "BTC", "numericId": 2, "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT", "type": "swap", "spot": False,
    "swap": True, "contract": True, "linear": True, "active": True, "taker": 0.0005, "maker": 0.0002,
    "precision": {"amount": 0.001, "price": 0.1}, "limits": {},
    "info": {"underlyingDecimals": 10, "settlementDecimals": 6, "symbol": "BTC", "tick_size": "0.1", "lot_size": "0.001"},
}  # fmt: skip
# Of these, ccxt signs orders before it composes the request: methods of its own, each with what it is called with.
UNIFIED = {
    "hibachi": [
        ("create_order", "BTC/USDT:USDT", "limit", "buy", 0.5, 60000),
        ("create_order", "BTC/USDT:USDT", "market", "sell", 0.5),
        ("edit_order", "1234", "BTC/USDT:USDT", "limit", "buy", 0.5, 60001),
        ("cancel_order", "1234", "BTC/USDT:USDT"),
        ("cancel_all_orders",),
    ],
    "pacifica": [
        ("create_order", "BTC/USDT:USDT", "limit", "buy", 0.5, 60000),
        ("create_order", "BTC/USDT:USDT", "limit", "sell", 0.5, 60000, {"clientOrderId": "a b", "reduceOnly": True}),
        ("create_order", "BTC/USDT:USDT", "market", "sell", 0.5),
        ("create_order", "BTC/USDT:USDT", "limit", "sell", 0.5, 60000, {"stopPrice": 55000}),
        ("edit_order", "1234", "BTC/USDT:USDT", "limit", "buy", 0.5, 60001),
        ("cancel_order", "1234", "BTC/USDT:USDT"),
        ("cancel_all_orders", "BTC/USDT:USDT"),
        ("set_leverage", 5, "BTC/USDT:USDT"),
        ("set_margin_mode", "cross", "BTC/USDT:USDT"),
        ("withdraw", "USDC", 10, "someone"),
        ("transfer", "USDC", 10, "one", "other"),
    ],
}


class Watch:
    """Sees what is signed, so that calls without a signature are not counted, and by which way."""

    def __init__(self, base):
        self.seen, self.secret = [], None
        for name in ("hmac", "rsa", "eddsa", "ecdsa"):
            setattr(base, name, staticmethod(self.watched(name, getattr(base, name))))

    @staticmethod
    def hash(rest):
        return (rest[0] if rest else hashlib.sha256)().name

    def form(self, key):
        """What the library made of the text of its secret."""
        text = (self.secret or "").encode()
        if key == text:
            return "text"
        if key == text.upper():
            return "upper"
        if key == base64.b64encode(text):
            return "base64-of-text"
        if key == hashlib.md5(text).hexdigest().encode():
            return "md5"
        try:
            return "base64" if key == base64.b64decode(text) else "another"
        except ValueError:
            return "another"

    def watched(self, name, original):
        def call(request, secret, *rest, **more):
            self.seen.append(name if name != "hmac" else f"{self.form(secret)}/{self.hash(rest)}")
            if isinstance(request, bytes) and request.startswith(b"instruction=&"):
                # ccxt does not know the call's name, and Backpack would refuse what it signs.
                self.seen.clear()
            return original(request, secret, *rest, **more)

        return call


class Way:
    """By which way a request was signed, as the package counts it."""

    def __init__(self):
        self.why, self.before = None, 0
        try:
            from hsmsign import _ccxt, _ccxt_own, _compose, counts
        except ImportError:
            self.whole = lambda: 0
            return
        self.whole = lambda: sum(row["whole"] for row in counts().values())
        for owner, name in ((_compose.Composed, "sign"), (_ccxt_own, "_signature"), (_ccxt, "login")):
            setattr(owner, name, self.watched(getattr(owner, name)))

    def watched(self, original):
        def call(*args, **more):
            try:
                return original(*args, **more)
            except Exception as error:
                self.why = str(error)
                raise

        return call

    def begin(self):
        self.why, self.before = None, self.whole()

    def told(self):
        """ "whole", or why it was not."""
        return "whole" if self.whole() > self.before else self.why


SEED = hashlib.sha256(b"hsmsign: a seed that is nobody's").digest()


def without_signature(text):
    """A token (JWT) with a time and a nonce of its own, which on P-256 is never signed twice the same: checked, and told by
    the claims that the exchange looks at."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    def decoded(part):
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    def verify(algorithm, raw, message):
        if algorithm == "EdDSA":
            return ed25519.Ed25519PrivateKey.from_private_bytes(SEED).public_key().verify(raw, message)
        pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public = ec.derive_private_key(int.from_bytes(SEED, "big") >> 1, ec.SECP256R1()).public_key()
        return public.verify(pair, message, ec.ECDSA(hashes.SHA256()))

    def checked(found):
        signed, signature = found.group().rsplit(".", 1)
        head, claims = (json.loads(decoded(part)) for part in signed.split("."))
        try:
            verify(head["alg"], decoded(signature), signed.encode())
        except InvalidSignature:
            return found.group()
        lasts, uri = claims["exp"] - claims["nbf"], claims.get("uri") or claims.get("uris", [None])[0]
        return f"{head['alg']} {head['kid']} {claims['sub']} {uri} {lasts} verified"

    return re.sub(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", checked, text)


def capture(url, method="GET", headers=None, body=None):
    text = body.decode() if isinstance(body, bytes) else body
    kept = {name: str(value) for name, value in (headers or {}).items()}
    raise Captured(json.dumps([url, method, sorted(kept.items()), text]))


def prepared(module, name, keys):
    made = getattr(module, name)({"enableRateLimit": False, **keys})
    made.enableRateLimit = False
    made.userAgent = None
    if hasattr(made, "tokenBucket"):
        made.throttle = lambda *_: None
    made.options.update(accountId="1", accountGroup="1", accountCategory="cash")
    return made


class Session:
    """In place of aiohttp's: what ccxt sends in asyncio."""

    headers = {}

    def send(method):
        return lambda _self, url, data=None, headers=None, **_more: capture(str(url), method, headers, data)

    get, post, put, patch, delete = map(send, ("GET", "POST", "PUT", "PATCH", "DELETE"))

    async def close(self):
        pass


def calls(made, entries_of):
    """What is called: method, path, and the call."""
    for entry in entries_of:
        given = params(made.id, entry)
        yield entry.method, f"{entry.api}/{entry.path}", lambda e=entry, g=given: made.request(e.path, e.api, e.method, g, config={})
    if made.id in UNIFIED:
        made.set_markets([MARKET], {"USDC": {"id": "USDC", "code": "USDC"}, "USDT": {"id": "USDT", "code": "USDT"}})
    for name, *arguments in UNIFIED.get(made.id, ()):
        yield "call", f"{name} {len(arguments)}", lambda n=name, a=arguments: getattr(made, n)(*a)


async def one(call):
    """What the call would send, or why it would not."""
    try:
        done = call()
        if inspect.isawaitable(done):
            await done
    except Captured as captured:
        return str(captured), None
    except Exception as error:
        return None, f"{type(error).__mro__[0].__name__}: {error}"
    return None, "nothing was sent"


async def run(mode, secrets, out):
    if mode == "sync":
        import ccxt as module
    elif mode == "async":
        import ccxt.async_support as module
    else:
        import ccxt.pro as module
    from ccxt.base.exchange import BaseExchange

    watch, way = Watch(BaseExchange), Way()
    for name in sorted(secrets):
        if not hasattr(module, name):
            continue
        made = prepared(module, name, secrets[name])
        watch.secret = made.secret or made.privateKey
        if mode == "sync":
            made.fetch = capture
        else:

            async def throttle(*_):
                return None

            made.throttle, made.session = throttle, Session()
        if mode == "pro":
            import ccxt_logins

            todo = (("WS", key, lambda k=key, f=value: ccxt_logins.one(made, k, f)) for key, value in ccxt_logins.logins(type(made)))
        else:
            left = int(os.environ.get("CALLS") or 0) or len(entries(type(made)))
            todo = calls(made, spread(entries(type(made)), left))
        for method, path, call in todo:
            made.lastRestRequestTimestamp = 0
            if hasattr(made, "options"):
                made.options.pop("lastNonceTimestamp", None)
            watch.seen.clear()
            way.begin()
            sent, error = await (call() if mode == "pro" else one(call))
            signed = sorted(set(watch.seen))
            if sent and name.startswith("coinbase"):
                sent = without_signature(sent)
            if sent and len(sys.argv) > 4 and name in sys.argv[4]:
                print(name, sent, way.told(), file=sys.stderr)
            digest = hashlib.sha256(sent.encode()).hexdigest()[:20] if sent else None
            print(json.dumps([name, method, path, signed, digest, error, way.told()]), file=out)
        if mode != "sync":
            with contextlib.suppress(Exception):
                await made.close()


def main():
    mode, secrets, out = sys.argv[1:4]
    stand_still()
    with open(secrets) as keys, open(out, "w") as lines:
        asyncio.run(run(mode, json.load(keys), lines))


if __name__ == "__main__":
    main()
