//! The agent beside bare calls of the same token, in the same run.

use std::{
    fs,
    io::BufReader,
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Bench, Result, checked, medians, ms,
    rounds::{Rounds, at, middle},
    serving::{Client, Cores, OnOneCore, Served, in_flights, on_one_core, pss},
    table::{Table, Target},
    text,
    token::{Token, verify},
};

/// What clients ask for.
pub const LINE: &str = r#"{"key":"kraken","method":"POST","path":"/0/private/AddOrder","params":{"ordertype":"limit","pair":"XBTUSD","price":"37500","type":"buy","volume":"1.25"}}"#;

/// `p50 p99 rate` of bare calls before and behind something else, in microseconds and a second.
pub fn between_raws<T>(
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
    pub fn agent(&self, token: &Token, one_core: bool) -> Result<Served> {
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
        let line = format!("{LINE}\n");
        let clients = 32;
        let mut highest = 0.0_f64;
        for (flight, target) in [(1, 0.5), (16, 0.8)] {
            let each = (self.size.lines as usize * 2 / clients).max(flight);
            let mut rates = Rounds::default();
            for _ in 0..self.size.stream_rounds {
                let ([_, _, raw], took) = between_raws(self, token, false, || {
                    let begun = Instant::now();
                    in_flights(&agent.socket, &line, clients, flight, each)?;
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

    fn by_the_command_line(&self, token: &Token, table: &mut Table) -> Result<()> {
        for cores in [Cores::One, Cores::All] {
            let _agent = self.agent(token, cores == Cores::One)?;
            let _held = cores.begin()?;
            let mut commands = [self.sign(token), Command::new(self.built.join("examples/noop"))];
            let [sign, noop] = medians(&mut commands, self.size.rounds)?;
            table.row(
                format!("sign, once, by the agent, {}", cores.name()),
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
}
