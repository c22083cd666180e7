"""Where a placeholder must not go: into a request, as a secret that is sent, and into keys that are derived from it."""

from __future__ import annotations

from ._errors import SecretWouldBeSent, UnsupportedAlgorithm, as_kind
from ._placeholder import label_of, within

# `hashlib` is loaded by nearly every program: what it does not need is not loaded with it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable


def carries(parts: "Iterable[Any]") -> bool:
    """Whether a placeholder stands in one of a request's parts."""
    for part in parts:
        text = part if isinstance(part, (str, bytes)) else repr(part) if part else ""
        basic = text.startswith("Basic ") if isinstance(text, str) else text.startswith(b"Basic ")
        if _in_basic(text) if basic else within(text):
            return True
    return False


def _in_basic(header: "str | bytes") -> bool:
    """A user and a password, as they stand in `Authorization: Basic`. A user of the name `hsmsign` is no placeholder, although
    what encodes it begins like one."""
    import base64

    text = (header.decode("latin-1") if isinstance(header, bytes) else header)[6:].strip()
    try:
        plain = base64.b64decode(text, validate=True).decode("latin-1")
    except ValueError:
        return within(text)
    is_user = plain.startswith("hsmsign:") and "\0" not in plain and len(plain) != 24
    return within(plain) or within(text[10:] if is_user else text)


def _would_send(url: Any) -> SecretWouldBeSent:
    from urllib.parse import urlsplit

    return SecretWouldBeSent(
        f"{urlsplit(str(url)).hostname} is sent the secret itself in this request, and hsmsign never gives it out",
        "this exchange cannot be signed for on a token; its page may offer another kind of key",
    )


def wraps(original: Any) -> "Callable[[Any], Any]":
    """As `functools.wraps`, of which little is needed."""

    def named(made: Any) -> Any:
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            setattr(made, name, getattr(original, name, None))
        made.__wrapped__ = original
        return made

    return named


def _requests(module: Any) -> None:
    original = module.Session.send

    @wraps(original)
    def send(self: Any, request: Any, **kwargs: Any) -> Any:
        if carries((request.url, request.body, *request.headers.values())):
            from requests.exceptions import RequestException

            raise as_kind(RequestException, _would_send(request.url))
        return original(self, request, **kwargs)

    module.Session.send = send


def _httpx(module: Any) -> None:
    def check(request: Any) -> None:
        body = getattr(request, "_content", b"")
        if carries((str(request.url), body, *request.headers.values())):
            from httpx import RequestError

            raise as_kind(RequestError, _would_send(request.url))

    for name in ("Client", "AsyncClient"):
        kind = getattr(module, name)
        # The one that has what `auth=` added.
        method = "_send_single_request" if hasattr(kind, "_send_single_request") else "send"
        setattr(kind, method, _checked(getattr(kind, method), check))


def _checked(original: Any, check: Any) -> Any:
    @wraps(original)
    def send(self: Any, request: Any, **kwargs: Any) -> Any:
        check(request)
        # Of AsyncClient it is awaited by who called.
        return original(self, request, **kwargs)

    return send


def _aiohttp(module: Any) -> None:
    original = module.ClientSession._request

    @wraps(original)
    async def request(self: Any, method: Any, url: Any, **kwargs: Any) -> Any:
        headers = kwargs.get("headers") or {}
        if not hasattr(headers, "values"):
            # Pairs, which may be given out once only.
            headers = kwargs["headers"] = list(headers)
        values = headers.values() if hasattr(headers, "values") else [value for _, value in headers]
        parts = [str(url), *(kwargs.get(name) for name in ("data", "json", "params", "auth"))]
        if carries([*parts, *values, *self.headers.values()]):
            raise as_kind(module.ClientError, _would_send(url))
        return await original(self, method, url, **kwargs)

    module.ClientSession._request = request


def _hashlib(module: Any) -> None:
    for name in ("pbkdf2_hmac", "scrypt"):
        original = getattr(module, name, None)
        if original is not None:
            setattr(module, name, _underived(original))


def _underived(original: Any) -> Any:
    @wraps(original)
    def derived(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            if isinstance(value, (bytes, bytearray, memoryview)) and label_of(bytes(value)) is not None:
                raise UnsupportedAlgorithm(
                    "a key was to be derived from a placeholder, and the secret itself is needed for that",
                    "what signs with derived keys cannot be signed for on a token",
                )
        return original(*args, **kwargs)

    return derived


GUARDS = {"requests.sessions": _requests, "httpx._client": _httpx, "aiohttp.client": _aiohttp, "hashlib": _hashlib}
