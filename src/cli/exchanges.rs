use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use hsmsign::{
    error::{Error, Result, bad_input},
    exchange::{Scheme, builtin, builtin_ids, impossible, located},
    home::list_folder,
};
use serde_json::{Value, json};

use super::{Around, fits, given::Given, output};

/// List the exchanges, show one's scheme, or check and add a scheme file of your own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign exchanges
  hsmsign exchanges --token yubikey     which requests fit it
  hsmsign exchanges show kraken
  hsmsign exchanges check my-exchange.toml
  hsmsign exchanges add my-exchange.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which requests of each exchange a token can sign, by its algorithms and the length of its messages
    #[arg(long)]
    token: Option<String>,
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
    /// Check a scheme file, and put it where hsmsign takes it like a built-in one
    Add {
        /// The file
        file: PathBuf,
    },
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        None => match &args.token {
            None => list(args.json),
            Some(token) => fits::list(token, args.json),
        },
        Some(Command::Show { exchange }) => show(&exchange),
        Some(Command::Check { file }) => check(&file),
        Some(Command::Add { file }) => add(&file),
    }
}

/// All schemes, each with where it comes from; what cannot be used is told.
pub(super) fn all(around: &Around) -> Result<Vec<(Scheme, &'static str)>> {
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
    Ok(schemes)
}

fn list(json: bool) -> Result<ExitCode> {
    let schemes = all(&Around::find()?)?;
    if json {
        return output::json(&Value::Array(
            schemes.iter().map(|(scheme, from)| facts(scheme, from)).collect(),
        ));
    }
    let rows = schemes.iter().map(|(scheme, from)| {
        let remark = scheme.closed().or(scheme.note());
        let remark = remark.map_or_else(|| (*from).to_owned(), |remark| format!("{from}; {remark}"));
        [
            scheme.id().to_owned(),
            scheme.name().to_owned(),
            algorithms(scheme).join(", "),
            if scheme.has_websocket() { "yes" } else { "-" }.to_owned(),
            scheme.checked_by().to_owned(),
            remark,
        ]
    });
    // What cannot be signed for stands at the end, so that nobody looks for it in vain.
    let others = impossible().iter().map(|other| {
        let [id, name, why] = [other.id, other.name, other.why].map(str::to_owned);
        [
            id,
            name,
            "-".into(),
            "-".into(),
            "-".into(),
            format!("not possible: {why}"),
        ]
    });
    output::table(
        ["EXCHANGE", "NAME", "ALGORITHMS", "WEBSOCKET", "CHECKED BY", ""],
        rows.chain(others),
    )
}

fn algorithms(scheme: &Scheme) -> Vec<&'static str> {
    scheme
        .kinds()
        .iter()
        .map(|kind| kind.algorithm().name())
        .collect()
}

fn facts(scheme: &Scheme, from: &str) -> Value {
    let keys = scheme
        .kinds()
        .iter()
        .map(|kind| json!({"algorithm": kind.algorithm().name(), "secret": kind.secret_looks()}));
    json!({
        "exchange": scheme.id(),
        "name": scheme.name(),
        "aliases": scheme.aliases(),
        "docs": scheme.docs(),
        "hosts": scheme.hosts(),
        "testnet": scheme.sending().testnet().iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "algorithms": algorithms(scheme),
        "keys": keys.collect::<Vec<_>>(),
        "passphrase": scheme.needs_passphrase(),
        "credentials": scheme.credentials(),
        "websocket": scheme.has_websocket(),
        "websocket_instead": scheme.instead_of_websocket(),
        "path_signed": scheme.signs_path(),
        "message": scheme.sizes().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "withdrawals": scheme.withdrawals(),
        "checked_by": scheme.checked_by(),
        "checked": scheme.checked(),
        "note": scheme.note(),
        "closed": scheme.closed(),
        "from": from,
    })
}

fn show(name: &str) -> Result<ExitCode> {
    let around = Around::find()?;
    let scheme = around.signer()?.catalogue().get(name)?;
    if let Some(other) = scheme.like() {
        output::warn(&format!(
            "it is signed as {other} is: `hsmsign exchanges show {other}` has the rest"
        ));
    }
    match builtin(name) {
        Some(text) => output::write(text.as_bytes()),
        None => output::write(
            (around.home.user_schemes())(scheme.id())?
                .unwrap_or_default()
                .as_bytes(),
        ),
    }
}

fn check(file: &Path) -> Result<ExitCode> {
    let (scheme, text) = read(file)?;
    output::line(&report(&scheme))?;
    prove(&scheme, file, &text)?;
    if let Some(error) = is_built_in(&scheme) {
        output::warn(&format!("{error}: {}", error.advice()));
    }
    Ok(ExitCode::SUCCESS)
}

fn add(file: &Path) -> Result<ExitCode> {
    let around = Around::find()?;
    let (scheme, text) = read(file)?;
    if let Some(error) = is_built_in(&scheme) {
        return Err(error);
    }
    prove(&scheme, file, &text)?;
    let id = scheme.id();
    around.home.add_scheme(id, &text)?;
    output::line(&format!(
        "  added as schemes/{id}.toml of the configuration folder; next: hsmsign import --exchange {id}"
    ))
}

const SCHEME: Given = Given {
    what: "the scheme",
    most: 1 << 20,
    fix: "see that it is a scheme file: docs/adding-an-exchange.md",
};

fn read(file: &Path) -> Result<(Scheme, String)> {
    let text = SCHEME.text(Some(file))?;
    let scheme = Scheme::parse(&text, &file.display().to_string())?;
    Ok((scheme, text))
}

/// The error of a file that would never be used.
fn is_built_in(scheme: &Scheme) -> Option<Error> {
    let id = scheme.id();
    let error = || {
        bad_input(format!("{id} is built in, and a file of that id is not used")).fix("give yours another id")
    };
    builtin(id).is_some().then(error)
}

/// Refuses a file that is not fit for use or whose tests fail, and tells what else should be known of it.
fn prove(scheme: &Scheme, file: &Path, text: &str) -> Result<ExitCode> {
    let at = |error: Error| located(text, error).within(file.display());
    for warning in scheme.warnings() {
        output::warn(&warning);
    }
    if let Some(fault) = scheme.faults().into_iter().next() {
        let fix = "complete the file; docs/adding-an-exchange.md has the language";
        return Err(at(bad_input(fault).fix(fix)));
    }
    for test in scheme.tests() {
        test.run(scheme).map_err(at)?;
    }
    output::line(&match scheme.tests().len() {
        0 => "  no [[test]] rows: add one from the exchange's documentation, so that the file proves itself"
            .to_owned(),
        1 => "  its test passes".to_owned(),
        count => format!("  its {count} tests pass"),
    })
}

/// What each kind of request signs, with an example.
fn report(scheme: &Scheme) -> String {
    let mut report = format!("{} ({})", scheme.id(), scheme.name());
    for (coverage, example) in scheme.coverage().iter().zip(scheme.examples()) {
        let signs = match (coverage.signed.as_slice(), coverage.unsigned.as_slice()) {
            ([], _) => "signs nothing of the request".to_owned(),
            (signed, []) => format!("signs {}", signed.join(", ")),
            (signed, unsigned) => format!("signs {}; not {}", signed.join(", "), unsigned.join(", ")),
        };
        report.push_str(&format!("\n  {}: {signs}", coverage.requests));
        for seam in &coverage.seams {
            report.push_str(&format!("\n    {seam}"));
        }
        report.push_str(&format!("\n    longest message: {}", coverage.size));
        if let Some(example) = example {
            report.push_str(&format!("\n    example: {}", example.request));
            report.push_str(&format!("\n      signs {}", output::escaped(&example.message)));
        }
    }
    report.push_str(&format!(
        "\n  moves money out: {}",
        scheme.withdrawals().join(", ")
    ));
    report.push_str("\n  sending:");
    for words in scheme.sending().words() {
        report.push_str(&format!("\n    {words}"));
    }
    report
}
