"""Logins that a private key signs. Such a key signs whole requests only: the agent composes the login by itself, and its
signature serves where it is that of the bytes that a library composed."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Iterator

from ._counts import count
from ._errors import BadInput, HsmsignError, UnsupportedAlgorithm
from ._keys import by_label
from ._request import Signed, line
from ._wire import ask


def login(label: "tuple[str, str]", algorithm: str, message: bytes) -> bytes:
    """The signature of a login that a library composed."""
    info = by_label(label[0])
    why = "the agent composes no login like it"
    for stamps in _stamps(message):
        try:
            signed = Signed.of(ask(line(info["key"], websocket=True, **stamps)))
        except (BadInput, UnsupportedAlgorithm) as error:
            why = error.message
            continue
        for signature in _signatures(signed):
            if verifies(str(info.get("public_key")), message, signature):
                count(info["key"], "whole")
                return signature
    raise UnsupportedAlgorithm(
        f"a signature of bytes alone was asked for, and the key {info['key']} ({info.get('algorithm')}) signs whole requests "
        f"only: {why}",
        "use the library's usual calls, or hsmsign.Signer; keys for HMAC may be allowed raw MACs",
    )


def _stamps(message: bytes) -> "Iterator[dict[str, str]]":
    """What may be the time and the nonce in a message."""
    text = message.decode("utf-8", "replace")
    token = re.match(r"(eyJ[\w-]+)\.(eyJ[\w-]+)$", text)
    if token:
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.groups())
        found = {"timestamp": claims.get("nbf", claims.get("iat")), "nonce": head.get("nonce", claims.get("nonce"))}
        yield {name: str(value) for name, value in found.items() if value is not None}
    for number in re.findall(r"\d{10,19}", text):
        yield {"timestamp": number}


def _signatures(signed: Signed) -> "Iterator[bytes]":
    """What in a login may be its signature."""
    text = " ".join([signed.text or "", signed.url or "", *signed.headers.values()])
    for word in re.findall(r"[\w+/=-]{80,}", text):
        try:
            yield base64.urlsafe_b64decode((word + "=" * (-len(word) % 4)).replace("+", "-").replace("/", "_"))
        except ValueError:
            continue


def verifies(public: str, message: bytes, signature: bytes) -> bool:
    """Whether the public key, as the exchange writes it, says that this is the message's signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    key = _public(public)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            half = len(signature) // 2
            pair = (int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
            key.verify(encode_dss_signature(*pair), message, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _public(text: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if "BEGIN" in text:
        return load_pem_public_key(text.encode())
    plain = text.partition(":")[2] or text
    for read in (base64.b64decode, _base58, bytes.fromhex):
        try:
            raw = read(plain)
        except ValueError:
            continue
        if len(raw) == 32:
            return ed25519.Ed25519PublicKey.from_public_bytes(raw)
    raise HsmsignError("the agent's public key is of a form that is not known")


def _base58(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(letter)
    return number.to_bytes(32, "big")
