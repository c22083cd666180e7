//! The packages' connections to an agent: whose answer is whose. At the socket sits one who answers each message with itself, when
//! the test lets it.

use crate::{bench::Place, have, node, package::told, place, script};

/// A listener in Python: a message that begins with `late` is answered when `let_go` is set, all others at once.
const ECHO: &str = r#"
import asyncio, json, os, socket, sys, threading, time
from hsmsign import AgentUnavailable, AsyncSigner, Signer
path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
asked, let_go, connections = threading.Semaphore(0), threading.Event(), []

def serve(client):
    try:
        for line in client.makefile():
            made = json.loads(line)["hmac"]["message_base64"]
            if made.startswith("bGF0"):
                asked.release()
                let_go.wait(60)
            client.sendall((json.dumps({"ok": True, "mac_base64": made}) + "\n").encode())
    except OSError:
        return

def accept():
    while True:
        connections.append(listener.accept()[0])
        threading.Thread(target=serve, args=(connections[-1],), daemon=True).start()

threading.Thread(target=accept, daemon=True).start()

async def seen():
    assert await asyncio.get_running_loop().run_in_executor(None, asked.acquire, True, 60)
"#;

/// Runs a script behind [`ECHO`]; answers what it printed.
fn with_echo(place: &Place, text: &str) -> String {
    let socket = place.path().join("echo.sock");
    told(
        place,
        "python3",
        &format!("{ECHO}{text}"),
        &[socket.to_str().unwrap()],
    )
}

#[test]
fn threads_that_share_an_async_signer_have_a_connection_each() {
    let Some(place) = place() else { return };
    let text = r#"
signer = AsyncSigner("raw", socket=path)
cancelled = threading.Event()
made = []

async def first():
    assert await signer.hmac("a") == b"a"
    task = asyncio.ensure_future(signer.hmac("late one"))
    await seen()
    threads[1].start()
    # The other thread's request is on its way now.
    await seen()
    task.cancel()
    await asyncio.wait([task])
    cancelled.set()
    for number in range(20):
        assert await signer.hmac(str(number)) == str(number).encode()

async def second():
    task = asyncio.ensure_future(signer.hmac("late two"))
    await asyncio.get_running_loop().run_in_executor(None, cancelled.wait, 60)
    let_go.set()
    made.append(await task)
    for number in range(20):
        made.append(await signer.hmac(str(number)))

threads = [threading.Thread(target=lambda run=run: asyncio.run(run())) for run in (first, second)]
threads[0].start()
for thread in threads:
    thread.join(120)
assert made == [b"late two"] + [str(number).encode() for number in range(20)], made
# One of each thread, and the one after the cancelled request.
assert len(connections) == 3, connections
print("its own")
"#;
    assert_eq!(with_echo(&place, text), "its own\n");
}

#[test]
fn whatever_ends_a_request_in_asyncio_leaves_no_answer_to_the_next() {
    let Some(place) = place() else { return };
    let text = r#"
class Stop(BaseException):
    pass

async def run(end):
    signer = AsyncSigner("raw", socket=path)
    assert await signer.hmac("a") == b"a"
    asking = signer.hmac("late one")
    asking.send(None)
    await seen()
    end(asking)
    let_go.set()
    for number in range(5):
        assert await signer.hmac(str(number)) == str(number).encode(), number
    await signer.close()

def thrown(asking):
    try:
        asking.throw(Stop())
    except Stop:
        return
    raise SystemExit("it went on")

for end in (lambda asking: asking.close(), thrown):
    let_go.clear()
    asyncio.run(run(end))
print("its own")
"#;
    assert_eq!(with_echo(&place, text), "its own\n");
}

#[test]
fn a_signer_that_is_closed_sends_nothing_again() {
    let Some(place) = place() else { return };
    let text = r#"
async def run():
    signer = AsyncSigner("raw", socket=path)
    assert await signer.hmac("a") == b"a"
    task = asyncio.ensure_future(signer.hmac("late one"))
    await seen()
    await signer.close()
    try:
        raise SystemExit(f"answered: {await task}")
    except AgentUnavailable as error:
        assert "closed before the answer came; the request may have been signed" in str(error), error
    assert not asked.acquire(blocking=False)
    let_go.set()
    assert await signer.hmac("b") == b"b" and len(connections) == 2
asyncio.run(run())
print("once")
"#;
    assert_eq!(with_echo(&place, text), "once\n");
    if !have("node") {
        return;
    }
    let text = r"
import net from 'node:net';
import { AgentUnavailable, Signer } from 'hsmsign';
const check = (holds, what) => { if (!holds) throw new Error(what); };
const lines = [];
let held;
const asked = new Promise((resolve) => { held = resolve; });
const server = net.createServer((client) => {
    client.on('data', (data) => {
        for (const line of data.toString().split('\n').filter(Boolean)) {
            const made = JSON.parse(line).hmac.message_base64;
            lines.push(Buffer.from(made, 'base64').toString());
            if (lines.at(-1) === 'late') held();
            else client.write(`${JSON.stringify({ ok: true, mac_base64: made })}\n`);
        }
    });
    client.on('error', () => {});
}).listen(process.argv[2]);
const signer = new Signer('raw', { socket: process.argv[2] });
await signer.hmac('a');
const late = signer.hmac('late').catch((error) => error);
await asked;
signer.close();
const error = await late;
check(error instanceof AgentUnavailable && error.message.includes('closed before the answer came; the request may have been signed'), String(error));
check((await signer.hmac('b')).toString() === 'b', 'the next request opens another');
check(lines.join() === 'a,late,b', lines.join());
signer.close();
server.close();
console.log('once');
";
    let socket = place.path().join("node.sock");
    assert_eq!(
        node::told(&place, "closed.mjs", text, &[socket.to_str().unwrap()]),
        "once\n"
    );
}

#[test]
fn a_signers_own_timeout_holds_on_a_connection_that_another_opened() {
    let Some(place) = place() else { return };
    let text = r#"
assert Signer("raw", socket=path, timeout=60).hmac("a") == b"a"
begun = time.monotonic()
try:
    raise SystemExit(f"answered: {Signer('raw', socket=path, timeout=0.2).hmac('late one')}")
except AgentUnavailable as error:
    assert "no answer in 0.2 seconds" in str(error) and time.monotonic() - begun < 50, error
let_go.set()
assert Signer("raw", socket=path, timeout=60).hmac("b") == b"b"
print("in time")
"#;
    assert_eq!(with_echo(&place, text), "in time\n");
}

/// A listener in Python that refuses every connection, as an agent that takes no more.
const REFUSES: &str = r#"
import asyncio, json, socket, subprocess, sys, threading
from hsmsign import AsyncSigner, HsmsignError, Signer
path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()

def refuse():
    error = {"code": "token-busy", "message": "as many as it takes", "fix": "close some"}
    while True:
        client = listener.accept()[0]
        client.sendall((json.dumps({"ok": False, "error": error}) + "\n").encode())
        client.close()

threading.Thread(target=refuse, daemon=True).start()
"#;

#[test]
fn who_is_refused_before_the_request_was_read_hears_why() {
    let Some(place) = place() else { return };
    let text = r#"
# Some are more than a socket takes before somebody reads.
messages = ["a" * length for length in (1, 4_000_000)] * 20

async def run():
    for message in messages:
        try:
            raise SystemExit(f"answered: {await AsyncSigner('raw', socket=path).hmac(message)}")
        except HsmsignError as error:
            assert error.code == "token-busy" and error.message == "as many as it takes", error

asyncio.run(run())
for message in messages:
    try:
        raise SystemExit(f"answered: {Signer('raw', socket=path).hmac(message)}")
    except HsmsignError as error:
        assert error.code == "token-busy" and error.message == "as many as it takes", error
if len(sys.argv) > 2:
    subprocess.run(["node", *sys.argv[2:], path], check=True)
print("heard")
"#;
    let node = r"
const { Signer } = require(process.argv[2]);
const asks = async (length) => {
    const signer = new Signer('raw', { socket: process.argv[3] });
    const asked = [0, 1, 2].map(() => signer.hmac('a'.repeat(length)).then(() => 'answered', (error) => `${error.code}: ${error.reason}`));
    for (const told of await Promise.all(asked)) if (told !== 'token-busy: as many as it takes') throw new Error(told);
    signer.close();
};
(async () => {
    for (const length of [1, 4_000_000, 1, 4_000_000, 1, 4_000_000]) await asks(length);
})();
";
    let socket = place.path().join("refusing.sock");
    let script = script(&place, "refused.cjs", node);
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/js");
    let mut args = vec![socket.to_str().unwrap()];
    if have("node") {
        args.extend([script.as_str(), package]);
    }
    assert_eq!(
        told(&place, "python3", &format!("{REFUSES}{text}"), &args),
        "heard\n"
    );
}

#[test]
fn who_gets_no_answer_hears_whether_the_request_may_have_been_signed() {
    let Some(place) = place() else { return };
    let text = r#"
import asyncio, os, socket, struct, subprocess, sys, threading
from hsmsign import AgentUnavailable, AsyncSigner, Signer

def serve(listener, ends):
    for end in ends:
        client = listener.accept()[0]
        for word in end:
            if word == "answers":
                client.recv(65536)
                client.sendall(b'{"ok":true,"mac_base64":""}\n')
            elif word == "reads":
                client.recv(65536)
            elif word == "waits":
                client.recv(1, socket.MSG_PEEK)
        client.close()
    listener.close()

def agent(name, ends):
    path = f"{sys.argv[1]}.{name}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    threading.Thread(target=serve, args=(listener, ends), daemon=True).start()
    return path

# How connections end; whether the last of so many requests may have been signed.
CASES = {
    "read": ([["reads"]], 1, True),
    "unread": ([["waits"]], 1, False),
    "kept-and-read": ([["answers", "reads"]], 2, True),
    "kept-and-read-and-unread": ([["answers", "reads"], ["waits"]], 2, True),
    "kept-and-unread": ([["answers", "waits"]], 2, False),
}

def plain(path, times):
    signer = Signer("raw", socket=path)
    for _ in range(times):
        signer.hmac("a")

async def in_loop(path, times):
    signer = AsyncSigner("raw", socket=path)
    for _ in range(times):
        await signer.hmac("a")

def node(path, times):
    done = subprocess.run(["node", *sys.argv[2:], path, str(times)], capture_output=True, text=True, check=True)
    raise AgentUnavailable(done.stdout)

kinds = [plain, lambda path, times: asyncio.run(in_loop(path, times))] + ([node] if len(sys.argv) > 2 else [])
for number, kind in enumerate(kinds):
    for name, (ends, times, perhaps) in CASES.items():
        # Node listens to another connection before it gives up.
        ends = ends + [["waits"]] if kind is node and name == "unread" else ends
        try:
            kind(agent(f"{number}{name}", ends), times)
            raise SystemExit(f"answered: {name}")
        except AgentUnavailable as error:
            assert ("may have been signed" in str(error)) == perhaps, (number, name, error)
print("said")
"#;
    let node = r"
const { Signer } = require(process.argv[2]);
const signer = new Signer('raw', { socket: process.argv[3] });
(async () => {
    for (let left = Number(process.argv[4]); left > 0; left -= 1) await signer.hmac('a');
})().catch((error) => console.log(error.message));
";
    let socket = place.path().join("s");
    let script = script(&place, "lost.cjs", node);
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/js");
    let mut args = vec![socket.to_str().unwrap()];
    if have("node") {
        args.extend([script.as_str(), package]);
    }
    assert_eq!(told(&place, "python3", text, &args), "said\n");
}
