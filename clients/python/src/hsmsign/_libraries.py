"""Hooks on single libraries, where more than the keyed hash is at hand: the whole request, or a private key.

What the library signs is taken from the agent's answer, if all else in that answer is what the library sends.
"""

from __future__ import annotations

import functools
import inspect
import json
from contextvars import ContextVar
from typing import Any, Callable
from urllib.parse import unquote

from ._counts import count
from ._errors import BadInput, HsmsignError, PolicyDenied, UnsupportedAlgorithm, as_kind
from ._keys import by_label
from ._macs import cryptography, pycryptodome
from ._placeholder import label_of
from ._request import Signed, line
from ._wire import ask

# Method and URL of the request that the library composes at the time.
_request: "ContextVar[tuple[str, str] | None]" = ContextVar("hsmsign_request", default=None)


class TokenKey:
    """Stands in a library for a private key that is on the token."""

    def __init__(self, label: str) -> None:
        self.label = label


def _label(secret: Any) -> "str | None":
    if isinstance(secret, TokenKey):
        return secret.label
    data = secret.encode() if isinstance(secret, str) else secret
    found = label_of(bytes(data).strip()) if isinstance(data, (bytes, bytearray)) else None
    if found is not None and not found[0]:
        raise BadInput(
            "a part of a placeholder stands where the secret was", "put the whole of it there: `hsmsign placeholder KEY`"
        )
    return found[0] if found else None


def _whole(info: "dict[str, Any]", sent: "dict[str, Any]", read: "Callable[[Signed], str | None]") -> str:
    """The signature of a whole request; `read` finds it in the answer, or nothing where the rest is not the same."""
    signature = read(Signed.of(ask(sent)))
    if signature is None:
        raise UnsupportedAlgorithm("the agent composes this request in another way than the library")
    count(info["key"], "whole")
    return signature


def _signature(label: str, sent: Any, read: Any, raw: "Callable[[], str]") -> str:
    """The signature of a whole request; where that cannot be, a keyed hash of the bytes alone."""
    info = by_label(label)
    try:
        return _whole(info, {"key": info["key"], **sent}, read)
    except (BadInput, UnsupportedAlgorithm) as why:
        if not str(info.get("algorithm")).startswith("hmac"):
            raise
        try:
            return raw()
        except PolicyDenied as error:
            told = f"{error.message}; and the whole request could not be used: {why.message}"
            raise PolicyDenied(told, error.fix, error.code) from None


def _change(owner: Any, name: str, change: "Callable[[Any], Any]") -> None:
    """Changes a function where this version of the library has it; without it what is signed comes by another way, as by
    `hmac`."""
    if hasattr(owner, name):
        setattr(owner, name, change(getattr(owner, name)))


def _told(kind: Any, original: Any) -> Any:
    """With errors of the library's own kind."""

    @functools.wraps(original)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except HsmsignError as error:
            raise as_kind(kind, error) from error

    return told


def _within(original: Any) -> Any:
    """Remembers the request, given as `(self, method, url, …)`, for what signs below."""

    def place(args: Any, kwargs: Any) -> "tuple[str, str]":
        given = inspect.signature(original).bind(*args, **kwargs).arguments
        method, url = list(given.values())[1:3]
        return str(method), str(url)

    @functools.wraps(original)
    def within(*args: Any, **kwargs: Any) -> Any:
        before = _request.set(place(args, kwargs))
        try:
            return original(*args, **kwargs)
        finally:
            _request.reset(before)

    @functools.wraps(original)
    async def within_async(*args: Any, **kwargs: Any) -> Any:
        before = _request.set(place(args, kwargs))
        try:
            return await original(*args, **kwargs)
        finally:
            _request.reset(before)

    return within_async if inspect.iscoroutinefunction(original) else within


def coinbase(module: Any) -> None:
    """coinbase-advanced-py: `coinbase.jwt_generator`, which makes the token of each request and of the sockets."""
    original = module.build_jwt

    # Older versions have a `service` between secret and address.
    parts = inspect.signature(original)

    @functools.wraps(original)
    def build_jwt(*args: Any, **kwargs: Any) -> Any:
        given = parts.bind(*args, **kwargs).arguments
        label = _label(given.get("secret_var"))
        if label is None:
            return original(*args, **kwargs)
        info, uri = by_label(label), given.get("uri")
        if uri is None:
            signed = Signed.of(ask(line(info["key"], websocket=True)))
            count(info["key"], "whole")
            return json.loads(signed.text or "{}")["jwt"]
        method, _, place = str(uri).partition(" ")
        return _whole(info, line(info["key"], method, f"https://{place}"), _bearer)

    module.build_jwt = build_jwt


def _bearer(signed: Signed) -> "str | None":
    return signed.headers.get("Authorization", "").partition("Bearer ")[2] or None


def binance(module: Any) -> None:
    """python-binance: `binance.base_client`, with keys for HMAC, Ed25519 and RSA."""
    base = module.BaseClient
    from binance.exceptions import BinanceRequestException as kind

    _change(base, "_init_private_key", _binance_key)
    for name in ("_hmac_signature", "_ed25519_signature", "_rsa_signature"):
        _change(base, name, lambda original: _told(kind, _binance_signature(original)))


def _binance_key(original: Any) -> Any:
    @functools.wraps(original)
    def init_private_key(self: Any, private_key: Any, *args: Any, **kwargs: Any) -> Any:
        label = _label(private_key) if isinstance(private_key, (str, bytes)) else None
        return original(self, private_key, *args, **kwargs) if label is None else TokenKey(label)

    return init_private_key


def _binance_signature(original: Any) -> Any:
    @functools.wraps(original)
    def signature(self: Any, query: str) -> Any:
        private = getattr(self, "PRIVATE_KEY", None)
        label = _label(private or self.API_SECRET)
        request = _request.get()
        if label is None:
            return original(self, query)
        raw = functools.partial(original, self, query)
        if request is None:
            return raw() if not isinstance(private, TokenKey) else _login(label, query.encode())
        method, url = request[0].upper(), request[1]
        sent = {"method": method, "url": f"{url}?{query}"} if method == "GET" else {"method": method, "url": url, "body": query}

        def read(signed: Signed) -> "str | None":
            made = signed.url if method == "GET" else signed.text
            asked = sent["url"] if method == "GET" else sent["body"]
            rest, _, value = (made or "").rpartition("&signature=")
            return unquote(value) if rest == asked else None

        return _signature(label, sent, read, raw)

    return signature


def binance_requests(module: Any) -> None:
    """The methods of python-binance's clients that know the URL."""
    for name in ("Client", "AsyncClient"):
        kind = getattr(module, name, None)
        if kind is not None and "_request" in kind.__dict__:
            kind._request = _within(kind._request)


def pybit(module: Any) -> None:
    """pybit: `pybit._http_manager`, with keys for HMAC and RSA."""
    from pybit.exceptions import FailedRequestError as kind

    manager = getattr(module, "_V5HTTPManager", None)
    _change(manager, "_submit_request", _within)
    _change(manager, "_auth", lambda original: _told(kind, _pybit_auth(original)))
    _change(module, "generate_signature", _pybit_login)


def _pybit_auth(original: Any) -> Any:
    @functools.wraps(original)
    def auth(self: Any, payload: Any, recv_window: Any, timestamp: Any) -> Any:
        label = _label(self.api_secret)
        request = _request.get()
        if label is None or request is None:
            return original(self, payload, recv_window, timestamp)
        method, url = request
        sent = line("", method, f"{url}?{payload}" if method == "GET" and payload else url, body=None if method == "GET" else payload)
        sent = {name: value for name, value in sent.items() if name != "key"}
        stamps = {"timestamp": str(timestamp), "window": str(recv_window)}

        def read(signed: Signed) -> "str | None":
            same = signed.url == sent["url"] and (signed.text or "") == sent.get("body", "")
            same = same and signed.headers.get("X-BAPI-TIMESTAMP") == stamps["timestamp"]
            same = same and signed.headers.get("X-BAPI-RECV-WINDOW") == stamps["window"]
            return signed.headers.get("X-BAPI-SIGN") if same else None

        raw = functools.partial(original, self, payload, recv_window, timestamp)
        return _signature(label, {**sent, **stamps}, read, raw)

    return auth


def _pybit_login(original: Any) -> Any:
    @functools.wraps(original)
    def generate_signature(use_rsa_authentication: Any, secret: Any, param_str: Any) -> Any:
        label = _label(secret) if use_rsa_authentication else None
        return original(use_rsa_authentication, secret, param_str) if label is None else _login(label, param_str.encode())

    return generate_signature


def _login(label: str, message: bytes) -> str:
    import base64

    from ._login import login

    return base64.b64encode(login((label, "text"), "rsa", message)).decode()


HOOKS = {
    "Crypto.Hash.HMAC": pycryptodome,
    "cryptography.hazmat.primitives.hmac": cryptography,
    "coinbase.jwt_generator": coinbase,
    "binance.base_client": binance,
    "binance.client": binance_requests,
    "binance.async_client": binance_requests,
    "pybit._http_manager": pybit,
}
