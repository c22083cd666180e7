"""`auth=` for requests: the request is signed by the agent on its way."""

from __future__ import annotations

from typing import Any

import requests.auth
import requests.exceptions

from ._auth import sign
from ._errors import HsmsignError, as_kind


class Auth(requests.auth.AuthBase):  # type: ignore[misc]
    """`requests.post(url, data=…, auth=Auth("kraken"))`. Exchanges that want it get their nonce or signature into query
    or body, so what is sent is what the agent answers."""

    def __init__(self, key: str, *, socket: "str | None" = None) -> None:
        self.key, self.socket = key, socket

    def __call__(self, request: Any) -> Any:
        try:
            signed = sign(self.key, request.method, request.url, request.headers, request.body, self.socket)
        except HsmsignError as error:
            raise as_kind(requests.exceptions.RequestException, error) from error
        request.url = signed.url
        request.body = signed.body
        request.headers.update(signed.headers)
        request.prepare_content_length(signed.body)
        return request
