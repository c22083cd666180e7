//! The agent beside bare calls of the same token, in the same run.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{
    Bench, Result, checked, medians, ms,
    table::{Table, Target},
    text,
    token::{Token, verify},
};

const LINE: &str = r#"{"key":"kraken","method":"POST","path":"/0/private/AddOrder","params":{"ordertype":"limit","pair":"XBTUSD","price":"37500","type":"buy","volume":"1.25"}}"#;

/// Where it makes a difference, both are measured: on one core, programs hand over to each other; on several, each waits for
/// the others' cores to wake up, which takes a virtual machine long.
const CORES: [(bool, &str); 2] = [(true, "on one core"), (false, "on all cores")];

/// A program that serves a socket; ended with the value.
struct Served {
    child: Child,
    socket: PathBuf,
}

impl Served {
    fn start(command: &mut Command, socket: PathBuf) -> Result<Self> {
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

/// A kept-open connection.
struct Client(BufReader<UnixStream>);

impl Client {
    fn to(socket: &Path) -> Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(socket)?)))
    }

    fn ask(&mut self, line: &str, answer: &mut String) -> Result<()> {
        self.0.get_mut().write_all(line.as_bytes())?;
        answer.clear();
        self.0.read_line(answer)?;
        Ok(())
    }

    /// Round trips back to back, each in microseconds, sorted.
    fn laps(&mut self, line: &str, count: usize) -> Result<Vec<f64>> {
        let mut answer = String::new();
        let mut laps = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            self.ask(line, &mut answer)?;
            laps.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        laps.sort_by(f64::total_cmp);
        Ok(laps)
    }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A command that runs on the first core alone.
fn on_one_core(command: &Command) -> Command {
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
struct OnOneCore(CpuSet);

impl OnOneCore {
    fn begin() -> Result<Self> {
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

/// `p50 p99 rate` of bare calls, in microseconds and a second.
fn raw(bench: &Bench, token: &Token, one_core: bool) -> Result<[f64; 3]> {
    let mut command = bench.bare_with_key("laps", token);
    command.arg((bench.size.lines / 2).to_string());
    let mut command = if one_core { on_one_core(&command) } else { command };
    // It takes no turns with others: where the agent's token is opened or written at this moment, it finds none.
    let told = match (1..5).find_map(|_| checked(&mut command).ok()) {
        Some(told) => told,
        None => checked(&mut command)?,
    };
    let values: Vec<f64> = text(&told)?
        .split(' ')
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    Ok([values[0], values[1], values[2]])
}

impl Bench {
    fn agent(&self, token: &Token, one_core: bool) -> Result<Served> {
        let mut command = self.hsmsign(token);
        command.arg("agent").stderr(Stdio::null());
        let mut command = if one_core { on_one_core(&command) } else { command };
        if one_core {
            command.stderr(Stdio::null());
        }
        let socket = token.home.join("agent.sock");
        let _ = fs::remove_file(&socket);
        Served::start(&mut command, socket)
    }

    pub fn agents(&self, token: &Token, table: &mut Table) -> Result<()> {
        self.back_to_back(token, table)?;
        let rate = self.many_clients(token, table)?;
        self.policy(token, table)?;
        self.log(rate, table)?;
        self.by_the_command_line(token, table)?;
        self.memory(token, table)?;
        self.paced(token, table)?;
        self.python(token, table)
    }

    /// One client, all on one core.
    fn back_to_back(&self, token: &Token, table: &mut Table) -> Result<()> {
        let count = self.size.lines as usize / 2;
        let line = format!("{LINE}\n");
        let echo_socket = self.scratch.join("echo.sock");
        let mut echo = on_one_core(&Command::new(self.built.join("examples/echo")));
        echo.arg(&echo_socket);
        let agent = self.agent(token, true)?;
        let echo = Served::start(&mut echo, echo_socket)?;
        let pinned = OnOneCore::begin()?;
        let (mut to_agent, mut to_echo) = (Client::to(&agent.socket)?, Client::to(&echo.socket)?);
        let mut answer = String::new();
        to_agent.ask(&line, &mut answer)?;
        verify(&answer).ok_or("the agent's answer is not right")?;
        let mut rounds = [const { Vec::new() }; 5];
        for _ in 0..self.size.stream_rounds {
            let [raw_p50, raw_p99, _] = raw(self, token, true)?;
            let echoes = to_echo.laps(&line, count)?;
            let laps = to_agent.laps(&line, count)?;
            let values = [
                raw_p50,
                raw_p99,
                at(&echoes, 0.5),
                at(&laps, 0.5),
                at(&laps, 0.99),
            ];
            rounds
                .iter_mut()
                .zip(values)
                .for_each(|(all, value)| all.push(value));
        }
        drop(pinned);
        let [raw_p50, raw_p99, echo, p50, p99] = rounds.map(middle);
        table.limit(
            "agent, one client on its core, p50",
            format!("{p50:.1} us"),
            format!("bare C_Sign {raw_p50:.1} us + echo over two processes {echo:.1} us + 15 us"),
            p50,
            raw_p50 + echo + 15.0,
        );
        table.row(
            "agent, one client on its core, p99",
            format!("{p99:.1} us"),
            format!("bare C_Sign p99: {raw_p99:.1} us"),
            p99 / raw_p99,
            Target::AtMost(8.0),
        );
        Ok(())
    }

    /// Many clients, each with one line or several in flight. Answers the highest rate, requests a second.
    fn many_clients(&self, token: &Token, table: &mut Table) -> Result<f64> {
        let agent = self.agent(token, false)?;
        let clients = 32;
        let mut highest = 0.0_f64;
        for (flight, target) in [(1, 0.5), (16, 0.8)] {
            let mut rates = Vec::new();
            let mut raws = Vec::new();
            for _ in 0..self.size.stream_rounds {
                raws.push(raw(self, token, false)?[2]);
                let each = (self.size.lines as usize * 2 / clients).max(flight);
                let begun = Instant::now();
                in_flights(&agent.socket, clients, flight, each)?;
                rates.push((clients * each) as f64 / begun.elapsed().as_secs_f64());
            }
            let (rate, raw) = (middle(rates), middle(raws));
            highest = highest.max(rate);
            table.row(
                format!("agent, {clients} clients, {flight} lines in flight each"),
                format!("{rate:.0} a second"),
                format!("bare C_SignInit + C_Sign, one thread: {raw:.0} a second"),
                rate / raw,
                Target::AtLeast(target),
            );
        }
        Ok(highest)
    }

    /// The same agent with a policy of 100 rules and without one, by turns.
    fn policy(&self, token: &Token, table: &mut Table) -> Result<()> {
        let rules: String = (0..49)
            .map(|at| {
                format!(
                    "[[allow]]\nmethod = [\"GET\"]\npath = \"/0/private/Other{at}*\"\n[[deny]]\npath = \"/1/private/Other{at}\"\n"
                )
            })
            .collect();
        let own = "[[allow]]\npath = \"/0/private/AddOrder\"\n[[cap]]\nfield = \"volume\"\nrequest = \"2\"\n";
        let policy = format!("policy = 1\nwithdrawals = false\n{rules}{own}");
        let line = format!("{LINE}\n");
        let (count, clients, flight) = (self.size.lines as usize / 4, 8, 16);
        // Among several cores, a client alone waits longer for them to wake up than for its signature.
        let [p50, plain_p50] = self.with_and_without(token, &policy, true, |socket| {
            Ok(at(&Client::to(socket)?.laps(&line, count)?, 0.5))
        })?;
        let [rate, plain_rate] = self.with_and_without(token, &policy, false, |socket| {
            let begun = Instant::now();
            in_flights(socket, clients, flight, count)?;
            Ok((clients * count) as f64 / begun.elapsed().as_secs_f64())
        })?;
        table.limit(
            "agent, a policy of 100 rules, one client on its core, p50",
            format!("{p50:.1} us"),
            format!("without a policy: {plain_p50:.1} us + 3 us"),
            p50,
            plain_p50 + 3.0,
        );
        table.row(
            format!("agent, a policy of 100 rules, {clients} clients, {flight} lines in flight each"),
            format!("{rate:.0} a second"),
            format!("without a policy: {plain_rate:.0} a second"),
            rate / plain_rate,
            Target::AtLeast(0.9),
        );
        Ok(())
    }

    /// A figure with a policy in force and without one, by turns, of one agent.
    fn with_and_without(
        &self,
        token: &Token,
        policy: &str,
        one_core: bool,
        measure: impl Fn(&Path) -> Result<f64>,
    ) -> Result<[f64; 2]> {
        let agent = self.agent(token, one_core)?;
        let file = self.scratch.join("policy.toml");
        fs::write(&file, policy)?;
        let mut figures = [const { Vec::new() }; 2];
        for _ in 0..self.size.stream_rounds * 2 {
            for (figures, on) in figures.iter_mut().zip([true, false]) {
                let mut command = self.hsmsign(token);
                command.args(["policy", if on { "set" } else { "remove" }, "--all"]);
                if on {
                    command.arg("--file").arg(&file);
                }
                checked(&mut command)?;
                let _pinned = one_core.then(OnOneCore::begin).transpose()?;
                figures.push(measure(&agent.socket)?);
            }
        }
        Ok(figures.map(middle))
    }

    fn by_the_command_line(&self, token: &Token, table: &mut Table) -> Result<()> {
        for (one_core, cores) in CORES {
            let _agent = self.agent(token, one_core)?;
            let _pinned = one_core.then(OnOneCore::begin).transpose()?;
            let mut commands = [self.sign(token), Command::new(self.built.join("examples/noop"))];
            let [sign, noop] = medians(&mut commands, self.size.rounds)?;
            table.row(
                format!("sign, once, by the agent, {cores}"),
                ms(sign),
                format!("a program that does nothing: {}", ms(noop)),
                sign.as_secs_f64() / noop.as_secs_f64(),
                Target::AtMost(1.7),
            );
        }
        Ok(())
    }

    /// Proportional set sizes of front, launcher and worker.
    fn memory(&self, token: &Token, table: &mut Table) -> Result<()> {
        let agent = self.agent(token, false)?;
        let mut first = Client::to(&agent.socket)?;
        let mut answer = String::new();
        first.ask(&format!("{LINE}\n"), &mut answer)?;
        let idle = pss(agent.child.id())?;
        table.limit(
            "agent and worker, idle",
            format!("{idle:.1} MiB"),
            "12 MiB",
            idle,
            12.0,
        );
        let connections = if self.size.keys > 100 { 1000 } else { 20 };
        let mut clients = Vec::new();
        for _ in 0..connections {
            let mut client = Client(BufReader::with_capacity(512, UnixStream::connect(&agent.socket)?));
            client.ask(&format!("{LINE}\n"), &mut answer)?;
            clients.push(client);
        }
        let busy = pss(agent.child.id())?;
        table.limit(
            format!("agent and worker, {connections} connections"),
            format!("{busy:.1} MiB"),
            "16 MiB",
            busy,
            16.0,
        );
        Ok(())
    }

    /// Clients that each ask once a second.
    fn paced(&self, token: &Token, table: &mut Table) -> Result<()> {
        let (clients, seconds) = if self.size.keys > 100 { (1000, 10) } else { (20, 1) };
        let agent = self.agent(token, false)?;
        let threads = 8;
        let [_, _, rate] = raw(self, token, false)?;
        let begun = Instant::now();
        let all = thread::scope(|scope| -> std::result::Result<Vec<f64>, String> {
            let each = clients / threads;
            let all: Vec<_> = (0..threads)
                .map(|thread| {
                    let socket = &agent.socket;
                    scope.spawn(move || -> std::result::Result<Vec<f64>, String> {
                        let told = |error: Box<dyn std::error::Error>| error.to_string();
                        let mut connections = (0..each)
                            .map(|_| Client::to(socket))
                            .collect::<Result<Vec<_>>>()
                            .map_err(told)?;
                        let mut laps = Vec::new();
                        let mut answer = String::new();
                        for second in 0..seconds {
                            for (number, client) in connections.iter_mut().enumerate() {
                                let due = f64::from(second)
                                    + (number * threads + thread) as f64 / clients as f64
                                    + 0.5;
                                let due = begun + Duration::from_secs_f64(due);
                                thread::sleep(due.saturating_duration_since(Instant::now()));
                                let begun = Instant::now();
                                client.ask(&format!("{LINE}\n"), &mut answer).map_err(told)?;
                                laps.push(begun.elapsed().as_secs_f64() * 1e3);
                            }
                        }
                        Ok(laps)
                    })
                })
                .collect();
            let mut laps = Vec::new();
            for one in all {
                laps.extend(one.join().map_err(|_| "a client panicked")??);
            }
            Ok(laps)
        })?;
        let longest = all.iter().copied().fold(0.0, f64::max);
        let over = all.iter().filter(|&&lap| lap > 50.0).count();
        table.count(
            format!("agent, {clients} clients, a request a second each"),
            format!("{over} of {} over 50 ms; longest {longest:.1} ms", all.len()),
            format!("bare: {rate:.0} a second"),
            over,
            0,
        );
        Ok(())
    }

    /// A bot in Python with a kept-open connection.
    fn python(&self, token: &Token, table: &mut Table) -> Result<()> {
        const BOT: &str = "import socket,sys,time\n\
            s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);f=s.makefile('rb');l=sys.argv[2].encode()+b'\\n';t=[]\n\
            for _ in range(int(sys.argv[3])):\n b=time.perf_counter();s.sendall(l);f.readline();t.append(time.perf_counter()-b)\n\
            print(sorted(t)[len(t)//2]*1e6)";
        if Command::new("python3").arg("--version").output().is_err() {
            table.note("Bots in Python were not measured: there is no python3 here.");
            return Ok(());
        }
        for (one_core, cores) in CORES {
            let agent = self.agent(token, one_core)?;
            let mut bot = Command::new("python3");
            bot.args(["-c", BOT])
                .arg(&agent.socket)
                .args([LINE, &(self.size.lines / 2).to_string()]);
            let (mut bots, mut raws) = (Vec::new(), Vec::new());
            let _pinned = one_core.then(OnOneCore::begin).transpose()?;
            for _ in 0..self.size.stream_rounds {
                raws.push(raw(self, token, one_core)?[0]);
                bots.push(text(&checked(&mut bot)?)?.parse::<f64>()?);
            }
            let (bot, raw) = (middle(bots), middle(raws));
            table.limit(
                format!("agent, a bot in Python, median, {cores}"),
                format!("{bot:.1} us"),
                format!("bare C_Sign {raw:.1} us + 120 us"),
                bot,
                raw + 120.0,
            );
        }
        Ok(())
    }
}

fn in_flights(socket: &Path, clients: usize, flight: usize, each: usize) -> Result<()> {
    thread::scope(|scope| -> std::result::Result<(), String> {
        let all: Vec<_> = (0..clients)
            .map(|_| scope.spawn(|| in_flight(socket, flight, each).map_err(|error| error.to_string())))
            .collect();
        all.into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| Err("a client panicked".into())))
    })?;
    Ok(())
}

fn in_flight(socket: &Path, flight: usize, count: usize) -> Result<()> {
    let mut client = Client::to(socket)?;
    let mut answer = String::new();
    let lines = format!("{LINE}\n").repeat(flight);
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
        let bytes = more * (LINE.len() + 1);
        client.0.get_mut().write_all(&lines.as_bytes()[..bytes])?;
        sent += more;
    }
    Ok(())
}

/// The sum of Pss over a process and those that it started, in MiB.
fn pss(pid: u32) -> Result<f64> {
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
