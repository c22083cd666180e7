//! What a bot's process holds: no form of the secret.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    process::{Child, Command},
};

use base64ct::Encoding as _;

use crate::{RAW_SECRET, kraken_secret, place, script, stand_in, started};

/// Signs, says so, and waits.
const BOT: &str = r#"
import base64, hashlib, hmac, json, os, sys
if os.environ.get("HSMSIGN_SOCKET"):
    from hsmsign import Signer
    Signer("kraken").sign("POST", "/0/private/Balance")
try:
    key = base64.b64decode(sys.stdin.readline())
    hmac.new(key, b"abc", "sha512").hexdigest()
except Exception as error:
    assert "denied" in str(error), error
print("ready", flush=True)
sys.stdin.readline()
"#;

/// How often one of these stands in the memory of a process; none where it cannot be read.
fn count(pid: u32, wanted: &[Vec<u8>]) -> Option<usize> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = 0;
    // What is a file's and cannot be written holds no secrets.
    let can_hold = |line: &&str| {
        let mode = line.split(' ').nth(1).unwrap_or_default();
        mode.starts_with('r') && (mode.contains('w') || !line.contains(" /"))
    };
    for line in maps.lines().filter(can_hold) {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let from = u64::from_str_radix(from, 16).ok()?;
        let to = u64::from_str_radix(to, 16).ok()?;
        let mut bytes = vec![0; usize::try_from(to - from).ok()?];
        // Some pages, as the kernel's own, are not to be read.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            found += wanted
                .iter()
                .map(|wanted| {
                    bytes
                        .windows(wanted.len())
                        .filter(|window| window == wanted)
                        .count()
                })
                .sum::<usize>();
        }
    }
    Some(found)
}

/// The text, the bytes, their hex, and the keys that HMAC makes of them.
fn forms(text: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    let padded = |with: u8| -> Vec<u8> { bytes.iter().map(|byte| byte ^ with).collect() };
    vec![
        text.as_bytes()[..40].to_vec(),
        bytes[..32].to_vec(),
        base16ct::lower::encode_string(&bytes[..32]).into_bytes(),
        padded(0x36)[..32].to_vec(),
        padded(0x5c)[..32].to_vec(),
    ]
}

fn kraken_forms() -> Vec<Vec<u8>> {
    let text = kraken_secret();
    forms(text, &base64ct::Base64::decode_vec(text).unwrap())
}

fn give(child: &mut Child, line: &str) {
    use std::io::Write as _;
    writeln!(child.stdin.as_mut().unwrap(), "{line}").unwrap();
}

fn looked_at(mut command: Command, key: &str) -> Option<usize> {
    use std::io::{BufRead as _, BufReader};
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    give(&mut child, key);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    let found = count(child.id(), &kraken_forms());
    give(&mut child, "");
    child.wait().unwrap();
    found
}

#[test]
fn a_bots_process_holds_no_form_of_the_secret() {
    let Some(place) = place() else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root looks into another process's memory");
        return;
    }
    let bot = script(&place, "bot.py", BOT);
    let mut plain = Command::new("python3");
    plain.arg(&bot).env_remove("HSMSIGN_SOCKET");
    assert!(
        looked_at(plain, kraken_secret()).unwrap() > 0,
        "the control: the secret is there where it was given"
    );
    let hooked = place.command(&["run", "--", "python3", &bot]);
    assert_eq!(looked_at(hooked, &stand_in(&place, "kraken")), Some(0));
}

/// Signs with SoftHSM in its own process, and waits in the midst of it.
const SIGNER: &str = r#"
import ctypes, sys
module, pin = ctypes.CDLL(sys.argv[1]), open(sys.argv[2], "rb").read().strip()
long = ctypes.c_ulong

class Struct(ctypes.Structure):
    # CK_ATTRIBUTE, and CK_MECHANISM as well.
    _fields_ = (("kind", long), ("value", ctypes.c_void_p), ("length", long))

def call(name, *arguments):
    answer = getattr(module, name)(*arguments)
    assert answer == 0, (name, hex(answer))

slots, count, session, key = (long * 8)(), long(8), long(), long()
call("C_Initialize", None)
call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
call("C_OpenSession", slots[0], long(4), None, None, ctypes.byref(session))
call("C_Login", session, long(1), pin, long(len(pin)))
secret_key = long(4)
wanted = Struct(0, ctypes.addressof(secret_key), ctypes.sizeof(secret_key))
call("C_FindObjectsInit", session, ctypes.byref(wanted), long(1))
found = []
while True:
    call("C_FindObjects", session, ctypes.byref(key), long(1), ctypes.byref(count))
    if not count.value:
        break
    found.append(key.value)
call("C_FindObjectsFinal", session)
# CKM_SHA256_HMAC, which one of the keys is for.
sha256 = Struct(0x251, None, 0)
assert any(module.C_SignInit(session, ctypes.byref(sha256), long(one)) == 0 for one in found)
print("ready", flush=True)
sys.stdin.readline()
"#;

#[test]
fn the_same_search_finds_the_key_in_a_process_that_signs_with_softhsm() {
    let Some(place) = place() else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root looks into another process's memory");
        return;
    }
    let module = hsmsign::token::softhsm_module().unwrap();
    let folder = place.home().join("softhsm");
    let mut command = Command::new("python3");
    command
        .arg(script(&place, "signer.py", SIGNER))
        .args([&module, &folder.join("softhsm.pin")])
        .env("SOFTHSM2_CONF", folder.join("softhsm2.conf"));
    let (mut child, line) = started(command);
    assert_eq!(line, "ready\n");
    let found = count(child.id(), &forms(RAW_SECRET, RAW_SECRET.as_bytes())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        found > 0,
        "the control: SoftHSM has the key in the clear while it signs"
    );
}
