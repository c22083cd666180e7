"""Hooks on modules that are imported later: a change is made right after the module's own code ran."""

from __future__ import annotations

import sys
from _thread import get_ident

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
    def __init__(self) -> None:
        # By thread: another's finder may ask all finders in its turn, this one too.
        self._asking: "set[tuple[int, str]]" = set()

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        asking = (get_ident(), fullname)
        if fullname not in _wanted or asking in self._asking:
            return None
        self._asking.add(asking)
        try:
            spec = self._found(fullname, path, target)
        finally:
            self._asking.discard(asking)
        # A loader of the oldest kind has no place for a change.
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, _wanted[fullname])
        return spec

    def _found(self, fullname: str, path: Any, target: Any) -> Any:
        """What the other finders say: a module may come from an archive, or by a finder of the program's own."""
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(fullname, path, target)
            if spec is not None:
                return spec
        return None


def after(name: str, change: "Callable[[Any], None]") -> None:
    """Makes a change to a module: now if it is imported, else when it is."""
    if name in sys.modules:
        change(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _wanted[name] = change
