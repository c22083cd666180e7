"""What `hsmsign run` has a Python program begin with."""

from __future__ import annotations

from typing import Any


def begin() -> None:
    """Puts the hooks in place."""
    from . import _hook
    from ._after import after

    _hook.install()
    after("ccxt.base.exchange", _ccxt)


def _ccxt(module: Any) -> None:
    from ._ccxt import hook

    hook(getattr(module, "BaseExchange", None) or module.Exchange)
