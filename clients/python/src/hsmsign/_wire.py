"""The agent's socket: one connection a thread, kept open, opened again when it breaks, and never shared over a fork."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import Any

from ._errors import AgentUnavailable, HsmsignError, error_of

LONGEST = 32 << 20
TIMEOUT = 30.0


def socket_path() -> str:
    """Where the agent listens."""
    path = os.environ.get("HSMSIGN_SOCKET")
    if path:
        return path
    home = os.environ.get("HSMSIGN_HOME")
    if home:
        return os.path.join(home, "agent.sock")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        own = os.path.join(runtime, "hsmsign", "agent.sock")
        if os.path.exists(own):
            return own
    return "/run/hsmsign/agent.sock"


class Connection:
    """A connection of one thread."""

    def __init__(self, path: str, timeout: float) -> None:
        self.pid = os.getpid()
        self.path = path
        self.fresh = True
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(path)
        except OSError as error:
            self.socket.close()
            raise AgentUnavailable(f"no agent answers at {path}: {error.strerror or error}") from None

    def exchange(self, line: bytes) -> bytes:
        """Sends a line and reads the answer's."""
        self.socket.sendall(line)
        parts = []
        size = 0
        while True:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionResetError("the agent closed the connection")
            size += len(part)
            parts.append(part)
            if part.endswith(b"\n"):
                return b"".join(parts)
            if size > LONGEST:
                raise ConnectionResetError("the agent's answer is too long")


class Wire(threading.local):
    """The connections of a process, one a thread and socket."""

    def __init__(self) -> None:
        self.open: dict[str, Connection] = {}

    def ask(self, request: Any, path: str | None = None, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Asks the agent; answers its answer where that is `ok`."""
        path = path or socket_path()
        line = (json.dumps(request, ensure_ascii=True, separators=(",", ":")) + "\n").encode()
        answer = self._exchange(path, line, timeout)
        try:
            read = json.loads(answer)
        except ValueError:
            self._drop(path)
            raise HsmsignError("the agent's answer is not JSON", "see that the socket is hsmsign's") from None
        if not isinstance(read, dict) or read.get("ok") is not True:
            raise error_of(read.get("error") if isinstance(read, dict) else None)
        return read

    def _exchange(self, path: str, line: bytes, timeout: float) -> bytes:
        for again in (True, False):
            held = self.open.get(path)
            if held is not None and held.pid != os.getpid():
                # The parent's: a child that used it would read the parent's answers.
                self.open.pop(path, None)
                held = None
            kept = held is not None
            if held is None:
                held = Connection(path, timeout)
                self.open[path] = held
            try:
                return held.exchange(line)
            except socket.timeout:
                self._drop(path)
                raise AgentUnavailable(
                    f"the agent gave no answer in {timeout:g} seconds; the request may have been signed",
                    "see `hsmsign agent status`",
                ) from None
            except OSError as error:
                self._drop(path)
                # One that was kept open may have been closed while nobody looked, as by a restart of the agent.
                if not (again and kept and isinstance(error, (BrokenPipeError, ConnectionResetError))):
                    raise AgentUnavailable(f"the agent went away: {error.strerror or error}") from None
        raise AgentUnavailable("the agent went away")

    def _drop(self, path: str) -> None:
        held = self.open.pop(path, None)
        if held is not None:
            held.socket.close()


WIRE = Wire()


def ask(request: Any, path: str | None = None, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Asks the agent on this thread's connection."""
    return WIRE.ask(request, path, timeout)
