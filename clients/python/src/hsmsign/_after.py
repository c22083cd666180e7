"""Hooks on modules that are imported later: a change is made right after the module's own code ran."""

from __future__ import annotations

import importlib.machinery
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

# They stay: a module may be loaded again.
_wanted: "dict[str, Callable[[Any], None]]" = {}


class _Loader:
    def __init__(self, inner: Any, change: "Callable[[Any], None]") -> None:
        self._inner, self._change = inner, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_module(self, spec: Any) -> Any:
        return self._inner.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__loader__ = self._inner
        module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        self._change(module)


class _Finder:
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        change = _wanted.get(fullname)
        if change is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        spec.loader = _Loader(spec.loader, change)  # type: ignore[assignment]
        return spec


def after(name: str, change: "Callable[[Any], None]") -> None:
    """Makes a change to a module: now if it is imported, else when it is."""
    if name in sys.modules:
        change(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _wanted[name] = change
