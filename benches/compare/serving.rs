//! Programs that serve a socket, and their clients.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

/// A program that serves a socket; ended with the value.
pub struct Served {
    pub child: Child,
    pub socket: PathBuf,
}

impl Served {
    pub fn start(command: &mut Command, socket: PathBuf) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let served = Self { child, socket };
        let begun = Instant::now();
        while !served.socket.exists() {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err("a server did not start".into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many laps make a turn.
const TURN: usize = 50;

/// A kept-open connection.
pub struct Client(pub BufReader<UnixStream>);

impl Client {
    pub fn to(socket: &Path) -> Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(socket)?)))
    }

    pub fn ask(&mut self, line: &str, answer: &mut String) -> Result<()> {
        self.0.get_mut().write_all(line.as_bytes())?;
        answer.clear();
        self.0.read_line(answer)?;
        Ok(())
    }

    /// Round trips back to back, each in microseconds, sorted.
    pub fn laps(&mut self, line: &str, count: usize) -> Result<Vec<f64>> {
        let [laps] = self.laps_by_turns([line], count)?;
        Ok(laps)
    }

    /// The same with several lines, some laps of each by turns: the machine may be slower a second later.
    pub fn laps_by_turns<const N: usize>(&mut self, lines: [&str; N], count: usize) -> Result<[Vec<f64>; N]> {
        let mut answer = String::new();
        let mut all = [const { Vec::new() }; N];
        for _ in 0..count.div_ceil(TURN) {
            for (line, laps) in lines.iter().zip(&mut all) {
                for _ in 0..TURN {
                    let begun = Instant::now();
                    self.ask(line, &mut answer)?;
                    laps.push(begun.elapsed().as_secs_f64() * 1e6);
                }
            }
        }
        for laps in &mut all {
            laps.sort_by(f64::total_cmp);
        }
        Ok(all)
    }
}

/// A command that runs on the first core alone.
pub fn on_one_core(command: &Command) -> Command {
    let mut pinned = Command::new("taskset");
    pinned
        .args(["-c", "0"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            pinned.env(name, value);
        }
    }
    pinned
}

/// Keeps this thread on the first core, until it is dropped.
pub struct OnOneCore(CpuSet);

impl OnOneCore {
    pub fn begin() -> Result<Self> {
        let before = sched_getaffinity(None)?;
        let mut first = CpuSet::new();
        first.set(0);
        sched_setaffinity(None, &first)?;
        Ok(Self(before))
    }
}

impl Drop for OnOneCore {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}

/// Where it makes a difference, all are measured: on one core, programs hand over to each other; on several, each waits for
/// the others' cores to wake up, which takes a virtual machine long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    One,
    All,
    /// All, and the kernel lets none of them sleep.
    Awake,
}

impl Cores {
    pub const ALL: [Self; 3] = [Self::One, Self::All, Self::Awake];

    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "on one core",
            Self::All => "on all cores",
            Self::Awake => "on all cores, kept awake",
        }
    }

    /// Makes it so for what this thread and its children do from here on; none where the kernel does not let it.
    pub fn begin(self) -> Result<Option<Held>> {
        Ok(match self {
            Self::One => Some(Held::One(OnOneCore::begin()?)),
            Self::All => Some(Held::All),
            Self::Awake => awake().ok().map(Held::Awake),
        })
    }
}

/// Holds while it is not dropped.
pub enum Held {
    One(#[expect(dead_code, reason = "it is dropped")] OnOneCore),
    All,
    Awake(#[expect(dead_code, reason = "it is closed")] File),
}

/// No core sleeps while the file is open: a wake-up may take no time. Documentation/power/pm_qos_interface.rst of Linux.
fn awake() -> std::io::Result<File> {
    let mut file = File::options().write(true).open("/dev/cpu_dma_latency")?;
    file.write_all(&0_i32.to_ne_bytes())?;
    Ok(file)
}

pub fn in_flights(socket: &Path, line: &str, clients: usize, flight: usize, each: usize) -> Result<()> {
    thread::scope(|scope| -> std::result::Result<(), String> {
        let all: Vec<_> = (0..clients)
            .map(|_| scope.spawn(|| in_flight(socket, line, flight, each).map_err(|error| error.to_string())))
            .collect();
        all.into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| Err("a client panicked".into())))
    })?;
    Ok(())
}

pub fn in_flight(socket: &Path, line: &str, flight: usize, count: usize) -> Result<()> {
    let mut client = Client::to(socket)?;
    let mut answer = String::new();
    let lines = line.repeat(flight);
    client.0.get_mut().write_all(lines.as_bytes())?;
    let (mut done, mut sent) = (0, flight);
    while done < count {
        // As many new lines as answers came together.
        let before = done;
        while done < count && (done == before || !client.0.buffer().is_empty()) {
            answer.clear();
            client.0.read_line(&mut answer)?;
            if !answer.starts_with("{\"ok\":true") {
                return Err(format!("the agent answered {answer}").into());
            }
            done += 1;
        }
        let more = (done - before).min(count.saturating_sub(sent));
        let bytes = more * line.len();
        client.0.get_mut().write_all(&lines.as_bytes()[..bytes])?;
        sent += more;
    }
    Ok(())
}

/// The sum of Pss over a process and those that it started, in MiB.
pub fn pss(pid: u32) -> Result<f64> {
    let mut all = vec![pid];
    let mut sum = 0.0;
    while let Some(pid) = all.pop() {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let kib = rollup
            .lines()
            .find_map(|line| {
                line.strip_prefix("Pss:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .trim()
                    .parse::<f64>()
                    .ok()
            })
            .ok_or("no Pss")?;
        sum += kib / 1024.0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_ascii_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
    }
    Ok(sum)
}
