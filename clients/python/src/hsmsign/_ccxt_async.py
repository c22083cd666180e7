"""ccxt in asyncio: the token's time does not stop the event loop. ccxt composes a request and hands it to its `fetch`, which
may wait; the signatures are made in a thread in between."""

from __future__ import annotations

import asyncio
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Callable

from ._ccxt_errors import raised
from ._ccxt_request import Pending, holds_placeholder, place_of
from ._errors import HsmsignError

_MARKED = "_hsmsign_wrapped"
# Of the task at hand: the request that `fetch` will find to be signed; none where nothing will look for it.
_waiting: "ContextVar[list[Pending] | None]" = ContextVar("hsmsign_waiting", default=None)


class _Lane:
    """One thread, so that requests reach the agent in the order in which they were composed."""

    def __init__(self) -> None:
        self._pid, self._pool = 0, None

    _pool: "ThreadPoolExecutor | None"

    def of_this_process(self) -> ThreadPoolExecutor:
        """The thread; a child process gets one of its own."""
        if self._pool is None or self._pid != os.getpid():
            self._pid, self._pool = os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="hsmsign")
        return self._pool


_LANE = _Lane()


def wrap(kind: Any) -> None:
    """Changes `fetch2` and `fetch` of ccxt's class for asyncio, where this exchange is one of it."""
    for each in kind.__mro__:
        own = each.__dict__
        if "fetch" not in own or hasattr(own.get("fetch2"), _MARKED):
            continue
        if asyncio.iscoroutinefunction(own.get("fetch2")) and asyncio.iscoroutinefunction(own["fetch"]):
            each.fetch2, each.fetch = _fetch2(own["fetch2"]), _fetch(own["fetch"])


def _fetch2(original: Any) -> Any:
    @functools.wraps(original)
    async def fetch2(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A bot's own `fetch` or `sign` is to see the signatures.
        own = not hasattr(type(self).fetch, _MARKED) or "fetch" in self.__dict__ or "sign" in self.__dict__
        if own or not holds_placeholder(self):
            return await original(self, *args, **kwargs)
        before = _waiting.set([])
        try:
            return await original(self, *args, **kwargs)
        finally:
            _waiting.reset(before)

    setattr(fetch2, _MARKED, True)
    return fetch2


def defer(exchange: Any, args: Any, kwargs: Any, again: "Callable[[], Any]") -> Any:
    """The composed request, to be signed by `fetch`; none where `fetch` will not look for one."""
    waiting = _waiting.get()
    if waiting is None:
        return None
    pending = Pending(exchange, place_of(args, kwargs), again)
    waiting[:] = [pending] if pending.is_signed else []
    return pending.request


def _remember(exchange: Any, done: "dict[str, Any]") -> None:
    """Has ccxt tell of the signed request as its last one."""
    if hasattr(exchange, "set_last_request"):
        exchange.set_last_request(done)
        return
    for part in ("headers", "body", "url"):
        setattr(exchange, f"last_request_{part}", done.get(part))


def _fetch(original: Any) -> Any:
    @functools.wraps(original)
    async def fetch(self: Any, url: Any, method: Any = "GET", headers: Any = None, body: Any = None) -> Any:
        waiting = _waiting.get()
        # It is asked for again where ccxt tries a request again without composing it anew.
        if not waiting or (waiting[0].done is not None and not waiting[0].is_of(url, method, body)):
            return await original(self, url, method, headers, body)
        pending = waiting[0]
        try:
            loop = asyncio.get_running_loop()
            done = await loop.run_in_executor(_LANE.of_this_process(), pending.finish)
        except HsmsignError as error:
            raised(self.id, error)
        _remember(self, done)
        return await original(self, done["url"], done["method"], done["headers"], done["body"])

    setattr(fetch, _MARKED, True)
    return fetch
