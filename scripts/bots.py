#!/usr/bin/env python3
"""Has bots' libraries sign with their secrets and with placeholders, and compares what they would send:
scripts/bots.py PROGRAM [--sample N] [--write | --check]

PROGRAM is the hsmsign to be tried. The libraries are those of scripts/bots-requirements.txt, in .cache/bots, which
scripts/test.sh installs. Prints the tables of docs/bots.md; --write puts them there, --check exits 1 where less is the
same than stands there. --sample tries N calls of each exchange. Nothing is sent.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import lib_bots
import lib_libraries
import lib_node
import lib_secrets

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".cache" / "bots" / "bin" / "python"
TESTS = ROOT / "clients" / "python" / "tests"
NODE = ROOT / ".cache" / "bots-js"
CCXT, CCXT_NODE = "4.5.90", "4.5.84"
# Between these lines of docs/bots.md the tables stand.
BEGIN, END = "<!-- made by scripts/bots.py -->", "<!-- the end of what scripts/bots.py made -->"


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
    yield from lib_libraries.markdown(others)


def in_page(lines, in_node, others, write):
    """Puts the tables into docs/bots.md; or tells what it counts and the tables do not."""
    page = ROOT / "docs" / "bots.md"
    head, mark, rest = page.read_text().partition(BEGIN)
    inside, end, tail = rest.partition(END)
    if not mark or not end:
        sys.exit(f"bots.py: docs/bots.md has no place for the tables: {BEGIN} and {END}")
    if write:
        page.write_text(head + mark + "\n" + "\n".join(lines) + "\n" + end + tail)
        return
    counted = inside.splitlines()
    lost = lib_bots.lost(counted, lines) + [f"{name} in Node" for name in lib_node.lost(counted, in_node)]
    lost += lib_libraries.lost(counted, others)
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
        place = lib_secrets.Place(program, folder)
        place.environment.update(CALLS=str(sample), P256_PUBLIC=lib_secrets.p256_public())
        folder = pathlib.Path(folder)
        secrets = lib_secrets.required()
        plain = calls(place, "sync", secrets, folder / "plain", hooked=False)
        answers = lib_secrets.import_all(place, plain, secrets)
        stand_ins = lib_secrets.placeholders(place, secrets, answers)
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
            others = lib_libraries.tried(place, secrets, stand_ins)
        finally:
            place.run("agent", "stop", check=False)
    lines = list(markdown(table, again, logins, in_node, answers, others))
    print("\n".join(lines))
    if then:
        in_page(lines, in_node, others, then == "--write")
    return None


if __name__ == "__main__":
    main()
