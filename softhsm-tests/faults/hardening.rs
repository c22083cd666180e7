//! What other processes of the same user can learn of a running hsmsign, and what its files give away.

use std::{
    fs,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process};

use crate::{
    bench::{KRAKEN_SECRET, Place},
    state::{chmod, root},
};

const NOBODY: u32 = 65534;

/// A folder of an ordinary user's with the program in it, and hsmsign blocked on standard input there.
struct Blocked {
    folder: tempfile::TempDir,
    child: Child,
}

impl Blocked {
    fn start() -> Option<Self> {
        if !root() {
            eprintln!("SKIPPED: becoming another user needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        chmod(folder.path(), 0o755);
        let program = folder.path().join("hsmsign");
        // By another process: a child that a test beside this one forks just now would hold the copy open for writing,
        // and what is open for writing cannot be started.
        let copied = Command::new("install")
            .args(["-m", "755", env!("CARGO_BIN_EXE_hsmsign")])
            .arg(&program)
            .status();
        assert!(copied.unwrap().success());
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        chmod(&home, 0o700);
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut command = Command::new(&program);
        // As a user who wants cores, and has an open umask.
        let core = rustix::process::Rlimit {
            current: getrlimit(Resource::Core).maximum,
            maximum: getrlimit(Resource::Core).maximum,
        };
        command
            .args(["sign", "--json"])
            .env_clear()
            .env("HSMSIGN_HOME", &home)
            .current_dir(&home)
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let _ = rustix::process::setrlimit(Resource::Core, core);
        let child = command.spawn().unwrap();
        let blocked = Self { folder, child };
        // Hardened and waiting for its input.
        let begun = Instant::now();
        while !blocked.status("State").starts_with('S') || blocked.limit("Max core file size") != "0" {
            assert!(begun.elapsed() < Duration::from_secs(5), "it does not come up");
            sleep(Duration::from_millis(5));
        }
        Some(blocked)
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }

    fn status(&self, name: &str) -> String {
        let text = fs::read_to_string(self.file("status")).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")))
            .unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    }

    fn limit(&self, name: &str) -> String {
        let text = fs::read_to_string(self.file("limits")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a shell line as the same ordinary user. Answers whether it succeeded, and what it said.
fn as_nobody(folder: &Path, line: &str) -> (bool, String) {
    let done = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let told = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&told).into_owned())
}

#[test]
fn the_same_user_can_neither_trace_nor_read_its_memory() {
    let Some(blocked) = Blocked::start() else { return };
    let pid = blocked.child.id();
    let folder = blocked.folder.path();
    for file in ["mem", "maps", "environ", "auxv", "syscall", "stack"] {
        let (read, told) = as_nobody(folder, &format!("head -c 1 /proc/{pid}/{file} > /dev/null"));
        assert!(!read, "/proc/PID/{file} can be read: {told}");
    }
    let (listed, told) = as_nobody(folder, &format!("ls /proc/{pid}/fd/ > /dev/null"));
    assert!(!listed, "/proc/PID/fd can be listed: {told}");
    if Path::new("/usr/bin/strace").exists() {
        let (traced, told) = as_nobody(folder, &format!("timeout 2 strace -p {pid}"));
        assert!(!traced && told.contains("Operation not permitted"), "{told}");
    } else {
        eprintln!("SKIPPED: strace is not installed, so that tracing was not tried");
    }
    // The same attempts on an unhardened process of that user work, so that they mean something.
    let mut other = Command::new("sleep")
        .arg("5")
        .uid(NOBODY)
        .gid(NOBODY)
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(50));
    let (read, told) = as_nobody(
        folder,
        &format!("head -c 1 /proc/{}/environ > /dev/null", other.id()),
    );
    let _ = other.kill();
    let _ = other.wait();
    assert!(read, "an ordinary process can be read: {told}");
}

#[test]
fn no_core_is_written_and_new_files_are_private() {
    for signal in [Signal::SEGV, Signal::ABORT, Signal::BUS] {
        let Some(mut blocked) = Blocked::start() else {
            return;
        };
        assert_eq!(blocked.limit("Max core file size"), "0");
        assert_eq!(blocked.status("Umask"), "0077");
        kill_process(Pid::from_child(&blocked.child), signal).unwrap();
        // Rust's own handler of SIGSEGV and SIGBUS takes the first that no bad address brought, and then steps aside.
        sleep(Duration::from_millis(20));
        let _ = kill_process(Pid::from_child(&blocked.child), signal);
        let ended = blocked.child.wait().unwrap();
        assert!(ended.signal().is_some(), "{ended:?}");
        assert!(!ended.core_dumped(), "{signal:?} wrote a core");
        let left = fs::read_dir(blocked.folder.path().join("home")).unwrap().count();
        assert_eq!(left, 0, "nothing is left in the folder");
    }
}

#[test]
fn an_ordinary_user_walks_the_whole_road() {
    let Some(blocked) = Blocked::start() else { return };
    let folder = blocked.folder.path();
    fs::write(folder.join("secret"), KRAKEN_SECRET).unwrap();
    chmod(&folder.join("secret"), 0o644);
    let (done, told) = as_nobody(
        folder,
        "export HSMSIGN_HOME=$PWD/home; ./hsmsign init --softhsm && ./hsmsign import --exchange kraken --api-key a < secret && ./hsmsign sign kraken POST /0/private/Balance && ./hsmsign doctor",
    );
    if told.contains("not on this machine") {
        eprintln!("SKIPPED: SoftHSM is not installed");
        return;
    }
    assert!(done, "{told}");
    assert!(told.contains("API-Sign"));
}

/// Every form in which a secret could lie in a file.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    use base64ct::Encoding as _;
    let decoded = base64ct::Base64::decode_vec(secret).unwrap();
    let block = [decoded.clone(), vec![0; 128 - decoded.len()]].concat();
    let pad = |byte: u8| block.iter().map(|other| other ^ byte).collect::<Vec<_>>();
    let hex = base16ct::lower::encode_string(&decoded);
    vec![
        secret.as_bytes()[..40].to_vec(),
        decoded[..24].to_vec(),
        hex.as_bytes()[..40].to_vec(),
        hex[..40].to_ascii_uppercase().into_bytes(),
        base64ct::Base64Url::encode_string(&decoded).as_bytes()[..40].to_vec(),
        pad(0x36)[..24].to_vec(),
        pad(0x5c)[..24].to_vec(),
        secret.chars().rev().take(40).collect::<String>().into_bytes(),
    ]
}

#[test]
fn no_file_holds_the_secret_in_any_form() {
    let Some(place) = Place::with_kraken() else { return };
    place.import(
        &["--exchange", "kraken", "--key", "b", "--api-key", "b"],
        KRAKEN_SECRET,
    );
    let line = format!("{{\"exchange\":\"kraken\",\"key\":\"c\",\"secret\":\"{KRAKEN_SECRET}\"}}\n");
    assert_eq!(place.run(&["import", "--json"], &line).code, 0);
    let done = place.run(&["rotate", "b", "--api-key", "c"], &format!("{KRAKEN_SECRET}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    place.run(
        &["import", "--exchange", "cbpro", "--key", "bad"],
        &format!("{KRAKEN_SECRET}\n"),
    );
    place.ok(&["backup", "backup.json"]);
    place.ok(&["doctor"]);
    let forms = forms(KRAKEN_SECRET);
    let holds = |bytes: &[u8]| {
        forms
            .iter()
            .position(|form| bytes.windows(form.len()).any(|part| part == form.as_slice()))
    };
    assert_eq!(
        holds(KRAKEN_SECRET.as_bytes()),
        Some(0),
        "the search finds what is there"
    );
    let mut folders = vec![place.path().to_owned()];
    let mut looked = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                looked += 1;
                assert_eq!(holds(&fs::read(&path).unwrap()), None, "{}", path.display());
            }
        }
    }
    assert!(looked > 10);
}

#[test]
fn the_secret_is_in_no_argument_and_no_environment() {
    let Some(place) = Place::with_token() else { return };
    let mut child = place.start(&["import", "--exchange", "kraken", "--api-key", "a"]);
    let stdin = child.stdin.as_mut().unwrap();
    // All but the end of the line, so that it waits with the secret in its memory.
    std::io::Write::write_all(stdin, KRAKEN_SECRET.as_bytes()).unwrap();
    sleep(Duration::from_millis(100));
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains(&KRAKEN_SECRET[..12]), "{file}: {text}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // An environment variable is no way in.
    let mut command = place.command(&["import", "--exchange", "kraken", "--api-key", "a"]);
    for name in ["HSMSIGN_SECRET", "SECRET", "KRAKEN_SECRET"] {
        command.env(name, KRAKEN_SECRET);
    }
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(done.status.code(), Some(5), "{done:?}");
}
