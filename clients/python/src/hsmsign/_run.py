"""What `hsmsign run` has a Python program begin with."""

from __future__ import annotations

from ._after import after

# Every Python program under `hsmsign run` begins with this: what it does not need is not loaded.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def begin() -> None:
    """Has the hooks put in place when their modules are imported."""
    after("hmac", _hmac)
    after("ccxt.base.exchange", _ccxt)


def _hmac(_module: Any) -> None:
    from ._hook import install

    install()


def _ccxt(module: Any) -> None:
    from ._ccxt import hook

    hook(getattr(module, "BaseExchange", None) or module.Exchange)
