#!/usr/bin/env python3
"""Has ccxt and hsmsign sign the same calls, and tells where they differ: scripts/ccxt-compare.py [EXCHANGE]…

For each exchange of softhsm-tests/data/ccxt-calls.toml (or those named) every private endpoint that ccxt knows is
signed by ccxt, with a clock that stands still and a secret that is nobody's, and by target/debug/hsmsign on a SoftHSM
token of its own: as the finished bytes of ccxt's request, and by its parameters. No request is sent. What is left are
ccxt's own ways, which a person must look at: paths whose parts it does not fill in, its name added to orders, the
window put last.
"""

import base64
import collections
import importlib.util
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
spec = importlib.util.spec_from_file_location("vectors", pathlib.Path(__file__).with_name("ccxt-vectors.py"))
vectors = importlib.util.module_from_spec(spec)
spec.loader.exec_module(vectors)

HSMSIGN = vectors.ROOT / "target" / "debug" / "hsmsign"
# What each endpoint is asked with.
PARAMETERS = [{}, {"symbol": "BTC-USDT", "limit": 10, "side": "buy"}, {"symbol": "a b+c,é"}]


def endpoints(node, sections=()):
    """Method, sections and path of all that ccxt's tree has."""
    for key, value in node.items():
        if key in ("get", "post", "put", "delete", "patch"):
            yield from ((key.upper(), list(sections), path) for path in value)
        elif isinstance(value, dict):
            yield from endpoints(value, (*sections, key))


def signed(made, method, sections, path, params, watch):
    """What ccxt makes of a call; nothing where it does not sign it, or cannot."""
    for form in (sections, sections[0]):
        watch.seen.clear()
        try:
            answer = made.sign(path, form, method, dict(params))
        except Exception:
            continue
        if watch.seen:
            return answer
    return None


def request(table, answer):
    """The finished request, without what signing added, and the stamps of it."""
    url, headers = urllib.parse.urlsplit(answer["url"]), answer["headers"] or {}
    body = answer["body"] or ""
    body = body.decode() if isinstance(body, bytes) else body
    finished = {"method": answer["method"], "host": url.netloc, "path": url.path, "query": url.query, "body": body}
    stamps = {}
    for kind in ("timestamp", "nonce", "window"):
        value, carried = vectors.stamp(table.get(kind), finished, headers)
        if value is not None:
            stamps[kind] = value
            if not carried:
                finished[kind] = value
    vectors.without(finished, table.get("strip", []))
    return {key: value for key, value in finished.items() if value != ""}, stamps


def calls(name, table, watch, module, keys):
    """Pairs of request lines with ccxt's signature, for each endpoint and each way of giving it."""
    for method, sections, path in endpoints(vectors.exchange(module, table, name, keys).api):
        for number, own in enumerate(PARAMETERS):
            watch.now, watch.dice = vectors.CLOCKS[0], random.Random(f"{name} {path} {number}")
            params = {part: "17" for part in re.findall(r"{(\w+)}", path)} | own
            answer = signed(vectors.exchange(module, table, name, keys), method, sections, path, params, watch)
            if answer is None:
                continue
            try:
                finished, stamps = request(table, answer)
            except (ValueError, KeyError, IndexError, AssertionError):
                continue
            left = {key: value for key, value in params.items() if f"{{{key}}}" not in path}
            if "name" in table:
                left = {table["name"]: path, **left}
            place = {key: finished[key] for key in ("method", "host", "path")}
            signature = watch.seen[-1][1]
            yield "as bytes", {**finished, "key": name}, signature
            yield "by parts", {**place, **stamps, "params": left, "key": name}, signature


def holds(answer, signature):
    """Whether the signature stands in a signed request, in whatever form."""
    text = json.dumps(answer, ensure_ascii=False)
    text += urllib.parse.unquote(text)
    bearer = answer["headers"].get("Authorization", "")
    if bearer.startswith("HS256 "):
        text += base64.b64decode(bearer[6:]).decode()
    forms = [signature, signature.upper(), base64.b64encode(signature.encode()).decode()]
    if len(signature) % 4 == 0:
        forms.append(signature.translate(str.maketrans("+/", "-_")).rstrip("="))
    return any(form in text for form in forms)


def lines(folder, arguments, given):
    """What hsmsign answers to these lines."""
    text = "".join(json.dumps(line) + "\n" for line in given)
    home = {**os.environ, "HSMSIGN_HOME": folder}
    done = subprocess.run([HSMSIGN, *arguments], env=home, input=text, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    """Reads the command line, and compares."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        return print(__doc__.strip())
    vectors.in_venv()
    import ccxt
    from ccxt.base.exchange import BaseExchange
    from lib_ccxt import Watch, credential

    if not HSMSIGN.exists():
        sys.exit("ccxt-compare.py: there is no target/debug/hsmsign; build it first: cargo build")
    watch = Watch(BaseExchange)
    tables = tomllib.loads((vectors.DATA / "ccxt-calls.toml").read_text())
    wanted = {name: table for name, table in tables.items() if "action" not in table and " " not in name}
    keys, imports = {}, []
    for name in sys.argv[1:] or wanted:
        if name not in wanted:
            sys.exit(f"ccxt-compare.py: ccxt-calls.toml has no table [{name}]")
        dice, table = random.Random(f"hsmsign {name}"), wanted[name]
        made = {}
        keys[name] = {key: credential(shape, dice, made) for key, shape in table["keys"].items()}
        algorithm = {"algorithm": table["algorithm"]} if "algorithm" in table else {}
        own = {"exchange": table.get("as", name), "key": name, "allow": ["withdrawals"]}
        imports.append({**keys[name], **own, **algorithm})
    with tempfile.TemporaryDirectory() as folder:
        home = {**os.environ, "HSMSIGN_HOME": folder}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([HSMSIGN, "init", "--softhsm"], env=home, check=True, **quiet)
        for answer in lines(folder, ["import", "--json"], imports):
            if not answer["ok"]:
                sys.exit(f"ccxt-compare.py: {answer}")
        for name in keys:
            asked = list(calls(name, wanted[name], watch, ccxt, keys[name]))
            counts, odd = collections.Counter(), {}
            answers = lines(folder, ["sign", "--json"], [line for _, line, _ in asked])
            for (way, line, signature), answer in zip(asked, answers, strict=True):
                if answer["ok"] and holds(answer, signature):
                    counts[way] += 1
                else:
                    why = "another signature" if answer["ok"] else answer["error"]["message"][:80]
                    odd.setdefault((way, why), []).append(f"{line['method']} {line['path']}")
            print(f"{name}: {counts['as bytes']} as bytes, {counts['by parts']} by parts")
            for (way, why), where in odd.items():
                print(f"  {way}, {why}: {len(where)}, as {where[0]}")
    return None


if __name__ == "__main__":
    main()
