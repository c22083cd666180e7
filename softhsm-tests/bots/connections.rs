//! The packages' connections to an agent: whose answer is whose. At the socket sits one who answers each message with itself, when
//! the test lets it.

use crate::{bench::Place, have, node, package::told, place};

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

#[test]
fn who_is_refused_before_the_request_was_read_hears_why() {
    let Some(place) = place() else { return };
    let text = r#"
import json, socket, sys, threading
from hsmsign import HsmsignError, Signer
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()

def refuse():
    client = listener.accept()[0]
    error = {"code": "token-busy", "message": "as many as it takes", "fix": "close some"}
    client.sendall((json.dumps({"ok": False, "error": error}) + "\n").encode())
    client.close()

threading.Thread(target=refuse, daemon=True).start()
try:
    # More than a socket takes before somebody reads.
    raise SystemExit(f"answered: {Signer('raw', socket=sys.argv[1]).hmac('a' * 4_000_000)}")
except HsmsignError as error:
    print(error.code, error)
"#;
    let socket = place.path().join("refusing.sock");
    let told = told(&place, "python3", text, &[socket.to_str().unwrap()]);
    assert!(
        told.starts_with("token-busy") && told.contains("as many as it takes"),
        "{told}"
    );
}
