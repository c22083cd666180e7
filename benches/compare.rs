//! Measures hsmsign beside a bare PKCS#11 program and pkcs11-tool, on SoftHSM tokens of its own, and prints one table.
//!
//! `compare BUILT MODULE SCRATCH [--quick] [--strict]`: the folder cargo built into, SoftHSM's module, an empty folder.
//! `scripts/bench.sh` calls it. What is compared runs in turn within the same seconds, so that a busy machine slows all
//! of it alike, and medians are taken where nothing else is said. Every signature that the measuring depends on is checked in software.

#[path = "compare/agent.rs"]
mod agent;
#[path = "compare/bots.rs"]
mod bots;
#[path = "compare/keys.rs"]
mod keys;
#[path = "compare/log.rs"]
mod log;
#[path = "compare/policy.rs"]
mod policy;
#[path = "compare/rounds.rs"]
mod rounds;
#[path = "compare/serving.rs"]
mod serving;
#[path = "compare/table.rs"]
mod table;
#[path = "compare/token.rs"]
mod token;

use std::{
    error::Error,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output, Stdio},
    time::{Duration, Instant},
};

use rounds::Rounds;
use table::{Table, Target};
use token::{Token, verify};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::from(2)
        }
    }
}

/// The programs there are to run, and how often.
struct Bench {
    built: PathBuf,
    module: PathBuf,
    scratch: PathBuf,
    size: Size,
}

struct Size {
    rounds: usize,
    at_once_rounds: usize,
    at_once: usize,
    lines: u32,
    stream_rounds: usize,
    keys: usize,
}

const FULL: Size = Size {
    rounds: 60,
    at_once_rounds: 20,
    at_once: 32,
    lines: 10_000,
    stream_rounds: 9,
    keys: 2_000,
};
const QUICK: Size = Size {
    rounds: 3,
    at_once_rounds: 1,
    at_once: 8,
    lines: 200,
    stream_rounds: 1,
    keys: 20,
};

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, paths): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let [built, module, scratch] = paths[..] else {
        return Err("usage: compare BUILT MODULE SCRATCH [--quick] [--strict]".into());
    };
    let has = |option: &str| options.iter().any(|given| *given == option);
    let bench = Bench {
        built: installed(built.as_ref(), scratch.as_ref())?,
        module: module.into(),
        scratch: scratch.into(),
        size: if has("--quick") { QUICK } else { FULL },
    };

    let mut table = Table::default();
    let one = Token::make(&bench, "one")?;
    if !has("--agent") {
        eprintln!("One key: one-shots in turn");
        bench.one_shots(&one, &mut table)?;
        eprintln!("One key: many at once");
        bench.at_once(&one, &mut table)?;
        eprintln!("One key: a stream of requests");
        bench.stream(&one, &mut table)?;
    }
    eprintln!("One key: the agent");
    bench.agents(&one, &mut table)?;
    if has("--agent") {
        println!("{table}");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} keys: importing", bench.size.keys);
    let many = Token::make(&bench, "many")?;
    many.import_more(&bench, bench.size.keys - 1)?;
    eprintln!("{} keys: signing", bench.size.keys);
    bench.many_keys(&one, &many, &mut table)?;

    if has("--quick") {
        table.note("--quick: too few rounds to mean anything");
    }
    println!("{table}");
    Ok(if has("--strict") && table.missed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

const PROGRAMS: [&str; 5] = [
    "hsmsign",
    "examples/bare_sign",
    "examples/echo",
    "examples/noop",
    "examples/libtimed_module.so",
];

/// Copies of the programs, as an installation makes them: what a linker just wrote may lie in the page cache in single
/// pages, and starts more slowly for that.
fn installed(built: &Path, scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("programs");
    fs::create_dir_all(folder.join("examples"))?;
    for program in PROGRAMS {
        fs::copy(built.join(program), folder.join(program))?;
    }
    Ok(folder)
}

impl Bench {
    fn hsmsign(&self, token: &Token) -> Command {
        let mut command = Command::new(self.built.join("hsmsign"));
        command.env("HSMSIGN_HOME", &token.home);
        command
    }

    fn sign(&self, token: &Token) -> Command {
        let mut command = self.hsmsign(token);
        command.args(["sign", "kraken", "POST", "/0/private/Balance", "--output", "json"]);
        command
    }

    /// `bare_sign MODE MODULE LABEL PIN-FILE`.
    fn bare(&self, mode: &str, token: &Token) -> Command {
        let mut command = Command::new(self.built.join("examples/bare_sign"));
        command
            .env("SOFTHSM2_CONF", &token.conf)
            .arg(mode)
            .arg(&self.module)
            .arg(&token.label)
            .arg(&token.pin_file);
        command
    }

    fn bare_with_key(&self, mode: &str, token: &Token) -> Command {
        let mut command = self.bare(mode, token);
        command.args([&token.id, &token::documented_message_hex()]);
        command
    }

    fn pkcs11_tool(&self, token: &Token) -> Result<Command> {
        let message = self.scratch.join("message");
        fs::write(&message, token::documented_message())?;
        let mut command = Command::new("pkcs11-tool");
        command
            .env("SOFTHSM2_CONF", &token.conf)
            .env("BENCH_PIN", token.pin()?);
        command
            .arg("--module")
            .arg(&self.module)
            .arg("--token-label")
            .arg(&token.label);
        command.args(["--login", "--pin", "env:BENCH_PIN", "--id", &token.id]);
        command
            .args(["--sign", "--mechanism", "SHA512-HMAC", "--input-file"])
            .arg(message);
        command.arg("--output-file").arg(self.scratch.join("mac"));
        Ok(command)
    }

    fn one_shots(&self, token: &Token, table: &mut Table) -> Result<()> {
        let mut commands = [
            self.sign(token),
            self.bare_with_key("sign", token),
            self.pkcs11_tool(token)?,
            Command::new(self.built.join("examples/noop")),
        ];
        let [sign, bare, tool, noop] = medians(&mut commands, self.size.rounds)?;
        let measured = format!("{} a request", ms(sign));
        let ratio = sign.as_secs_f64() / bare.as_secs_f64();
        table.row(
            "sign, once",
            &measured,
            format!("bare PKCS#11: {}", ms(bare)),
            ratio,
            Target::AtMost(1.3),
        );
        let ratio = sign.as_secs_f64() / tool.as_secs_f64();
        table.row(
            "sign, once",
            &measured,
            format!("pkcs11-tool: {}", ms(tool)),
            ratio,
            Target::AtMost(1.0),
        );
        table.note(format!("A process that does nothing takes {}.", ms(noop)));
        Ok(())
    }

    /// Failures are exits, wrong signatures and nonces given out twice.
    fn at_once(&self, token: &Token, table: &mut Table) -> Result<()> {
        let mut answers = Vec::new();
        let mut exits = 0;
        let mut times = Vec::new();
        for _ in 0..self.size.at_once_rounds {
            let start = Instant::now();
            let mut children = Vec::new();
            for _ in 0..self.size.at_once {
                children.push(
                    self.sign(token)
                        .stdin(Stdio::null())
                        .stdout(Stdio::piped())
                        .spawn()?,
                );
            }
            for child in children {
                let output = child.wait_with_output()?;
                if output.status.success() {
                    answers.push(verify(&String::from_utf8_lossy(&output.stdout)));
                } else {
                    exits += 1;
                }
            }
            times.push(start.elapsed());
        }
        let wrong = answers.iter().filter(|answer| answer.is_none()).count();
        let mut nonces: Vec<u64> = answers.into_iter().flatten().collect();
        let right = nonces.len();
        nonces.sort_unstable();
        nonces.dedup();
        let failures = exits + wrong + right - nonces.len();
        table.count(
            format!(
                "sign, {} at once, {} rounds",
                self.size.at_once, self.size.at_once_rounds
            ),
            format!(
                "{failures} failed of {}",
                self.size.at_once * self.size.at_once_rounds
            ),
            format!("a round takes {}", ms(median(times))),
            failures,
            0,
        );
        Ok(())
    }

    fn stream(&self, token: &Token, table: &mut Table) -> Result<()> {
        let requests = self.scratch.join("requests");
        let answers = self.scratch.join("answers");
        write_requests(&requests, self.size.lines)?;
        let bare = || -> Result<f64> {
            let mut bare = self.bare_with_key("loop", token);
            Ok(text(&checked(bare.arg(self.size.lines.to_string()))?)?.parse()?)
        };
        let mut rates = Rounds::default();
        let mut before = bare()?;
        for _ in 0..self.size.stream_rounds {
            let mut sign = self.hsmsign(token);
            sign.args(["sign", "--json"])
                .stdin(File::open(&requests)?)
                .stdout(File::create(&answers)?);
            let start = Instant::now();
            let status = sign.status()?;
            let took = start.elapsed();
            let right = BufReader::new(File::open(&answers)?)
                .lines()
                .map_while(std::io::Result::ok);
            let right = right.filter(|line| verify(line).is_some()).count();
            if !status.success() || right != self.size.lines as usize {
                return Err(format!("sign --json: {status}, {right} right of {}", self.size.lines).into());
            }
            let behind = bare()?;
            rates.push(
                f64::from(self.size.lines) / took.as_secs_f64(),
                f64::midpoint(before, behind),
            );
            before = behind;
        }
        table.row(
            format!("sign --json, {} lines", self.size.lines),
            format!("{:.0} a second, start and login included", rates.figure()),
            format!("bare C_SignInit + C_Sign: {:.0} a second", rates.against()),
            rates.ratio(),
            Target::AtLeast(0.8),
        );
        Ok(())
    }
}

fn write_requests(file: &Path, lines: u32) -> Result<()> {
    let line = r#"{"key":"kraken","method":"POST","path":"/0/private/AddOrder","params":{"ordertype":"limit","pair":"XBTUSD","price":"37500","type":"buy","volume":"1.25"}}"#;
    fs::write(file, format!("{line}\n").repeat(lines as usize))?;
    Ok(())
}

/// The median times of commands that run in turn.
fn medians<const N: usize>(commands: &mut [Command; N], rounds: usize) -> Result<[Duration; N]> {
    let mut times = [const { Vec::new() }; N];
    for command in commands.iter_mut() {
        checked(command)?;
    }
    for round in 0..rounds {
        for step in 0..N {
            let index = (round + step) % N;
            times[index].push(timed(&mut commands[index])?);
        }
    }
    Ok(times.map(median))
}

fn timed(command: &mut Command) -> Result<Duration> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    if status.success() {
        Ok(time)
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}

fn checked(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{said}", output.status).into())
}

fn text(output: &Output) -> Result<&str> {
    Ok(std::str::from_utf8(&output.stdout)?.trim())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
