mod report;
mod seal;
mod show;
mod verify;

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use hsmsign::{
    audit::{self, Filter, Reader, What},
    clock,
    error::{Result, bad_input},
};

use super::{Around, errand, output, reach};

/// How many lines that cannot be read are told one by one.
const MOST_TOLD: usize = 5;

/// What was signed and what was refused, by whom: a log that shows whether it was changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign audit show --key kraken --outcome denied --since 2h
  hsmsign audit show --follow
  hsmsign audit verify
  hsmsign audit report --output report.html")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(show::Args),
    Verify(verify::Args),
    Seal(seal::Args),
    Report(report::Args),
}

/// What lines can be of. A word that stands in none would show none, as if nothing had happened.
fn kinds() -> PossibleValuesParser {
    let told = What::ALL.iter().map(|what| what.name());
    PossibleValuesParser::new(told.chain(["begin", "seal"]))
}

/// How what they tell of came out.
const OUTCOMES: [&str; 4] = ["signed", "denied", "failed", "done"];

#[derive(Debug, clap::Args)]
struct FilterArgs {
    /// Of this key
    #[arg(long)]
    key: Option<String>,
    /// Of this kind
    #[arg(long, value_parser = kinds())]
    what: Option<String>,
    /// With this outcome
    #[arg(long, value_parser = OUTCOMES)]
    outcome: Option<String>,
    /// With a path that begins so
    #[arg(long)]
    path: Option<String>,
    /// Of a program, by its path or file name; where none is known, by its systemd unit
    #[arg(long)]
    program: Option<String>,
    /// Of a user, by number
    #[arg(long)]
    uid: Option<u32>,
    /// Not before: 2026-12-31, 2026-12-31T18:00:00Z, or 15m, 2h, 7d ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before that time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl FilterArgs {
    fn filter(self) -> Result<Filter> {
        let moment = |text: Option<String>| text.map(|text| audit::moment(&text, clock::now())).transpose();
        let (since, until) = (moment(self.since)?, moment(self.until)?);
        if let (Some(since), Some(until)) = (&since, &until)
            && since >= until
        {
            return Err(bad_input(format!(
                "no time lies between --since {since} and --until {until}"
            ))
            .fix("give the earlier of the two to --since: 2h is earlier than 1h"));
        }
        Ok(Filter {
            key: self.key,
            what: self.what,
            outcome: self.outcome,
            path: self.path,
            program: self.program,
            uid: self.uid,
            since,
            until,
        })
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    tell_of_agents_log();
    match args.command {
        Command::Show(args) => show::run(args),
        Command::Verify(args) => verify::run(&args),
        Command::Seal(args) => seal::run(args),
        Command::Report(args) => report::run(args),
    }
}

/// Tells who has nothing of their own that an agent signs for them, which writes its log where its user reads it: nobody is to
/// take an empty log for nothing that was signed.
fn tell_of_agents_log() {
    let other = || reach::other_user();
    if let Some((agent, uid)) = (!errand::may_have_own()).then(other).flatten() {
        let told = reach::told(&agent.path, uid);
        output::warn(&format!(
            "what was signed by {told}, stands in the log of that user"
        ));
    }
}

/// Tells why nothing is shown, so that nobody takes a name mistyped, or another folder, for nothing that was signed.
fn warn_of_nothing(around: &Around, asked: &[String], seen: u64) {
    let folder = around.home.state("audit");
    output::warn(&match seen {
        0 => format!("there is no log in {}", folder.display()),
        _ => format!(
            "none of the {seen} lines in {} is that: {}",
            folder.display(),
            output::escaped(asked.join(", ").as_bytes())
        ),
    });
}

/// Tells of lines that could not be read, so that nobody takes what is shown for all there is. Answers how many.
pub(super) fn warn_of(reader: &mut Reader) -> usize {
    let passed_over = reader.passed_over();
    for line in passed_over.iter().take(MOST_TOLD) {
        output::warn(&line.to_string());
    }
    if let Some(more) = passed_over.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        output::warn(&format!("{more} more lines cannot be read"));
    }
    passed_over.len()
}
