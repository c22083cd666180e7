"""The secrets that scripts/bots.py has everybody sign with, all of them nobody's, and their keys on the token."""

import base64
import collections
import hashlib
import json
import os
import subprocess

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
