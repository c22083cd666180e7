"""Has a client library sign one request, with a clock that stands still, and prints what it would send:
libraries.py LIBRARY API_KEY SECRET. Nothing is sent."""

import asyncio
import json
import pathlib
import sys

from ccxt_calls import Captured, stand_still, without_signature

APART = pathlib.Path(sys.prefix) / "apart"


def text(data):
    return data.decode() if isinstance(data, bytes) else data


def caught(method, url, headers, body):
    kept = {name.lower(): str(value) for name, value in dict(headers or {}).items()}
    for idle in ("user-agent", "accept-encoding", "connection", "accept", "kc-api-client", "x-client"):
        kept.pop(idle, None)
    raise Captured(json.dumps([str(method), str(url), sorted(kept.items()), text(body)]))


def catch():
    """Ends each way in which a library could send."""
    import aiohttp
    import httpx
    import requests

    def send(self, request, **_):
        caught(request.method, request.url, request.headers, request.body)

    async def aiohttp_request(self, method, url, **more):
        caught(method, f"{url}?{more.get('params')}", more.get("headers") or self.headers, str(more.get("data")))

    def httpx_send(self, request, **_):
        caught(request.method, request.url, request.headers, request.content)

    requests.Session.send = send
    aiohttp.ClientSession._request = aiohttp_request
    httpx.Client.send = httpx_send


def python_binance(key, secret):
    from binance.client import Client

    Client(key, secret, ping=False).create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")


def python_binance_async(key, secret):
    from binance import AsyncClient

    async def run():
        client = AsyncClient(key, secret)
        try:
            await client.get_account()
        finally:
            await client.close_connection()

    asyncio.run(run())


def python_binance_private_key(key, secret):
    from binance.client import Client

    Client(key, private_key=secret, ping=False).create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")


def python_binance_private_key_async(key, secret):
    from binance import AsyncClient

    async def run():
        client = AsyncClient(key, private_key=secret)
        try:
            await client.get_account()
        finally:
            await client.close_connection()

    asyncio.run(run())


def binance_connector(key, secret):
    sys.path.insert(0, str(APART / "binance-connector"))
    from binance.spot import Spot

    Spot(key, secret).new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=1)


def binance_sdk_spot(key, secret):
    from binance_common.configuration import ConfigurationRestAPI
    from binance_sdk_spot.spot import Spot

    Spot(config_rest_api=ConfigurationRestAPI(api_key=key, api_secret=secret, retries=0)).rest_api.get_account()


def krakenex(key, secret):
    import krakenex

    krakenex.API(key, secret).query_private("AddOrder", {"pair": "XBTUSD", "type": "buy", "volume": "1"})


def pybit(key, secret):
    from pybit.unified_trading import HTTP

    HTTP(api_key=key, api_secret=secret).place_order(category="spot", symbol="BTCUSDT", side="Buy", orderType="Market", qty="1")


def pybit_private_key(key, secret):
    from pybit.unified_trading import HTTP

    client = HTTP(api_key=key, api_secret=secret, rsa_authentication=True)
    client.place_order(category="spot", symbol="BTCUSDT", side="Buy", orderType="Market", qty="1")


def coinbase_advanced_py(key, secret):
    from coinbase.rest import RESTClient

    # Its token has a nonce of its own, and on P-256 no signature comes twice.
    try:
        RESTClient(api_key=key, api_secret=secret).create_order("id", "BTC-USDT", "BUY", {"market_market_ioc": {"quote_size": "1"}})
    except Captured as captured:
        raise Captured(without_signature(str(captured))) from None


def coinbase_advanced_py_socket(key, secret):
    from coinbase import jwt_generator

    print(json.dumps([without_signature(jwt_generator.build_ws_jwt(key, secret))]))


def ccxt_binance(key, secret):
    import ccxt

    exchange = ccxt.binance({"apiKey": key, "secret": secret, "enableRateLimit": False})
    exchange.privatePostOrder({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"})


def ccxt_bybit(key, secret):
    import ccxt

    exchange = ccxt.bybit({"apiKey": key, "secret": secret, "enableRateLimit": False})
    exchange.privatePostV5OrderCreate({"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "1"})


def ccxt_coinbase(key, secret):
    import ccxt

    try:
        ccxt.coinbase({"apiKey": key, "secret": secret, "enableRateLimit": False}).v3PrivateGetBrokerageAccounts()
    except Captured as captured:
        raise Captured(without_signature(str(captured))) from None


def python_okx(key, secret):
    from okx.Account import AccountAPI

    AccountAPI(key, secret, "pass", False, "0").get_account_balance()


def kucoin_python(key, secret):
    from kucoin.client import User

    User(key, secret, "pass").get_account_list()


def python_kucoin(key, secret):
    sys.path.insert(0, str(APART / "python-kucoin"))
    from kucoin.client import Client

    Client(key, secret, "pass").get_accounts()


def kucoin_universal_sdk(key, secret):
    from kucoin_universal_sdk.api import DefaultClient
    from kucoin_universal_sdk.model import ClientOptionBuilder, TransportOptionBuilder

    options = (
        ClientOptionBuilder()
        .set_key(key)
        .set_secret(secret)
        .set_passphrase("pass")
        .set_spot_endpoint("https://api.kucoin.com")
        .set_transport_option(TransportOptionBuilder().set_max_retries(0).build())
        .build()
    )
    account = DefaultClient(options).rest_service().get_account_service().get_account_api()
    account.get_account_info()


def bitfinex_api_py(key, secret):
    from bfxapi import Client

    Client(api_key=key, api_secret=secret).rest.auth.get_wallets()


def main():
    name, key, secret = sys.argv[1:]
    stand_still()
    catch()
    try:
        globals()[name](key, secret)
    except Captured as captured:
        print(captured)
    except Exception as error:
        inner = error
        while inner is not None and not isinstance(inner, Captured):
            inner = inner.__cause__ or inner.__context__
        if inner is None:
            raise
        print(inner)


if __name__ == "__main__":
    main()
