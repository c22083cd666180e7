"""The signer of one key, for asyncio."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from typing import Any

from ._counts import count
from ._errors import AgentUnavailable, HsmsignError, error_of
from ._lines import Lines
from ._mac import read, request
from ._request import Signed, line
from ._wire import TIMEOUT, lost, not_there, socket_path, unheard


class _Held(threading.local):
    """The connection of a thread, and the process and event loop that it belongs to."""

    owner: "tuple[int, asyncio.AbstractEventLoop] | None" = None
    lines: "Lines | None" = None
    lock: "asyncio.Lock | None" = None

    def drop(self, why: "Exception | None" = None) -> None:
        """Closes it; what its loop still reads is nobody's."""
        lines, self.lines = self.lines, None
        if lines is not None:
            lines.end(why or _Closed())


class _Closed(Exception):
    """The signer was closed."""


class AsyncSigner:
    """Signs with one key of the agent, and does not stop the event loop. Requests go one after the other over one
    connection a thread and event loop; the agent answers in order."""

    def __init__(self, key: str, *, socket: "str | None" = None, timeout: float = TIMEOUT) -> None:
        self.key = key
        self._socket = socket
        self._timeout = timeout
        self._held = _Held()

    def __repr__(self) -> str:
        return f"AsyncSigner({self.key!r})"

    async def __aenter__(self) -> "AsyncSigner":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes this thread's connection; the next request opens another."""
        self._held.drop()

    async def sign(self, method: str, target: str, **parts: Any) -> Signed:
        """As `Signer.sign`."""
        return await self.signed(line(self.key, method, target, **parts))

    async def websocket(self, **parts: Any) -> Signed:
        """As `Signer.websocket`."""
        return await self.signed(line(self.key, websocket=True, **parts))

    async def hmac(self, message: "bytes | str", algorithm: "str | None" = None) -> bytes:
        """As `Signer.hmac`."""
        data = message.encode() if isinstance(message, str) else bytes(message)
        made = read(await self.ask(request(self.key, data, algorithm)))
        count(self.key, "raw")
        return made

    async def signed(self, wanted: "dict[str, Any]") -> Signed:
        """Has a request line signed."""
        signed = Signed.of(await self.ask(wanted))
        count(self.key, "whole")
        return signed

    async def ask(self, wanted: "dict[str, Any]") -> "dict[str, Any]":
        """Sends a line of the agent's protocol."""
        text = (json.dumps(wanted, ensure_ascii=True, separators=(",", ":")) + "\n").encode()
        here, held = (os.getpid(), asyncio.get_running_loop()), self._held
        if held.owner != here or held.lock is None:
            # Another loop or a child process: nothing of the connection may be used there.
            held.owner, held.lock, held.lines = here, asyncio.Lock(), None
        async with held.lock:
            answer = await self._exchange(held, text)
        try:
            told = json.loads(answer)
        except ValueError:
            held.drop()
            raise HsmsignError("the agent's answer is not JSON", "see that the socket is hsmsign's") from None
        if not isinstance(told, dict) or told.get("ok") is not True:
            raise error_of(told.get("error") if isinstance(told, dict) else None)
        return told

    async def _exchange(self, held: _Held, text: bytes) -> bytes:
        perhaps = False
        for again in (True, False):
            kept = held.lines is not None
            if held.lines is None:
                held.lines = await self._connect(perhaps)
            lines = held.lines
            try:
                return await lines.ask(text, self._timeout)
            except BaseException as error:
                # Its answer may still come, and would be taken for the next one's.
                lines.end(_Closed())
                if held.lines is lines:
                    held.lines = None
                if isinstance(error, asyncio.TimeoutError):
                    raise AgentUnavailable(
                        f"the agent gave no answer in {self._timeout:g} seconds; the request may have been signed",
                        "see `hsmsign agent status`",
                    ) from None
                if isinstance(error, ValueError):
                    raise HsmsignError("the agent's answer is too long", "see that the socket is hsmsign's") from None
                if isinstance(error, _Closed):
                    raise AgentUnavailable(
                        "the signer was closed before the answer came; the request may have been signed",
                        "close a signer when its requests have their answers",
                    ) from None
                if not isinstance(error, OSError):
                    raise
                perhaps = perhaps or not unheard(error)
                # One that was kept open may have been closed while nobody looked, as by a restart of the agent.
                if not (again and kept and isinstance(error, (BrokenPipeError, ConnectionResetError))):
                    raise lost(error, perhaps) from None
        raise AssertionError("unreachable")

    async def _connect(self, perhaps: bool) -> Lines:
        loop, path = asyncio.get_running_loop(), self._socket or socket_path()
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.setblocking(False)
            await loop.sock_connect(connected, path)
            return Lines(loop, connected)
        except BaseException as error:
            connected.close()
            if not isinstance(error, OSError):
                raise
            raise not_there(path, error, perhaps) from None
