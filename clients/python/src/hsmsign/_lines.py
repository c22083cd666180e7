"""A connection to the agent in asyncio: a line goes out, a line comes in."""

from __future__ import annotations

import asyncio
import errno
import socket

from ._wire import LONGEST


class Lines:
    """A socket of one event loop. What the agent said before it closed the connection is read though it took no line: asyncio's
    own streams give that up where writing fails."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connected: socket.socket) -> None:
        self._loop = loop
        self._socket = connected
        self._unsent = memoryview(b"")
        self._came = bytearray()
        self._answer: "asyncio.Future[bytes] | None" = None
        self._broken: "OSError | None" = None
        self._ended: "Exception | None" = None
        loop.add_reader(connected, self._read)

    async def ask(self, line: bytes, timeout: float) -> bytes:
        """Sends a line and waits for its answer's, for so many seconds."""
        if self._ended is not None:
            raise BrokenPipeError(errno.EPIPE, "the agent closed the connection")
        self._answer = self._loop.create_future()
        late = self._loop.call_later(timeout, self.end, asyncio.TimeoutError())
        self._unsent = memoryview(line)
        self._write()
        try:
            self._give()
            return await self._answer
        finally:
            late.cancel()
            self._answer = None

    def end(self, why: Exception) -> None:
        """Closes it; who waits for an answer gets this error."""
        if self._ended is not None:
            return
        self._ended = why
        try:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        except RuntimeError:
            # Its loop ended before.
            pass
        self._socket.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(why)

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._socket, self._write)
            return
        except OSError as error:
            # Its last words may be there.
            self._broken, self._unsent = error, memoryview(b"")
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            part = self._socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            return self.end(self._broken or error)
        if not part:
            return self.end(self._broken or ConnectionResetError("the agent closed the connection"))
        self._came += part
        if len(self._came) > LONGEST:
            return self.end(ValueError("the answer is too long"))
        self._give()

    def _give(self) -> None:
        """Gives the answer to who waits for it, where it is whole."""
        if self._came.endswith(b"\n") and self._answer is not None and not self._answer.done():
            answer, self._came = bytes(self._came), bytearray()
            self._answer.set_result(answer)
