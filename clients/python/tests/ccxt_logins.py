"""Has ccxt.pro compose what it signs for WebSockets, for ccxt_calls.py: the logins, and what carries a signature with each
message. Nothing is sent: what a client would send, or connect with, is written down."""

import asyncio
import inspect
import json

from ccxt_calls import NOW, Captured

# What a method that signs calls.
SIGNS = {"hmac", "eddsa", "rsa", "jwt", "ecdsa", "create_auth_token"}
# What these methods are called with, by the names of their parameters.
GIVEN = {
    "url": "wss://example.invalid/ws", "params": {}, "topics": ["account.orderUpdate"], "messageHashes": ["orders"],
    "messageHash": "orders", "channel": "spot.orders", "reqParams": {"text": "t-1"}, "payload": ["BTC_USDT"],
    "name": "user", "productIds": ["BTC-USDT"], "message": {"event": "challenge", "message": "226aee50-88fc-4618-a42a-34f7709570b2"},
}  # fmt: skip
OWN = {"htx": {"params": {"url": "wss://example.invalid/ws/v2", "hostname": "example.invalid", "type": "spot"}},
       "gemini": {"params": {"url": "wss://api.gemini.com/v1/order/events"}}}  # fmt: skip


class Futures(dict):
    """There is one of every name."""

    def __contains__(self, _):
        return True

    def __getitem__(self, name):
        return self.get(name)

    def get(self, name, *_):
        return Client(name)


class Client:
    """A WebSocket that connects to nothing."""

    def __init__(self, url):
        self.url, self.subscriptions, self.futures = url, {}, Futures()

    def __repr__(self):
        return f"Client({self.url})"

    def future(self, _):
        return asyncio.get_running_loop().create_future()

    reusableFuture = reusable_future = future

    def resolve(self, *_):
        pass

    reject = resolve

    async def send(self, message):
        caught("send", message)


def caught(*parts):
    raise Captured(json.dumps(parts, sort_keys=True, default=str))


def logins(kind):
    """The methods of an exchange's class that sign something for WebSockets."""
    found = {}
    for each in kind.__mro__:
        if each.__module__.startswith("ccxt.pro."):
            for name, value in vars(each).items():
                inner = inspect.unwrap(value) if callable(value) else None
                if inspect.isfunction(inner) and SIGNS & set(inner.__code__.co_names):
                    found.setdefault(name, inner)
    # ccxt has each under two names.
    return sorted({inner: (name, inner) for name, inner in sorted(found.items())}.values())


async def one(made, name, function):
    """What a login would send."""
    clients = {}

    def connected(url):
        # Some keep what they signed for the time of connecting alone.
        headers = json.dumps(made.options.get("ws"), default=str, sort_keys=True)
        return clients.setdefault(f"{url} {headers}", Client(url))

    made.client = connected
    made.watch = made.watch_multiple = lambda *parts, **more: caught("watch", parts[0], parts[2] if len(parts) > 2 else None, more)
    made.nonce = made.milliseconds = lambda: int(NOW * 1000)
    made.authenticateToken = None
    made.uid, made.login = made.uid or "12345", made.login or "me"
    given = dict(GIVEN, **OWN.get(made.id, {}), client=Client("wss://example.invalid/ws"))
    names = list(inspect.signature(function).parameters.values())[1:]
    needed = [each.name for each in names if each.default is inspect.Parameter.empty or each.name in OWN.get(made.id, ())]
    if set(needed) - set(given):
        return None, "it is called with what a login made"
    arguments = [given[each] for each in needed]
    before = json.dumps(made.options, default=str, sort_keys=True)
    try:
        answer = getattr(made, name)(*arguments)
        if inspect.isawaitable(answer):
            answer = await asyncio.wait_for(answer, 5)
    except Captured as captured:
        return str(captured), None
    except Exception as error:
        return None, f"{type(error).__mro__[0].__name__}: {error}"
    # Some answer what they signed, some keep it for the connection.
    kept = {url: client.subscriptions for url, client in [*clients.items(), ("given", given["client"])]}
    after = json.dumps(made.options, default=str, sort_keys=True)
    state = [getattr(made, each, None) for each in ("token", "options")] if after != before else []
    return json.dumps([answer, kept, state], sort_keys=True, default=str), None
