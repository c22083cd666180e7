"""What the agent says of its keys."""

from __future__ import annotations

from typing import Any

from ._errors import KeyNotFound
from ._placeholder import placeholder
from ._wire import ask

_known: "dict[str, dict[str, Any]]" = {}


def _refresh() -> None:
    keys = ask({"op": "keys"}).get("keys", [])
    _known.clear()
    for key in keys:
        info = key if isinstance(key, dict) else {"key": str(key)}
        name = str(info.get("key") or info.get("name"))
        _known[name] = info


def names() -> "list[str]":
    """The names of all keys."""
    if not _known:
        _refresh()
    return list(_known)


def by_label(label: str) -> "dict[str, Any]":
    """The key that a placeholder stands for."""
    for attempt in range(2):
        if label in _known:
            return {"key": label, **_known[label]}
        if label.startswith("#"):
            import base64

            for name, info in _known.items():
                if base64.b64decode(placeholder(name))[8:].rstrip(b"\0") == label.encode():
                    return {"key": name, **info}
        if attempt == 0:
            _refresh()
    raise KeyNotFound(
        f"there is no key for the placeholder of {label!r}",
        "`hsmsign list` shows the keys there are; `hsmsign placeholder KEY` prints what stands for one",
    )
