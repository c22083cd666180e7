"""Sends requests with the `auth=` objects to a server of this script's own, and prints what arrived:
auth.py PORT requests|httpx|httpx-async|aiohttp KEY. The key's base-url is http://127.0.0.1:PORT. Ends with a withdrawal, which
is to be an error of the library's own class and of hsmsign's."""

import asyncio
import http.server
import json
import sys
import threading

ARRIVED = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        ARRIVED.append({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body.decode()})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_DELETE = do_POST

    def log_message(self, *_):
        pass


CALLS = {
    "kraken": [
        ("POST", "/0/private/AddOrder", {"pair": "XBTUSD", "note": "a b"}),
        ("POST", "/0/private/Balance", None),
    ],
    "binance": [
        ("POST", "/api/v3/order", {"symbol": "BTCUSDT", "note": "a b/c"}),
        ("GET", "/api/v3/account?omitZeroBalances=true", None),
        ("DELETE", "/api/v3/order?symbol=BTCUSDT&orderId=1", None),
    ],
}
WITHDRAWALS = {
    "kraken": ("POST", "/0/private/Withdraw", {"asset": "XBT"}),
    "binance": ("POST", "/sapi/v1/capital/withdraw/apply", {"coin": "BTC"}),
}


class refused:
    """Where an error of this class, and of hsmsign's, is to come."""

    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        pass

    def __exit__(self, kind, error, _):
        from hsmsign import PolicyDenied

        assert isinstance(error, self.kind) and isinstance(error, PolicyDenied) and error.fix in str(error), repr(error)
        return True


def with_requests(base, key):
    import requests
    from hsmsign.requests import Auth

    for method, path, form in CALLS[key]:
        requests.request(method, base + path, data=form, auth=Auth(key), timeout=10).raise_for_status()
    method, path, form = WITHDRAWALS[key]
    with refused(requests.RequestException):
        requests.request(method, base + path, data=form, auth=Auth(key), timeout=10)


def with_httpx(base, key):
    import httpx
    from hsmsign.httpx import Auth

    with httpx.Client(auth=Auth(key)) as client:
        for method, path, form in CALLS[key]:
            client.request(method, base + path, data=form).raise_for_status()
        method, path, form = WITHDRAWALS[key]
        with refused(httpx.RequestError):
            client.request(method, base + path, data=form)


async def with_httpx_async(base, key):
    import httpx
    from hsmsign.httpx import Auth

    async with httpx.AsyncClient(auth=Auth(key)) as client:
        for method, path, form in CALLS[key]:
            (await client.request(method, base + path, data=form)).raise_for_status()
        method, path, form = WITHDRAWALS[key]
        with refused(httpx.RequestError):
            await client.request(method, base + path, data=form)


async def with_aiohttp(base, key):
    import aiohttp
    from hsmsign.aiohttp import Auth

    async with aiohttp.ClientSession(middlewares=(Auth(key),)) as session:
        for method, path, form in CALLS[key]:
            async with session.request(method, base + path, data=form) as answer:
                answer.raise_for_status()
        method, path, form = WITHDRAWALS[key]
        with refused(aiohttp.ClientError):
            await session.request(method, base + path, data=form)


def main():
    port, name, key = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{port}"
    done = {"requests": with_requests, "httpx": with_httpx, "httpx-async": with_httpx_async, "aiohttp": with_aiohttp}[name](base, key)
    if done is not None:
        asyncio.run(done)
    print(json.dumps(ARRIVED))


main()
