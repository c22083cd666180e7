"""The other libraries than ccxt that scripts/bots.py tries, each by a function of clients/python/tests/libraries.py."""

import base64
import pathlib
import subprocess
import sys
from importlib import metadata

from lib_secrets import SEED

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".cache" / "bots" / "bin" / "python"
# Libraries that have the name of another's module.
APART = ROOT / ".cache" / "bots" / "apart"
# What the table of them begins with.
HEAD = "| Library | Version | With a placeholder |"
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


def tried(place, secrets, stand_ins):
    """Of each other library its version, and whether it sends the same with a placeholder."""
    rows = {}
    own, their_stand_ins = with_private_keys(place, secrets)
    for function, shown, name in LIBRARIES:
        secret = own.get(name) or secrets[name]["secret"]
        stand_in = their_stand_ins.get(name) or stand_ins[name]["secret"]
        seen = []
        for given, command in ((secret, []), (stand_in, [place.program, "run", "--"])):
            script = [PYTHON, ROOT / "clients" / "python" / "tests" / "libraries.py", function, api_key(name, secrets), given]
            done = subprocess.run([*command, *script], env=place.environment, capture_output=True, text=True, check=False)
            seen.append(done.stdout or done.stderr[-300:])
        rows[shown] = (version(shown.partition(",")[0]), "same" if seen[0] == seen[1] and seen[0].startswith("[") else seen[1])
    return rows


def version(name):
    """The version of a library that is installed, in a place of its own or among the others."""
    found = {each.version for each in metadata.distributions(name=name, path=[str(APART / name), *sys.path])}
    if len(found) != 1:
        raise SystemExit(f"bots.py: which version is {name}? {found or 'it is not installed'}")
    return found.pop()


def markdown(rows):
    """The lines about them."""
    yield from ("", HEAD, "|---|---|---|")
    for name, (number, result) in rows.items():
        yield f"| {name} | {number} | {result} |"


def lost(lines, rows):
    """What lines of the page count, and is not the same."""
    inside = lines[lines.index(HEAD) + 2 :] if HEAD in lines else []
    counted = [cells[0] for cells in (line.strip("| ").split(" | ") for line in inside) if cells[-1] == "same"]
    return [name for name in counted if rows.get(name, (None, None))[1] != "same"]
