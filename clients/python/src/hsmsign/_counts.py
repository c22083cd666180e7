"""How this process had things signed: as whole requests, which the owner's rules see, or by raw MACs, which they do not."""

from __future__ import annotations

import threading

_counted: "dict[str, dict[str, int]]" = {}
_lock = threading.Lock()


def count(key: str, way: str) -> None:
    """Counts a signature: its way is `whole` or `raw`."""
    with _lock:
        row = _counted.setdefault(key, {"whole": 0, "raw": 0})
        row[way] += 1


def counts() -> "dict[str, dict[str, int]]":
    """By key, how many whole requests were signed (`whole`) and how many raw MACs were made (`raw`) for this process."""
    with _lock:
        return {key: dict(row) for key, row in _counted.items()}
