"""What single exchanges of ccxt do in ways of their own, outside of the method that signs requests."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any

from ._ccxt_errors import raised
from ._ccxt_request import holds_placeholder, key_of, label
from ._compose import Composed
from ._counts import count
from ._errors import HsmsignError, KeyNotFound, UnsupportedAlgorithm
from ._hook import STATE
from ._request import Signed, line
from ._wire import ask

_MARKED = "_hsmsign_wrapped"
# Pacifica's operations, and where they are sent.
_OPERATIONS = {
    "add_isolated_margin": "positions/add_isolated_margin",
    "cancel_all_orders": "orders/cancel_all",
    "cancel_order": "orders/cancel",
    "cancel_stop_order": "orders/stop/cancel",
    "cancel_twap_order": "orders/twap/cancel",
    "create_market_order": "orders/create_market",
    "create_order": "orders/create",
    "create_stop_order": "orders/stop/create",
    "create_twap_order": "orders/twap/create",
    "edit_order": "orders/edit",
    "list_subaccounts": "account/subaccount/list",
    "set_position_tpsl": "positions/tpsl",
    "transfer_funds": "account/subaccount/transfer",
    "update_leverage": "account/leverage",
    "update_margin_mode": "account/margin",
    "withdraw": "account/withdraw",
}


def wrap(kind: Any) -> None:
    """Changes what an exchange's class has of its own."""
    for each in kind.__mro__:
        for (name, method), change in _CHANGES.items():
            original = each.__dict__.get(method)
            if each.__name__ == name and original is not None and not hasattr(original, _MARKED):
                changed = change(original)
                setattr(changed, _MARKED, True)
                setattr(each, method, changed)


def _hibachi(original: Any) -> Any:
    @functools.wraps(original)
    def sign_message(self: Any, message: Any, private_key: Any) -> Any:
        if label(private_key) is None:
            return original(self, message, private_key)
        # Its class tells MACs from signatures of a wallet by the length of the key; only MACs are for tokens.
        return self.hmac(message, self.encode(private_key), hashlib.sha256, "hex")

    return sign_message


def _pacifica(original: Any) -> Any:
    @functools.wraps(original)
    def post_action_request(self: Any, operation: Any, payload: Any, params: Any) -> Any:
        if not holds_placeholder(self):
            return original(self, operation, payload, params)
        composed = Composed()
        STATE.collect = composed.collect
        try:
            request = original(self, operation, payload, params)
        finally:
            STATE.collect = None
        try:
            return {**request, "signature": _signature(self, operation, request)}
        except HsmsignError as error:
            raised(self.id, error)

    return post_action_request


def _key(exchange: Any) -> "dict[str, Any]":
    key = key_of(exchange)
    if key is None:
        raise KeyNotFound(f"no placeholder stands for the secret of {exchange.id}", "`hsmsign placeholder KEY` prints one")
    return key


def _signature(exchange: Any, operation: Any, request: "dict[str, Any]") -> str:
    """The signature of the request that this operation is sent as; the socket takes the same."""
    key = _key(exchange)
    if operation not in _OPERATIONS:
        raise UnsupportedAlgorithm(f"hsmsign does not know how {exchange.id}'s operation {operation} is sent")
    body = exchange.json({name: value for name, value in request.items() if name != "signature"})
    wanted = line(key["key"], "POST", "/api/v1/" + _OPERATIONS[operation], body=body)
    signed = json.loads(Signed.of(ask(wanted)).text or "{}")
    count(key["key"], "whole")
    return str(signed["signature"])


def _coinbaseinternational(original: Any) -> Any:
    @functools.wraps(original)
    def resolve_route(self: Any, route: Any = None) -> Any:
        # It tells Deribit's keys from Coinbase's by the length of the secret.
        if route in (None, "auto") and label(self.secret) is not None:
            return (key_of(self) or {}).get("exchange") == "deribit"
        return original(self, route)

    return resolve_route


def _coinbase(original: Any) -> Any:
    @functools.wraps(original)
    def create_auth_token(self: Any, seconds: Any, method: Any = None, url: Any = None, *args: Any) -> Any:
        if url is not None or label(self.secret) is None:
            return original(self, seconds, method, url, *args)
        # A token for no request is the login of a socket: the agent's own says the same.
        try:
            key = _key(self)
            signed = Signed.of(ask(line(key["key"], websocket=True)))
            count(key["key"], "whole")
            return json.loads(signed.text or "{}")["jwt"]
        except HsmsignError as error:
            raised(self.id, error)

    return create_auth_token


_CHANGES = {
    ("coinbase", "create_auth_token"): _coinbase,
    ("coinbaseinternational", "resolve_route"): _coinbaseinternational,
    ("hibachi", "sign_message"): _hibachi,
    ("pacifica", "post_action_request"): _pacifica,
}
