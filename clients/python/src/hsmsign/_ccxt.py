"""The hook on ccxt: its base class, which the classes for threads, asyncio and WebSockets share."""

from __future__ import annotations

import functools
from typing import Any

from ._compose import Composed, Mismatch
from ._errors import (
    AgentUnavailable,
    BadInput,
    HsmsignError,
    KeyNotFound,
    PolicyDenied,
    SecretWouldBeSent,
    TokenUnavailable,
    UnsupportedAlgorithm,
)
from ._hook import STATE, compute, install
from ._keys import by_label
from ._placeholder import derive, label_of, within

_MARKED = "_hsmsign_wrapped"


def hook(base: Any) -> None:
    """Changes `ccxt.base.exchange.BaseExchange`; a second time changes nothing."""
    if hasattr(base, _MARKED):
        return
    install()
    setattr(base, _MARKED, True)
    base.rsa = staticmethod(_rsa(base.rsa))
    base.eddsa = staticmethod(_eddsa(base.eddsa, base))
    base.ecdsa = staticmethod(_ecdsa(base.ecdsa))
    base.hash = staticmethod(_hash(base.hash))
    base.base58_to_binary = staticmethod(_kept(base.base58_to_binary))
    base.eth_get_address_from_private_key = staticmethod(_address(base.eth_get_address_from_private_key))
    made = base.__init__

    @functools.wraps(made)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        wrap(type(self))
        made(self, *args, **kwargs)

    base.__init__ = init


def wrap(kind: Any) -> None:
    """Changes the method `sign` of an exchange's class and of those that it is made from."""
    for each in kind.__mro__:
        sign = each.__dict__.get("sign")
        if sign is not None and not hasattr(sign, _MARKED):
            each.sign = _sign(sign)


def _label(secret: Any) -> "tuple[str, str] | None":
    data = secret.encode() if isinstance(secret, str) else secret
    return label_of(bytes(data).strip()) if isinstance(data, (bytes, bytearray)) else None


def _data(request: Any) -> bytes:
    return request.encode() if isinstance(request, str) else bytes(request)


def _rsa(original: Any) -> Any:
    import base64

    @functools.wraps(original)
    def rsa(request: Any, secret: Any, *args: Any, **kwargs: Any) -> Any:
        label = _label(secret)
        if label is None:
            return original(request, secret, *args, **kwargs)
        return base64.b64encode(_private(label, "rsa", _data(request))).decode()

    return rsa


def _eddsa(original: Any, base: Any) -> Any:
    import base64

    @functools.wraps(original)
    def eddsa(request: Any, secret: Any, curve: Any = "ed25519", url_encode: bool = False) -> Any:
        label = _label(secret)
        if label is None:
            return original(request, secret, curve, url_encode)
        signature = _private(label, "ed25519", _data(request))
        return base.binary_to_urlencoded_base64(signature) if url_encode else base64.b64encode(signature).decode()

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
    """A private key signs whole requests only."""
    if STATE.collect is not None:
        return STATE.collect(label[0], label[1], algorithm, message)
    return compute(label[0], label[1], algorithm, message)


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


def _sign(original: Any) -> Any:
    @functools.wraps(original)
    def sign(self: Any, *args: Any, **kwargs: Any) -> Any:
        if STATE.collect is not None or not holds_placeholder(self):
            return original(self, *args, **kwargs)
        try:
            return _whole(original, self, args, kwargs)
        except HsmsignError as error:
            raise as_ccxt(self, error) from error

    setattr(sign, _MARKED, True)
    return sign


def holds_placeholder(exchange: Any) -> bool:
    """Whether one of the exchange's credentials is a placeholder."""
    return any(within(getattr(exchange, name, None)) for name in ("secret", "privateKey", "password", "token"))


def _whole(original: Any, exchange: Any, args: Any, kwargs: Any) -> Any:
    path = kwargs.get("path", args[0] if args else None)
    api = kwargs.get("api", args[1] if len(args) > 1 else None)
    place = (str(path), str(api))
    raw: "set[tuple[str, str]]" = exchange.__dict__.setdefault("_hsmsign_raw", set())
    if place in raw or _is_generic(exchange):
        return _guarded(exchange, original(exchange, *args, **kwargs))
    composed = Composed()
    STATE.collect = composed.collect
    try:
        request = original(exchange, *args, **kwargs)
    finally:
        STATE.collect = None
    _guarded(exchange, request)
    if not composed.calls:
        return request
    try:
        done = composed.sign(request)
        seen: "set[tuple[str, str]]" = exchange.__dict__.setdefault("_hsmsign_whole", set())
        if place in seen or not composed.may_be_raw() or composed.raw(request) in (None, done):
            seen.add(place)
            return done
        # Both were looked at once: ccxt signs another message here than the exchange's file says.
        raw.add(place)
        return _guarded(exchange, composed.raw(request))
    except Mismatch as mismatch:
        if any(call[2] in ("rsa", "ed25519", "p256") for call in composed.calls):
            try:
                return composed.token(request)
            except Mismatch:
                raise UnsupportedAlgorithm(
                    f"this request of {exchange.id} cannot be signed as a whole, and private keys sign nothing else: {mismatch}"
                ) from None
        try:
            # Composed again only where a signature took a form that is not known: that takes another nonce.
            done = composed.raw(request) or original(exchange, *args, **kwargs)
        except PolicyDenied as error:
            raise PolicyDenied(
                f"{error.message}; and the whole request could not be used: {mismatch}", error.fix, error.code
            ) from None
        raw.add(place)
        return _guarded(exchange, done)


def _is_generic(exchange: Any) -> bool:
    """Whether its key is of no exchange that hsmsign knows: that signs raw bytes only."""
    for name in ("secret", "privateKey"):
        label = _label(getattr(exchange, name, None) or "")
        if label is not None and label[0]:
            return by_label(label[0]).get("exchange") == "generic"
    return False


def _guarded(exchange: Any, request: Any) -> Any:
    """Refuses a request that carries the placeholder: the exchange wants the secret itself there."""
    if not isinstance(request, dict):
        return request
    parts = [request.get("url"), request.get("body"), *((request.get("headers") or {}).values())]
    for part in parts:
        text = part if isinstance(part, str) else repr(part) if part else ""
        if within(text) or (text.startswith("Basic ") and _in_basic(text)):
            raise SecretWouldBeSent(
                f"{exchange.id} wants the secret itself in the request, and hsmsign never gives it out",
                "this exchange cannot be signed for on a token; its page may offer another kind of key",
            )
    return request


def _in_basic(header: str) -> bool:
    import base64

    try:
        return within(base64.b64decode(header[6:]).decode("utf-8", "replace"))
    except ValueError:
        return False


def as_ccxt(exchange: Any, error: HsmsignError) -> Exception:
    """The error as ccxt's own kind, which bots catch; it carries code and remedy."""
    from ccxt.base import errors

    for kind, name in (
        (PolicyDenied, "PermissionDenied"),
        (AgentUnavailable, "ExchangeNotAvailable"),
        (TokenUnavailable, "AuthenticationError"),
        (KeyNotFound, "AuthenticationError"),
        (SecretWouldBeSent, "NotSupported"),
        (UnsupportedAlgorithm, "NotSupported"),
        (BadInput, "BadRequest"),
    ):
        if isinstance(error, kind):
            return joined(getattr(errors, name), error, exchange.id)
    return joined(errors.ExchangeError, error, exchange.id)


_kinds: "dict[tuple[Any, Any], Any]" = {}


def joined(theirs: Any, error: HsmsignError, exchange: str) -> Exception:
    """The error as one that is ccxt's and ours."""
    ours = type(error)
    if (theirs, ours) not in _kinds:
        _kinds[theirs, ours] = type(ours.__name__, (theirs, ours), {"__str__": Exception.__str__, "__module__": __name__})
    told: Exception = _kinds[theirs, ours](f"{exchange} {error}")
    for name in ("message", "fix", "code"):
        setattr(told, name, getattr(error, name))
    return told
