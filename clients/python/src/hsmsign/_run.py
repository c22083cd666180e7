"""What `hsmsign run` has a Python program begin with."""

from __future__ import annotations

import os

from ._after import after

# Every Python program under `hsmsign run` begins with this: what it does not need is not loaded.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# Where the agent listens; a bot may clear its environment.
AT_START = os.environ.get("HSMSIGN_SOCKET")
# What `_guard` and `_libraries` have changes for.
_GUARDED = ("aiohttp.client", "hashlib", "httpx._client", "requests.sessions")
_HOOKED = (
    "Crypto.Hash.HMAC",
    "binance.async_client",
    "binance.base_client",
    "binance.client",
    "coinbase.jwt_generator",
    "cryptography.hazmat.primitives.hmac",
    "pybit._http_manager",
)


def hook() -> None:
    """Has the hooks put in place, when their modules are imported. `hsmsign run` does this; so may a program itself."""
    after("hmac", _hmac)
    after("ccxt.base.exchange", _ccxt)
    for name in _GUARDED:
        after(name, _guard)
    for name in _HOOKED:
        after(name, _library)


def _hmac(module: Any) -> None:
    from ._hook import install

    install(module)


def _guard(module: Any) -> None:
    from ._guard import GUARDS

    GUARDS[module.__name__](module)


def _library(module: Any) -> None:
    from ._libraries import HOOKS

    HOOKS[module.__name__](module)


def _ccxt(module: Any) -> None:
    from ._ccxt import hook

    hook(getattr(module, "BaseExchange", None) or module.Exchange)
