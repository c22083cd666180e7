#!/usr/bin/env python3
"""Has bots' libraries sign with their secrets and with placeholders, and compares what they would send:
scripts/bots.py PROGRAM [--sample N] [--write | --check]

PROGRAM is the hsmsign to be tried. The libraries are those of scripts/bots-requirements.txt, in .cache/bots, which
scripts/test.sh installs. Prints the tables of docs/bots.md; --write puts them there, --check exits 1 where less is the
same than stands there. --sample tries N calls of each exchange. Nothing is sent.
"""

import base64
import collections
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import lib_bots
import lib_node

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".cache" / "bots" / "bin" / "python"
TESTS = ROOT / "clients" / "python" / "tests"
NODE = ROOT / ".cache" / "bots-js"
CCXT, CCXT_NODE = "4.5.90", "4.5.84"
# Between these lines of docs/bots.md the tables stand.
BEGIN, END = "<!-- made by scripts/bots.py -->", "<!-- the end of what scripts/bots.py made -->"
# Nobody's. It is hex, and base64 as well.
SECRET = hashlib.sha256(b"hsmsign: a secret that is nobody's").hexdigest()
LONG = base64.b64encode(hashlib.sha512(SECRET.encode()).digest()).decode()
SEED = hashlib.sha256(b"hsmsign: a seed that is nobody's").digest()
CREDENTIALS = {
    "apiKey": "example-key", "secret": SECRET, "uid": "12345", "password": "pass", "privateKey": SECRET, "login": "me",
    "walletAddress": "0x" + "12" * 20, "accountId": "1234", "token": "token",
}  # fmt: skip
# What ccxt wants of an exchange's credentials beyond their names.
SPECIAL = {
    "coinbase": {"apiKey": "organizations/nobody/apiKeys/nobody"},
    # The keys of Coinbase's own way cannot be used: ccxt fails before it signs.
    "coinbaseinternational": {"apiKey": "example1", "secret": SECRET[:43]},
    "hibachi": {"privateKey": base64.b64encode(hashlib.sha256(SECRET.encode()).digest()).decode(), "accountId": "1234"},
    "gemini": {"apiKey": "account-example"},
    "lbank": {"secret": SECRET[:32]},
    **{name: {"secret": LONG} for name in ("btcmarkets", "coinbaseexchange", "kraken", "krakenfutures")},
}
# Exchanges whose keys are another's.
AS = {"coinbaseinternational": "deribit"}
# Exchanges whose older interface signs with the same secret by another hash: a second key.
OLDER = {"bithumb": "bithumb-legacy"}


def p256_public():
    """The public key of Coinbase's, in PEM: no two signatures by it are the same, so that those in Node are checked."""
    from cryptography.hazmat.primitives import serialization as form

    private = form.load_pem_private_key(private_keys()["coinbase"]["secret"].encode(), None)
    return private.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode()


def base58(data):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        out = alphabet[digit] + out
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + out


def private_keys():
    """Exchanges whose secret is a private key, with how it is written there."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def pem(key):
        return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()

    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    public = edwards.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
    curve = ec.derive_private_key(int.from_bytes(SEED, "big") >> 1, ec.SECP256R1())
    solana = {"privateKey": base58(SEED + public), "walletAddress": base58(public[::-1]), "options": {"agentAddress": base58(public)}}
    orderly = {"secret": "ed25519:" + base58(SEED), "apiKey": "ed25519:" + base58(public)}
    return {
        "backpack": {"secret": base64.b64encode(SEED).decode(), "apiKey": base64.b64encode(public).decode()},
        "coinbase": {"secret": pem(curve)},
        "pacifica": solana,
        "revolutx": {"privateKey": pem(edwards)},
        "modetrade": orderly,
        "woofipro": orderly,
    }


def required():
    """The credentials that each exchange of ccxt wants."""
    import ccxt

    keys = private_keys()
    wanted = {}
    for name in ccxt.exchanges:
        needs = getattr(ccxt, name)().requiredCredentials
        given = {key: CREDENTIALS.get(key, "x") for key, needed in needs.items() if needed}
        wanted[name] = {**given, **SPECIAL.get(name, {}), **keys.get(name, {})}
    return wanted


class Place:
    """Folders of hsmsign with a token."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.environment = {"PATH": os.environ["PATH"], "HSMSIGN_HOME": f"{folder}/home", "HOME": folder}
        self.run("init", "--softhsm")

    def run(self, *args, text="", check=True):
        done = subprocess.run(
            [self.program, *args], input=text, env=self.environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise SystemExit(f"bots.py: {args}: {done.stderr}")
        return done

    def import_keys(self, lines):
        """Imports keys; answers the names of those that were taken, and why the others were not."""
        done = self.run("import", "--json", text="".join(json.dumps(line) + "\n" for line in lines), check=False)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        return {line["key"]: answer for line, answer in zip(lines, answers)}


def seen(path):
    """What a run of ccxt_calls.py saw, by exchange."""
    calls = collections.defaultdict(list)
    for line in path.read_text().splitlines():
        name, *rest = json.loads(line)
        calls[name].append(rest)
    return calls


def calls(place, mode, secrets, out, hooked):
    """Runs ccxt_calls.py with these secrets, under hsmsign run or not."""
    keys = pathlib.Path(place.folder) / "secrets.json"
    keys.write_text(json.dumps(secrets))
    command = [PYTHON, TESTS / "ccxt_calls.py", mode, keys, out]
    if mode == "node":
        # Where the module is found depends on where the script is.
        script = NODE / "ccxt_calls.mjs"
        script.write_text((ROOT / "clients" / "js" / "tests" / "ccxt_calls.mjs").read_text())
        command = ["node", script, keys, out]
    if hooked:
        command = [place.program, "run", "--", *command]
    done = subprocess.run(command, env=place.environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bots.py: {mode}: {done.stderr[-3000:]}")
    return seen(out)


def generic(name, credentials, form, algorithm):
    """The line that imports a secret as a key of no exchange, in the form that the library makes of it."""
    text = credentials.get("secret") or credentials["privateKey"]
    made = {
        "text": text,
        "upper": text.upper(),
        "base64-of-text": base64.b64encode(text.encode()).decode(),
        "md5": hashlib.md5(text.encode()).hexdigest(),
    }.get(form, text)
    return {"exchange": "generic", "key": name, "secret": made, "algorithm": f"hmac-{algorithm}", "allow": ["raw"]}


def import_all(place, plain, secrets):
    """Imports each exchange's secret: as the exchange's, where hsmsign knows it, else as a generic key."""
    lines, private = [], private_keys()
    for name in plain:
        given = secrets[name]
        line = {"exchange": AS.get(name, name), "key": name, "secret": given.get("secret") or given.get("privateKey"), "api_key": given.get("apiKey"),
                "passphrase": given.get("password"), "user_id": given.get("uid") or given.get("accountId") or given.get("walletAddress"), "allow": ["raw", "withdrawals"]}  # fmt: skip
        # Without one, what is asked is only whether hsmsign can sign for the exchange at all.
        line["secret"] = line["secret"] or SECRET
        if "BEGIN" in line["secret"]:
            line["algorithm"] = "p256" if name == "coinbase" else "ed25519"
        if name in private:
            line["allow"] = ["withdrawals"]
        lines.append({key: value for key, value in line.items() if value is not None})
    for name, older in OLDER.items():
        lines += [{**line, "exchange": older, "key": older} for line in lines if line["key"] == name]
    answers = place.import_keys(lines)
    again = []
    for line in lines:
        answer = answers.get(line["key"])
        if answer and not answer["ok"] and "passphrase" in line:
            again.append({key: value for key, value in line.items() if key != "passphrase"})
    answers.update(place.import_keys(again))
    again = []
    for line in lines:
        answer = answers.get(line["key"])
        if answer and not answer["ok"] and "user_id" in line:
            again.append({key: value for key, value in line.items() if key not in ("user_id", "passphrase")})
    answers.update(place.import_keys(again))
    again = {False: [], True: []}
    for name, rows in plain.items():
        forms = collections.Counter(form for row in rows for form in row[2] if "/" in form and not form.startswith("another"))
        if forms and not answers.get(name, {"ok": False})["ok"]:
            form, algorithm = forms.most_common(1)[0][0].split("/")
            again[form == "base64"].append(generic(name, secrets[name], form, algorithm))
    answers.update(place.import_keys(again[False]))
    for line in again[True]:
        done = place.run("import", "--exchange", "generic", "--key", line["key"], "--algorithm", line["algorithm"], "--encoding",
                         "base64", "--allow", "raw", text=line["secret"] + "\n", check=False)  # fmt: skip
        answers[line["key"]] = {"ok": done.returncode == 0, "key": line["key"], "exchange": "generic"}
    return answers


def placeholders(place, secrets, answers):
    """The same credentials with placeholders where the secrets were."""
    made = {}
    for name, given in secrets.items():
        if answers.get(name, {}).get("ok"):
            text = place.run("placeholder", name).stdout.strip()
            made[name] = {key: text if key in ("secret", "privateKey") else value for key, value in given.items()}
        else:
            none = "aHNtc2lnbjpub25lAAAAAAAAAAAAAAAA"
            made[name] = {key: none if key in ("secret", "privateKey") else value for key, value in given.items()}
    return made


def compare(plain, hooked):
    """Of each exchange: calls that are signed, of these the same with a placeholder, of these as whole requests; and what
    differs first."""
    table = {}
    for name, rows in plain.items():
        signed = same = whole = 0
        first = None
        for row, other in zip(rows, hooked.get(name, [])):
            if not row[2] or row[3] is None:
                continue
            signed += 1
            if row[3] == other[3]:
                same += 1
                whole += other[5] == "whole"
            elif first is None:
                first = f"{row[0]} {row[1]}: {other[4] or 'another request'}"
        table[name] = {"signed": signed, "same": same, "whole": whole, "first": first}
    return table


# Function of clients/python/tests/libraries.py, library, and whose key.
LIBRARIES = [
    ("python_binance", "python-binance", "binance"),
    ("python_binance_async", "python-binance, asyncio", "binance"),
    ("python_binance_private_key", "python-binance, Ed25519", "binance-ed25519"),
    ("python_binance_private_key", "python-binance, RSA", "binance-rsa2048"),
    ("python_binance_private_key_async", "python-binance, asyncio, Ed25519", "binance-ed25519"),
    ("binance_connector", "binance-connector", "binance"),
    ("binance_sdk_spot", "binance-sdk-spot", "binance"),
    ("krakenex", "krakenex", "kraken"),
    ("pybit", "pybit", "bybit"),
    ("pybit_private_key", "pybit, RSA", "bybit-rsa2048"),
    ("coinbase_advanced_py", "coinbase-advanced-py, ES256", "coinbase"),
    ("coinbase_advanced_py_socket", "coinbase-advanced-py, ES256, WebSocket", "coinbase"),
    ("coinbase_advanced_py", "coinbase-advanced-py, Ed25519", "coinbase-ed25519"),
    ("coinbase_advanced_py_socket", "coinbase-advanced-py, Ed25519, WebSocket", "coinbase-ed25519"),
    ("python_okx", "python-okx", "okx"),
    ("kucoin_python", "kucoin-python", "kucoin"),
    ("python_kucoin", "python-kucoin", "kucoin"),
    ("kucoin_universal_sdk", "kucoin-universal-sdk", "kucoin"),
    ("bitfinex_api_py", "bitfinex-api-py", "bitfinex"),
    ("ccxt_binance", "ccxt, Binance with Ed25519", "binance-ed25519"),
    ("ccxt_binance", "ccxt, Binance with RSA", "binance-rsa2048"),
    ("ccxt_bybit", "ccxt, Bybit with RSA", "bybit-rsa2048"),
    ("ccxt_coinbase", "ccxt, Coinbase with Ed25519", "coinbase-ed25519"),
]


def with_private_keys(place, secrets):
    """Keys for Ed25519 and RSA at exchanges whose usual ones are others; answers the secrets and their placeholders."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    def pem(key):
        return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()

    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    both = base64.b64encode(SEED + edwards.public_key().public_bytes_raw()).decode()
    big = pem(rsa.generate_private_key(65537, 2048))
    made = {"binance-ed25519": pem(edwards), "binance-rsa2048": big, "bybit-rsa2048": big, "coinbase-ed25519": both}
    lines = []
    for name, secret in made.items():
        exchange, algorithm = name.split("-")
        lines.append({"exchange": exchange, "key": name, "algorithm": algorithm, "secret": secret, "api_key": api_key(name, secrets)})
    for answer in place.import_keys(lines).values():
        if not answer["ok"]:
            raise SystemExit(f"bots.py: {answer}")
    return made, {name: place.run("placeholder", name).stdout.strip() for name in made}


def api_key(name, secrets):
    return secrets[name.partition("-")[0]]["apiKey"]


def libraries(place, secrets, stand_ins):
    """Of each other library, whether it sends the same with a placeholder."""
    rows = {}
    own, their_stand_ins = with_private_keys(place, secrets)
    for function, shown, name in LIBRARIES:
        secret = own.get(name) or secrets[name]["secret"]
        stand_in = their_stand_ins.get(name) or stand_ins[name]["secret"]
        seen = []
        for given, command in ((secret, []), (stand_in, [place.program, "run", "--"])):
            script = [PYTHON, TESTS / "libraries.py", function, api_key(name, secrets), given]
            done = subprocess.run([*command, *script], env=place.environment, capture_output=True, text=True, check=False)
            seen.append(done.stdout or done.stderr[-300:])
        rows[shown] = "same" if seen[0] == seen[1] and seen[0].startswith("[") else seen[1]
    return rows


def why_not(row, answer):
    """Why an exchange is not counted, in one line."""
    if answer and not answer["ok"]:
        return answer["error"]["message"].replace("|", "/")
    return (row["first"] or "").replace("|", "/") or "ccxt signs none of its calls without a session that was opened before"


def markdown(table, again, logins, in_node, answers, others):
    """The tables of docs/bots.md, as lines."""
    yield from lib_bots.markdown(CCXT, table, again, logins, lambda name: why_not(table[name], answers.get(name)))
    elsewhere = {name for name in table if not lib_bots.is_same(table[name])}
    yield ""
    yield from lib_node.markdown(CCXT_NODE, in_node, elsewhere, lambda name: why_not(in_node[name], answers.get(name)))
    yield from ("", "| Library | With a placeholder |", "|---|---|")
    for name, result in others.items():
        yield f"| {name} | {result} |"


def in_page(lines, in_node, write):
    """Puts the tables into docs/bots.md; or tells what it counts and the tables do not."""
    page = ROOT / "docs" / "bots.md"
    head, mark, rest = page.read_text().partition(BEGIN)
    inside, end, tail = rest.partition(END)
    if not mark or not end:
        sys.exit(f"bots.py: docs/bots.md has no place for the tables: {BEGIN} and {END}")
    if write:
        page.write_text(head + mark + "\n" + "\n".join(lines) + "\n" + end + tail)
        return
    lost = lib_bots.lost(inside.splitlines(), lines) + [f"{name} in Node" for name in lib_node.lost(inside.splitlines(), in_node)]
    if lost:
        told = [line for line in lines if line.split(" ")[1:2] and line.split(" ")[1] in {name.split(" ")[0] for name in lost}]
        sys.exit("\n".join([f"bots.py: docs/bots.md counts what is not the same: {', '.join(lost)}", *told]))


def arguments():
    """The program, how many calls of each exchange, and what becomes of the tables."""
    rest = sys.argv[1:]
    program, sample, then = None, 0, None
    while rest:
        word = rest.pop(0)
        if word == "--sample" and rest and rest[0].isdigit():
            sample = int(rest.pop(0))
        elif word in ("--write", "--check") and then is None:
            then = word
        elif not word.startswith("-") and program is None:
            program = os.path.abspath(word)
        else:
            sys.exit(f"bots.py: what is {word}? See --help")
    if program is None:
        sys.exit("bots.py: takes the program; see --help")
    return program, sample, then


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        return print(__doc__.strip())
    program, sample, then = arguments()
    if not PYTHON.exists():
        sys.exit("bots.py: the libraries are not installed: scripts/test.sh does that")
    if pathlib.Path(sys.prefix) != PYTHON.parent.parent:
        os.execv(PYTHON, [PYTHON, *sys.argv])
    # Workers of the agent may write a moment longer than it answers.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o700)
        place = Place(program, folder)
        place.environment.update(CALLS=str(sample), P256_PUBLIC=p256_public())
        folder = pathlib.Path(folder)
        secrets = required()
        plain = calls(place, "sync", secrets, folder / "plain", hooked=False)
        answers = import_all(place, plain, secrets)
        stand_ins = placeholders(place, secrets, answers)
        # One agent for all of it.
        place.run("agent", "start")
        try:
            table = compare(plain, calls(place, "sync", stand_ins, folder / "hooked", hooked=True))
            plain = calls(place, "async", secrets, folder / "plain", hooked=False)
            again = compare(plain, calls(place, "async", stand_ins, folder / "hooked", hooked=True))
            plain = calls(place, "pro", secrets, folder / "plain", hooked=False)
            logins = compare(plain, calls(place, "pro", stand_ins, folder / "hooked", hooked=True))
            plain = calls(place, "node", secrets, folder / "plain", hooked=False)
            in_node = compare(plain, calls(place, "node", stand_ins, folder / "hooked", hooked=True))
            others = libraries(place, secrets, stand_ins)
        finally:
            place.run("agent", "stop", check=False)
    lines = list(markdown(table, again, logins, in_node, answers, others))
    print("\n".join(lines))
    if then:
        in_page(lines, in_node, then == "--write")
    return None


if __name__ == "__main__":
    main()
