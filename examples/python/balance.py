"""Has the agent sign a request with the key named by the first argument, with nothing but the standard library."""

import json
import os
import socket
import sys


def ask(request):
    """Sends a line to the agent and reads its answer."""
    home = os.environ.get("HSMSIGN_HOME")
    path = os.environ.get("HSMSIGN_SOCKET") or (home and f"{home}/agent.sock")
    path = path or os.environ["XDG_RUNTIME_DIR"] + "/hsmsign/agent.sock"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(path)
        agent.sendall(json.dumps(request).encode() + b"\n")
        line = agent.makefile().readline()
    if not line:
        raise SystemExit("the agent went away; the request may have been signed")
    answer = json.loads(line)
    if not answer["ok"]:
        raise SystemExit("{code}: {message}; {fix}".format(**answer["error"]))
    return answer


signed = ask({"key": sys.argv[1], "method": "POST", "path": "/0/private/Balance"})
print(signed["method"], signed["url"])
for name, value in signed["headers"].items():
    print(f"{name}: {value}")
print(signed["body"])
