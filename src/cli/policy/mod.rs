//! The command `policy`.

mod begin;
mod client;
mod force;
mod learn;
mod look;
mod switch;

use std::process::ExitCode;

use hsmsign::{
    error::{Code, Error, Result},
    keyring::{KeyName, Keyring as _, Record},
};

pub use self::{begin::Beginning, force::tell_changes, switch::switch_all};
use self::{
    force::{SetArgs, WhoseArgs},
    learn::LearnArgs,
    look::{CheckArgs, ShowArgs},
    switch::DenyArgs,
};
use super::{Around, reach};

/// Say what a key may sign: which endpoints, symbols and amounts, how often, when, and for whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign policy check kraken POST /0/private/AddOrder --form pair=XBTUSD --form volume=0.2
  hsmsign policy check kraken GET /0/private/Balance --uid bot --unit bot.service
  hsmsign policy set kraken < kraken.toml    put a file into force, whole
  hsmsign policy show kraken
  hsmsign policy learn kraken --begin        watch its bot for a while; then without --begin
  hsmsign policy deny-all kraken             the switch, from the next request on
  hsmsign lock --all                         the switch for every key

The files are policy.toml for every key and policy/KEY.toml for one, in the configuration folder: docs/policy.md.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(Box<CheckArgs>),
    Show(ShowArgs),
    Set(SetArgs),
    Remove(WhoseArgs),
    Learn(LearnArgs),
    DenyAll(DenyArgs),
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Check(args) => look::check(*args),
        Command::Show(args) => look::show(&args),
        Command::Set(args) => force::set(args),
        Command::Remove(args) => force::remove(args),
        Command::Learn(args) => learn::learn(&args),
        Command::DenyAll(args) => switch::deny_all(&args),
    }
}

/// The record of a key whose policy is meant. That of a system agent's key is for its user.
fn record(around: &Around, key: &KeyName) -> Result<Record> {
    around.keyring().get(key).map_err(|error| {
        let agents = || reach::served().filter(|served| served.key(key.as_str()).is_some());
        match agents().filter(|_| error.code() == Code::UnknownKey) {
            None => error,
            Some(served) => of_its_user(
                &served.told(),
                &format!("the policy of its key {key} is that user's"),
            ),
        }
    })
}

/// That something of a system agent is for its user alone.
fn of_its_user(agent: &str, what: &str) -> Error {
    Error::new(Code::Denied, format!("{agent}: {what}"))
        .fix("run it as that user; with the Debian package: as-agent of docs/agent.md")
}
