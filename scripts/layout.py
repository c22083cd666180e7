#!/usr/bin/env python3
"""Writes layout.ld anew: which functions the linker puts next to each other.

    scripts/layout.py

Builds hsmsign, signs with it under valgrind (a request that opens the token, one that the agent signs, and a stream of
requests, also such as a policy looks into), and names the functions that were called, each by its module and name: the mangled name without what differs
from one compiler to the next. Needs valgrind, SoftHSM and what scripts/test.sh needs.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, "target/release/hsmsign")
REQUEST = ["POST", "/0/private/AddOrder", "--form", "pair=XBTUSD", "--form", "type=buy", "--form", "volume=1.25"]
LINE = '{"key":"kraken","method":"POST","path":"/0/private/AddOrder","params":{"pair":"XBTUSD","volume":"1.25"}}\n'
POLICY = """\
policy = 1
withdrawals = false
[[allow]]
path = "/0/private/AddOrder"
[[deny]]
path = "/0/private/Withdraw*"
[[cap]]
field = "volume"
request = "2"
"""
# A name that stands for more than this many bytes of other functions is left where it is.
MOST = 24 << 10

HEAD = """\
/* Functions that a command calls which signs, in a section of their own.

   They lie all over the program otherwise, and a command that runs for two milliseconds takes a good part of them for a
   page fault at each place. Names that the program does not have do no harm. Written by scripts/layout.py. */
SECTIONS
{
  .text.first :
  {
"""
TAIL = """\
  }
}
INSERT BEFORE .text;
"""


def pattern(symbol):
    """A symbol without what differs from one compiler to the next."""
    symbol = re.sub(r"17h[0-9a-f]{16}E", "17h*E", symbol)
    symbol = re.sub(r"Cs[0-9A-Za-z]{8,13}_", "Cs*_", symbol)
    return re.sub(r"\.llvm\.\d+", ".llvm.*", symbol)


def called(profile):
    """The functions of the program that a profile of callgrind names."""
    names, objects, here, found = {}, {}, None, {}
    with open(profile, errors="replace") as lines:
        for line in lines:
            match = re.match(r"^(c?)(ob|fn)=\((\d+)\)(?: (.*))?$", line)
            if not match:
                continue
            other, kind, number, name = match.groups()
            known = objects if kind == "ob" else names
            if name:
                known[number] = name.strip()
            if other:
                continue
            if kind == "ob":
                here = objects[number]
            elif here and os.path.basename(here) == "hsmsign":
                found[re.split(r"['@]", names[number])[0]] = True
    return list(found)


def write(names):
    with open(os.path.join(ROOT, "layout.ld"), "w") as out:
        out.write(HEAD + "".join(f"    *(.text.{name})\n" for name in names) + TAIL)


def run(*command, **more):
    return subprocess.run(command, check=True, cwd=ROOT, **more)


def main():
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    # callgrind knows no names in a section of another name.
    write([])
    run("cargo", "build", "--release", "--locked")
    sizes = {}
    for line in run("nm", "-S", PROGRAM, capture_output=True, text=True).stdout.splitlines():
        words = line.split(None, 3)
        if len(words) == 4:
            sizes[words[3]] = int(words[1], 16)
    stands_for = {}
    for symbol, size in sizes.items():
        stands_for[pattern(symbol)] = stands_for.get(pattern(symbol), 0) + size

    with tempfile.TemporaryDirectory() as folder:
        # The allocator as a stream sets it up, which begins itself anew for it.
        env = dict(os.environ, HSMSIGN_HOME=folder + "/home", GLIBC_TUNABLES="glibc.malloc.tcache_count=200:glibc.malloc.mmap_threshold=262144")
        os.mkdir(env["HSMSIGN_HOME"], 0o700)
        quiet = {"env": env, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        run(PROGRAM, "init", "--softhsm", **quiet)
        secret = "QUFB" * 21 + "QUE="
        run(PROGRAM, "import", "--exchange", "kraken", "--api-key", "key", input=secret.encode(), **quiet)

        def profile(name, *arguments, **more):
            path = f"{folder}/{name}"
            run(
                *["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={path}"],
                *[PROGRAM, *arguments],
                **quiet,
                **more,
            )
            return called(path)

        once = profile("once", "sign", "kraken", *REQUEST)
        stream = profile("stream", "sign", "--json", input=(LINE * 50).encode())
        run(PROGRAM, "policy", "set", "kraken", input=POLICY.encode(), **quiet)
        judged = profile("judged", "sign", "--json", input=(LINE * 50).encode())
        run(PROGRAM, "agent", "start", **quiet)
        time.sleep(1)
        by_agent = profile("by-agent", "sign", "kraken", *REQUEST)
        relayed = profile("relayed", "sign", "--json", input=(LINE * 50).encode())
        run(PROGRAM, "agent", "stop", **quiet)

    written, total = [], 0
    for symbol in by_agent + relayed + once + stream + judged:
        name = pattern(symbol)
        if symbol not in sizes or name in written or stands_for[name] > max(MOST, 3 * sizes[symbol]):
            continue
        written.append(name)
        total += stands_for[name]
    write(written)
    print(f"{len(written)} names, {total >> 10} KiB", file=sys.stderr)


main()
