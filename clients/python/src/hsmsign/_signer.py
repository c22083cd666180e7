"""The signer of one key, for threads."""

from __future__ import annotations

from typing import Any

from ._counts import count
from ._request import Signed, line
from ._wire import TIMEOUT, ask


class Signer:
    """Signs with one key of the agent. Threads may share it: each has a connection of its own."""

    def __init__(self, key: str, *, socket: "str | None" = None, timeout: float = TIMEOUT) -> None:
        self.key = key
        self._socket = socket
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"Signer({self.key!r})"

    def sign(self, method: str, target: str, **parts: Any) -> Signed:
        """Signs a request. `target` is a path or a whole URL; the parts are those of a request line: `query`, `form`,
        `json`, `body`, `params`, `timestamp`, `nonce`, `window`, `offset_ms`, `host`, `testnet`, `content_type`."""
        return self._signed(line(self.key, method, target, **parts))

    def websocket(self, **parts: Any) -> Signed:
        """The login message of the exchange's WebSocket."""
        return self._signed(line(self.key, websocket=True, **parts))

    def hmac(self, message: "bytes | str", algorithm: "str | None" = None) -> bytes:
        """The MAC of a message, where the key was allowed raw MACs; `algorithm` is compared with the key's own."""
        from ._mac import mac

        data = message.encode() if isinstance(message, str) else bytes(message)
        return mac(self.key, data, algorithm, self._socket, self._timeout)

    def _signed(self, request: "dict[str, Any]") -> Signed:
        signed = Signed.of(self.ask(request))
        count(self.key, "whole")
        return signed

    def ask(self, request: "dict[str, Any]") -> "dict[str, Any]":
        """Sends a line of the agent's protocol."""
        return ask(request, self._socket, self._timeout)
