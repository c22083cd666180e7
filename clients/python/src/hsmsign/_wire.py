"""The agent's socket: one connection a thread, kept open, opened again when it breaks, and never shared over a fork."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from typing import Any

from ._errors import AgentUnavailable, HsmsignError, error_of
from ._run import AT_START

LONGEST = 32 << 20
TIMEOUT = 30.0


def socket_path() -> str:
    """Where the agent listens."""
    path = os.environ.get("HSMSIGN_SOCKET") or AT_START
    if path:
        return path
    home = os.environ.get("HSMSIGN_HOME")
    if home:
        return os.path.join(home, "agent.sock")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):
        own = os.path.join(runtime, "hsmsign", "agent.sock")
        if os.path.exists(own):
            return own
    return "/run/hsmsign/agent.sock"


def unheard(error: OSError) -> bool:
    """Whether a connection ended before the agent took the request whole: so the kernel says where the other end was closed
    and had not read all."""
    return error.errno in (errno.EPIPE, errno.ECONNRESET)


def lost(error: OSError, perhaps: bool) -> AgentUnavailable:
    """That the connection ended without an answer; `perhaps` says whether the request, or an earlier try, may have been signed."""
    if perhaps:
        what, fix = "the agent went away: {}; the request may have been signed", "see `hsmsign agent status`"
    else:
        what, fix = "the agent ended before it took the request: {}; it was not signed", "see `hsmsign agent status`, and try again"
    return AgentUnavailable(what.format(error.strerror or error), fix)


def not_there(path: str, error: OSError, perhaps: bool) -> AgentUnavailable:
    """That there is no connection to be had; `perhaps` as for `lost`."""
    more = "; the request may have been signed" if perhaps else ""
    if isinstance(error, PermissionError):
        return AgentUnavailable(
            f"the agent at {path} does not let this user in{more}",
            "its administrator adds the user to the group of bots, as in: usermod -aG hsmsign-bots USER; then log in again",
        )
    return AgentUnavailable(f"no agent answers at {path}: {error.strerror or error}{more}")


class Connection:
    """A connection of one thread."""

    def __init__(self, path: str, timeout: float, perhaps: bool) -> None:
        self.pid = os.getpid()
        self.path = path
        # Whether an answer is awaited: another greenlet, or a signal's handler, is not to read it.
        self.busy = False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(path)
        except OSError as error:
            self.socket.close()
            raise not_there(path, error, perhaps) from None

    def exchange(self, line: bytes, timeout: float) -> bytes:
        """Sends a line and reads the answer's; waits for this many seconds at most for each of its parts."""
        self.socket.settimeout(timeout)
        try:
            self.socket.sendall(line)
        except (BrokenPipeError, ConnectionResetError):
            # Who is refused, as beyond the limit of connections, is told so before the connection is closed.
            said = self._last_words()
            if said:
                return said
            raise
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

    def _last_words(self) -> bytes:
        """The line that came before the connection was closed; empty where there is none."""
        parts = []
        try:
            while part := self.socket.recv(65536):
                parts.append(part)
        except OSError:
            pass
        said = b"".join(parts)
        return said if said.endswith(b"\n") else b""


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
        perhaps = False
        for again in (True, False):
            held = self._held(path)
            kept = held is not None
            if held is None:
                held = Connection(path, timeout, perhaps)
                self.open.setdefault(path, held)
            held.busy = True
            try:
                answer = held.exchange(line, timeout)
            except BaseException as error:
                # Its answer may still come, and would be taken for the next one's.
                self._drop(path, held)
                if isinstance(error, socket.timeout):
                    raise AgentUnavailable(
                        f"the agent gave no answer in {timeout:g} seconds; the request may have been signed",
                        "see `hsmsign agent status`",
                    ) from None
                if not isinstance(error, OSError):
                    raise
                perhaps = perhaps or not unheard(error)
                # One that was kept open may have been closed while nobody looked, as by a restart of the agent.
                if not (again and kept and isinstance(error, (BrokenPipeError, ConnectionResetError))):
                    raise lost(error, perhaps) from None
                continue
            held.busy = False
            if self.open.get(path) is not held:
                held.socket.close()
            return answer
        raise AssertionError("unreachable")

    def _held(self, path: str) -> "Connection | None":
        """The connection that is open and free."""
        held = self.open.get(path)
        if held is not None and held.pid != os.getpid():
            # The parent's: a child that used it would read the parent's answers.
            del self.open[path]
            return None
        return None if held is None or held.busy else held

    def _drop(self, path: str, held: "Connection | None" = None) -> None:
        held = held or self.open.get(path)
        if held is not None:
            if self.open.get(path) is held:
                del self.open[path]
            held.socket.close()


WIRE = Wire()


def ask(request: Any, path: str | None = None, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Asks the agent on this thread's connection."""
    return WIRE.ask(request, path, timeout)
