#!/usr/bin/env python3
"""Has the real ccxt sign requests, and writes them down as test vectors: scripts/ccxt-vectors.py [--check]

Installs ccxt 4.5.90 from PyPI into .cache/ccxt (once), asks it for the calls of softhsm-tests/data/ccxt-calls.toml with
a clock that stands still and secrets that are nobody's, and writes softhsm-tests/data/ccxt-vectors.jsonl, and the names
of all its exchanges to ccxt-classes.txt beside it. The same files come out of every run. --check writes nothing, and
exits 1 where a file in the tree is not what comes out. No request is sent, and the tests read the files alone: they
need no Python.
"""

import asyncio
import base64
import json
import os
import pathlib
import random
import subprocess
import sys
import urllib.parse

sys.dont_write_bytecode = True

CCXT = "4.5.90"
ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "softhsm-tests" / "data"
VENV = ROOT / ".cache" / "ccxt"
# One of them for each call in turn, in milliseconds.
CLOCKS = [1700000001001, 1716549322008, 1731234567050, 1767225600000]
# What says who the client is, and is not signed.
IDLE = {
    "accept", "appid", "broker-id", "broker_sign", "input-source", "open-api-partner", "referrer", "user-agent",
    "x-bb-api-platform", "x-bitopro-api", "x-fb-client", "x-fb-client-version",
}


def in_venv():
    """Runs this script again with the interpreter that has ccxt, made if it is not there."""
    python = VENV / "bin" / "python"
    mark = VENV / "version"
    if pathlib.Path(sys.prefix) == VENV and mark.exists() and mark.read_text() == CCXT:
        return
    if not mark.exists() or mark.read_text() != CCXT:
        print(f"Installing ccxt {CCXT} into {VENV.relative_to(ROOT)}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"ccxt=={CCXT}"], check=True)
        mark.write_text(CCXT)
    os.execv(python, [python, *sys.argv])


class Signed(Exception):
    """Ends a login where ccxt would open a socket; holds the frame, its url and headers."""


def exchange(module, table, name, keys):
    """A ccxt exchange with these keys."""
    made = getattr(module, table.get("class", name))()
    made.apiKey, made.secret = keys.get("api_key"), keys.get("secret")
    made.privateKey, made.password = keys.get("secret"), keys.get("passphrase")
    made.uid = made.accountId = made.walletAddress = keys.get("user_id")
    if "action" in table:
        made.options["agentAddress"] = keys["api_key"]
    for path, value in table.get("set", {}).items():
        if value == "secret as PEM":
            value = f"-----BEGIN PRIVATE KEY-----\n{keys['secret']}\n-----END PRIVATE KEY-----"
        if path.startswith("options."):
            made.options[path.removeprefix("options.")] = value
        else:
            setattr(made, path, value)
    return made


def sign(made, table, call):
    """What `sign` of the exchange makes of a call; the parameters that are not part of the path come along."""
    method, sections, rest = call.removeprefix("$").split(" ", 2)
    path, _, text = rest.partition(" ")
    params = json.loads(text or "{}")
    path, _, operation = path.partition("#")
    left = made.omit(params, made.extract_params(path))
    if "name" in table:
        left = {table["name"]: path, **left}
    if operation:
        params = getattr(made, table["action"])(operation, params, {})
    return made.sign(path, sections.split("/"), method, params), left


def login(made, call):
    """The frame, url and headers with which the exchange logs in to its socket."""

    def headers():
        options = made.options.get("ws", {}).get("options", {})
        return {name: value for name, value in options.get("headers", {}).items() if name != "User-Agent"}

    class Client:
        subscriptions, futures = {}, {}

        def reusableFuture(self, _):
            return asyncio.get_running_loop().create_future()

    def client(url):
        if headers():
            raise Signed({"url": url, "headers": headers(), "body": None})
        return Client()

    def watch(url, _hash, message=None, *_):
        raise Signed({"url": url, "headers": {}, "body": json.dumps(message)})

    made.client, made.watch, made.watch_multiple = client, watch, watch
    method, *arguments = call.split(" ")

    async def run():
        try:
            answer = getattr(made, method)(*arguments)
            if asyncio.iscoroutine(answer):
                await answer
        except Signed as frame:
            return frame.args[0]
        return {"url": None, "headers": headers(), "body": None}

    return asyncio.run(run())


# ---- rows


def fields(text):
    """The fields of a query or form."""
    return {name: urllib.parse.unquote(value) for name, _, value in (piece.partition("=") for piece in text.split("&"))}


def header(headers, name):
    """A header's value."""
    return next((value for have, value in headers.items() if have.lower() == name.lower()), None)


def token_part(token, part):
    """Header (0) or claims (1) of a JWT."""
    piece = token.removeprefix("Bearer ").split(".")[part]
    return json.loads(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))


def stamp(where, request, headers):
    """What ccxt put where the table says, and whether the request's own text carries it."""
    if where is None:
        return None, False
    if isinstance(where, list):
        found = (stamp(one, request, headers) for one in where)
        return next((one for one in found if one[0] is not None), (None, False))
    kind, *names = where.split(" ")
    query, body = fields(request["query"]), request["body"]
    form = fields(body) if not body.startswith(("{", "[")) else {}
    member = json.loads(body) if body.startswith("{") else {}
    bearer = header(headers, "Authorization") or ""
    if kind == "header":
        return header(headers, names[0]), False
    if kind == "claim":
        return str(token_part(bearer, 1)[names[0]]), False
    if kind == "payload":
        found = json.loads(base64.b64decode(header(headers, names[0]))).get(names[1])
        return found and str(found), False
    if kind == "hs256":
        return base64.b64decode(bearer.split(" ")[1]).decode().split(":")[2], False
    if kind in ("jwt", "jwt-header"):
        return str(token_part(query[names[1]], int(kind == "jwt"))[names[2]]), False
    places = {"query": [query], "form": [form], "json": [member], "any": [query, form, member]}[kind]
    found = next((str(place[names[0]]) for place in places if names[0] in place), None)
    return found, found is not None


def without(request, strip):
    """The request without the fields that signing added."""
    for where in strip:
        place, name = where.split(" ")
        key = "query" if place == "query" else "body"
        text = request[key]
        if place == "json":
            if text.startswith("{"):
                members = json.loads(text)
                assert json.dumps(members, separators=(",", ":"), ensure_ascii=False) == text, text
                members.pop(name)
                request[key] = json.dumps(members, separators=(",", ":"), ensure_ascii=False)
        elif not text.startswith(("{", "[")):
            request[key] = "&".join(piece for piece in text.split("&") if piece.split("=")[0] != name)


def row(name, table, number, keys, call, watch, module):
    """One call as a row."""
    made = exchange(module, table, name, keys)
    watch.seen.clear()
    result, params = sign(made, table, call)
    message, signature = next(pair for pair in watch.seen if pair[0].decode() != keys.get("passphrase"))
    url = urllib.parse.urlsplit(result["url"])
    headers = {key: value for key, value in (result["headers"] or {}).items() if key.lower() not in IDLE}
    if "only" in table:
        headers = {key: value for key, value in headers.items() if key in table["only"]}
    body = result["body"] or ""
    if not body:
        headers = {key: value for key, value in headers.items() if key.lower() != "content-type"}
    request = {"method": result["method"], "host": url.netloc, "path": url.path, "query": url.query, "body": body}
    stamps = {}
    for kind in ("timestamp", "nonce", "window"):
        value, carried = stamp(table.get(kind), request, result["headers"] or {})
        if value is not None:
            stamps[kind] = value
            if not carried:
                request[kind] = value
    without(request, table.get("strip", []))
    expected = {"method": result["method"], "url": result["url"], "headers": headers, "body": body or None}
    return {
        **head(name, table, number, keys),
        "request": {key: value for key, value in request.items() if value != "" or key in ("query", "body")},
        "expected": expected,
        "compare": "verify" if table.get("algorithm") == "p256" else "exact",
        "message_hex": message.hex(),
        "signature": placed(signature, result),
        "params": list(params.items()),
        "stamps": stamps,
        "moves_money": call.startswith("$"),
    }


def placed(signature, answer):
    """The signature's text as it stands in what ccxt made."""
    from lib_ccxt import base58

    forms = [signature, signature.upper(), base64.b64encode(signature.encode()).decode()]
    if len(signature) % 4 == 0:
        data = base64.b64decode(signature)
        forms += [base64.urlsafe_b64encode(data).decode().rstrip("="), base58(data)]
    whole = urllib.parse.unquote(json.dumps(answer))
    bearer = header(answer.get("headers") or {}, "Authorization") or ""
    if bearer.startswith("HS256 "):
        whole += base64.b64decode(bearer.split(" ")[1]).decode()
    return next(form for form in forms if form in whole)


def socket_row(name, table, keys, watch, module):
    """The login of the exchange's socket as a row."""
    made = exchange(module, table, name, keys)
    watch.seen.clear()
    frame = login(made, table["socket"])
    message, signature = watch.seen[0]
    headers = {key: value for key, value in frame["headers"].items() if key.lower() not in IDLE}
    request = {"websocket": True}
    text = json.dumps([frame["body"], list(headers.values()), frame["url"]])
    if frame["body"] and '"nonce": "' in frame["body"]:
        request["nonce"] = frame["body"].split('"nonce": "')[1].split('"')[0]
    for candidate in (watch.now, watch.now // 1000, watch.now // 1000 + 10):
        if str(candidate) in text or str(candidate).encode() in message:
            request["timestamp"] = str(candidate)
            break
    if table.get("nonce", "").startswith("payload"):
        request["nonce"], _ = stamp(table["nonce"], {"query": "", "body": ""}, headers)
        request.pop("timestamp", None)
    if "Bearer " in text:
        claims = token_part(next(iter(headers.values())), 1)
        request["nonce"] = claims["nonce"]
        request.pop("timestamp", None)
        if "timestamp" in claims:
            request["timestamp"] = str(claims["timestamp"])
    return {
        **head(name, table, "ws", keys),
        "source": f"ccxt.pro=={CCXT}",
        "request": request,
        "expected": {"method": "WS", "url": frame["url"], "headers": headers, "body": frame["body"]},
        "compare": "contains-signature",
        "message_hex": message.hex(),
        "signature": placed(signature, frame),
    }


def head(name, table, number, keys):
    """The fields that every row begins with."""
    return {
        "id": f"{name.replace(' ', '-')}-{number}",
        "source": f"ccxt=={CCXT}",
        "scheme": name.replace(" ", "-"),
        "exchange": table.get("as", table.get("class", name)),
        "algorithm": table.get("algorithm", "hmac-sha256"),
        "credentials": {key: value for key, value in keys.items() if key != "public"},
        **({"public_key_pem": keys["public"]} if "public" in keys else {}),
    }


def rows():
    """Every row of every table, in the file's order."""
    import tomllib

    import ccxt
    import ccxt.pro
    from ccxt.base.exchange import BaseExchange
    from lib_ccxt import Watch, credential

    watch = Watch(BaseExchange)
    calls = tomllib.loads((DATA / "ccxt-calls.toml").read_text())
    for name, table in calls.items():
        dice, made = random.Random(f"hsmsign {name}"), {}
        keys = {key: credential(shape, dice, made) for key, shape in table["keys"].items()}
        if "public" in made:
            keys["public"] = made["public"].decode()
        for number, call in enumerate(table["calls"]):
            watch.now, watch.dice = CLOCKS[number % len(CLOCKS)], random.Random(f"{name} {number}")
            try:
                yield row(name, table, f"{number + 1:02}", keys, call, watch, ccxt)
            except Exception as error:
                raise SystemExit(f"{name}: {call}: {error!r}") from error
        if "socket" in table:
            watch.now, watch.dice = CLOCKS[0], random.Random(f"{name} socket")
            try:
                yield socket_row(name, table, keys, watch, ccxt.pro)
            except Exception as error:
                raise SystemExit(f"{name}: {table['socket']}: {error!r}") from error


def classes():
    """The names of all exchanges that ccxt has."""
    import ccxt

    return ccxt.exchanges


def main():
    """Reads the command line."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        return print(__doc__.strip())
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("ccxt-vectors.py: takes --check or nothing; see --help")
    if sys.version_info < (3, 11):
        sys.exit("ccxt-vectors.py: needs Python 3.11 or newer")
    in_venv()
    texts = {
        "ccxt-vectors.jsonl": "".join(json.dumps(line, ensure_ascii=True) + "\n" for line in rows()),
        "ccxt-classes.txt": "".join(f"{name}\n" for name in classes()),
    }
    for name, text in texts.items():
        file = DATA / name
        same = file.exists() and file.read_text() == text
        shown = file.relative_to(ROOT)
        if sys.argv[1:] != ["--check"]:
            file.write_text(text)
            print(f"{shown}: {text.count(chr(10))} lines{', unchanged' if same else ''}")
        elif not same:
            sys.exit(f"{shown} is not what ccxt {CCXT} makes: run this without --check")


if __name__ == "__main__":
    main()
