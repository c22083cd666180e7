"""The hook on ccxt: its base class, which the classes for threads, asyncio and WebSockets share."""

from __future__ import annotations

import functools
from typing import Any, Callable

from . import _ccxt_async, _ccxt_own
from ._ccxt_errors import raised
from ._ccxt_request import holds_placeholder, whole
from ._ccxt_request import label as _label
from ._errors import HsmsignError, SecretWouldBeSent, UnsupportedAlgorithm
from ._hook import STATE, install
from ._login import login
from ._placeholder import derive, label_of, within

_MARKED = "_hsmsign_wrapped"


def hook(base: Any) -> None:
    """Changes `ccxt.base.exchange.BaseExchange`; a second time changes nothing."""
    if hasattr(base, _MARKED):
        return
    install()
    setattr(base, _MARKED, True)
    for name, change in _CHANGES.items():
        # Each version of ccxt has some of them.
        if hasattr(base, name):
            setattr(base, name, staticmethod(change(getattr(base, name))))
    made = base.__init__

    @functools.wraps(made)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        wrap(type(self))
        made(self, *args, **kwargs)

    base.__init__ = init


def wrap(kind: Any) -> None:
    """Changes the method `sign` of an exchange's class and of those that it is made from, and what some have of their own."""
    _ccxt_own.wrap(kind)
    _ccxt_async.wrap(kind)
    for each in kind.__mro__:
        sign = each.__dict__.get("sign")
        if sign is not None and not hasattr(sign, _MARKED):
            each.sign = _sign(sign)


def _data(request: Any) -> bytes:
    return request.encode() if isinstance(request, str) else bytes(request)


def _told(original: Any) -> Any:
    """With errors of ccxt's own classes: logins are signed outside of what tells of them otherwise."""

    @functools.wraps(original)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except HsmsignError as error:
            if STATE.signing:
                raise
            raised("ccxt", error)

    return told


def _rsa(original: Any) -> Any:
    import base64

    @functools.wraps(original)
    def rsa(request: Any, secret: Any, *args: Any, **kwargs: Any) -> Any:
        label = _label(secret)
        if label is None:
            return original(request, secret, *args, **kwargs)
        return base64.b64encode(_private(label, "rsa", _data(request))).decode()

    return rsa


def _eddsa(original: Any) -> Any:
    import base64

    @functools.wraps(original)
    def eddsa(request: Any, secret: Any, curve: Any = "ed25519", url_encode: bool = False) -> Any:
        label = _label(secret)
        if label is None:
            return original(request, secret, curve, url_encode)
        signature = _private(label, "ed25519", _data(request))
        if url_encode:
            return base64.urlsafe_b64encode(signature).decode().rstrip("=")
        return base64.b64encode(signature).decode()

    return eddsa


def _ecdsa(original: Any) -> Any:
    @functools.wraps(original)
    def ecdsa(request: Any, secret: Any, algorithm: str = "p256", hash: Any = None, *args: Any, **kwargs: Any) -> Any:
        label = _label(secret)
        if label is None:
            return original(request, secret, algorithm, hash, *args, **kwargs)
        if algorithm != "p256":
            raise UnsupportedAlgorithm(f"a signature on the curve {algorithm} was asked for, which no token here makes")
        signature = _private(label, "p256", _data(request))
        return {"r": signature[:32].hex(), "s": signature[32:].hex(), "v": 0}

    return ecdsa


def _private(label: "tuple[str, str]", algorithm: str, message: bytes) -> bytes:
    """A private key signs whole requests, and logins."""
    if STATE.collect is not None:
        return STATE.collect(label[0], label[1], algorithm, message)
    return login(label, algorithm, message)


def _hash(original: Any) -> Any:
    @functools.wraps(original)
    def hash(request: Any, algorithm: Any = "md5", digest: Any = "hex") -> Any:
        made = original(request, algorithm, digest)
        data = _data(request) if isinstance(request, (str, bytes, bytearray)) else b""
        label = label_of(data) if data else None
        if label is not None:
            if not label[0] or label[1] != "text":
                raise SecretWouldBeSent(
                    "the exchange wants a hash of the secret in the request, which no token computes",
                    "this exchange cannot be signed for on a token",
                )
            text = made if isinstance(made, str) else made.hex()
            derive(text.encode(), data, f"{algorithm} of the text")
        return made

    return hash


def _kept(original: Any) -> Any:
    @functools.wraps(original)
    def base58_to_binary(text: Any) -> Any:
        # A placeholder is not base58; it comes to the signature as it is.
        return text.encode() if isinstance(text, str) and within(text) else original(text)

    return base58_to_binary


def _address(original: Any) -> Any:
    @functools.wraps(original)
    def eth_get_address_from_private_key(private_key: Any) -> Any:
        if _label(private_key) is not None:
            raise UnsupportedAlgorithm("the exchange wants signatures of an Ethereum wallet, which no token here makes")
        return original(private_key)

    return eth_get_address_from_private_key


_CHANGES: "dict[str, Callable[[Any], Any]]" = {
    "hmac": _told,
    "rsa": lambda original: _told(_rsa(original)),
    "eddsa": lambda original: _told(_eddsa(original)),
    "ecdsa": lambda original: _told(_ecdsa(original)),
    "hash": _hash,
    "base58_to_binary": _kept,
    "eth_get_address_from_private_key": _address,
}


def _sign(original: Any) -> Any:
    @functools.wraps(original)
    def sign(self: Any, *args: Any, **kwargs: Any) -> Any:
        if STATE.collect is not None or not holds_placeholder(self):
            return original(self, *args, **kwargs)
        STATE.signing = True
        try:
            deferred = _ccxt_async.defer(self, args, kwargs, lambda: original(self, *args, **kwargs))
            if deferred is not None:
                return deferred
            return whole(self, args, kwargs, lambda: original(self, *args, **kwargs))
        except HsmsignError as error:
            raised(self.id, error)
        finally:
            STATE.signing = False

    setattr(sign, _MARKED, True)
    return sign
