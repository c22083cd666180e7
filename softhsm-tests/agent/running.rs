//! An agent that runs for a test, and connections to it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::Place;

/// An agent in the foreground; ended with the value.
pub struct Running<'p> {
    pub place: &'p Place,
    child: Child,
}

/// A connection.
pub struct Connection(BufReader<UnixStream>);

impl<'p> Running<'p> {
    /// Starts one and waits until it serves.
    pub fn start(place: &'p Place) -> Self {
        Self::start_with(place, &[])
    }

    /// As [`Running::start`], with further arguments.
    pub fn start_with(place: &'p Place, args: &[&str]) -> Self {
        Self::of(place, place.command(&[&["agent"], args].concat()))
    }

    /// As [`Running::start`], by a command that becomes the agent.
    pub fn of(place: &'p Place, command: Command) -> Self {
        Self::at(place, command, &place.home().join("agent.sock"))
    }

    /// As [`Running::of`], with a socket elsewhere.
    pub fn at(place: &'p Place, command: Command, socket: &Path) -> Self {
        let mut running = Self::spawn(place, command);
        let begun = Instant::now();
        while UnixStream::connect(socket).is_err() {
            assert!(running.child.try_wait().unwrap().is_none(), "{}", running.log());
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", running.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }

    /// Starts one and waits for nothing.
    pub fn begin(place: &'p Place) -> Self {
        Self::spawn(place, place.command(&["agent"]))
    }

    fn spawn(place: &'p Place, mut command: Command) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(place.path().join("agent.err"))
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { place, child }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.place.home().join("agent.sock")
    }

    /// What it wrote on standard error, in all its lives.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("agent.err")).unwrap_or_default()
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::to(&self.socket())
    }

    /// What it says of itself.
    pub fn status(&self) -> Value {
        self.connect().ask(r#"{"op":"status"}"#)
    }

    /// The process of the development token's worker.
    pub fn worker(&self) -> i32 {
        let pid = self.token("softhsm")["worker_pid"].as_i64().unwrap();
        i32::try_from(pid).unwrap()
    }

    /// What it says of a token.
    pub fn token(&self, name: &str) -> Value {
        let mut status = self.status();
        let tokens = status["tokens"].as_array_mut().unwrap();
        let found = tokens.iter_mut().find(|token| token["token"] == name);
        found.expect("the token is there").take()
    }

    /// The process that starts the workers.
    pub fn launcher(&self) -> i32 {
        self.launcher_of_worker().unwrap()
    }

    /// The same, where the worker runs now.
    pub fn launcher_of_worker(&self) -> Option<i32> {
        let worker = self.token("softhsm")["worker_pid"].as_i64()?;
        stat(i32::try_from(worker).ok()?)?[1].parse().ok()
    }

    /// The processes that start workers: the one that does, and the one that is there for when it ends.
    pub fn launchers(&self) -> Vec<i32> {
        let mut all = self.processes();
        all.retain(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.contains("agent-launcher"))
        });
        all
    }

    /// Its processes and those that it started, in the order of their numbers, but for ended ones.
    pub fn processes(&self) -> Vec<i32> {
        let group = self.pid().to_string();
        let mut found: Vec<i32> = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&pid| stat(pid).is_some_and(|stat| stat[0] != "Z" && stat[2] == group))
            .collect();
        found.sort_unstable();
        found
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Waits for its end, and answers its exit code; -1 for a signal.
    pub fn wait(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal.
pub fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Sends a process a signal, and answers whether it was there.
pub fn kill_if_there(pid: i32, signal: Signal) -> bool {
    kill_process(Pid::from_raw(pid).unwrap(), signal).is_ok()
}

/// A process's state, parent and group.
fn stat(pid: i32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some(fields.take(3).map(str::to_owned).collect())
}

/// Whether a process is there, and is more than its exit code.
pub fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "waited in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Connection {
    /// A new connection to a socket.
    pub fn to(socket: &std::path::Path) -> Self {
        Self::over(UnixStream::connect(socket).unwrap())
    }

    /// One that is there.
    pub fn over(stream: UnixStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// Sends bytes, and answers whether they went.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).is_ok()
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next answer line; none at the end.
    pub fn read(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap_or(0);
        (read > 0).then_some(line)
    }

    /// The next answer.
    pub fn answer(&mut self) -> Value {
        serde_json::from_str(&self.read().expect("an answer")).unwrap()
    }

    /// Sends a line, and answers the answer.
    pub fn ask(&mut self, line: &str) -> Value {
        self.send(format!("{line}\n").as_bytes());
        self.answer()
    }

    /// Sends no more.
    pub fn end(&self) {
        self.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// The stream itself.
    pub fn stream(&mut self) -> &mut UnixStream {
        self.0.get_mut()
    }
}

/// The nonce of a signed Kraken request.
pub fn nonce(answer: &Value) -> u64 {
    let body = answer["body"]
        .as_str()
        .unwrap_or_else(|| panic!("no body: {answer}"));
    let value = body
        .split('&')
        .find_map(|field| field.strip_prefix("nonce="))
        .unwrap();
    value.parse().unwrap()
}

/// A request to Kraken that asks for a nonce.
pub const BALANCE: &str = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
