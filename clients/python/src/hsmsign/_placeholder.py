"""Placeholders: what stands for a key where a library wants a secret, and the forms libraries make of it."""

from __future__ import annotations

import binascii

MARK = b"hsmsign:"
_TEXT = b"aHNtc2lnbj"  # how the text of every placeholder begins
_UPPER = _TEXT.upper()
_TWICE = b"YUhOdGMybG5i"  # how the base64 of the text begins
# md5 of a placeholder, as one exchange keys its MACs, to the placeholder.
_derived: "dict[bytes, tuple[bytes, str]]" = {}


def placeholder(name: str) -> str:
    """What stands for the key of this name: 32 letters and digits."""
    label = name.encode()
    if len(label) > 16:
        import base64
        import hashlib

        label = b"#" + base64.urlsafe_b64encode(hashlib.sha256(label).digest())[:15]
    return binascii.b2a_base64((MARK + label).ljust(24, b"\0"), newline=False).decode()


def label_of(key: "bytes | bytearray") -> "tuple[str, str] | None":
    """The label in a key that a library passes to a MAC, and the form it made of it; none for other keys.

    A key that holds a placeholder in a form that is not known answers an empty label.
    """
    size = len(key)
    if size == 32 and key.startswith(_TEXT):
        return _label(_decoded(key)), "text"
    if size == 24 and key.startswith(MARK):
        return _label(bytes(key)), "base64"
    if size == 32 and key.startswith(_UPPER):
        return _upper(bytes(key)), "upper"
    if size == 44 and key.startswith(_TWICE):
        return _label(_decoded(_decoded(key))), "base64-of-text"
    if _derived and bytes(key) in _derived:
        text, form = _derived[bytes(key)]
        return _label(_decoded(text)), form
    if _TEXT in key or MARK in key or _UPPER in key or _TWICE in key:
        return "", "unknown"
    return None


def derive(key: bytes, text: bytes, form: str) -> None:
    """Remembers what a library made of a placeholder, where that cannot be seen in it."""
    _derived[key] = (text, form)


def within(text: object) -> bool:
    """Whether a placeholder stands in a text. Errors of hsmsign's begin with its name, and bots send them to their owners:
    that alone is none."""
    if isinstance(text, str):
        return "aHNtc2lnbj" in text or "AHNTC2LNBJ" in text or "YUhOdGMybG5i" in text
    if isinstance(text, (bytes, bytearray)):
        found = label_of(text)
        return bool(found and found[0]) or _TEXT in text or _UPPER in text or _TWICE in text
    return False


def _decoded(text: "bytes | bytearray") -> bytes:
    try:
        return binascii.a2b_base64(bytes(text))
    except ValueError:
        return b""


def _label(decoded: bytes) -> str:
    if len(decoded) != 24 or not decoded.startswith(MARK):
        return ""
    return decoded[len(MARK) :].rstrip(b"\0").decode("ascii", "replace")


def _upper(key: bytes) -> str:
    """In capitals the text can be read no longer: its key is looked for among those that there are."""
    from ._keys import names

    for name in names():
        if placeholder(name).upper().encode() == key:
            return name
    return ""
