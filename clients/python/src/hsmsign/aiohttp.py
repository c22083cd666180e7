"""A middleware for aiohttp's client: requests are signed by the agent on their way."""

from __future__ import annotations

from typing import Any, Awaitable, Callable

from aiohttp import ClientError
from aiohttp.payload import BytesPayload
from yarl import URL

from ._async import AsyncSigner
from ._auth import wanted
from ._errors import BadInput, HsmsignError, as_kind


class Auth:
    """`aiohttp.ClientSession(middlewares=(Auth("kraken"),))`, or `middlewares=` of one request."""

    def __init__(self, key: str, *, socket: "str | None" = None) -> None:
        self.key = key
        self._signer = AsyncSigner(key, socket=socket)

    async def __call__(self, request: Any, handler: "Callable[[Any], Awaitable[Any]]") -> Any:
        try:
            body = await self._body(request)
            line = wanted(self.key, request.method, request.url, request.headers, body)
            signed = await self._signer.signed(line)
        except HsmsignError as error:
            raise as_kind(ClientError, error) from error
        # What is signed are these bytes: aiohttp is not to encode the URL again.
        request.url = URL(signed.url or "", encoded=True)
        request.headers.update(signed.headers)
        if signed.body is not None:
            await request.update_body(signed.body)
        return await handler(request)

    @staticmethod
    async def _body(request: Any) -> "bytes | None":
        body = request.body
        if body is None or body == b"" or isinstance(body, bytes):
            return body or None
        if isinstance(body, BytesPayload) or hasattr(body, "as_bytes"):
            return await body.as_bytes() or None
        raise BadInput("a body that is streamed cannot be signed", "give the whole body as bytes, a form or JSON")
