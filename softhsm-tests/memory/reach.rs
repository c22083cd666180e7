//! What another program of the same user gets out of hsmsign while it holds a secret, and what is done where there is no
//! memory to lock.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::{
    bench::{Done, finish},
    held::compile,
    keys::Key,
};

const NOBODY: u32 = 65534;

/// An ordinary user's place, with a token.
struct Ordinary {
    folder: tempfile::TempDir,
}

impl Ordinary {
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: becoming another user needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // By another process: a child that a test beside this one forks just now would hold the copy open for writing,
        // and what is open for writing cannot be started.
        let copied = Command::new("install")
            .args(["-m", "755", env!("CARGO_BIN_EXE_hsmsign")])
            .arg(folder.path().join("hsmsign"))
            .status();
        assert!(copied.unwrap().success());
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        let place = Self { folder };
        let made = place.run("./hsmsign init --softhsm", "");
        if made.stderr.contains("not on this machine") {
            eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
            return None;
        }
        assert_eq!(made.code, 0, "{made:?}");
        Some(place)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A shell line, run by the user.
    fn start(&self, line: &str) -> Child {
        Command::new("sh")
            .args(["-c", line])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HSMSIGN_HOME", self.path().join("home"))
            .current_dir(self.path())
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn run(&self, line: &str, input: &str) -> Done {
        finish(self.start(line), input.as_bytes())
    }

    /// hsmsign with all of a secret but the end of its line.
    fn holding(&self, key: &Key) -> Child {
        let mut child = self.start(&format!("exec ./hsmsign {}", key.import_args().join(" ")));
        child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(key.text.as_bytes())
            .unwrap();
        let pid = child.id();
        let begun = Instant::now();
        while !reads_standard_input(pid) {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not read");
            sleep(Duration::from_millis(2));
        }
        child
    }
}

fn reads_standard_input(pid: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    text.starts_with(&format!("{} 0x0 ", libc::SYS_read))
}

#[test]
fn no_program_of_the_same_user_reaches_a_secret() {
    let Some(user) = Ordinary::new() else { return };
    let reach = compile(user.path(), "reach.c", &[]);
    fs::set_permissions(&reach, fs::Permissions::from_mode(0o755)).unwrap();
    let ways = |pid: u32| -> BTreeSet<String> {
        let done = user.run(&format!("timeout 5 ./reach {pid}"), "");
        assert_eq!(done.code, 0, "{done:?}");
        done.stdout.lines().map(str::to_owned).collect()
    };
    // What works on a process that does nothing about it.
    let mut other = user.start("exec sleep 20");
    sleep(Duration::from_millis(50));
    let open = ways(other.id());
    let _ = other.kill();
    let _ = other.wait();
    assert!(
        open.contains("/proc/PID/mem") && open.contains("process_vm_readv"),
        "{open:?}"
    );

    let mut held = user.holding(&Key::kraken());
    assert_eq!(ways(held.id()), BTreeSet::new());
    let _ = held.kill();
    let _ = held.wait();
}

#[test]
fn no_core_has_a_secret_in_it() {
    let Some(user) = Ordinary::new() else { return };
    // As for a user who wants cores.
    let most = getrlimit(Resource::Core).maximum;
    setrlimit(
        Resource::Core,
        Rlimit {
            current: most,
            maximum: most,
        },
    )
    .unwrap();
    for signal in [Signal::QUIT, Signal::ABORT, Signal::SYS] {
        let mut held = user.holding(&Key::kraken());
        kill_process(Pid::from_child(&held), signal).unwrap();
        let ended = held.wait().unwrap();
        assert_eq!(ended.signal(), Some(signal.as_raw()));
        assert!(!ended.core_dumped(), "{signal:?} wrote a core");
    }
}

#[test]
fn where_no_memory_can_be_locked_no_secret_is_taken() {
    let Some(user) = Ordinary::new() else { return };
    let key = Key::kraken();
    let import = format!("./hsmsign {}", key.import_args().join(" "));
    let done = user.run(&format!("ulimit -l 0; {import}"), &key.line());
    assert_ne!(done.code, 0, "{done:?}");
    assert!(
        done.stderr.contains("no locked memory for a secret") && done.stderr.contains("ulimit -l"),
        "{done:?}"
    );
    // The least that systems give is enough, for many keys as for one.
    let road = format!("ulimit -l 64; {import} && ./hsmsign sign kraken POST /0/private/Balance");
    let done = user.run(&road, &key.line());
    assert_eq!(done.code, 0, "{done:?}");
    let lines: String = (0..20)
        .map(|number| {
            format!(
                "{}\n",
                key.json
                    .replace("\"exchange\"", &format!("\"key\":\"k{number}\",\"exchange\""))
            )
        })
        .collect();
    let done = user.run("ulimit -l 64; ./hsmsign import --json", &lines);
    assert_eq!(done.code, 0, "{done:?}");
}
