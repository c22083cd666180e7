"""How signatures are written in requests. A composed request has a stand-in in each signature's place; here it is found in
whatever form it took, and the signature is put there in the same form."""

from __future__ import annotations

import base64
import binascii
from typing import Callable, Tuple
from urllib.parse import quote, unquote

Form = Tuple[Callable[[bytes], str], Callable[[str], bytes]]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


FORMS: "tuple[Form, ...]" = (
    (lambda data: data.hex(), binascii.unhexlify),
    (lambda data: data.hex().upper(), binascii.unhexlify),
    (_b64, lambda text: base64.b64decode(text, validate=True)),
    (lambda data: quote(_b64(data), safe=""), lambda text: base64.b64decode(unquote(text), validate=True)),
    (lambda data: quote(_b64(data), safe="/"), lambda text: base64.b64decode(unquote(text), validate=True)),
    (_unpadded, _from_unpadded),
    (lambda data: _b64(data.hex().encode()), lambda text: binascii.unhexlify(base64.b64decode(text, validate=True))),
    (
        lambda data: quote(_b64(data.hex().encode()), safe=""),
        lambda text: binascii.unhexlify(base64.b64decode(unquote(text), validate=True)),
    ),
)


def stands(stand_in: bytes, text: str) -> "list[tuple[str, Form]]":
    """The forms of a stand-in that stand in a text."""
    found = []
    for form in FORMS:
        written = form[0](stand_in)
        if written in text:
            found.append((written, form))
    return found


def opened(text: str, stand_ins: "list[bytes] | None" = None) -> "str | None":
    """What a text ends in as base64, as in `HS256 …`; only where one of the stand-ins is in that."""
    last = text.rpartition(" ")[2]
    try:
        inner = base64.b64decode(last, validate=True).decode("ascii") if len(last) > 60 else ""
    except ValueError:
        return None
    if stand_ins is not None and not any(stands(one, inner) for one in stand_ins):
        return None
    return inner or None


def pairs(stand_in: bytes, value: bytes) -> "list[tuple[str, str]]":
    """A stand-in and what takes its place, in each form."""
    return [(write(stand_in), write(value)) for write, _ in FORMS]


def put(text: str, values: "list[tuple[str, str]]") -> str:
    """The text with each stand-in replaced."""
    before = text
    for written, value in values:
        text = text.replace(written, value)
    inner = opened(text) if text == before else None
    if inner is None:
        return text
    # It may stand within base64 of more than itself.
    filled = inner
    for written, value in values:
        filled = filled.replace(written, value)
    return text if filled == inner else text[: -len(text.rpartition(" ")[2])] + _b64(filled.encode())


def take(composed: str, signed: str, stand_in: bytes, as_written: bool = False) -> "list[tuple[str, str]]":
    """What takes the places of a stand-in: the signature that stands in the signed text where the stand-in stands in the
    composed one, in each form; the rest is the same. `as_written`: only as it stands there, of whatever form it is."""
    for written, (write, read) in stands(stand_in, composed):
        before, _, behind = composed.partition(written)
        if not (signed.startswith(before) and len(signed) >= len(before) + len(behind)):
            continue
        end = len(signed)
        if behind:
            # Behind it may stand another stand-in: only what is up to the next separator is compared here.
            end = signed.find(behind[0], len(before))
            if end < 0:
                continue
        found = signed[len(before) : end]
        if as_written:
            return [(written, found)]
        try:
            value = read(found)
        except (ValueError, binascii.Error):
            continue
        if write(value) == found:
            return pairs(stand_in, value)
    return []
