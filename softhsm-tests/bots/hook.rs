//! The hook on Python's `hmac`.

use crate::{bench::RAW_SECRET, libraries, place, run_python, script, stand_in};

#[test]
fn what_is_keyed_with_a_placeholder_is_signed_on_the_token_and_all_else_as_before() {
    let Some(place) = place() else { return };
    let text = r#"
import hmac, hashlib, sys, copy
key, secret, other = sys.argv[1].encode(), sys.argv[2].encode(), b"another key"
want = hmac.new(secret, b"abc", hashlib.sha256).hexdigest()
ways = [
    hmac.new(key, b"abc", hashlib.sha256).hexdigest(),
    hmac.new(bytearray(key), b"abc", "sha256").hexdigest(),
    hmac.new(key=key, msg=b"abc", digestmod="SHA256").hexdigest(),
    hmac.HMAC(key, b"abc", hashlib.sha256).digest().hex(),
    hmac.digest(key, b"abc", "sha256").hex(),
    hmac.digest(memoryview(key), memoryview(b"abc"), "sha256").hex(),
]
parts = hmac.new(key, digestmod=hashlib.sha256)
parts.update(b"ab")
half = parts.copy()
parts.update(b"c")
half.update(bytearray(b"c"))
ways += [parts.hexdigest(), half.hexdigest(), copy.copy(parts).hexdigest()]
assert all(way == want for way in ways), ways
assert isinstance(parts, hmac.HMAC) and (parts.digest_size, parts.block_size, parts.name) == (32, 64, "hmac-sha256")
plain = hashlib.sha256(bytes(b ^ 0x5c for b in other.ljust(64, b"\0")) + hashlib.sha256(bytes(b ^ 0x36 for b in other.ljust(64, b"\0")) + b"abc").digest())
assert hmac.new(other, b"abc", "sha256").digest() == plain.digest() == hmac.digest(other, b"abc", "sha256")
assert isinstance(hmac.new(other, b"", "sha256"), hmac.HMAC)
print("same")
"#;
    let done = run_python(&place, text, &[&stand_in(&place, "raw"), RAW_SECRET]);
    assert_eq!(done.stdout, "same\n", "{done:?}");
}

#[test]
fn threads_forks_and_child_processes_have_it_too() {
    let Some(place) = place() else { return };
    let text = r#"
import concurrent.futures, hmac, os, subprocess, sys
key, secret = sys.argv[1].encode(), sys.argv[2].encode()
def both(number):
    message = str(number).encode()
    return hmac.digest(key, message, "sha256") == hmac.digest(secret, message, "sha256")
assert both(0)
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert all(pool.map(both, range(400)))
children = []
for child in range(4):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if all(both(f"{child} {n}") for n in range(50)) else 1)
    children.append(pid)
assert all(both(f"parent {n}") for n in range(50))
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
code = "import hmac, sys; print(hmac.new(sys.argv[1].encode(), b'x', 'sha256').hexdigest())"
child = subprocess.run([sys.executable, "-c", code, key.decode()], capture_output=True, text=True).stdout
assert child.strip() == hmac.new(secret, b"x", "sha256").hexdigest()
print("same")
"#;
    let done = run_python(&place, text, &[&stand_in(&place, "raw"), RAW_SECRET]);
    assert_eq!(done.stdout, "same\n", "{done:?}");
}

#[test]
fn what_cannot_be_signed_is_an_error_that_says_why_and_never_a_signature() {
    let Some(place) = place() else { return };
    let text = r#"
import hmac, os, sys
from hsmsign import AgentUnavailable, HsmsignError, KeyNotFound, PolicyDenied, UnsupportedAlgorithm, placeholder
raw, kraken = sys.argv[1:]
def refused(kind, code, key, algorithm="sha256"):
    try:
        made = hmac.new(key.encode(), b"abc", algorithm).hexdigest()
    except kind as error:
        assert error.code == code and error.message and error.fix, repr(error)
        assert str(error).startswith("hsmsign: ") and f"[{code}]" in str(error), str(error)
    else:
        raise SystemExit(f"{key} was signed: {made}")
refused(PolicyDenied, "denied", kraken, "sha512")
refused(KeyNotFound, "unknown-key", placeholder("nobody"))
refused(KeyNotFound, "unknown-key", placeholder("a-name-of-more-than-16-letters"))
refused(HsmsignError, "bad-input", raw, "sha512")
refused(UnsupportedAlgorithm, "unsupported", raw, "md5")
refused(HsmsignError, "bad-input", raw + "&")
refused(HsmsignError, "bad-input", "x" + raw)
os.environ["HSMSIGN_SOCKET"] = "/nowhere/agent.sock"
refused(AgentUnavailable, "agent-unavailable", raw)
print("refused")
"#;
    let done = run_python(
        &place,
        text,
        &[&stand_in(&place, "raw"), &stand_in(&place, "kraken")],
    );
    assert_eq!(done.stdout, "refused\n", "{done:?}");
}

#[test]
fn the_forms_that_libraries_make_of_a_secret_are_known() {
    let Some(place) = place() else { return };
    let long = "a-name-of-more-than-16-letters";
    place.import_raw(long, RAW_SECRET);
    let text = r#"
import base64, hmac, sys
secret = sys.argv[1].encode()
for key in (text.encode() for text in sys.argv[2:]):
    want = hmac.digest(secret, b"abc", "sha256")
    for form in (key, base64.b64decode(key), key.upper(), base64.b64encode(key)):
        assert hmac.digest(form, b"abc", "sha256") == want, form
print("same")
"#;
    let done = run_python(
        &place,
        text,
        &[RAW_SECRET, &stand_in(&place, "raw"), &stand_in(&place, long)],
    );
    assert_eq!(done.stdout, "same\n", "{done:?}");
}

#[test]
fn an_agent_that_ends_and_comes_back_is_found_again() {
    let Some(place) = place() else { return };
    let program = env!("CARGO_BIN_EXE_hsmsign");
    place.ok(&["agent", "start"]);
    let text = r#"
import hmac, subprocess, sys
from hsmsign import AgentUnavailable
key, secret, program = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3]
want = hmac.digest(secret, b"abc", "sha256")
assert hmac.digest(key, b"abc", "sha256") == want
subprocess.run([program, "agent", "stop"], check=True, capture_output=True)
try:
    hmac.digest(key, b"abc", "sha256")
    raise SystemExit("signed without an agent")
except AgentUnavailable:
    pass
subprocess.run([program, "agent", "start"], check=True, capture_output=True)
assert hmac.digest(key, b"abc", "sha256") == want
print("same")
"#;
    let done = run_python(&place, text, &[&stand_in(&place, "raw"), RAW_SECRET, program]);
    place.run(&["agent", "stop"], "");
    assert_eq!(done.stdout, "same\n", "{done:?}");
}

#[test]
fn other_makers_of_keyed_hashes_have_it_too() {
    let (Some(place), Some(python)) = (place(), libraries()) else {
        return;
    };
    let text = r#"
import hmac, sys
from Crypto.Hash import HMAC, SHA256, MD5
from cryptography.exceptions import AlreadyFinalized, InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as their
from hsmsign import UnsupportedAlgorithm
key, secret = sys.argv[1].encode(), sys.argv[2].encode()
want = hmac.digest(secret, b"abc", "sha256")

made = HMAC.new(key, b"a", digestmod=SHA256)
made.update(b"bc")
made.verify(want)
made.hexverify(want.hex())
assert made.digest() == HMAC.new(key, b"abc", SHA256.new()).digest() == want
assert HMAC.new(secret, b"abc", digestmod=SHA256).digest() == want
try:
    HMAC.new(key, b"abc", digestmod=MD5)
    raise SystemExit("MD5 was taken")
except UnsupportedAlgorithm:
    pass

made = their.HMAC(key, hashes.SHA256())
made.update(b"ab")
half = made.copy()
made.update(b"c")
half.update(b"c")
assert made.finalize() == want and isinstance(half, their.HMAC)
half.verify(want)
for call in (made.finalize, lambda: made.update(b"")):
    try:
        call()
        raise SystemExit("it was finalized twice")
    except AlreadyFinalized:
        pass
made = their.HMAC(key, hashes.SHA256())
try:
    made.verify(want)
    raise SystemExit("another message's MAC was taken")
except InvalidSignature:
    pass
plain = their.HMAC(secret, hashes.SHA256())
plain.update(b"abc")
assert plain.finalize() == want and isinstance(plain, their.HMAC)
print("same")
"#;
    let bot = script(&place, "bot.py", text);
    let args = [
        python.to_str().unwrap(),
        &bot,
        &stand_in(&place, "raw"),
        RAW_SECRET,
    ];
    let done = place.run(&[&["run", "--"], &args[..]].concat(), "");
    assert_eq!(done.stdout, "same\n", "{done:?}");
}

#[test]
fn what_would_compute_by_itself_refuses_a_placeholder() {
    let Some(place) = place() else { return };
    let text = r#"
import hashlib, hmac, importlib, multiprocessing, os, sys
from hsmsign import UnsupportedAlgorithm
key, secret = sys.argv[1].encode(), sys.argv[2].encode()
want = hmac.digest(secret, b"abc", "sha256")

class Own(hmac.HMAC):
    def twice(self):
        return self.digest() * 2

own = Own(secret, b"abc", "sha256")
assert type(own) is Own and own.twice() == want * 2 and isinstance(own, hmac.HMAC) and issubclass(Own, hmac.HMAC)
assert not isinstance(hmac.new(secret, b"", "sha256"), Own)
for call in (
    lambda: Own(key, b"abc", "sha256"),
    lambda: hashlib.pbkdf2_hmac("sha256", key, b"salt", 1),
    lambda: hashlib.pbkdf2_hmac("sha256", memoryview(key), b"salt", 1),
    lambda: hashlib.scrypt(key, salt=b"salt", n=2, r=1, p=1),
):
    try:
        raise SystemExit(f"computed: {call()}")
    except UnsupportedAlgorithm as error:
        assert error.fix, error
assert hashlib.pbkdf2_hmac("sha256", secret, b"salt", 1).hex()
assert hashlib.scrypt(secret, salt=b"salt", n=2, r=1, p=1)

# Loaded again, and once more anew, it has the hook again.
importlib.reload(hmac)
assert hmac.digest(key, b"abc", "sha256") == want
del sys.modules["hmac"]
import hmac as anew
assert anew is not hmac and anew.new(key, b"abc", "sha256").digest() == want

def child(queue):
    import hmac
    queue.put(hmac.new(key, b"abc", "sha256").digest())

if __name__ == "__main__":
    for method in ("spawn", "fork", "forkserver"):
        context = multiprocessing.get_context(method)
        with context.Pool(1) as pool:
            assert pool.apply(anew.digest, (key, b"abc", "sha256")) == want, method
    os.environ.clear()
    assert anew.digest(key, b"abc", "sha256") == want
    print("refused")
"#;
    let done = run_python(&place, text, &[&stand_in(&place, "raw"), RAW_SECRET]);
    assert_eq!(done.stdout, "refused\n", "{done:?}");
}

#[test]
fn an_interrupted_request_leaves_no_answer_to_the_next() {
    let Some(place) = place() else { return };
    // Between bot and agent stands one who keeps an answer back until the bot was interrupted, and then tells it.
    let text = r#"
import hmac, os, signal, socket, sys, threading
key, secret = sys.argv[1].encode(), sys.argv[2].encode()
real, slow = os.environ["HSMSIGN_SOCKET"], sys.argv[3]
interrupted = threading.Event()
listener = socket.socket(socket.AF_UNIX)
listener.bind(slow)
listener.listen()

def relay(client, first):
    agent = socket.socket(socket.AF_UNIX)
    agent.connect(real)
    asked = client.makefile()
    for line in asked:
        agent.sendall(line.encode())
        answer = agent.makefile().readline()
        if first and b'"hmac"' in line.encode():
            first = False
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            assert interrupted.wait(60)
        try:
            client.sendall(answer.encode())
        except OSError:
            return

def serve():
    first = True
    while True:
        client, _ = listener.accept()
        threading.Thread(target=relay, args=(client, first), daemon=True).start()
        first = False

class Stop(BaseException):
    pass

def stop(*_):
    raise Stop

def nested(*_):
    # A handler that signs while the answer of another is awaited.
    assert hmac.digest(key, b"nested", "sha256") == hmac.digest(secret, b"nested", "sha256")
    interrupted.set()

threading.Thread(target=serve, daemon=True).start()
os.environ["HSMSIGN_SOCKET"] = slow
if sys.argv[4] == "stop":
    signal.signal(signal.SIGUSR1, stop)
    try:
        hmac.digest(key, b"first", "sha256")
        raise SystemExit("it was not interrupted")
    except Stop:
        interrupted.set()
else:
    signal.signal(signal.SIGUSR1, nested)
    assert hmac.digest(key, b"first", "sha256") == hmac.digest(secret, b"first", "sha256")
for number in range(5):
    message = str(number).encode()
    assert hmac.digest(key, message, "sha256") == hmac.digest(secret, message, "sha256"), number
print("its own")
"#;
    for how in ["stop", "nested"] {
        let slow = place.path().join(how);
        let args = [&stand_in(&place, "raw"), RAW_SECRET, slow.to_str().unwrap(), how];
        let done = run_python(&place, text, &args);
        assert_eq!(done.stdout, "its own\n", "{how}: {done:?}");
    }
}
