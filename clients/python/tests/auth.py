"""Sends requests with the `auth=` objects to a server of this script's own, and prints what arrived:
auth.py PORT requests|httpx|httpx-async|aiohttp KEY. The key's base-url is http://127.0.0.1:PORT."""

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

    do_GET = do_POST

    def log_message(self, *_):
        pass


def calls(base):
    return [
        ("POST", f"{base}/0/private/AddOrder", {"pair": "XBTUSD", "note": "a b"}),
        ("POST", f"{base}/0/private/Balance", None),
    ]


def with_requests(base, key):
    import requests
    from hsmsign.requests import Auth

    for method, url, form in calls(base):
        requests.request(method, url, data=form, auth=Auth(key), timeout=10).raise_for_status()


def with_httpx(base, key):
    import httpx
    from hsmsign.httpx import Auth

    with httpx.Client(auth=Auth(key)) as client:
        for method, url, form in calls(base):
            client.request(method, url, data=form).raise_for_status()


async def with_httpx_async(base, key):
    import httpx
    from hsmsign.httpx import Auth

    async with httpx.AsyncClient(auth=Auth(key)) as client:
        for method, url, form in calls(base):
            (await client.request(method, url, data=form)).raise_for_status()


async def with_aiohttp(base, key):
    import aiohttp
    from hsmsign.aiohttp import Auth

    async with aiohttp.ClientSession(middlewares=(Auth(key),)) as session:
        for method, url, form in calls(base):
            async with session.request(method, url, data=form) as answer:
                answer.raise_for_status()


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
