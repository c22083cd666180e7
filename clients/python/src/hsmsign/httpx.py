"""`auth=` for httpx, in threads and in asyncio: the request is signed by the agent on its way."""

from __future__ import annotations

from typing import Any, AsyncGenerator, Generator

import httpx

from ._async import AsyncSigner
from ._auth import sign, wanted
from ._errors import HsmsignError, as_kind
from ._request import Signed


class Auth(httpx.Auth):
    """`httpx.post(url, data=…, auth=Auth("kraken"))`, and the same with `httpx.AsyncClient`."""

    requires_request_body = True

    def __init__(self, key: str, *, socket: "str | None" = None) -> None:
        self.key, self.socket = key, socket
        self._signer = AsyncSigner(key, socket=socket)

    def sync_auth_flow(self, request: Any) -> "Generator[Any, Any, None]":
        request.read()
        try:
            signed = sign(self.key, request.method, request.url, request.headers, request.content, self.socket)
        except HsmsignError as error:
            raise as_kind(httpx.RequestError, error) from error
        yield _with(request, signed)

    async def async_auth_flow(self, request: Any) -> "AsyncGenerator[Any, Any]":
        await request.aread()
        try:
            line = wanted(self.key, request.method, request.url, request.headers, request.content)
            signed = await self._signer.signed(line)
        except HsmsignError as error:
            raise as_kind(httpx.RequestError, error) from error
        yield _with(request, signed)


def _with(request: Any, signed: Signed) -> Any:
    headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
    headers = {name: value for name, value in headers.items() if name.lower() not in {n.lower() for n in signed.headers}}
    return httpx.Request(
        signed.method,
        signed.url or "",
        headers={**headers, **signed.headers},
        content=signed.body,
        extensions=request.extensions,
    )
