//! An agent that runs for a test, and connections to it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Stdio},
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
        let log = File::options()
            .create(true)
            .append(true)
            .open(place.path().join("agent.err"))
            .unwrap();
        let child = place
            .command(&[&["agent"], args].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut running = Self { place, child };
        let begun = Instant::now();
        while UnixStream::connect(running.socket()).is_err() {
            assert!(running.child.try_wait().unwrap().is_none(), "{}", running.log());
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", running.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        running
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

    /// The process of the first token's worker.
    pub fn worker(&self) -> i32 {
        i32::try_from(self.status()["tokens"][0]["worker_pid"].as_i64().unwrap()).unwrap()
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
