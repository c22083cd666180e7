use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode, Stdio},
};

use hsmsign::{
    agent::client::Client,
    error::{Code, Error, Result, failed},
    home::Home,
    process,
    run::{Lease, agent, environment, refuse_unhooked, watch},
};

use super::{Around, output};

/// Run a bot that has placeholders where its secrets were: what it signs with them is signed on the token.
///
/// Python programs load a hook from this program at their start, in any virtual environment, and so do the programs
/// that they start. The agent is started where none runs, and ends with the last such run. Signals and exit code are
/// the command's own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign run -- python bot.py
  hsmsign run -- freqtrade trade --config user_data/config.json")]
pub struct Args {
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// The argument of the process that stays behind.
const WATCHER: &str = "run-watcher";

/// Whether this process was started to stay behind a run, and then what became of it.
pub fn helper() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != WATCHER {
        return None;
    }
    let parent = arguments.next()?.into_string().ok()?.parse().ok()?;
    let _own = rustix::process::setsid();
    let done = Home::from_env().and_then(|home| watch(&home, parent));
    Some(if done.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub fn run(args: &Args) -> Result<ExitCode> {
    refuse_unhooked(&args.command)?;
    let around = Around::find()?;
    around.home.create()?;
    let mut lease = Lease::take(&around.home)?;
    let pid = match agent() {
        Some(pid) => pid,
        None => start(&mut lease)?,
    };
    let socket = std::path::absolute(Client::connect()?.path)
        .map_err(|error| failed(format!("the agent's socket has no usable path: {error}")))?;
    let environment = environment(&around.home, &socket)?;
    if lease.is_of_runs(pid) {
        stay_behind(lease)?;
    }
    let (program, arguments) = args
        .command
        .split_first()
        .ok_or_else(|| failed("there is no command"))?;
    let _flushed = io::stdout().flush();
    process::soften();
    let error = Command::new(program).args(arguments).envs(environment).exec();
    let _told = process::harden();
    Err(Error::new(
        Code::Failed,
        format!("{} cannot be run: {error}", program.display()),
    )
    .fix("give a command that is on the PATH, or its path"))
}

/// Starts an agent for this run and those that come to it; answers its process.
fn start(lease: &mut Lease) -> Result<i64> {
    // With HSMSIGN_SOCKET set, another agent is meant than one that this would start.
    Client::find()?;
    let done = Command::new("/proc/self/exe")
        .args(["agent", "start"])
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(format!("the agent cannot be started: {error}")))?;
    let pid = agent().ok_or_else(|| {
        let told = String::from_utf8_lossy(&done.stderr);
        let first = told
            .lines()
            .find_map(|line| line.strip_prefix("hsmsign: "))
            .unwrap_or("no agent could be started");
        Error::new(Code::AgentUnavailable, first.to_owned()).fix("see why: hsmsign agent")
    })?;
    if !done.status.success() {
        // It runs, and a token is locked: what was said is for the person.
        output::warn(String::from_utf8_lossy(&done.stderr).trim());
    }
    lease.remember(pid)?;
    Ok(pid)
}

/// Leaves a watcher behind, which holds the run's share in the agent.
fn stay_behind(lease: Lease) -> Result<()> {
    Command::new("/proc/self/exe")
        .arg0("hsmsign")
        .arg(WATCHER)
        .arg(std::process::id().to_string())
        .stdin(Stdio::from(lease.into_file()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .map(drop)
        .map_err(|error| failed(format!("the agent of the run cannot be watched: {error}")))
}
