//! A machine for a test: systemd as the first process of namespaces of its own.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// The package, of the program that is tested, in a folder that goes with it; none, with a line on stderr, where it cannot be built.
pub fn build() -> Option<(tempfile::TempDir, PathBuf)> {
    if !have("cargo-deb") && !root().join(".cache/tools/bin/cargo-deb").exists() {
        eprintln!("SKIPPED: cargo-deb is not installed; scripts/package.sh builds it once");
        return None;
    }
    let output = tempfile::tempdir().unwrap();
    let done = Command::new(root().join("scripts/package.sh"))
        .args(["--profile", "dev", "--output"])
        .arg(output.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told = String::from_utf8(done.stdout).unwrap();
    Some((output, PathBuf::from(told.trim())))
}

/// One that runs; ended, with all that was written, with the value.
pub struct Machine {
    unshare: Child,
    _folder: tempfile::TempDir,
    first: u32,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub done: bool,
    pub told: String,
}

impl Machine {
    /// Boots one; none, with a line on stderr, where that cannot be done.
    pub fn boot() -> Option<Self> {
        let tools = ["unshare", "nsenter", "runuser", "dpkg"];
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: booting systemd in namespaces needs root");
            return None;
        }
        if !Path::new("/lib/systemd/systemd").exists() || !tools.iter().all(|tool| have(tool)) {
            eprintln!("SKIPPED: systemd, dpkg and util-linux are not all installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let over = folder.path().join("machine");
        fs::create_dir(&over).unwrap();
        let mut unshare = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--ipc", "--uts", "--cgroup"])
            .args(["--kill-child", "--mount-proc", "bash"])
            .arg(root().join("softhsm-tests/package/boot.sh"))
            .arg(&over)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let begun = Instant::now();
        loop {
            let first = fs::read_to_string(&children)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            let is_systemd = |first: &u32| {
                fs::read_to_string(format!("/proc/{first}/comm")).is_ok_and(|name| name.trim() == "systemd")
            };
            if let Some(first) = first.filter(is_systemd) {
                let machine = Self {
                    unshare,
                    _folder: folder,
                    first,
                };
                // What else this copy would start is not ours; it is enough that it answers.
                machine.run(&["systemctl", "is-system-running", "--wait"], "");
                return Some(machine);
            }
            if unshare.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                eprintln!(
                    "SKIPPED: systemd cannot be booted in namespaces here: {}",
                    log.trim()
                );
                let _ = unshare.kill();
                let _ = unshare.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a command in it.
    pub fn run(&self, command: &[&str], input: &str) -> Done {
        let mut child = Command::new("nsenter")
            .args(["--target", &self.first.to_string()])
            .args([
                "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--root", "--wd", "--", "env", "-i",
            ])
            .args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"])
            .args(["DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER="])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        Done {
            done: done.status.success(),
            told: String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned(),
        }
    }

    /// Runs a command that must work, and answers what it said.
    pub fn ok(&self, command: &[&str], input: &str) -> String {
        let done = self.run(command, input);
        if !done.done {
            let log = self.run(&["journalctl", "-u", "hsmsign*", "--no-pager", "-n", "40"], "");
            panic!("{command:?}: {}\n{}", done.told, log.told);
        }
        done.told
    }

    /// A path in it, as it is reached from outside.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.first))
    }

    /// Copies a file into it.
    pub fn put(&self, from: &Path, to: &str) {
        fs::copy(from, self.path(to)).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its first process dies with it, and with that all others and the mounts.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}
