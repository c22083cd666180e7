#!/usr/bin/env python3
"""Measures what `hsmsign run` costs a bot in Python: scripts/bots-bench.py PROGRAM [--strict]

On a SoftHSM token of its own, in a temporary folder. Prints a table: a MAC through the hook and a request through the
package over a connection that is kept open, beside the token's own C_SignInit and C_Sign, called in this process by the
same module; what the hook adds to an hmac.new that is not for the token; and what it adds to the interpreter's start.
--strict exits 1 on a miss. Figures are for a release build on an idle machine.
"""

import ctypes
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/*/libsofthsm2.so")
SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ROUNDS = 3000
BOT = """
import hmac, statistics, sys, time
from hsmsign import Signer
key, message, rounds = sys.argv[1].encode(), b"x" * 116, int(sys.argv[2])

def median(call):
    taken = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - start)
    return statistics.median(taken) / 1000

for _ in range(200):
    hmac.digest(key, message, "sha256")
signer = Signer("kraken")
print(median(lambda: hmac.new(key, message, "sha256").hexdigest()))
print(median(lambda: signer.sign("POST", "/0/private/Balance")))
"""
PLAIN = """
import hashlib, hmac, statistics, sys, time
key, message, rounds = b"not for the token" * 2, b"x" * 116, int(sys.argv[1])
taken = []
for _ in range(rounds):
    start = time.perf_counter_ns()
    hmac.new(key, message, hashlib.sha256).hexdigest()
    taken.append(time.perf_counter_ns() - start)
print(statistics.median(taken) / 1000)
"""


class Attribute(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_ulong), ("value", ctypes.c_void_p), ("length", ctypes.c_ulong))


class Mechanism(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_ulong), ("value", ctypes.c_void_p), ("length", ctypes.c_ulong))


def module():
    found = next((path for pattern in MODULES for path in pathlib.Path("/").glob(pattern[1:])), None)
    if found is None:
        sys.exit("bots-bench.py: SoftHSM is not installed: apt-get install softhsm2")
    return str(found)


def bare(pin):
    """The median of C_SignInit and C_Sign with the key that the agent signs with."""
    token = ctypes.CDLL(module())

    def call(name, *arguments):
        answer = getattr(token, name)(*arguments)
        if answer:
            sys.exit(f"bots-bench.py: {name}: {answer:#x}")

    call("C_Initialize", None)
    slots, count = (ctypes.c_ulong * 8)(), ctypes.c_ulong(8)
    call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
    session = ctypes.c_ulong()
    call("C_OpenSession", slots[0], ctypes.c_ulong(4), None, None, ctypes.byref(session))
    call("C_Login", session, ctypes.c_ulong(1), pin, ctypes.c_ulong(len(pin)))
    # CKA_CLASS is a secret key, and CKA_KEY_TYPE that of HMAC-SHA256, or generic.
    kind, key = ctypes.c_ulong(4), ctypes.c_ulong()
    wanted = (Attribute * 1)(Attribute(0, ctypes.addressof(kind), ctypes.sizeof(kind)))
    call("C_FindObjectsInit", session, wanted, ctypes.c_ulong(1))
    found = []
    while True:
        call("C_FindObjects", session, ctypes.byref(key), ctypes.c_ulong(1), ctypes.byref(count))
        if not count.value:
            break
        found.append(ctypes.c_ulong(key.value))
    call("C_FindObjectsFinal", session)
    mechanism, message, out = Mechanism(0x251, None, 0), b"x" * 116, ctypes.create_string_buffer(64)
    size, taken = ctypes.c_ulong(64), []
    # Of the keys there, the one that makes MACs by SHA-256.
    key = next((one for one in found if not token.C_SignInit(session, ctypes.byref(mechanism), one)), None)
    if key is None:
        sys.exit("bots-bench.py: SoftHSM has no key for HMAC-SHA256")
    call("C_Sign", session, message, ctypes.c_ulong(116), out, ctypes.byref(size))
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        token.C_SignInit(session, ctypes.byref(mechanism), key)
        size.value = 64
        token.C_Sign(session, message, ctypes.c_ulong(116), out, ctypes.byref(size))
        taken.append(time.perf_counter_ns() - start)
    return statistics.median(taken) / 1000


def run(environment, *command, text=""):
    done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bots-bench.py: {command}: {done.stderr}")
    return [float(line) if re.fullmatch(r"[\d.]+", line) else line for line in done.stdout.split("\n") if line]


def started(environment, path):
    """What the hook adds to the start of an interpreter that imports hmac, in milliseconds of the processor: the median of
    pairs."""
    more = []
    for _ in range(60):
        taken = []
        for each in (environment, {**environment, "PYTHONPATH": path}):
            child = os.posix_spawn(sys.executable, [sys.executable, "-c", "import hmac"], each)
            used = os.wait4(child, 0)[2]
            taken.append(used.ru_utime + used.ru_stime)
        more.append(taken[1] - taken[0])
    return statistics.median(more) * 1000


def table(program):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o700)
        environment = {"PATH": os.environ["PATH"], "HSMSIGN_HOME": f"{folder}/home", "HOME": folder}
        run(environment, program, "init", "--softhsm")
        config = next(pathlib.Path(folder).rglob("softhsm2.conf"))
        raw = ("--exchange", "generic", "--key", "raw", "--algorithm", "hmac-sha256", "--allow", "raw")
        run(environment, program, "import", *raw, text=SECRET.decode() + "\n")
        kraken = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==\n"
        run(environment, program, "import", "--exchange", "kraken", "--api-key", "example", text=kraken)
        placeholder = run(environment, program, "placeholder", "raw")[0]
        run(environment, program, "agent", "start")
        try:
            bot = (program, "run", "--", sys.executable)
            macs, requests = run(environment, *bot, "-c", BOT, placeholder, str(ROUNDS))
            own = run(environment, sys.executable, "-c", PLAIN, str(ROUNDS * 10))[0]
            hooked = run(environment, *bot, "-c", PLAIN, str(ROUNDS * 10))[0]
            # What PYTHONPATH leads to, without starting `hsmsign run` each time.
            path = run(environment, program, "run", "--", "sh", "-c", 'printf %s "$PYTHONPATH"')[0]
            more = started(environment, path)
        finally:
            run(environment, program, "agent", "stop")
        os.environ["SOFTHSM2_CONF"] = str(config)
        token = bare(next(pathlib.Path(folder).rglob("*.pin")).read_bytes().strip())
    yield "a MAC through the hook, median", f"{macs:.1f} us", f"C_SignInit + C_Sign: {token:.1f} us + 120 us", macs <= token + 120
    yield "a whole request through the package, median", f"{requests:.1f} us", "", None
    yield "hmac.new that is not for the token", f"{own:.2f} us", f"with the hook {hooked:.2f} us, <= +15 us", hooked - own <= 15
    yield "start of an interpreter that imports hmac, processor", f"{more:+.1f} ms", "<= +25 ms", more <= 25


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        return print(__doc__.strip())
    rest = [word for word in sys.argv[1:] if word != "--strict"]
    if len(rest) != 1:
        sys.exit("bots-bench.py: takes the program; see --help")
    missed = 0
    print("| What | Measured | Against | |\n|---|---|---|---|")
    for what, measured, against, met in table(os.path.abspath(rest[0])):
        print(f"| {what} | {measured} | {against} | {'' if met is None else 'ok' if met else 'miss'} |")
        missed += met is False
    return sys.exit(1 if missed and "--strict" in sys.argv else 0)


if __name__ == "__main__":
    main()
