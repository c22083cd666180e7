"""Raw MACs: of bytes that hsmsign did not compose, only for keys that were allowed them."""

from __future__ import annotations

import base64
from typing import Any

from ._errors import HsmsignError, UnsupportedAlgorithm
from ._keys import by_label
from ._wire import TIMEOUT, ask

_algorithms: "dict[str, str | None]" = {}


def check(key: str, algorithm: "str | None", info: "dict[str, Any] | None" = None) -> None:
    """Refuses another hash than the key's own: the MAC would be right for nobody."""
    if algorithm is None:
        return
    if key not in _algorithms:
        known = info or by_label(key)
        _algorithms[key] = known.get("algorithm")
    own = _algorithms[key]
    wanted = "hmac-" + algorithm.lower().replace("-", "").replace("_", "").replace("hmac", "")
    if own is not None and own != wanted:
        raise UnsupportedAlgorithm(
            f"the key {key} is for {own}, and {wanted} was asked for",
            "import the secret again with --algorithm, under another name",
        )


def mac(
    key: str,
    message: bytes,
    algorithm: "str | None" = None,
    socket: "str | None" = None,
    timeout: float = TIMEOUT,
) -> bytes:
    """The token's MAC of a message."""
    check(key, algorithm)
    request = {"hmac": {"key": key, "message_base64": base64.b64encode(message).decode()}}
    answer = ask(request, socket, timeout)
    try:
        return base64.b64decode(answer["mac_base64"])
    except (KeyError, TypeError, ValueError):
        raise HsmsignError("the agent's answer has no MAC in it") from None
