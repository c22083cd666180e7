//! The command line: one file a command, each arguments in, one call of the library, output.

mod adopt;
mod agent;
mod attack;
mod audit;
mod backup;
mod doctor;
mod errand;
mod exchanges;
mod fits;
mod generate;
mod given;
mod hmac;
mod import;
mod init;
mod key;
mod lines;
mod list;
mod lock;
mod nonce;
pub mod output;
mod pages;
mod parts;
mod placeholder;
mod policy;
mod reach;
mod rotate;
mod run;
mod send;
mod set;
mod show;
mod sign;
mod standard;
mod sync;
mod test;
mod token;
mod websocket;

use std::{
    error::Error as _,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ErrorKind},
};
use hsmsign::{
    agent::client::Client,
    ask::{Agreed, Ask, Terminal, agreed, has_display},
    audit::{Entry, Log, What},
    caller::Caller,
    clock,
    config::Config,
    enrol::Enrol,
    error::{Code, Error, Result},
    exchange::Catalogue,
    home::Home,
    keyring::{FileKeyring, KeyName, Record},
    policy::Policies,
    signer::Signer,
    token::Tokens,
};

/// Sign exchange API requests on a hardware token: the secret is imported once and never read back.
#[derive(Debug, Parser)]
#[command(name = "hsmsign", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  hsmsign init --softhsm                            a development token, in software
  hsmsign import --exchange kraken --api-key KEY    asks for the secret, once
  hsmsign generate --exchange binance --algorithm ed25519
                                                    or has the token make a key
  hsmsign sign kraken POST /0/private/Balance       the headers and body to send
  hsmsign send kraken POST /0/private/Balance       the exchange's answer
  hsmsign agent start                               one signer for many programs
  hsmsign doctor                                    what is set up, and what is wrong

Exit codes: 0 done, 1 failed, 2 usage, 3 denied by the key's owner, 4 token or agent, 5 bad input.";

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Import(import::Args),
    Adopt(adopt::Args),
    Generate(generate::Args),
    List(list::Args),
    Show(show::Args),
    Set(set::Args),
    Rotate(rotate::Args),
    Remove(key::RemoveArgs),
    Test(test::Args),
    Nonce(nonce::Args),
    Sign(sign::Args),
    Send(send::Args),
    Hmac(hmac::Args),
    Placeholder(placeholder::Args),
    Run(run::Args),
    Agent(agent::Args),
    Lock(lock::LockArgs),
    Unlock(lock::UnlockArgs),
    Websocket(websocket::Args),
    Policy(policy::Args),
    Audit(audit::Args),
    Exchanges(exchanges::Args),
    Token(token::Args),
    Doctor(doctor::Args),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Completions(pages::CompletionArgs),
    Man(pages::ManArgs),
}

/// What a command finds around it.
struct Around {
    home: Home,
    ask: Arc<dyn Ask>,
}

/// The tokens that this process opened.
static OPEN: Mutex<Vec<Arc<Tokens>>> = Mutex::new(Vec::new());

/// Logs out of the tokens, once everything is said and the process ends.
pub fn leave() {
    for tokens in OPEN.try_lock().iter().flat_map(|open| open.iter()) {
        tokens.leave();
    }
}

impl Around {
    fn find() -> Result<Self> {
        Ok(Self {
            home: Home::from_env()?,
            ask: Arc::new(Terminal),
        })
    }

    fn config(&self) -> Result<Config> {
        Config::load(&self.home)
    }

    /// The tokens, open until the process ends: closing them would cost more than a signature. See [`leave`].
    fn tokens(&self) -> Result<Arc<Tokens>> {
        let config = self.config()?;
        let tokens = Arc::new(Tokens::new(&self.home, config, Arc::clone(&self.ask)));
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(Arc::clone(&tokens));
        Ok(tokens)
    }

    /// The keys' records; what an earlier process left half-done is finished first, as far as that can be done now.
    fn keyring(&self) -> FileKeyring {
        let _later = self.enrol();
        FileKeyring::new(&self.home)
    }

    /// Has the log tell of a key that is there now.
    fn note_import(&self, record: &Record) {
        self.note(What::Import, record.name.as_str(), record.told());
    }

    /// Has the log say what was done. It is done already: where it cannot be written, that is told.
    fn note(&self, what: What, key: &str, detail: impl Into<String>) {
        let entry = Entry::new(what, &Caller::asking(), key, clock::now());
        let log = Log::new(&self.home);
        log.write_when_flushed();
        log.record(entry.detail(detail));
        if let Err(error) = log.flush() {
            output::warn(&format!("it is done, but {error}"));
        }
    }

    fn catalogue(&self) -> Catalogue {
        Catalogue::new(self.home.user_schemes())
    }

    /// The road of secrets; what an earlier process left half-done is finished first.
    fn enrol(&self) -> Result<Enrol> {
        let enrol = Enrol::new(&self.home, self.tokens()?);
        enrol.sweep()?;
        Ok(enrol)
    }

    /// A signer; what an earlier process left half-done is finished first.
    fn signer(&self) -> Result<Signer> {
        let tokens = self.tokens()?;
        Enrol::new(&self.home, Arc::clone(&tokens)).sweep()?;
        let ask = Arc::clone(&self.ask);
        let patience = tokens.config().agent.confirm_timeout();
        let confirm = move |question: String| confirm(ask.as_ref(), &question, patience);
        Ok(Signer::new(&self.home, tokens).with_confirm(Box::new(confirm)))
    }
}

/// Asks the person whether a request may be signed: at the terminal, else on the desktop.
fn confirm(ask: &dyn Ask, question: &str, patience: Duration) -> Result<Agreed> {
    if ask.present() {
        let typed = ask.line(&format!("{question}\nType yes to sign it: "))?;
        return Ok(if typed.trim() == "yes" {
            Agreed::Yes
        } else {
            Agreed::No
        });
    }
    if !has_display() {
        return Err(Error::new(
            Code::Denied,
            "a person is to be asked, and there is neither a terminal nor a desktop",
        )
        .fix("run hsmsign at a terminal, or have an agent sign, which asks by pinentry"));
    }
    agreed(question, patience, None)
}

/// Tells a person which policy is not in force as its file stands.
fn tell_troubles(policies: &Policies, key: &KeyName) {
    for trouble in policies.of(key).map(|known| known.troubles).unwrap_or_default() {
        output::warn(&format!("the policy before holds, since {trouble}"));
    }
}

/// Runs the command that the arguments name. Answers the exit code.
pub fn run() -> ExitCode {
    attack::use_this_program();
    if attack::is_worker() {
        return attack::work();
    }
    if let Some(code) = agent::helper().or_else(run::helper) {
        return code;
    }
    let command = match signing().map_or_else(|| Cli::try_parse().map(|cli| cli.command), Ok) {
        Ok(command) => command,
        Err(error) => return unparsed(&error),
    };
    // Arguments that are none, as a secret in a wrong place, were refused and go nowhere.
    if let Some(done) = errand::by_agent() {
        return done.unwrap_or_else(|error| output::report(&error));
    }
    let done = match command {
        Command::Init(args) => init::run(args),
        Command::Import(args) => import::run(args),
        Command::Adopt(args) => adopt::run(&args),
        Command::Generate(args) => generate::run(args),
        Command::List(args) => list::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Set(args) => set::run(args),
        Command::Rotate(args) => rotate::run(args),
        Command::Remove(args) => key::remove(&args),
        Command::Test(args) => test::run(&args),
        Command::Nonce(args) => nonce::run(&args),
        Command::Sign(args) => sign::run(args),
        Command::Send(args) => send::run(args),
        Command::Agent(args) => agent::run(args),
        Command::Lock(args) => lock::lock(&args),
        Command::Unlock(args) => lock::unlock(&args),
        Command::Hmac(args) => hmac::run(&args),
        Command::Placeholder(args) => placeholder::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Websocket(args) => websocket::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Exchanges(args) => exchanges::run(args),
        Command::Token(args) => token::run(args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Completions(args) => pages::completions::<Cli>(&args),
        Command::Man(args) => pages::man::<Cli>(&args),
    };
    match done {
        // Of several lines some may have been read.
        Ok(ExitCode::SUCCESS) if !standard::was_taken() => ExitCode::from(Code::Failed.exit()),
        Ok(code) => code,
        Err(error) => output::report(&reach::or_barred_from_all(error)),
    }
}

/// The command `sign`, if that is what is there and nothing is wrong with it. It is on the path of every order, and to
/// build the whole command line takes longer than a signature.
fn signing() -> Option<Command> {
    #[derive(Parser)]
    #[command(name = "hsmsign", disable_help_flag = true)]
    struct Signing {
        #[command(subcommand)]
        command: Only,
    }
    #[derive(Subcommand)]
    enum Only {
        Sign(sign::Args),
    }
    std::env::args_os().nth(1).filter(|command| command == "sign")?;
    Client::find_ahead();
    let Only::Sign(args) = Signing::try_parse().ok()?.command;
    Some(Command::Sign(args))
}

/// Tells what is wrong with the arguments. Where a secret is wanted, what was typed in a wrong place may be it: that is
/// not shown again.
fn unparsed(error: &clap::Error) -> ExitCode {
    let wanted = std::env::args_os()
        .nth(1)
        .is_some_and(|command| command == "import" || command == "rotate");
    let value = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let told = match error.kind() {
        ErrorKind::UnknownArgument if wanted && !value(ContextKind::InvalidArg).starts_with('-') => {
            "there is an argument that is not wanted; a secret is never given as one"
        }
        ErrorKind::ValueValidation if wanted && value(ContextKind::InvalidArg).contains("<KEY>") => {
            "that cannot be a key's name: 1 to 63 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter or digit"
        }
        _ => {
            let source = error.source().and_then(|source| source.downcast_ref::<Error>());
            let Some(source) = source else {
                return output::of_clap(error);
            };
            let told = format!("{}: {source}", value(ContextKind::InvalidArg));
            return output::report(&Error::new(Code::Usage, told).fix(source.advice()));
        }
    };
    output::report(&Error::new(Code::Usage, told).fix(
        "a key's name is yours to choose; the secret is asked for, or read from standard input: see hsmsign import --help",
    ))
}
