"""What the agent says of its keys."""

from __future__ import annotations

from typing import Any

from ._errors import KeyNotFound
from ._placeholder import placeholder
from ._wire import ask

_known: "dict[str, dict[str, Any]]" = {}


def _refresh() -> None:
    """Asks the agent. Other threads read what was known until all of it is there."""
    global _known
    made: "dict[str, dict[str, Any]]" = {}
    for key in ask({"op": "keys"}).get("keys", []):
        info = key if isinstance(key, dict) else {"key": str(key)}
        made[str(info.get("key") or info.get("name"))] = info
    _known = made


def names() -> "list[str]":
    """The names of all keys."""
    if not _known:
        _refresh()
    return list(_known)


def by_label(label: str, algorithm: "str | None" = None) -> "dict[str, Any]":
    """The key that a placeholder stands for. Where a MAC by another algorithm is wanted than that key computes, it is the key
    of that algorithm with the same API key: the exchange's older interface may sign with the same secret in another way."""
    for attempt in range(2):
        found = _find(label)
        if found is not None:
            return _twin(found, algorithm) or found
        if attempt == 0:
            _refresh()
    raise KeyNotFound(
        f"there is no key for the placeholder of {label!r}",
        "`hsmsign list` shows the keys there are; `hsmsign placeholder KEY` prints what stands for one",
    )


def _find(label: str) -> "dict[str, Any] | None":
    known = _known
    if label in known:
        return {"key": label, **known[label]}
    if label.startswith("#"):
        import base64

        for name, info in known.items():
            if base64.b64decode(placeholder(name))[8:].rstrip(b"\0") == label.encode():
                return {"key": name, **info}
    return None


def _twin(found: "dict[str, Any]", algorithm: "str | None") -> "dict[str, Any] | None":
    wanted = f"hmac-{algorithm}"
    own = str(found.get("algorithm"))
    if own == wanted or not own.startswith("hmac-") or not found.get("api_key"):
        return None
    twins = [
        {"key": name, **info}
        for name, info in _known.items()
        if (info.get("algorithm"), info.get("api_key")) == (wanted, found["api_key"]) and _family(info) == _family(found)
    ]
    return twins[0] if len(twins) == 1 else None


def _family(info: "dict[str, Any]") -> str:
    """The exchange without what tells its interfaces apart, as in `bithumb-legacy`."""
    return str(info.get("exchange")).partition("-")[0]
