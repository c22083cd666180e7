"""The errors: a class a kind, each with the agent's code, what happened, and what to do."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class HsmsignError(Exception):
    """A request was not signed. Nothing is ever signed without the token instead."""

    code = "failed"
    fix = ""

    def __init__(self, message: str, fix: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix or self.fix
        self.code = code or self.code

    def __str__(self) -> str:
        told = f"hsmsign: {self.message} [{self.code}]"
        return f"{told}; {self.fix}" if self.fix else told

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.fix, self.code)


class AgentUnavailable(HsmsignError, ConnectionError):
    """No agent answers at the socket, or it went away."""

    code = "agent-unavailable"
    fix = "start it with `hsmsign agent start`, or start the bot with `hsmsign run -- COMMAND`"


class KeyNotFound(HsmsignError, LookupError):
    """There is no key of that name."""

    code = "unknown-key"


class PolicyDenied(HsmsignError, PermissionError):
    """The key's owner did not allow it."""

    code = "denied"


class TokenUnavailable(HsmsignError):
    """The token is not there, busy, or refused its PIN."""

    code = "token-missing"


class TokenLocked(TokenUnavailable):
    """The token wants a PIN."""

    code = "token-locked"


class UnsupportedAlgorithm(HsmsignError, ValueError):
    """The key does not compute what was asked for, or the token cannot take the message."""

    code = "unsupported"


class SecretWouldBeSent(HsmsignError):
    """The exchange wants the secret itself in the request, which no token can give."""

    code = "unsupported"


class BadInput(HsmsignError, ValueError):
    """The request cannot be understood."""

    code = "bad-input"


_KINDS: "dict[str, type[HsmsignError]]" = {
    "agent-unavailable": AgentUnavailable,
    "unknown-key": KeyNotFound,
    "unknown-exchange": KeyNotFound,
    "denied": PolicyDenied,
    "token-missing": TokenUnavailable,
    "token-busy": TokenUnavailable,
    "wrong-pin": TokenLocked,
    "token-locked": TokenLocked,
    "unsupported": UnsupportedAlgorithm,
    "too-large": UnsupportedAlgorithm,
    "bad-input": BadInput,
    "usage": BadInput,
}


def error_of(error: Any) -> HsmsignError:
    """The error of an answer line."""
    if not isinstance(error, dict):
        return HsmsignError("the agent's answer has no error in it")
    code = str(error.get("code", "failed"))
    kind = _KINDS.get(code, HsmsignError)
    return kind(str(error.get("message", "")), str(error.get("fix", "")), code)


_joined: "dict[tuple[Any, Any], Any]" = {}


def as_kind(theirs: Any, error: HsmsignError) -> Exception:
    """The error as one that is of a library's own class and of ours, for those who catch the library's."""
    ours = type(error)
    if (theirs, ours) not in _joined:
        body = {"__init__": HsmsignError.__init__, "__str__": HsmsignError.__str__, "__module__": __name__}
        # In another process it is the plain one: the library's class may want more than it has.
        body["__reduce__"] = lambda self: (ours, (self.message, self.fix, self.code))
        _joined[theirs, ours] = type(ours.__name__, (theirs, ours), {**_UNKNOWN, **body})
    told: Exception = _joined[theirs, ours](error.message, error.fix, error.code)
    return told


# What errors of HTTP libraries say of a request that was not sent.
_UNKNOWN = {"request": None, "response": None}
