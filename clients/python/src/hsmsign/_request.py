"""A request as it goes to the agent, and as it comes back signed."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence, Union

from ._errors import HsmsignError

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
Pairs = Union[Mapping[str, Any], Sequence[Any], str]


@dataclass(frozen=True)
class Signed:
    """A signed request: what was signed are these bytes. Send all of it as it stands."""

    method: str
    url: "str | None"
    headers: "dict[str, str]"
    body: "bytes | None"

    @property
    def text(self) -> "str | None":
        """The body as text."""
        return None if self.body is None else self.body.decode()

    @classmethod
    def of(cls, answer: "Mapping[str, Any]") -> "Signed":
        """Reads an answer line."""
        try:
            body: "bytes | None"
            if answer.get("body_base64") is not None:
                body = base64.b64decode(answer["body_base64"])
            else:
                body = None if answer.get("body") is None else answer["body"].encode()
            return cls(answer["method"], answer.get("url"), dict(answer.get("headers") or {}), body)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise HsmsignError("the agent's answer is not a signed request") from None


def line(
    key: str,
    method: "str | None" = None,
    target: "str | None" = None,
    *,
    query: "Pairs | None" = None,
    body: "bytes | str | None" = None,
    form: "Pairs | None" = None,
    json: Any = None,
    params: "Pairs | None" = None,
    **more: Any,
) -> "dict[str, Any]":
    """The request line; `target` is a path, or a whole URL."""
    made: "dict[str, Any]" = {"key": key}
    if method is not None:
        made["method"] = method
    if target is not None:
        made["url" if _URL.match(target) else "path"] = target
    if isinstance(body, bytes):
        try:
            made["body"] = body.decode()
        except UnicodeDecodeError:
            made["body_base64"] = base64.b64encode(body).decode()
    elif body is not None:
        made["body"] = body
    for name, value in (("query", query), ("form", form), ("json", json), ("params", params)):
        if value is not None:
            made[name] = value
    made.update({name: value for name, value in more.items() if value is not None})
    return made
