"""Hooks on other makers of keyed hashes than Python's own `hmac`: pycryptodome and cryptography."""

from __future__ import annotations

import functools
import hmac
from typing import Any

from ._errors import UnsupportedAlgorithm
from ._hook import TokenMac
from ._placeholder import label_of


class _Checking(TokenMac):
    """With the methods that pycryptodome's have beyond those of `hmac`."""

    __slots__ = ()

    def verify(self, mac_tag: Any) -> None:
        if not hmac.compare_digest(self.digest(), bytes(mac_tag)):
            raise ValueError("MAC check failed")

    def hexverify(self, hex_mac_tag: str) -> None:
        self.verify(bytes.fromhex(hex_mac_tag))


def pycryptodome(module: Any) -> None:
    """`Crypto.Hash.HMAC`."""
    original = module.new

    @functools.wraps(original)
    def new(key: Any, msg: Any = b"", digestmod: Any = None) -> Any:
        label = label_of(bytes(key))
        if label is None:
            return original(key, msg, digestmod)
        name = getattr(digestmod, "__name__", type(digestmod).__name__)
        # A module, as Crypto.Hash.SHA256, or one of its hashes; without one it is MD5.
        name = "md5" if digestmod is None else name.rpartition(".")[2].replace("Hash", "")
        return _Checking(label[0], label[1], msg or None, _named(name))

    module.new = new


def _named(name: str) -> str:
    found = name.lower()
    if found not in ("sha256", "sha384", "sha512"):
        raise UnsupportedAlgorithm(f"a MAC by {found} was asked for, which keys on a token are not for")
    return found


class _Finished:
    """As cryptography's HMAC, with its key on the token."""

    def __init__(self, mac: TokenMac, algorithm: Any) -> None:
        self._mac, self.algorithm, self._done = mac, algorithm, False

    def update(self, data: Any) -> None:
        self._check()
        self._mac.update(data)

    def copy(self) -> "_Finished":
        self._check()
        return _Finished(self._mac.copy(), self.algorithm)

    def finalize(self) -> bytes:
        self._check()
        self._done = True
        return self._mac.digest()

    def verify(self, signature: bytes) -> None:
        from cryptography.exceptions import InvalidSignature

        if not hmac.compare_digest(self.finalize(), signature):
            raise InvalidSignature("Signature did not match digest.")

    def _check(self) -> None:
        from cryptography.exceptions import AlreadyFinalized

        if self._done:
            raise AlreadyFinalized("Context was already finalized.")


def cryptography(module: Any) -> None:
    """`cryptography.hazmat.primitives.hmac`."""
    original = module.HMAC

    class Kind(type):
        """`HMAC(…)` as it is called, and as it is asked about."""

        def __call__(cls, key: Any, algorithm: Any, backend: Any = None) -> Any:
            label = label_of(bytes(key))
            if label is None:
                return original(key, algorithm, backend)
            return _Finished(TokenMac(label[0], label[1], None, _named(algorithm.name)), algorithm)

        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, (original, _Finished))

    module.HMAC = Kind("HMAC", (), {"__module__": module.__name__, "__doc__": original.__doc__})
