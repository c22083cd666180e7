"""The hook on `hmac`: what is keyed with a placeholder is computed on the token, all else by the original code."""

from __future__ import annotations

import hmac as _module
import threading
from typing import Any, Callable, Optional

from ._errors import HsmsignError, UnsupportedAlgorithm
from ._placeholder import label_of

_new = _module.new
_HMAC = _module.HMAC
_digest = _module.digest
_SIZES = {"sha256": (32, 64), "sha384": (48, 128), "sha512": (64, 128)}


class _State(threading.local):
    """While a request is composed, MACs are put off: who collects them answers what stands in their places."""

    collect: "Optional[Callable[[str, str, str, bytes], bytes]]" = None
    # Whether ccxt composes a request: who has it do so tells of errors.
    signing = False


STATE = _State()


def compute(label: str, form: str, algorithm: str, message: bytes) -> bytes:
    """The token's MAC with the key of a label."""
    if not label:
        raise HsmsignError(
            "a library made something of a placeholder that stands for no key: " + form,
            "see that the whole placeholder stands where the secret was: `hsmsign placeholder KEY`",
            "bad-input",
        )
    if STATE.collect is not None:
        return STATE.collect(label, form, algorithm, message)
    from ._keys import by_label
    from ._mac import mac

    return mac(by_label(label, algorithm)["key"], message, algorithm)


def _algorithm(digestmod: Any) -> str:
    if isinstance(digestmod, str):
        name = digestmod
    else:
        made = digestmod() if callable(digestmod) else digestmod.new()
        name = made.name
    name = name.lower().replace("-", "").replace("_", "")
    if name not in _SIZES:
        raise UnsupportedAlgorithm(
            f"a MAC by {name} was asked for, which keys on a token are not for", "they are for sha256, sha384 and sha512"
        )
    return name


class TokenMac(_HMAC):
    """An HMAC object whose key is on the token."""

    __slots__ = ("_label", "_form", "_algorithm", "_message", "_made")

    def __init__(self, label: str, form: str, msg: Any, digestmod: Any) -> None:
        self._label, self._form = label, form
        self._algorithm = _algorithm(digestmod)
        self._message = bytes(msg) if msg is not None else b""
        self._made: "bytes | None" = None
        self.digest_size, self.block_size = _SIZES[self._algorithm]

    @property
    def name(self) -> str:
        return "hmac-" + self._algorithm

    def update(self, msg: Any) -> None:
        self._message += bytes(msg)
        self._made = None

    def copy(self) -> "TokenMac":
        return TokenMac(self._label, self._form, self._message, self._algorithm)

    __copy__ = copy

    def digest(self) -> bytes:
        if self._made is None:
            self._made = compute(self._label, self._form, self._algorithm, self._message)
        return self._made

    def hexdigest(self) -> str:
        return self.digest().hex()


class _Kind(type(_HMAC)):  # type: ignore[misc]
    """`hmac.HMAC(…)` as it is called, and as it is asked about."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return new(*args, **kwargs) if cls is HMAC else super().__call__(*args, **kwargs)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _HMAC) if cls is HMAC else super().__instancecheck__(value)

    def __subclasscheck__(cls, kind: Any) -> bool:
        return issubclass(kind, _HMAC) if cls is HMAC else super().__subclasscheck__(kind)


class HMAC(_HMAC, metaclass=_Kind):
    """What stands in the place of `hmac.HMAC`, and is what programs make classes of their own from."""

    def __init__(self, key: Any, msg: Any = None, digestmod: Any = "") -> None:
        if isinstance(key, (bytes, bytearray)) and label_of(key) is not None:
            raise UnsupportedAlgorithm(
                "a placeholder came to a class that was made from hmac.HMAC, which computes by itself",
                "have it use hmac.new, whose MACs are computed on the token",
            )
        super().__init__(key, msg, digestmod)


def new(key: Any, msg: Any = None, digestmod: Any = "") -> Any:
    """As `hmac.new`."""
    if isinstance(key, (bytes, bytearray)):
        label = label_of(key)
        if label is not None and digestmod:
            return TokenMac(label[0], label[1], msg, digestmod)
    return _HMAC(key, msg, digestmod)


def digest(key: Any, msg: Any, digest: Any) -> bytes:
    """As `hmac.digest`."""
    # Any view of bytes is taken here, and by `new` none.
    if isinstance(key, (bytes, bytearray, memoryview)):
        label = label_of(bytes(key))
        if label is not None:
            return compute(label[0], label[1], _algorithm(digest), bytes(msg))
    return _digest(key, msg, digest)


def install(module: Any = _module) -> None:
    """Puts the hook in place; a second time changes nothing."""
    if module.new is new:
        return
    module.new, module.digest, module.HMAC = new, digest, HMAC
