use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode, Stdio},
};

use hsmsign::{
    agent::client::Client,
    error::{Code, Error, Result, bad_input, failed},
    home::Home,
    process,
    run::{Hooks, Lease, agent, not_started, refuse_unhooked, watch},
};

use super::output;

/// Run a bot that has placeholders where its secrets were: what it signs with them is signed on the token.
///
/// Python and Node programs load a hook at their start, in any virtual environment, and so do the programs that they
/// start. The agent is started where none runs, and ends with the last such run. Signals and exit code are
/// the command's own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign run -- python bot.py
  hsmsign run -- freqtrade trade --config user_data/config.json
  hsmsign run -- node bot.mjs")]
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
    let done = Home::from_env().and_then(|home| watch(&home, parent));
    Some(if done.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let (program, arguments) = args
        .command
        .split_first()
        .filter(|(program, _)| !program.is_empty())
        .ok_or_else(|| bad_input("the command is empty").fix("hsmsign run -- COMMAND"))?;
    refuse_unhooked(&args.command)?;
    let hooks = prepare()?;
    let socket = std::path::absolute(Client::connect()?.path)
        .map_err(|error| failed(format!("the agent's socket has no usable path: {error}")))?;
    let _flushed = io::stdout().flush();
    process::soften();
    let error = Command::new(program)
        .args(arguments)
        .envs(hooks.environment(&socket))
        .exec();
    let _told = process::harden();
    Err(not_started(program, &error))
}

/// The hooks, and an agent that runs; with a share in it where it was started for runs.
fn prepare() -> Result<Hooks> {
    match home() {
        Ok(home) => {
            let hooks = Hooks::place(&home)?;
            let mut lease = Lease::take(&home)?;
            match agent() {
                Some(pid) if lease.is_of_runs(pid) => stay_behind(lease)?,
                Some(_) => {}
                None => {
                    // With HSMSIGN_SOCKET set, another agent is meant than one that this would start.
                    Client::find()?;
                    // Before it is started: whoever breaks this off, as at the question for a PIN, leaves no agent behind.
                    stay_behind(lease)?;
                    start()?;
                }
            }
            Ok(hooks)
        }
        // A bot's user may have no folders of its own where another's agent signs. Folders that are open to others are
        // refused as everywhere.
        Err(error) if is_without_place(&error) && agent().is_some() => Hooks::place_anywhere(),
        Err(error) => Err(error),
    }
}

fn home() -> Result<Home> {
    let home = Home::from_env()?;
    home.create()?;
    Ok(home)
}

/// Whether an error says that there is nowhere to write, and not that something there is wrong.
fn is_without_place(error: &Error) -> bool {
    let unset = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    error.code() == Code::Failed || (unset("HSMSIGN_HOME") && unset("HOME"))
}

/// Starts an agent for this run and those that come to it.
fn start() -> Result<()> {
    let done = Command::new("/proc/self/exe")
        .args(["agent", "start", "--for-runs"])
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(format!("the agent cannot be started: {error}")))?;
    if agent().is_none() {
        let told = String::from_utf8_lossy(&done.stderr);
        let mut lines = told.lines();
        let first = lines
            .find_map(|line| line.strip_prefix("hsmsign: "))
            .unwrap_or("no agent could be started");
        let fix = lines.next().map_or("see why: hsmsign agent", str::trim);
        return Err(Error::new(Code::AgentUnavailable, first.to_owned()).fix(fix));
    }
    if !done.status.success() {
        // It runs, and a token is locked: what was said is for the person.
        output::warn(String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
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
        // From its first moment on: Ctrl-C is for the command's group.
        .process_group(0)
        .spawn()
        .map(drop)
        .map_err(|error| failed(format!("the agent of the run cannot be watched: {error}")))
}
