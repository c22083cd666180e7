use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use hsmsign::{
    error::{Result, bad_input},
    exchange::{Scheme, builtin, builtin_ids},
    home::list_folder,
};
use serde_json::{Value, json};

use super::{Around, output};

/// List the exchanges, show one's scheme, or check a scheme file of your own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign exchanges
  hsmsign exchanges show kraken
  hsmsign exchanges check my-exchange.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// As an array of objects
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print an exchange's scheme file
    Show {
        /// The exchange, by id or alias
        exchange: String,
    },
    /// Read a scheme file, say what its signatures cover, and run its tests
    Check {
        /// The file
        file: PathBuf,
    },
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        None => list(args.json),
        Some(Command::Show { exchange }) => show(&exchange),
        Some(Command::Check { file }) => check(&file),
    }
}

fn list(json: bool) -> Result<ExitCode> {
    let around = Around::find()?;
    let mut schemes = Vec::new();
    for id in builtin_ids() {
        if let Some(text) = builtin(id) {
            schemes.push((Scheme::parse(text, id)?, "built in"));
        }
    }
    let read = around.home.user_schemes();
    for file in list_folder(&around.home.config("schemes"))? {
        let Some(id) = file.strip_suffix(".toml") else {
            continue;
        };
        if builtin(id).is_some() {
            output::warn(&format!(
                "schemes/{file} is not used: {id} is built in; give yours another id"
            ));
            continue;
        }
        match read(id).and_then(|text| Scheme::parse(&text.unwrap_or_default(), &file)) {
            Ok(scheme) => schemes.push((scheme, "yours")),
            Err(error) => output::warn(&format!("schemes/{file} is not used: {error}")),
        }
    }
    if json {
        return output::json(&Value::Array(
            schemes.iter().map(|(scheme, from)| facts(scheme, from)).collect(),
        ));
    }
    let rows = schemes.iter().map(|(scheme, from)| {
        let algorithms: Vec<_> = scheme
            .kinds()
            .iter()
            .map(|kind| kind.algorithm().name())
            .collect();
        let remark = scheme.closed().or(scheme.note());
        let remark = remark.map_or_else(|| (*from).to_owned(), |remark| format!("{from}; {remark}"));
        [
            scheme.id().to_owned(),
            scheme.name().to_owned(),
            algorithms.join(", "),
            if scheme.has_websocket() { "yes" } else { "-" }.to_owned(),
            remark,
        ]
    });
    output::table(["EXCHANGE", "NAME", "ALGORITHMS", "WEBSOCKET", ""], rows)
}

fn facts(scheme: &Scheme, from: &str) -> Value {
    json!({
        "exchange": scheme.id(),
        "name": scheme.name(),
        "aliases": scheme.aliases(),
        "docs": scheme.docs(),
        "hosts": scheme.hosts(),
        "testnet": scheme.sending().testnet().iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "algorithms": scheme.kinds().iter().map(|kind| kind.algorithm().name()).collect::<Vec<_>>(),
        "passphrase": scheme.needs_passphrase(),
        "websocket": scheme.has_websocket(),
        "path_signed": scheme.signs_path(),
        "note": scheme.note(),
        "closed": scheme.closed(),
        "from": from,
    })
}

fn show(name: &str) -> Result<ExitCode> {
    if let Some(text) = builtin(name) {
        return output::write(text.as_bytes());
    }
    let around = Around::find()?;
    let scheme = around.signer()?.catalogue().get(name)?;
    let text = (around.home.user_schemes())(scheme.id())?.unwrap_or_default();
    output::write(text.as_bytes())
}

fn check(file: &Path) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| bad_input(format!("{} cannot be read: {error}", file.display())))?;
    let scheme = Scheme::parse(&text, &file.display().to_string())?;
    let mut report = format!("{} ({})", scheme.id(), scheme.name());
    for coverage in scheme.coverage() {
        let list = |parts: &[&str]| {
            if parts.is_empty() {
                "nothing".to_owned()
            } else {
                parts.join(", ")
            }
        };
        report.push_str(&format!(
            "\n  {}: signs {}; not {}",
            coverage.requests,
            list(&coverage.signed),
            list(&coverage.unsigned)
        ));
        for seam in coverage.seams {
            report.push_str(&format!("\n    {seam}"));
        }
    }
    for warning in scheme.warnings() {
        output::warn(&warning);
    }
    output::line(&report)?;
    if let Some(fault) = scheme.faults().into_iter().next() {
        return Err(bad_input(format!("{} cannot be used: {fault}", file.display()))
            .fix("complete the file; docs/adding-an-exchange.md has the language"));
    }
    for test in scheme.tests() {
        test.run(&scheme)
            .map_err(|error| error.within(format_args!("the test {:?}", test.name())))?;
    }
    output::line(&match scheme.tests().len() {
        0 => "  no [[test]] rows: add one from the exchange's documentation, so that the file proves itself"
            .to_owned(),
        1 => "  its test passes".to_owned(),
        count => format!("  its {count} tests pass"),
    })
}
