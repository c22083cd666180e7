//! The command `policy`.

mod begin;
mod force;
mod learn;
mod look;
mod switch;

use std::process::ExitCode;

use hsmsign::error::Result;

pub use self::{begin::Beginning, force::tell_changes, switch::switch_all};
use self::{
    force::{SetArgs, WhoseArgs},
    learn::LearnArgs,
    look::{CheckArgs, ShowArgs},
    switch::DenyArgs,
};

/// Say what a key may sign: which endpoints, symbols and amounts, how often, when, and for whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign policy check kraken POST /0/private/AddOrder --form pair=XBTUSD --form volume=0.2
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
