"""Errors of ccxt's own classes, which bots catch."""

from __future__ import annotations

from typing import Any, NoReturn

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


def raised(exchange: str, error: HsmsignError) -> "NoReturn":
    """Raises the error as one of ccxt's own kinds, unless it is one already."""
    from ccxt.base import errors

    if isinstance(error, errors.BaseError):
        raise error
    raise as_ccxt(exchange, error) from error


def as_ccxt(exchange: str, error: HsmsignError) -> Exception:
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
            return joined(getattr(errors, name), error, exchange)
    return joined(errors.ExchangeError, error, exchange)


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
