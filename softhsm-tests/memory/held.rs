//! hsmsign at work on a SoftHSM token, held still where a test wants to look.

use std::{
    fs,
    io::{Read as _, Write as _},
    ops::RangeInclusive,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::OFlags,
    pipe::PipeFlags,
    process::{Pid, Signal, kill_process},
};

use crate::{
    bench::{Done, Place, compile::library, finish},
    keys::Key,
    scan::{Find, Scan, Search},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// The memory that hsmsign is given for its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// `memfd_secret(2)`, where the kernel has it.
    Sealed,
    /// Locked memory, as on a kernel without it.
    Plain,
}

/// A user's place whose token is reached through the module that stops.
pub struct Bench {
    pub place: Place,
    module: PathBuf,
    plain: PathBuf,
}

impl Bench {
    /// None, with a line on stderr, where the test cannot run.
    pub fn new(memory: Memory) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: looking into the memory of a hardened process needs root");
            return None;
        }
        if memory == Memory::Sealed && !hsmsign::secret::Secret::with_capacity(1).unwrap().is_sealed() {
            eprintln!("SKIPPED: this kernel has no memfd_secret");
            return None;
        }
        let place = Place::with_token()?;
        let module = library(place.path(), "stopper", "memory/c/stopper.c")?;
        let plain = compile(place.path(), "plain.c", &[]);
        let bench = Self { place, module, plain };
        bench.configure("module", &bench.module.display().to_string());
        // A module is tried before the first key goes to it, by a process of its own that nothing should stop.
        let first = "import --exchange generic --algorithm hmac-sha256 --encoding hex --key first";
        bench.run(&first.split(' ').collect::<Vec<_>>(), &Key::hex().line());
        Some(bench)
    }

    /// Replaces what follows `name = ` in config.toml.
    pub fn configure(&self, name: &str, value: &str) {
        let path = self.place.home().join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text
            .lines()
            .map(|line| {
                if line.starts_with(&format!("{name} =")) {
                    format!("{name} = {value:?}")
                } else {
                    line.to_owned()
                }
            })
            .collect();
        fs::write(&path, lines.join("\n")).unwrap();
    }

    /// The file with the token's PIN.
    pub fn pin_file(&self) -> PathBuf {
        self.place.home().join("softhsm/softhsm.pin")
    }

    /// hsmsign with these arguments, to stop at these calls. With the PIN on descriptor 9, for who wants it.
    fn command(&self, memory: Memory, args: &[&str], stops: &[&str]) -> Command {
        let own = self.place.command(args);
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 9< \"$PIN\"", "sh"]);
        if memory == Memory::Plain {
            command.arg(&self.plain);
        }
        command.arg(own.get_program()).args(own.get_args()).env_clear();
        for (name, value) in own.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
            .env("PIN", self.pin_file())
            .env("STOPPER_MODULE", hsmsign::token::softhsm_module().unwrap())
            .env("STOPPER_AT", format!(" {} ", stops.join(" ")))
            .current_dir(self.place.path());
        command
    }

    /// Runs it to its end, which must be good.
    #[track_caller]
    pub fn run(&self, args: &[&str], input: &str) {
        let mut command = self.command(Memory::Plain, args, &[]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let done = finish(command.spawn().unwrap(), input.as_bytes());
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
    }

    /// Starts it, with standard output and error into pipes that are full already: it stands still before it can answer.
    pub fn hold(&self, memory: Memory, args: &[&str], stops: &[&str]) -> Held {
        let log = self.place.path().join("stops");
        let _ = fs::remove_file(&log);
        let mut command = self.command(memory, args, stops);
        command.env("STOPPER_LOG", &log);
        Held::start(command, log)
    }

    /// Looks through the files of hsmsign and its token.
    pub fn files(&self, search: &Search<'_>) -> Vec<Find> {
        let mut finds = Vec::new();
        assert!(search.folder(&self.place.home(), &mut finds) > 5);
        finds
    }
}

/// Builds one of the programs beside this file.
pub fn compile(folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("softhsm-tests/memory/c")
        .join(name);
    let built = folder.join(name.trim_end_matches(".c"));
    let done = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&built)
        .arg(source)
        .args(flags)
        .output()
        .expect("a C compiler, which is Rust's linker too");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    built
}

/// The reading end of a pipe that takes nothing more, and its writing end.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    let flags = rustix::fs::fcntl_getfl(&write).unwrap();
    rustix::fs::fcntl_setfl(&write, flags | OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&write, FILLING).is_ok() {}
    rustix::fs::fcntl_setfl(&write, flags).unwrap();
    (read, write)
}

/// What a full pipe is full of.
const FILLING: &[u8] = &[b'#'; 4096];

/// hsmsign, started and to be held still.
pub struct Held {
    child: Child,
    log: PathBuf,
    stopped: usize,
    /// The reading ends of its standard output and error.
    pipes: [Option<OwnedFd>; 2],
}

/// Where a process stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// As `before C_Sign`.
    pub at: String,
    /// The process: hsmsign, or one that it started.
    pub pid: u32,
}

impl Held {
    /// Starts it by this command, with standard output and error into pipes that are full already; what stops it writes so
    /// into the log.
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let (output, full_output) = full_pipe();
        let (errors, full_errors) = full_pipe();
        let child = command
            .stdin(Stdio::piped())
            .stdout(full_output)
            .stderr(full_errors)
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            stopped: 0,
            pipes: [output, errors].map(Some),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input, and leaves that open.
    pub fn feed(&mut self, text: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(text).unwrap();
    }

    /// Closes its standard input.
    pub fn feed_end(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until it, or a process that it started, has stopped at a call.
    #[track_caller]
    pub fn stop(&mut self) -> Stop {
        let begun = Instant::now();
        loop {
            if let Some(stop) = self.next_stop()
                && state(stop.pid) == 'T'
            {
                self.stopped += 1;
                return stop;
            }
            self.patience(begun, "does not come to a stop");
        }
    }

    /// What it wrote down last, if it is new and whole.
    fn next_stop(&self) -> Option<Stop> {
        let log = fs::read_to_string(&self.log).ok()?;
        let line = log.split_inclusive('\n').nth(self.stopped)?;
        let (at, pid) = line.strip_suffix('\n')?.rsplit_once(' ')?;
        Some(Stop {
            at: at.to_owned(),
            pid: pid.parse().ok()?,
        })
    }

    /// Lets it stop in one place after the other, and go on behind each but the last.
    #[track_caller]
    pub fn stop_at(&mut self, at: &str) -> Stop {
        loop {
            let stop = self.stop();
            if stop.at == at {
                return stop;
            }
            go_on(&stop);
        }
    }

    /// Waits until it wants more of its standard input than there is.
    #[track_caller]
    pub fn reading(&mut self) {
        self.blocked(libc::SYS_read, 0..=0);
    }

    /// Waits until it wants to answer, on standard output or error, and cannot. Stops on the way are passed over.
    #[track_caller]
    pub fn answering(&mut self) {
        self.blocked(libc::SYS_write, 1..=2);
    }

    #[track_caller]
    fn blocked(&mut self, call: libc::c_long, descriptors: RangeInclusive<u64>) {
        let begun = Instant::now();
        loop {
            if state(self.pid()) == 'S' && self.threads().any(|thread| is_in(&thread, call, &descriptors)) {
                return;
            }
            if self.next_stop().is_some() {
                go_on(&self.stop());
            }
            self.patience(begun, "does not block");
        }
    }

    /// The folders that the kernel has for its threads.
    fn threads(&self) -> impl Iterator<Item = PathBuf> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid()))
            .into_iter()
            .flatten();
        tasks.flatten().map(|task| task.path())
    }

    /// Looks through its memory.
    pub fn scan(&self, search: &Search<'_>) -> Scan {
        search.process(self.pid())
    }

    /// Lets it answer, and end. Answers its exit code and what it said.
    #[track_caller]
    pub fn end(mut self) -> Done {
        self.feed_end();
        let readers = self.pipes.each_mut().map(|pipe| {
            let mut pipe = fs::File::from(pipe.take().unwrap());
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                pipe.read_to_end(&mut bytes).unwrap();
                String::from_utf8(bytes)
                    .unwrap()
                    .trim_start_matches('#')
                    .to_owned()
            })
        });
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.next_stop().is_some() {
                go_on(&self.stop());
            }
            self.patience(begun, "does not end");
        };
        let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
        Done {
            code: status.code().unwrap_or(-1),
            stdout,
            stderr,
        }
    }

    #[track_caller]
    fn patience(&self, begun: Instant, what: &str) {
        assert!(
            begun.elapsed() < PATIENCE,
            "hsmsign {what}; it is in state {}, and stopped at:\n{}",
            state(self.pid()),
            fs::read_to_string(&self.log).unwrap_or_default()
        );
        sleep(Duration::from_millis(1));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a thread waits in this system call on one of these descriptors.
fn is_in(thread: &Path, call: libc::c_long, descriptors: &RangeInclusive<u64>) -> bool {
    // The call's number, then its arguments in hex; "running" where it is in none.
    let text = fs::read_to_string(thread.join("syscall")).unwrap_or_default();
    let mut words = text.split_whitespace();
    let number = words.next().and_then(|word| word.parse().ok());
    let first = words
        .next()
        .and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    number == Some(call) && first.is_some_and(|first| descriptors.contains(&first))
}

/// Lets a process go on from where it stopped.
pub fn go_on(stop: &Stop) {
    let pid = Pid::from_raw(i32::try_from(stop.pid).unwrap()).unwrap();
    kill_process(pid, Signal::CONT).unwrap();
}

/// The kernel's letter for what a process does: T stopped, S asleep.
fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let letter = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    letter.unwrap_or('?')
}
