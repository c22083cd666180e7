"""Has the connectors of hummingbot sign a request by their own classes, with each of two secrets in turn:
connectors.py SECRET ENCODED-SECRET SHA256 SHA384 SHA512 ENCODED

The last four are placeholders: of the secret's keys by hash, and of the one whose secret is base64.

Prints a line a connector: whether both make the same request, or why it could not be tried. Nothing is sent.
"""

import asyncio
import hashlib
import importlib
import inspect
import itertools
import json
import pathlib
import random
import sys
import time
import uuid

import hummingbot
from hummingbot.connector.time_synchronizer import TimeSynchronizer
from hummingbot.core.web_assistant.connections.data_types import RESTMethod, RESTRequest

# What a constructor's arguments are, by their names.
KNOWN = {"api_key": "example", "passphrase": "pass", "memo": "memo", "uid": "1", "user_id": "1", "account_name": "me", "user_name": "me"}
# Connectors that do not sign by HMAC-SHA256.
OTHERS = {"kraken": "encoded", "btc_markets": "encoded", "gemini": "sha384", "gate_io": "sha512", "gate_io_perpetual": "sha512"}
# Connectors that speak to the exchange before they sign.
LOGINS = {"ndax": "it logs in over the network first"}
# Connectors that give a form where the others give JSON.
FORMS = {"bitstamp"}


def stand_still():
    """Time and chance are the same in every run."""
    now = 1700000000.001
    time.time = time.perf_counter = lambda: now
    time.time_ns = lambda: int(now * 1000) * 1_000_000
    uuid.uuid1 = uuid.uuid4 = lambda *_: uuid.UUID(int=0x1234567890ABCDEF1234567890ABCDEF)


def made(kind, secret):
    """The connector's object that signs."""
    given = {}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name in ("self", "domain", "args", "kwargs") or (parameter.default is not parameter.empty and name not in KNOWN):
            continue
        if "secret" in name:
            given[name] = secret
        elif "time" in name:
            given[name] = TimeSynchronizer()
        else:
            given[name] = KNOWN[name]
    return kind(**given)


def seen(name, kind, secret):
    """What the connector makes of a request, as text."""
    random.seed(7)
    signer = made(kind, secret)
    kind._last_tracking_nonce = 0
    parts = []
    for method in (RESTMethod.GET, RESTMethod.POST):
        request = RESTRequest(method=method, url="https://api.example.com/api/v1/order", headers={},
                              is_auth_required=True, throttler_limit_id="/api/v1/order")  # fmt: skip
        if method == RESTMethod.GET:
            request.params = {"symbol": "BTCUSDT", "limit": "5"}
        else:
            fields = {"symbol": "BTCUSDT", "side": "buy"}
            request.data = fields if name in FORMS else json.dumps(fields)
        done = asyncio.run(signer.rest_authenticate(request))
        parts.append(repr((done.method, done.url, done.params, done.data, sorted((done.headers or {}).items()))))
    return " ".join(parts)


def told(name, module, pairs):
    """Whether both secrets make the same request, in words."""
    own = importlib.import_module(module)
    kind = next(value for value in vars(own).values() if inspect.isclass(value) and value.__module__ == module and value.__name__.endswith("Auth"))
    secret, stand_in, nobody = pairs[OTHERS.get(name, "sha256")]
    one, other = seen(name, kind, secret), seen(name, kind, stand_in)
    if one != other:
        return "another request"
    return "same" if seen(name, kind, nobody) != one else "nothing is signed"


def main():
    secret, encoded, *stand_ins = sys.argv[1:]
    nobody = hashlib.sha256(b"nobody").hexdigest()
    pairs = {name: (encoded if name == "encoded" else secret, stand_in, nobody) for name, stand_in in zip(("sha256", "sha384", "sha512", "encoded"), stand_ins)}
    stand_still()
    folder = pathlib.Path(hummingbot.__file__).parent
    files = itertools.chain(*(sorted(folder.glob(f"connector/{kind}/*/*_auth.py")) for kind in ("exchange", "derivative")))
    for path in files:
        if "hmac" not in path.read_text():
            continue
        module = ".".join(["hummingbot", *path.relative_to(folder).with_suffix("").parts])
        name = path.parent.name
        try:
            result = f"not tried: {LOGINS[name]}" if name in LOGINS else told(name, module, pairs)
        except ModuleNotFoundError as error:
            result = f"not tried: {error.name} is not there"
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        print(f"{name}: {result}", flush=True)


if __name__ == "__main__":
    main()
