//! The hook on Python's `hmac`.

use crate::{RAW_SECRET, place, run_python, stand_in};

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
    place.import(
        &[
            "--exchange",
            "generic",
            "--key",
            long,
            "--algorithm",
            "hmac-sha256",
            "--allow",
            "raw",
        ],
        RAW_SECRET,
    );
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
