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


def put(text: str, values: "list[tuple[bytes, bytes]]") -> str:
    """The text with each stand-in replaced, in its own form."""
    for stand_in, value in values:
        for write, _ in FORMS:
            text = text.replace(write(stand_in), write(value))
    return text


def take(composed: str, signed: str, stand_in: bytes) -> "bytes | None":
    """The signature that stands in the signed text where the stand-in stands in the composed one; the rest is the same."""
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
        try:
            value = read(signed[len(before) : end])
        except (ValueError, binascii.Error):
            continue
        if write(value) == signed[len(before) : end]:
            return value
    return None
