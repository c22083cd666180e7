"""A Kraken with one market on the loopback interface. It knows its one client's secret and checks each signature:
kraken.py < SECRET

Prints its port, and then a line for each private request: its path, its fields, and "signed", or why it was refused.
"""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time
import urllib.parse

API_KEY = "example"
PRICE = "50000.0"
MARKET = {
    "altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT", "aclass_quote": "currency",
    "quote": "ZUSD", "cost_decimals": 5, "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [],
    "leverage_sell": [], "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]], "fee_volume_currency": "ZUSD",
    "ordermin": "0.0001", "costmin": "0.5", "tick_size": "0.1", "status": "online",
}  # fmt: skip
ASSETS = {
    "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5, "status": "enabled"},
    "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "display_decimals": 2, "status": "enabled"},
}
HELD = {"ZUSD": "10000.0", "XXBT": "0.0"}


def candles(minutes):
    """Candles up to this moment, of a price that stands still."""
    step = 60 * minutes
    first = int(time.time()) // step * step - 700 * step
    return [[first + number * step, PRICE, PRICE, PRICE, PRICE, PRICE, "1.0", 1] for number in range(701)]


def public(name, fields):
    """The answer to what anybody may ask; none for what is not known here."""
    now = int(time.time())
    if name == "OHLC":
        made = candles(int(fields.get("interval", "1")))
        return {"XXBTZUSD": made, "last": made[-2][0]}
    return {
        "Assets": ASSETS,
        "AssetPairs": {"XXBTZUSD": MARKET},
        "Depth": {"XXBTZUSD": {"asks": [["50000.1", "9", now]], "bids": [[PRICE, "9", now]]}},
        "SystemStatus": {"status": "online"},
        "Time": {"unixtime": now},
    }.get(name)


class Account:
    """What the client holds and has ordered."""

    def __init__(self, secret):
        self.secret, self.nonce, self.orders = base64.b64decode(secret), 0, {}
        self.lock = threading.Lock()

    def refusal(self, path, body, headers):
        """Why a request is not the client's, in Kraken's words; none where it is."""
        nonce = dict(urllib.parse.parse_qsl(body)).get("nonce", "")
        message = path.encode() + hashlib.sha256((nonce + body).encode()).digest()
        wanted = base64.b64encode(hmac.new(self.secret, message, "sha512").digest()).decode()
        if headers.get("API-Key") != API_KEY:
            return "EAPI:Invalid key"
        if not hmac.compare_digest(headers.get("API-Sign", ""), wanted):
            return "EAPI:Invalid signature"
        if int(nonce) <= self.nonce:
            return "EAPI:Invalid nonce"
        self.nonce = int(nonce)
        return None

    def answer(self, name, fields):
        """The answer to what only the client may ask; none for what is not known here."""
        if name == "AddOrder":
            return self.order(fields)
        return {
            "Balance": HELD,
            "BalanceEx": {asset: {"balance": held, "hold_trade": "0"} for asset, held in HELD.items()},
            "ClosedOrders": {"closed": {}, "count": 0},
            "OpenOrders": {"open": self.orders},
            "QueryOrders": {order: self.orders[order] for order in fields.get("txid", "").split(",") if order in self.orders},
            "TradesHistory": {"trades": {}, "count": 0},
        }.get(name)

    def order(self, fields):
        """Takes an order, which stays open."""
        name = f"OAAAAA-AAAAA-A{len(self.orders):05}"
        told = f"{fields['type']} {fields['volume']} XBTUSD @ {fields['ordertype']} {fields.get('price', '')}".strip()
        self.orders[name] = {
            "status": "open", "opentm": time.time(), "starttm": 0, "expiretm": 0, "vol": fields["volume"], "vol_exec": "0",
            "cost": "0", "fee": "0", "price": "0", "stopprice": "0", "limitprice": "0", "misc": "", "oflags": "fciq",
            "descr": {"pair": "XBTUSD", "type": fields["type"], "ordertype": fields["ordertype"],
                      "price": fields.get("price", "0"), "price2": "0", "leverage": "none", "order": told, "close": ""},
        }  # fmt: skip
        return {"txid": [name], "descr": {"order": told}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        target = urllib.parse.urlsplit(self.path)
        self.give(public(target.path.rpartition("/")[2], dict(urllib.parse.parse_qsl(target.query))))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        account, fields = self.server.account, dict(urllib.parse.parse_qsl(body))
        with account.lock:
            why = account.refusal(self.path, body, self.headers)
            print(json.dumps({"path": self.path, "fields": fields, "told": why or "signed"}), flush=True)
            self.give(None if why else account.answer(self.path.rpartition("/")[2], fields), why)

    def give(self, made, why=None):
        answer = {"error": [], "result": made} if made is not None else {"error": [why or "EGeneral:Unknown method"]}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.account = Account(sys.stdin.readline())
print(server.server_port, flush=True)
# It ends with its standard input.
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
server.serve_forever()
