//! The agent beside bare calls of the same token, in the same run.

use std::{
    fs,
    io::BufReader,
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Bench, Result, checked, medians, ms,
    rounds::{Rounds, at, middle},
    serving::{Client, OnOneCore, Served, in_flights, on_one_core, pss},
    table::{Table, Target},
    text,
    token::{Token, verify},
};

/// What clients ask for.
pub const LINE: &str = r#"{"key":"kraken","method":"POST","path":"/0/private/AddOrder","params":{"ordertype":"limit","pair":"XBTUSD","price":"37500","type":"buy","volume":"1.25"}}"#;

/// Where it makes a difference, both are measured: on one core, programs hand over to each other; on several, each waits for
/// the others' cores to wake up, which takes a virtual machine long.
const CORES: [(bool, &str); 2] = [(true, "on one core"), (false, "on all cores")];

/// `p50 p99 rate` of bare calls before and behind something else, in microseconds and a second.
fn between_raws<T>(
    bench: &Bench,
    token: &Token,
    one_core: bool,
    measure: impl FnOnce() -> Result<T>,
) -> Result<([f64; 3], T)> {
    let before = raw(bench, token, one_core)?;
    let measured = measure()?;
    let behind = raw(bench, token, one_core)?;
    Ok((
        std::array::from_fn(|at| f64::midpoint(before[at], behind[at])),
        measured,
    ))
}

/// `p50 p99 rate` of bare calls.
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
        let (mut raws, mut echoes) = (Vec::new(), Vec::new());
        let (mut p50, mut p99) = (Rounds::default(), Rounds::default());
        for _ in 0..self.size.stream_rounds {
            let ([raw_p50, raw_p99, _], (echo, laps)) = between_raws(self, token, true, || {
                Ok((
                    at(&to_echo.laps(&line, count)?, 0.5),
                    to_agent.laps(&line, count)?,
                ))
            })?;
            p50.push(at(&laps, 0.5), raw_p50 + echo + 15.0);
            p99.push(at(&laps, 0.99), raw_p99);
            raws.push(raw_p50);
            echoes.push(echo);
        }
        drop(pinned);
        table.limit(
            "agent, one client on its core, p50",
            format!("{:.1} us", p50.figure()),
            format!(
                "bare C_Sign {:.1} us + echo over two processes {:.1} us + 15 us",
                middle(raws),
                middle(echoes)
            ),
            p50.ratio(),
            p50.against(),
        );
        table.row(
            "agent, one client on its core, p99",
            format!("{:.1} us", p99.figure()),
            format!("bare C_Sign p99: {:.1} us", p99.against()),
            p99.ratio(),
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
            let each = (self.size.lines as usize * 2 / clients).max(flight);
            let mut rates = Rounds::default();
            for _ in 0..self.size.stream_rounds {
                let ([_, _, raw], took) = between_raws(self, token, false, || {
                    let begun = Instant::now();
                    in_flights(&agent.socket, clients, flight, each)?;
                    Ok(begun.elapsed())
                })?;
                rates.push((clients * each) as f64 / took.as_secs_f64(), raw);
            }
            highest = highest.max(rates.figure());
            table.row(
                format!("agent, {clients} clients, {flight} lines in flight each"),
                format!("{:.0} a second", rates.figure()),
                format!(
                    "bare C_SignInit + C_Sign, one thread: {:.0} a second",
                    rates.against()
                ),
                rates.ratio(),
                Target::AtLeast(target),
            );
        }
        Ok(highest)
    }

    /// The same agent with a policy of 100 rules and without one, by turns: rules for endpoints, and then such that one looks
    /// into the fields of the request.
    fn policy(&self, token: &Token, table: &mut Table) -> Result<()> {
        let endpoints: String = (0..49)
            .map(|at| {
                format!(
                    "[[allow]]\nmethod = [\"GET\"]\npath = \"/0/private/Other{at}*\"\n[[deny]]\npath = \"/1/private/Other{at}\"\n"
                )
            })
            .collect();
        let order = "[[allow]]\npath = \"/0/private/AddOrder\"\n";
        let [cancel, cap] = [
            "[[allow]]\npath = \"/0/private/CancelOrder\"\n",
            "[[cap]]\nfield = \"volume\"\nrequest = \"2\"\n",
        ];
        let policy = |last: &str| format!("policy = 1\nwithdrawals = false\n{endpoints}{order}{last}");
        let line = format!("{LINE}\n");
        let (count, clients, flight) = (self.size.lines as usize / 4, 8, 16);
        for (what, last) in [
            ("of 100 rules for endpoints", cancel),
            ("of 100 rules, one a cap", cap),
        ] {
            // Among several cores, a client alone waits longer for them to wake up than for its signature.
            let p50 = self.with_and_without(token, &policy(last), true, |socket| {
                Ok(at(&Client::to(socket)?.laps(&line, count)?, 0.5))
            })?;
            table.limit(
                format!("agent, a policy {what}, one client on its core, p50"),
                format!("{:.1} us", p50.figure()),
                format!("without a policy: {:.1} us + 3 us", p50.against()),
                p50.middle(|[with, without]| with / (without + 3.0)),
                p50.against() + 3.0,
            );
        }
        let rates = self.with_and_without(token, &policy(cap), false, |socket| {
            let begun = Instant::now();
            in_flights(socket, clients, flight, count)?;
            Ok((clients * count) as f64 / begun.elapsed().as_secs_f64())
        })?;
        table.row(
            format!(
                "agent, a policy of 100 rules, one a cap, {clients} clients, {flight} lines in flight each"
            ),
            format!("{:.0} a second", rates.figure()),
            format!("without a policy: {:.0} a second", rates.against()),
            rates.ratio(),
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
    ) -> Result<Rounds> {
        let agent = self.agent(token, one_core)?;
        let file = self.scratch.join("policy.toml");
        fs::write(&file, policy)?;
        let figure = |on: bool| {
            let mut command = self.hsmsign(token);
            command.args(["policy", if on { "set" } else { "remove" }, "--all"]);
            if on {
                command.arg("--file").arg(&file);
            }
            checked(&mut command)?;
            let _pinned = one_core.then(OnOneCore::begin).transpose()?;
            measure(&agent.socket)
        };
        let mut rounds = Rounds::default();
        for _ in 0..self.size.stream_rounds * 2 {
            rounds.push(figure(true)?, figure(false)?);
        }
        Ok(rounds)
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
            idle / 12.0,
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
            busy / 16.0,
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

    /// Two processes that pass a line on and back.
    fn echo(&self) -> Result<Served> {
        let socket = self.scratch.join("echo-for-bots.sock");
        let _ = fs::remove_file(&socket);
        Served::start(
            Command::new(self.built.join("examples/echo")).arg(&socket),
            socket,
        )
    }

    /// A bare call on a core that slept, as the agent's does between two requests of one client: its median in microseconds.
    fn paced_raw(&self, token: &Token) -> Result<f64> {
        let mut command = self.bare_with_key("paced", token);
        command.arg((self.size.lines / 4).to_string());
        Ok(text(&checked(&mut command)?)?.parse()?)
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
            let bot = |socket: &Path| -> Result<f64> {
                let mut bot = Command::new("python3");
                bot.args(["-c", BOT])
                    .arg(socket)
                    .args([LINE, &(self.size.lines / 2).to_string()]);
                Ok(text(&checked(&mut bot)?)?.parse()?)
            };
            let mut bots = Rounds::default();
            let mut bare = Rounds::default();
            let _pinned = one_core.then(OnOneCore::begin).transpose()?;
            for _ in 0..self.size.stream_rounds {
                let ([raw, ..], took) = between_raws(self, token, one_core, || bot(&agent.socket))?;
                bots.push(took, raw + 120.0);
                if !one_core {
                    bare.push(bot(&self.echo()?.socket)?, self.paced_raw(token)?);
                }
            }
            if !one_core {
                table.note(format!(
                    "On all cores, the bot in Python waits {:.1} us for an echo over two processes, and a bare C_Sign takes {:.1} us behind a sleep.",
                    bare.figure(),
                    bare.against(),
                ));
            }
            table.limit(
                format!("agent, a bot in Python, median, {cores}"),
                format!("{:.1} us", bots.figure()),
                format!("bare C_Sign {:.1} us + 120 us", bots.against() - 120.0),
                bots.ratio(),
                bots.against(),
            );
        }
        Ok(())
    }
}
