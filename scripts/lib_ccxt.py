"""What ccxt-vectors.py stands on: keys that are nobody's, and a ccxt whose clock stands still. Imported, not run."""

import base64
import hashlib
import random
import uuid

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa


def base58(data):
    """Bitcoin's base58."""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        out = alphabet[digit] + out
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + out


def credential(shape, dice, made):
    """A value of this shape; `made` remembers the key of which several values are forms."""
    def pem(key, kind):
        return key.private_bytes(form.Encoding.PEM, kind, form.NoEncryption()).decode()

    def public(key):
        made["public"] = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        return key

    name, _, size = shape.partition(":")
    letters = name.rstrip("0123456789")
    count = int(name[len(letters):] or 0)
    sets = {
        "hex": "0123456789abcdef",
        "alnum": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "digits": "123456789",
    }
    if letters in sets and count:
        return "".join(dice.choice(sets[letters]) for _ in range(count))
    if name == "base64" and size:
        return base64.b64encode(dice.randbytes(int(size))).decode()
    if name == "uuid":
        return str(uuid.UUID(bytes=dice.randbytes(16), version=4))
    if name.startswith(("ed25519-", "solana")):
        seed = dice.randbytes(32) if name == "solana-other-address" else made.setdefault("seed", dice.randbytes(32))
        key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        if name != "solana-other-address":
            public(key)
        point = key.public_key().public_bytes_raw()
        return {
            "ed25519-pem": pem(key, form.PrivateFormat.PKCS8),
            "ed25519-base58": "ed25519:" + base58(seed),
            "ed25519-base58-public": "ed25519:" + base58(point),
            "ed25519-base64": base64.b64encode(seed + point).decode(),
            "solana": base58(seed + point),
            "solana-address": base58(point),
            "solana-other-address": base58(point),
        }[name]
    if name == "p256-pem":
        key = public(ec.derive_private_key(int.from_bytes(dice.randbytes(31), "big"), ec.SECP256R1()))
        return pem(key, form.PrivateFormat.TraditionalOpenSSL)
    if name == "rsa-base64":
        key = public(rsa_key(dice))
        der = key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
        return base64.b64encode(der).decode()
    return shape


def rsa_key(dice):
    """An RSA key of 2048 bits, always the same for the same dice."""

    def prime():
        while True:
            number = dice.getrandbits(1024) | 1 | 3 << 1022
            if (number - 1) % 65537 and all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11, 13)):
                return number

    p, q = prime(), prime()
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


class Watch:
    """Stands between ccxt and its primitives: sets the clock, and remembers each message with its signature."""

    def __init__(self, base):
        self.now, self.seen, self.dice = 0, [], random.Random()
        hmac, eddsa, rsa, ecdsa = base.hmac, base.eddsa, base.rsa, base.ecdsa

        def remember(message, signature):
            message = message if isinstance(message, bytes) else message.encode()
            shown = base64.b64encode(signature).decode() if isinstance(signature, bytes) else signature
            self.seen.append((message, shown))
            return signature

        def ecdsa_seen(request, secret, algorithm="p256", hash=None, fixed_length=False):
            made = ecdsa(request, secret, algorithm, hash, fixed_length)
            remember(request, bytes.fromhex(made["r"].rjust(64, "0") + made["s"].rjust(64, "0")))
            return made

        base.hmac = staticmethod(
            lambda request, secret, algorithm=hashlib.sha256, digest="hex": remember(
                request, hmac(request, secret, algorithm, digest)
            )
        )
        base.eddsa = staticmethod(
            lambda request, secret, curve="ed25519", url_encode=False: remember(
                request, eddsa(request, secret, curve, url_encode)
            )
        )
        base.rsa = staticmethod(
            lambda request, secret, alg="sha256", padding_mode="pkcs1": remember(
                request, rsa(request, secret, alg, padding_mode)
            )
        )
        base.ecdsa = staticmethod(ecdsa_seen)
        base.milliseconds = staticmethod(lambda: self.now)
        base.seconds = staticmethod(lambda: self.now // 1000)
        base.microseconds = staticmethod(lambda: self.now * 1000)
        base.uuid = staticmethod(lambda: str(uuid.UUID(bytes=self.dice.randbytes(16), version=4)))
        base.uuid22 = staticmethod(lambda length=22: self.dice.randbytes(11).hex()[:length])
        base.uuid16 = staticmethod(lambda length=16: self.dice.randbytes(8).hex()[:length])
        base.random_bytes = staticmethod(lambda length: self.dice.randbytes(length).hex())
