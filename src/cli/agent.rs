use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, IsTerminal as _, Write as _},
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use clap::Subcommand;
use hsmsign::{
    agent::{
        alone::{Alone, Serving},
        client::Client,
        front::{self, Manager, MetricsSocket, Settings, Signals},
        launcher::{self, Program},
        socket::{self, Listening},
        worker,
    },
    config::Config,
    error::{Code, Error, Result, bad_input, failed},
    home::{Home, io_error},
    policy::Policies,
    process,
    request::Answer,
    run,
    token::{self, PinSource},
};

use self::status::status;
use super::{Around, lock, output};

mod status;

/// Run the agent: one resident signer that many programs share.
///
/// Without a command it runs in the foreground, as under systemd.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign agent start               in the background; asks for the PINs that it needs
  hsmsign agent status
  hsmsign agent                     in the foreground, as under systemd
  hsmsign agent --group bots        programs of the members of that group may connect
  systemctl enable --now hsmsign-agent.socket     a system agent, from the package

Settings are in [agent] of config.toml: docs/agent.md.")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Verb>,
    #[command(flatten)]
    serve: Serve,
    /// For `agent start`: goes on without its terminal, and says on standard output when it is ready
    #[arg(long, hide = true)]
    detached: bool,
}

#[derive(Debug, Clone, clap::Args)]
struct Serve {
    /// Where its socket is made
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The group whose members may connect, by name or number
    #[arg(long)]
    group: Option<String>,
    /// For `hsmsign run`: it ends with the last run
    #[arg(long, hide = true)]
    for_runs: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// Run it in the background, and unlock its tokens
    Start(Serve),
    /// What it does and how its tokens are
    Status {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Have it read its configuration again, whole or not at all
    Reload,
    /// End it, and wait until it has ended; requests on their way are answered first
    Stop,
}

/// How long an agent that somebody else starts is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The arguments of helpers. They are no commands of the user's, so no help or completion knows them.
const LAUNCHER: &str = "agent-launcher";
const WORKER: &str = "agent-worker";

/// Whether this process was started to be a helper, and then what became of it.
pub fn helper() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    let done = if first == LAUNCHER {
        launcher::run(&program())
    } else if first == WORKER {
        let token = arguments.next()?.into_string().ok()?;
        worker::run(&token)
    } else {
        return None;
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not as the agent says why it ends, which who started it looks for.
            hsmsign::process::tell(&format!("hsmsign agent: {error}"));
            ExitCode::from(error.code().exit())
        }
    })
}

fn program() -> Program {
    Program {
        // The name of the file may have another program behind it by now; the link of /proc has not.
        program: "/proc/self/exe".into(),
        launcher: vec![LAUNCHER.into()],
        worker: vec![WORKER.into()],
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        None => serve(&args.serve, args.detached),
        Some(Verb::Start(serve)) => start(&serve),
        Some(Verb::Status { json }) => status(json),
        Some(Verb::Reload) => ask("reload"),
        Some(Verb::Stop) => stop(),
    }
}

fn stop() -> Result<ExitCode> {
    let done = match Client::connect() {
        Ok(agent) => agent.stop(),
        // One of this user's, whose socket was taken away, is found by its folders.
        Err(nobody) => match lost() {
            Some((lost, home)) => lost.end(&home),
            None => Err(nobody),
        },
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// This user's agent, where nobody can reach it; none where the environment names another.
fn lost() -> Option<(Serving, Home)> {
    let home = Around::find().ok()?.home;
    let serving = Serving::in_folders(&home)?;
    let (places, told) = socket::places();
    let meant = !told || places.iter().any(|place| serving.is_at(place));
    (meant && serving.is_lost()).then_some((serving, home))
}

fn ask(op: &str) -> Result<ExitCode> {
    let answer = Client::connect()?.ask(&format!("{{\"op\":\"{op}\"}}"))?;
    Answer::parse(&answer).map(|_| ExitCode::SUCCESS)
}

fn serve(options: &Serve, detached: bool) -> Result<ExitCode> {
    // What ends it and has it read its settings again must reach it, however it was started.
    process::block_no_signal();
    process::set_allocator_up();
    let _shown_only = rustix::thread::set_name(c"hsmsign");
    let around = Around::find()?;
    around.home.create()?;
    let config = Config::load_text(&around.home)?;
    let alone = Alone::in_folders(&around.home)?;
    if let Err(error) = Policies::new(&around.home).switch().prepare() {
        output::warn(&format!(
            "`hsmsign lock --all` may not be possible: {}",
            error.message()
        ));
    }
    let runs = run::note(&around.home, options.for_runs)?;
    let group = options.group.as_ref().or(config.1.agent.group.as_ref());
    let group = group.map(|group| socket::group(group)).transpose()?;
    let listening = match Listening::from_systemd()? {
        Some(listening) => listening,
        None => {
            let path = options
                .socket
                .clone()
                .map_or_else(socket::usual, Ok::<_, Error>)?;
            Listening::at(&path, group)?
        }
    };
    let metrics = config
        .1
        .agent
        .metrics
        .as_ref()
        .map(|at| MetricsSocket::at(at, group))
        .transpose()?;
    process::hand_down_only(&named(&config.1));
    if detached {
        rustix::process::setsid().map_err(|error| failed(format!("the terminal was not left: {error}")))?;
    }
    let interactive = !detached && std::io::stdin().is_terminal();
    let path = listening.path.clone();
    alone.note(&path);
    let settings = Settings {
        home: around.home,
        config,
        listening,
        metrics,
        manager: Manager::from_env()?,
        alone,
        program: program(),
        signals: Signals::catch()?,
        unneeded: runs.map(|runs| Box::new(move || runs.have_ended()) as _),
    };
    let ask = || {
        if interactive {
            // A process of its own asks: this one is to know no PIN.
            let _ = Command::new("/proc/self/exe")
                .args(["unlock", "--needed"])
                .env("HSMSIGN_SOCKET", &path)
                .stdin(Stdio::null())
                .spawn();
        }
    };
    front::run(settings, ask, || {
        if detached {
            // Whoever started it waits for this, and reads no more.
            let _ = writeln!(std::io::stdout(), "ready");
            let _ = std::io::stdout().flush();
        } else {
            output::aside(&format!("the agent listens at {}", path.display()));
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The descriptors that PINs are to be read from.
fn named(config: &Config) -> Vec<i32> {
    let sources = config
        .tokens
        .values()
        .flat_map(|token| [token::pin_source(token), token::piv_pin_source(token)]);
    sources
        .filter_map(|source| match source {
            Ok(PinSource::Fd(number)) => Some(number),
            _ => None,
        })
        .collect()
}

/// The agent that another process started at the same moment, once it serves; none where there is no such agent.
fn started_by_another(home: &Home) -> Option<Client> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(mut client) = Client::find().unwrap_or(None)
            && client.ask("{\"op\":\"ping\"}").is_ok()
        {
            return Some(client);
        }
        let lost = Serving::in_folders(home).is_some_and(|other| other.is_lost());
        if lost || Alone::in_folders(home).is_ok() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Starts it in the background, and waits until it serves.
fn start(options: &Serve) -> Result<ExitCode> {
    let around = Around::find()?;
    around.home.create()?;
    if let Some(mut client) = Client::find().unwrap_or(None)
        && client.ask("{\"op\":\"ping\"}").is_ok()
    {
        output::aside(&format!("an agent listens at {} already", client.path.display()));
        return lock::unlock_needed();
    }
    let socket = options
        .socket
        .clone()
        .map_or_else(socket::usual, Ok::<_, Error>)?;
    // It goes on in another folder, where a relative path would mean another file.
    let socket = std::path::absolute(&socket)
        .map_err(|error| bad_input(format!("the agent's socket has no usable path: {error}")))?;
    socket::fits(&socket)?;
    let log = log(&around.home)?;
    // What is wrong with the configuration the agent says.
    process::hand_down_only(
        &Config::load_text(&around.home).map_or_else(|_| Vec::new(), |(_, config)| named(&config)),
    );
    let mut command = Command::new("/proc/self/exe");
    command.arg0("hsmsign").args(["agent", "--detached"]);
    command.arg("--socket").arg(&socket);
    for folder in ["HSMSIGN_HOME", "HOME"] {
        if let Some(path) = std::env::var_os(folder).filter(|path| !path.is_empty())
            && let Ok(path) = std::path::absolute(path)
        {
            command.env(folder, path);
        }
    }
    if let Some(group) = &options.group {
        command.arg("--group").arg(group);
    }
    if options.for_runs {
        command.arg("--for-runs");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(
            log.try_clone()
                .map_err(|error| failed(format!("the agent's log cannot be used: {error}")))?,
        )
        .current_dir("/")
        .spawn()
        .map_err(|error| failed(format!("the agent cannot be started: {error}")))?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = BufReader::new(stdout).read_line(&mut said);
    }
    if said != "ready\n" {
        let _ = child.wait();
        if let Some(client) = started_by_another(&around.home) {
            output::aside(&format!("an agent listens at {} already", client.path.display()));
            return lock::unlock_needed();
        }
        return Err(did_not_start(&around.home.state("agent.log")));
    }
    output::aside("the agent runs; end it with: hsmsign agent stop");
    lock::unlock_needed()
}

/// Why an agent did not start, and what to do, as it wrote them into its log at last.
fn did_not_start(log: &Path) -> Error {
    let told = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = told.lines().collect();
    let last = lines.iter().rposition(|line| line.starts_with("hsmsign:"));
    let why = last.map_or("it ended", |at| lines[at].trim_start_matches("hsmsign: "));
    let fix = last.and_then(|at| lines.get(at + 1)?.strip_prefix("  "));
    let more = format!("{} has more", log.display());
    Error::new(Code::AgentUnavailable, format!("the agent did not start: {why}"))
        .fix(fix.map_or_else(|| more.clone(), |fix| format!("{fix}; {more}")))
}

/// Where an agent without a terminal writes what goes wrong.
fn log(home: &Home) -> Result<File> {
    let path = home.state("agent.log");
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| io_error("the agent's log", &path, "be opened", &error))
}
