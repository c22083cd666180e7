"""Signing what ccxt composed, as a whole request.

ccxt composes a request with stand-ins where its signatures go. The request without them is sent to the agent, whose
policy sees it; the signatures come back in the agent's answer and are put where the stand-ins were. What comes out must be
the agent's answer, byte for byte, but for the question mark of an empty query; where it is not, there is only the raw MAC,
for keys that were allowed it.
"""

from __future__ import annotations

import base64
import json
import os
import re
from typing import Any, Callable

from . import _forms
from ._errors import BadInput, UnsupportedAlgorithm
from ._keys import by_label
from ._mac import mac
from ._request import Signed, line
from ._wire import ask

# What is signed comes as such; these tell who the client is, and are not signed.
_STAMPS = {
    "nonce": re.compile(r"nonce|echostr", re.I),
    "window": re.compile(r"window", re.I),
    "timestamp": re.compile(r"time|expir|stamp|ts$|^date$", re.I),
}
# A header that is a list, as in `ts=1700000000001,sig=…,nonce=…`.
_LISTED = re.compile(r'(?:^|[\s,;])(ts|timestamp|nonce)="?([\w-]+)')
# Of another list, as in `Bitso key:1700000000001:…`: what may be a time.
_NUMBERS = re.compile(r"(?:^|[\s,;:])()(\d{10,19})(?=[\s,;:]|$)")
# The first two parts of a token (JWT).
_TOKEN = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+")


class Mismatch(Exception):
    """The agent signs this request in another way than ccxt composed it."""


class Composed:
    """The MACs and signatures that a request wants, put off until it is whole."""

    def __init__(self) -> None:
        self.calls: "list[tuple[str, str, str, bytes, bytes]]" = []

    def collect(self, label: str, form: str, algorithm: str, message: bytes) -> bytes:
        """Answers a stand-in: random bytes that stand nowhere else."""
        size = {"sha256": 32, "sha384": 48, "sha512": 64, "rsa": 256}.get(algorithm, 64)
        for known in self.calls:
            if known[:4] == (label, form, algorithm, message):
                return known[4]
        stand_in = os.urandom(size)
        self.calls.append((label, form, algorithm, message, stand_in))
        return stand_in

    def sign(self, request: "dict[str, Any]") -> "dict[str, Any]":
        """The request with its signatures. Raises Mismatch where only raw MACs would do."""
        request = bare(request)
        info = self.key()
        if info.get("exchange") in (None, "generic"):
            raise Mismatch("the key is a generic one, and signs raw bytes only")
        wanted = self._wanted(info, request)
        # Where no nonce is seen there may be none; where the exchange lets that be, it is asked for in the second place.
        tries = [wanted]
        if "nonce" not in wanted:
            tries.append({**wanted, "nonce": None})
            if "timestamp" in wanted:
                # Some exchanges call a time what hsmsign knows as their nonce.
                rest = {name: value for name, value in wanted.items() if name != "timestamp"}
                tries.append({**rest, "nonce": wanted["timestamp"]})
        why: "Exception | None" = None
        for one in tries:
            try:
                return self._joined(request, Signed.of(ask(one)), info)
            except (BadInput, UnsupportedAlgorithm, Mismatch) as error:
                why = why or error
        raise Mismatch(str(why)) from why

    def key(self) -> "dict[str, Any]":
        """The one key that signs it."""
        keys = {(call[0], call[2]) for call in self.calls}
        found = {info["key"]: info for info in (by_label(label, algorithm) for label, algorithm in keys)}
        if len(found) != 1:
            raise Mismatch("it is signed with several keys")
        return found.popitem()[1]

    def may_be_raw(self) -> bool:
        """Whether its key was allowed raw MACs."""
        return all("raw" in (by_label(call[0], call[2]).get("allow") or ()) for call in self.calls)

    def raw(self, request: "dict[str, Any]") -> "dict[str, Any] | None":
        """The request with the raw MACs of its messages; none where one took a form that is not known."""
        parts = [request["url"], request.get("body") or "", *map(str, (request.get("headers") or {}).values())]
        for call in self.calls:
            if not any(_forms.stands(call[4], part) for part in parts if isinstance(part, str)):
                return None
        values = [(call[4], mac(by_label(call[0], call[2])["key"], call[3], call[2])) for call in self.calls]
        return filled(request, values)

    def _wanted(self, info: "dict[str, Any]", request: "dict[str, Any]") -> "dict[str, Any]":
        """The request line: the request without what its signatures put into it, with its stamps."""
        url = self._without(request["url"], query=True)
        body = request.get("body")
        if body:
            body = self._without_member(body) if body[:1] in "{[" else self._without(body, query=False)
        stamps: "dict[str, str]" = {}
        for name, value in (request.get("headers") or {}).items():
            self._stamp(name, str(value), stamps)
        token = _TOKEN.search(request["url"])
        if token:
            self._claims(token.group(), stamps)
        return line(info["key"], request["method"], url, body=body or None, **stamps)

    def _stand_ins(self) -> "list[bytes]":
        return [call[4] for call in self.calls]

    def _written(self) -> "list[str]":
        return [write(call[4]) for call in self.calls for write, _ in _forms.FORMS]

    def _without(self, text: str, query: bool) -> str:
        """Without the fields of a query or form that hold a stand-in."""
        head, mark, fields = text.partition("?") if query else ("", "", text)
        written = self._written()
        kept = [field for field in fields.split("&") if not any(one in field for one in written)]
        return head + mark + "&".join(kept) if kept and kept != [""] else head

    def _without_member(self, body: str) -> str:
        """Without the members of a JSON object that are a stand-in."""
        for written in self._written():
            member = r'"[^"\\]*"\s*:\s*"' + re.escape(written) + '"'
            body = re.sub(r",\s*" + member, "", body)
            body = re.sub(member + r"\s*,?\s*", "", body)
        return body

    def _stamp(self, name: str, value: str, stamps: "dict[str, str]") -> None:
        """Finds the timestamp and nonce that a header carries."""
        value = _forms.opened(value, self._stand_ins()) or value
        if any(written in value for written in self._written()):
            for listed, stamp in _LISTED.findall(value) or _NUMBERS.findall(value):
                stamps.setdefault("nonce" if listed == "nonce" else "timestamp", stamp)
            token = _TOKEN.search(value)
            if token:
                self._claims(token.group(), stamps)
            return
        for stamp, pattern in _STAMPS.items():
            if pattern.search(name.replace("X-", "").replace("-", "")) and len(value) <= 64:
                stamps.setdefault(stamp, value)
                return
        if len(value) > 20 and re.fullmatch(r"[\w+/=-]+", value):
            try:
                payload = json.loads(base64.b64decode(value))
                for member in payload if isinstance(payload, dict) else ():
                    if "nonce" in member:
                        stamps.setdefault("nonce", str(payload[member]))
            except ValueError:
                pass

    @staticmethod
    def _claims(token: str, stamps: "dict[str, str]") -> None:
        head, claims = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")
        )
        for source, names in (("nonce", (head, "nonce")), ("nonce", (claims, "nonce"))):
            if names[1] in names[0]:
                stamps.setdefault(source, str(names[0][names[1]]))
        for name in ("nbf", "iat", "timestamp"):
            if name in claims:
                stamps.setdefault("timestamp", str(claims[name]))

    def token(self, request: "dict[str, Any]") -> "dict[str, Any]":
        """The request with the agent's own headers in place of those that hold a signature: a token (JWT) says the same in
        the agent's words. Raises Mismatch where more than that differs."""
        request = bare(request)
        wanted = self._wanted(self.key(), request)
        # It makes its own time and nonce.
        for name in ("timestamp", "nonce"):
            wanted.pop(name, None)
        try:
            signed = Signed.of(ask(wanted))
        except (BadInput, UnsupportedAlgorithm) as error:
            raise Mismatch(str(error)) from error
        if signed.url != request["url"] or (signed.text or "") != (request.get("body") or ""):
            raise Mismatch("the agent composes it in another way")
        written = self._written()
        headers = {
            name: value
            for name, value in (request.get("headers") or {}).items()
            if not any(one in str(value) for one in written)
        }
        return {**request, "headers": {**signed.headers, **headers}}

    def _joined(self, request: "dict[str, Any]", signed: Signed, info: "dict[str, Any]") -> "dict[str, Any]":
        """ccxt's request with the agent's signatures, if that is the agent's own answer."""
        theirs = {name.lower(): str(value) for name, value in (request.get("headers") or {}).items()}
        ours = {name.lower(): value for name, value in signed.headers.items()}
        body = signed.text or ""
        pairs = [(request["url"], signed.url or ""), (request.get("body") or "", body)]
        pairs += [(composed, ours[name]) for name, composed in theirs.items() if name in ours]
        opened = ((_forms.opened(one, self._stand_ins()), _forms.opened(other)) for one, other in pairs)
        pairs += [(one, other) for one, other in opened if one and other]
        # ccxt takes a placeholder for a secret text, and so a private key's signature is written as the exchange wants it.
        as_written = not str(info.get("algorithm", "")).startswith("hmac") and self.calls[0][2].startswith("sha")
        values: "list[tuple[str, str]]" = []
        for _, _, _, _, stand_in in self.calls:
            found = (_forms.take(composed, made, stand_in, as_written) for composed, made in pairs)
            value = next((one for one in found if one), None)
            if value is None:
                raise Mismatch("its signature stands elsewhere in the agent's request")
            values += value
        done = _replaced(request, lambda text: _forms.put(text, values))
        # Where the agent moved all of the body into a header, the rules saw what ccxt sends along once more.
        same = done["url"] == signed.url and (signed.body is None or (done.get("body") or "") == body)
        headers = {name.lower(): str(value) for name, value in (done.get("headers") or {}).items()}
        for name, wanted in ours.items():
            same = same and (name == "content-type" or headers.get(name) == wanted)
        if not same:
            raise Mismatch("the agent composes it in another way")
        return done


def bare(request: "dict[str, Any]") -> "dict[str, Any]":
    """The request without the question mark that some exchanges of ccxt write before an empty query, which is none."""
    return {**request, "url": request["url"].removesuffix("?")}


def filled(request: "dict[str, Any]", values: "list[tuple[bytes, bytes]]") -> "dict[str, Any]":
    """The request with values in place of their stand-ins."""
    written = [pair for stand_in, value in values for pair in _forms.pairs(stand_in, value)]
    return _replaced(request, lambda text: _forms.put(text, written))


def _replaced(request: "dict[str, Any]", change: "Callable[[str], str]") -> "dict[str, Any]":
    done = dict(request)
    done["url"] = change(request["url"])
    if isinstance(request.get("body"), str):
        done["body"] = change(request["body"])
    headers = request.get("headers")
    if headers:
        done["headers"] = {name: change(value) if isinstance(value, str) else value for name, value in headers.items()}
    return done
