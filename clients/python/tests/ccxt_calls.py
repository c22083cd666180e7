"""Has ccxt compose and sign every private call of every exchange, with a clock that stands still, and writes down what it
would send: ccxt_calls.py sync|async SECRETS.json OUT.jsonl

SECRETS.json holds {"exchange": {"apiKey", "secret", …}}: the secrets themselves, or what stands for them. A line a call:
[exchange, method, path, what was signed, digest of the request, error, "whole" or why not]. Nothing is sent.
"""

import asyncio
import base64
import hashlib
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
    private = [entry for entry in all_entries if "rivate" in str(entry.api)] or all_entries
    step = max(1, len(private) // count)
    return all_entries if count >= len(all_entries) else private[::step][:count]


def params(entry):
    """Some parameters, with all that stand in the path."""
    given = {name: "1234" for name in re.findall(r"{([^}]+)}", entry.path)}
    if entry.method in ("POST", "PUT"):
        given.update(symbol="BTCUSDT", amount="1.5", note="a b/c")
    else:
        given.update(symbol="BTCUSDT", limit=5)
    return given


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
            return original(request, secret, *rest, **more)

        return call


def way():
    """By which way the last request was signed: "whole", or why it was not."""
    last = [None]
    try:
        from hsmsign import _compose
    except ImportError:
        return last
    original = _compose.Composed.sign

    def sign(self, request):
        try:
            done = original(self, request)
        except Exception as error:
            last[0] = str(error)
            raise
        last[0] = "whole"
        return done

    token = _compose.Composed.token

    def own(self, request):
        done = token(self, request)
        last[0] = "whole"
        return done

    _compose.Composed.sign, _compose.Composed.token = sign, own
    return last


def without_signature(text):
    """A token (JWT) that is signed on P-256, where no two signatures are the same: checked, and told by the claims that the
    exchange looks at."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    def decoded(part):
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    def checked(found):
        head, claims, signature = found.groups()
        raw = decoded(signature)
        pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        number = int.from_bytes(hashlib.sha256(b"hsmsign: a seed that is nobody's").digest(), "big") >> 1
        public = ec.derive_private_key(number, ec.SECP256R1()).public_key()
        try:
            public.verify(pair, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return found.group()
        head, claims = json.loads(decoded(head)), json.loads(decoded(claims))
        lasts = claims["exp"] - claims["nbf"]
        return f"{head['alg']} {head['kid']} {claims['sub']} {claims['uri']} {lasts} verified".replace('"', "")

    return re.sub(r"(eyJ[\w-]+)\.(eyJ[\w-]+)\.([\w-]+)", checked, text)


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


async def one(made, entry, is_async):
    """What the call would send, or why it would not."""
    try:
        done = made.request(entry.path, entry.api, entry.method, params(entry), config={})
        if is_async:
            await done
    except Captured as captured:
        return str(captured), None
    except Exception as error:
        return None, f"{type(error).__mro__[0].__name__}: {error}"
    return None, "nothing was sent"


async def run(mode, secrets, out):
    if mode == "async":
        import ccxt.async_support as module
    else:
        import ccxt as module
    from ccxt.base.exchange import BaseExchange

    watch, last = Watch(BaseExchange), way()
    for name in sorted(secrets):
        if not hasattr(module, name):
            continue
        made = prepared(module, name, secrets[name])
        watch.secret = made.secret

        if mode == "async":

            async def throttle(*_):
                return None

            async def fetch(*args, **kwargs):
                capture(*args, **kwargs)

            made.throttle, made.fetch = throttle, fetch
        else:
            made.fetch = capture
        left = int(os.environ.get("CALLS") or 0) or len(entries(type(made)))
        for entry in spread(entries(type(made)), left):
            made.lastRestRequestTimestamp = 0
            if hasattr(made, "options"):
                made.options.pop("lastNonceTimestamp", None)
            watch.seen.clear()
            last[0] = None
            sent, error = await one(made, entry, mode == "async")
            signed = sorted(set(watch.seen))
            if sent and name == "coinbase":
                sent = without_signature(sent)
            if sent and len(sys.argv) > 4 and name in sys.argv[4]:
                print(name, sent, last[0], file=sys.stderr)
            digest = hashlib.sha256(sent.encode()).hexdigest()[:20] if sent else None
            print(
                json.dumps([name, entry.method, f"{entry.api}/{entry.path}", signed, digest, error, last[0]]),
                file=out,
            )
        if mode == "async":
            await made.close()


def main():
    mode, secrets, out = sys.argv[1:4]
    stand_still()
    with open(secrets) as keys, open(out, "w") as lines:
        asyncio.run(run(mode, json.load(keys), lines))


if __name__ == "__main__":
    main()
