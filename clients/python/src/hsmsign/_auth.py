"""What the `auth=` objects of HTTP libraries have in common."""

from __future__ import annotations

from typing import Any, Mapping

from ._counts import count
from ._errors import BadInput
from ._request import Signed, line
from ._wire import TIMEOUT, ask


def wanted(key: str, method: "str | None", url: Any, headers: "Mapping[str, Any]", body: Any) -> "dict[str, Any]":
    """The request line of what a library is about to send."""
    if body is not None and not isinstance(body, (str, bytes)):
        raise BadInput("a body that is streamed cannot be signed", "give the whole body as bytes, a form or JSON")
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    if isinstance(kind, bytes):
        kind = kind.decode("latin-1")
    # Without its parameters, as a charset: exchanges sign the body, and the agent names its type.
    kind = kind.split(";")[0].strip() if body and kind else None
    return line(key, method, str(url), body=body or None, content_type=kind)


def sign(key: str, method: "str | None", url: Any, headers: "Mapping[str, Any]", body: Any, socket: "str | None") -> Signed:
    """Signs what a library is about to send."""
    signed = Signed.of(ask(wanted(key, method, url, headers, body), socket, TIMEOUT))
    count(key, "whole")
    return signed
