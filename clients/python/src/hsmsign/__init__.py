"""Exchange API requests signed on a hardware token, by the hsmsign agent.

The secret is on the token; this package sends requests to the agent's Unix socket and gets them back signed.

>>> from hsmsign import Signer
>>> signed = Signer("kraken").sign("POST", "/0/private/Balance")
"""

from __future__ import annotations

from ._errors import (
    AgentUnavailable,
    BadInput,
    HsmsignError,
    KeyNotFound,
    PolicyDenied,
    SecretWouldBeSent,
    TokenLocked,
    TokenUnavailable,
    UnsupportedAlgorithm,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._async import AsyncSigner
    from ._counts import counts
    from ._placeholder import placeholder
    from ._request import Signed
    from ._run import hook
    from ._signer import Signer

# Loaded when they are asked for: most programs under `hsmsign run` ask for none.
_LATER = {
    "AsyncSigner": "_async",
    "Signed": "_request",
    "Signer": "_signer",
    "counts": "_counts",
    "hook": "_run",
    "placeholder": "_placeholder",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


__all__ = [
    "AgentUnavailable",
    "AsyncSigner",
    "BadInput",
    "HsmsignError",
    "KeyNotFound",
    "PolicyDenied",
    "SecretWouldBeSent",
    "Signed",
    "Signer",
    "TokenLocked",
    "TokenUnavailable",
    "UnsupportedAlgorithm",
    "counts",
    "hook",
    "placeholder",
]
