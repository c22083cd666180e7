"""ccxt exchanges that sign on the token: `hsmsign.ccxt.attach(exchange, "kraken")`."""

from __future__ import annotations

from typing import Any, TypeVar

from ._ccxt import hook, wrap
from ._placeholder import placeholder

Exchange = TypeVar("Exchange")


def attach(exchange: Exchange, key: str, api_key: "str | None" = None) -> Exchange:
    """Has an exchange of ccxt, ccxt.async_support or ccxt.pro sign with a key on the token.

    Its `secret` (and `privateKey`, where it wants one) becomes the key's placeholder. The API key is the one that the
    agent knows, unless the exchange has one already or `api_key` is given.
    """
    from ccxt.base.exchange import BaseExchange

    from ._keys import by_label

    hook(BaseExchange)
    made: Any = exchange
    # It may have been made before the hook was there: its classes are changed as at the making of one.
    wrap(type(made))
    info = by_label(key)
    needed = getattr(made, "requiredCredentials", {}) or {}
    if needed.get("privateKey"):
        made.privateKey = placeholder(key)
    if needed.get("secret", True):
        made.secret = placeholder(key)
    if api_key or not made.apiKey:
        made.apiKey = api_key or info.get("api_key")
    return exchange

