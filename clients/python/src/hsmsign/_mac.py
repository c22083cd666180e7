"""Raw MACs: of bytes that hsmsign did not compose, only for keys that were allowed them."""

from __future__ import annotations

import base64
from typing import Any, Mapping

from ._counts import count
from ._errors import HsmsignError
from ._wire import TIMEOUT, ask


def request(key: str, message: bytes, algorithm: "str | None" = None) -> "dict[str, Any]":
    """The line that asks for a MAC. Where an algorithm is named, the agent refuses a key of another: its MAC would be
    right for nobody."""
    wanted: "dict[str, str]" = {"key": key, "message_base64": base64.b64encode(message).decode()}
    if algorithm is not None:
        wanted["algorithm"] = algorithm if algorithm.startswith("hmac-") else "hmac-" + _plain(algorithm)
    return {"hmac": wanted}


def _plain(algorithm: str) -> str:
    return algorithm.lower().replace("-", "").replace("_", "")


def read(answer: "Mapping[str, Any]") -> bytes:
    """The MAC in an answer."""
    try:
        return base64.b64decode(answer["mac_base64"])
    except (KeyError, TypeError, ValueError):
        raise HsmsignError("the agent's answer has no MAC in it") from None


def mac(
    key: str,
    message: bytes,
    algorithm: "str | None" = None,
    socket: "str | None" = None,
    timeout: float = TIMEOUT,
) -> bytes:
    """The token's MAC of a message."""
    made = read(ask(request(key, message, algorithm), socket, timeout))
    count(key, "raw")
    return made
