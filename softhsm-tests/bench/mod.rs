//! A user's place for the command line: folders of its own, the real binary, a real SoftHSM token.
#![allow(dead_code, clippy::unwrap_used)]

pub mod compile;
pub mod people;
pub mod random;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

/// Kraken's documented example key.
pub const KRAKEN_SECRET: &str =
    "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
/// Its documented request's body.
pub const KRAKEN_BODY: &str =
    "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
/// Its documented signature.
pub const KRAKEN_SIGN: &str =
    "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==";
/// The secret of a generic key; nobody's, too.
pub const RAW_SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

/// A folder with everything of one user in it.
pub struct Place {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    /// Empty folders.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        Self {
            folder,
            environment: Vec::new(),
        }
    }

    /// Folders with a development token; none, with a line on stderr, where SoftHSM is not installed.
    pub fn with_token() -> Option<Self> {
        let place = Self::new();
        let done = place.run(&["init", "--softhsm"], "");
        if done.code != 0 && done.stderr.contains("not on this machine") {
            eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
            return None;
        }
        assert_eq!(done.code, 0, "{done:?}");
        Some(place)
    }

    /// Folders with a development token and Kraken's example key.
    pub fn with_kraken() -> Option<Self> {
        let place = Self::with_token()?;
        place.import(&["--exchange", "kraken", "--api-key", "example"], KRAKEN_SECRET);
        Some(place)
    }

    /// Sets a variable for every command from here.
    pub fn set(&mut self, variable: (String, String)) {
        self.environment.push(variable);
    }

    /// The folder of all.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of hsmsign.
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// The folder in which SoftHSM keeps its tokens.
    pub fn token_folder(&self) -> PathBuf {
        self.home().join("softhsm/tokens")
    }

    /// A command ready to be run, with an environment of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hsmsign"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HSMSIGN_HOME", self.home())
            .envs(self.environment.iter().cloned())
            .current_dir(self.path());
        command
    }

    /// Runs a command with this on its standard input.
    pub fn run(&self, args: &[&str], input: &str) -> Done {
        finish(self.start(args), input.as_bytes())
    }

    /// Runs a command with a redirection of the shell's.
    pub fn run_redirected(&self, args: &[&str], redirection: &str, input: &str) -> Done {
        let mut shell = Command::new("sh");
        let command = self.command(args);
        shell
            .args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(shell.spawn().unwrap(), input.as_bytes())
    }

    /// Starts a command whose standard input and output are pipes.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs a command that must work, and answers what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args, "");
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done.stdout
    }

    /// Imports a key that must be taken.
    pub fn import(&self, args: &[&str], secret: &str) -> Done {
        let done = self.run(&[&["import"], args].concat(), &format!("{secret}\n"));
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done
    }

    /// Imports a key of no exchange's, which may make raw MACs.
    pub fn import_raw(&self, name: &str, secret: &str) {
        let of = [
            "--exchange",
            "generic",
            "--algorithm",
            "hmac-sha256",
            "--key",
            name,
        ];
        self.import(
            &[&of[..], &["--encoding", "ascii", "--allow", "raw"]].concat(),
            secret,
        );
    }

    /// Puts a policy into force that must be taken, for a key or for `--all`.
    pub fn set_policy(&self, whose: &str, text: &str) {
        let done = self.run(&["policy", "set", whose], text);
        assert_eq!(done.code, 0, "{done:?}");
    }

    /// Runs a command that must answer with JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// The lines of the audit log that `audit show` finds by these arguments.
    pub fn log(&self, by: &[&str]) -> Vec<Value> {
        let text = self.ok(&[&["audit", "show", "--json"], by].concat());
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Signs so many requests with Kraken's key in one process, which seals the log at its end.
    pub fn sign_balances(&self, count: usize) {
        let line = "{\"key\":\"kraken\",\"method\":\"POST\",\"path\":\"/0/private/Balance\"}\n";
        let done = self.run(&["sign", "--json"], &line.repeat(count));
        assert_eq!(done.code, 0, "{done:?}");
    }

    /// A command that must fail with this exit code, and say these words.
    pub fn refused(&self, args: &[&str], input: &str, code: i32, words: &str) {
        let done = self.run(args, input);
        assert_eq!(done.code, code, "{args:?}: {done:?}");
        assert!(
            done.stderr.contains(words),
            "{args:?} should say {words:?}: {done:?}"
        );
        assert!(done.stderr.starts_with("hsmsign: "), "{done:?}");
    }
}

/// A child that answers each line with a line.
pub struct Stream {
    stdin: std::process::ChildStdin,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Stream {
    /// Takes the child's pipes; dropped, it ends the child's input.
    pub fn of(child: &mut Child) -> Self {
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
        }
    }

    /// Sends a line.
    pub fn send(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Ends the child's input. Its output can be read on.
    pub fn end(self) -> BufReader<std::process::ChildStdout> {
        self.stdout
    }

    /// The answer to a line.
    pub fn answer(&mut self, line: &str) -> String {
        self.send(line);
        self.read()
    }

    /// The next answer.
    pub fn read(&mut self) -> String {
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        answer
    }
}

/// Removes a folder that an agent may still write in: what it makes while the folder goes is removed as well.
pub fn remove_under_an_agent(folder: &Path) {
    for _ in 0..100 {
        if fs::remove_dir_all(folder).is_ok() {
            break;
        }
    }
    assert!(!folder.exists(), "{} stays", folder.display());
}

/// Feeds a child its input, and waits for its end.
pub fn finish(mut child: Child, input: &[u8]) -> Done {
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // A child that refuses early reads no further.
        let _ = stdin.write_all(&input);
    });
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Done {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}
