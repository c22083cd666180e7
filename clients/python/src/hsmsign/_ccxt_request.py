"""A request as ccxt composes it, signed as a whole where that is possible."""

from __future__ import annotations

from typing import Any, Callable

from ._compose import Composed, Mismatch, bare
from ._counts import count
from ._errors import BadInput, PolicyDenied, SecretWouldBeSent, UnsupportedAlgorithm
from ._guard import carries
from ._hook import STATE
from ._keys import by_label
from ._placeholder import label_of, within

PRIVATE = ("rsa", "ed25519", "p256")


class Pending:
    """A request with stand-ins where its signatures go."""

    done: "Any | None" = None

    def __init__(self, exchange: Any, place: "tuple[str, str]", again: "Callable[[], Any]") -> None:
        self._exchange, self._place, self._again = exchange, place, again
        self._composed = Composed()
        # The calls whose raw MACs are needed, and those that were seen to be right as whole requests.
        self._raw: "set[tuple[str, str]]" = exchange.__dict__.setdefault("_hsmsign_raw", set())
        self._seen: "set[tuple[str, str]]" = exchange.__dict__.setdefault("_hsmsign_whole", set())
        label_in(exchange)
        STATE.collect = self._composed.collect
        try:
            self.request = again()
        finally:
            STATE.collect = None
        guarded(exchange, self.request)

    @property
    def is_signed(self) -> bool:
        """Whether there is anything to be signed in it."""
        return bool(self._composed.calls)

    def finish(self) -> Any:
        """The request with its signatures. Asked again, as for a second try, it is the same."""
        if self.done is None:
            self.done = self._finished()
        return self.done

    def is_of(self, url: Any, method: Any, body: Any) -> bool:
        """Whether this is what was composed."""
        request = self.request
        return bool((url, method, body) == (request["url"], request["method"], request.get("body")))

    def _finished(self) -> Any:
        if self._place in self._raw or is_generic(self._exchange):
            return self._by_raw_macs()
        composed, request = self._composed, self.request
        try:
            done = composed.sign(request)
        except Mismatch as mismatch:
            return self._otherwise(mismatch)
        other = None if self._place in self._seen else self._compared()
        if other is None or bare(other) == done:
            self._seen.add(self._place)
            return self._whole(done)
        # Both were looked at once: ccxt signs another message here than the exchange's file says.
        return self._raw_one(other)

    def _compared(self) -> Any:
        """The request by raw MACs, to be looked at only. The owner's rules may refuse that: the whole request was allowed."""
        if not self._composed.may_be_raw():
            return None
        try:
            return self._composed.raw(self.request)
        except PolicyDenied:
            return None

    def _whole(self, done: Any) -> Any:
        count(self._composed.key()["key"], "whole")
        return done

    def _otherwise(self, mismatch: Mismatch) -> Any:
        """What is done where the agent composes the request in another way."""
        if any(call[2] in PRIVATE for call in self._composed.calls):
            try:
                return self._whole(self._composed.token(self.request))
            except Mismatch:
                raise UnsupportedAlgorithm(
                    f"this request of {self._exchange.id} cannot be signed as a whole, and private keys sign nothing else: "
                    f"{mismatch}"
                ) from None
        try:
            return self._by_raw_macs()
        except PolicyDenied as error:
            raise PolicyDenied(
                f"{error.message}; and the whole request could not be used: {mismatch}", error.fix, error.code
            ) from None

    def _by_raw_macs(self) -> Any:
        # Composed again only where a signature took a form that is not known: that takes another nonce.
        return self._raw_one(self._composed.raw(self.request) or self._again())

    def _raw_one(self, done: Any) -> Any:
        self._raw.add(self._place)
        return guarded(self._exchange, done)


def whole(exchange: Any, args: Any, kwargs: Any, again: "Callable[[], Any]") -> Any:
    """Has ccxt compose a request, and signs it."""
    place = place_of(args, kwargs)
    if place in exchange.__dict__.get("_hsmsign_raw", ()) or is_generic(exchange):
        return guarded(exchange, again())
    pending = Pending(exchange, place, again)
    return pending.finish() if pending.is_signed else pending.request


def place_of(args: Any, kwargs: Any) -> "tuple[str, str]":
    """The call: its path and its section of the exchange's interface."""
    path = kwargs.get("path", args[0] if args else None)
    api = kwargs.get("api", args[1] if len(args) > 1 else None)
    return str(path), str(api)


def label(secret: Any) -> "tuple[str, str] | None":
    """The label and form of a placeholder where a secret is wanted."""
    data = secret.encode() if isinstance(secret, str) else secret
    return label_of(bytes(data).strip()) if isinstance(data, (bytes, bytearray)) else None


def label_in(exchange: Any) -> "str | None":
    """The label of the placeholder that an exchange has for its secret."""
    for name in ("secret", "privateKey"):
        found = label(getattr(exchange, name, None) or "")
        if found is not None and not found[0]:
            raise BadInput(
                f"what stands for the secret of {exchange.id} is no whole placeholder", "`hsmsign placeholder KEY` prints one"
            )
        if found is not None:
            return found[0]
    return None


def key_of(exchange: Any) -> "dict[str, Any] | None":
    """The key that the exchange's placeholder stands for."""
    found = label_in(exchange)
    return by_label(found) if found is not None else None


def is_generic(exchange: Any) -> bool:
    """Whether its key is of no exchange that hsmsign knows: that signs raw bytes only."""
    key = key_of(exchange)
    return key is not None and key.get("exchange") == "generic"


def holds_placeholder(exchange: Any) -> bool:
    """Whether one of the exchange's credentials is a placeholder."""
    return any(within(getattr(exchange, name, None)) for name in ("secret", "privateKey", "password", "token"))


def guarded(exchange: Any, request: Any) -> Any:
    """Refuses a request that carries the placeholder: the exchange wants the secret itself there."""
    if not isinstance(request, dict):
        return request
    if carries((request.get("url"), request.get("body"), *(request.get("headers") or {}).values())):
        raise SecretWouldBeSent(
            f"{exchange.id} wants the secret itself in the request, and hsmsign never gives it out",
            "this exchange cannot be signed for on a token; its page may offer another kind of key",
        )
    return request
