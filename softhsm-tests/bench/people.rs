//! Users on one machine: the owner of keys, whose agent signs for others; a bot of its group; a stranger.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::geteuid;

use super::{Done, KRAKEN_SECRET, finish};

pub const OWNER: u32 = 64101;
pub const BOT: u32 = 64102;
pub const STRANGER: u32 = 64103;
pub const GROUP: u32 = 64110;

/// Three users and a group; the agent runs as the first. Ended with the value.
pub struct People {
    folder: tempfile::TempDir,
    pub agent: Option<Child>,
}

impl People {
    /// With a token and Kraken's key that belong to the owner; none, with a line on stderr, where that cannot be.
    pub fn new() -> Option<Self> {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: becoming other users needs root");
            return None;
        }
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let people = Self { folder, agent: None };
        // By another process: what this one holds open for writing cannot be started.
        let copied = Command::new("install")
            .args(["-m", "755", env!("CARGO_BIN_EXE_hsmsign")])
            .arg(people.path("hsmsign"))
            .status();
        assert!(copied.unwrap().success());
        for (name, owner) in [
            ("owner", OWNER),
            ("bot", BOT),
            ("stranger", STRANGER),
            ("run", OWNER),
        ] {
            let path = people.path(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
        }
        std::os::unix::fs::chown(people.path("run"), Some(OWNER), Some(GROUP)).unwrap();
        fs::set_permissions(people.path("run"), fs::Permissions::from_mode(0o750)).unwrap();
        let done = people.run(OWNER, &["init", "--softhsm"], "");
        if done.stderr.contains("not on this machine") {
            eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
            return None;
        }
        assert_eq!(done.code, 0, "{done:?}");
        let import = ["import", "--exchange", "kraken", "--api-key", "example"];
        let done = people.run(OWNER, &import, KRAKEN_SECRET);
        assert_eq!(done.code, 0, "{done:?}");
        Some(people)
    }

    /// With the agent running.
    pub fn with_agent() -> Option<Self> {
        let mut people = Self::new()?;
        people.start_agent();
        Some(people)
    }

    /// Starts the agent, and waits until it serves.
    pub fn start_agent(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let socket = self.socket();
        let group = GROUP.to_string();
        let arguments = ["agent", "--group", &group, "--socket", socket.to_str().unwrap()];
        let child = self
            .command(OWNER, &self.path("hsmsign"), &arguments)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.agent = Some(child);
        let begun = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            let log = fs::read_to_string(self.path("log")).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(60), "{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A file or folder of theirs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The agent's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run/agent.sock")
    }

    /// A command as one of them, with nothing of this process' environment. Only the owner has folders of hsmsign.
    pub fn command(&self, user: u32, program: &Path, arguments: &[&str]) -> Command {
        let (uid, group) = (user.to_string(), GROUP.to_string());
        let groups = if user == STRANGER {
            "--clear-groups".to_owned()
        } else {
            format!("--groups={group}")
        };
        let mut command = Command::new("setpriv");
        command
            .args([
                &format!("--reuid={uid}"),
                &format!("--regid={uid}"),
                &groups,
                "--",
            ])
            .arg(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HSMSIGN_SOCKET", self.socket());
        match user {
            OWNER => command
                .env("HSMSIGN_HOME", self.path("owner/hsmsign"))
                .current_dir(self.path("owner")),
            BOT => command
                .env("HOME", self.path("bot"))
                .current_dir(self.path("bot")),
            _ => command
                .env("HOME", self.path("stranger"))
                .current_dir(self.path("stranger")),
        };
        if self.agent.is_none() {
            command.env_remove("HSMSIGN_SOCKET");
        }
        command
    }

    /// Runs hsmsign as one of them.
    pub fn run(&self, user: u32, arguments: &[&str], input: &str) -> Done {
        let child = self
            .command(user, &self.path("hsmsign"), arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        finish(child, input.as_bytes())
    }

    /// Runs a shell line as one of them.
    pub fn shell(&self, user: u32, line: &str) -> Done {
        let child = self
            .command(user, Path::new("/bin/sh"), &["-c", line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        finish(child, b"")
    }

    /// The agent's process.
    pub fn pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }
}

impl Drop for People {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}
