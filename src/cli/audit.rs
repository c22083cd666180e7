use std::{collections::VecDeque, process::ExitCode, time::Duration};

use hsmsign::{
    audit::{self, Filter, Log, Reader},
    clock,
    error::{Error, Result, failed},
    json::Json,
    token::{Token, Tokens, pin_source},
};
use serde_json::json;

use super::{Around, output};

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
    Show(ShowArgs),
    Verify(VerifyArgs),
    Seal,
    Report(ReportArgs),
}

#[derive(Debug, clap::Args)]
struct FilterArgs {
    /// Of this key
    #[arg(long)]
    key: Option<String>,
    /// Of this kind: sign, raw, import, rotate, remove, set, lock, unlock, policy, op, seal
    #[arg(long)]
    what: Option<String>,
    /// With this outcome: signed, denied, failed, done
    #[arg(long)]
    outcome: Option<String>,
    /// With a path that begins so
    #[arg(long)]
    path: Option<String>,
    /// Of a program, by its path or file name
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
        Ok(Filter {
            key: self.key,
            what: self.what,
            outcome: self.outcome,
            path: self.path,
            program: self.program,
            uid: self.uid,
            since: moment(self.since)?,
            until: moment(self.until)?,
        })
    }
}

/// Show lines of the log
#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// The last so many alone
    #[arg(long, short = 'n', value_name = "N")]
    last: Option<usize>,
    /// Go on as lines come
    #[arg(long, short)]
    follow: bool,
    /// The lines as they stand in the log
    #[arg(long)]
    json: bool,
}

/// Find every change of the log: edits, removals, other orders, cuts, an older log in its place
///
/// The token is asked for its seals; without it the lines alone are looked at.
#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// Look at the lines alone, and open no token
    #[arg(long)]
    no_token: bool,
    /// A seal that was noted down elsewhere must be in it, as it was printed: NUMBER:HASH
    #[arg(long, value_name = "SEAL")]
    expect: Option<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Write a page that shows what was signed and refused
#[derive(Debug, clap::Args)]
struct ReportArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// The file; standard output where none is named
    #[arg(long, short)]
    output: Option<std::path::PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Show(args) => show(args),
        Command::Verify(args) => verify(&args),
        Command::Seal => seal(),
        Command::Report(args) => report(args),
    }
}

fn show(args: ShowArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let filter = args.filter.filter()?;
    let mut reader = Reader::new(&around.home)?;
    let mut last = VecDeque::new();
    let shown = |text: &str, json: &Json| if args.json { text.to_owned() } else { told(json) };
    reader.read(&mut |text, json| {
        if filter.wants(json) {
            if args.last.is_some_and(|most| last.len() >= most) {
                last.pop_front();
            }
            if args.last != Some(0) {
                last.push_back(shown(text, json));
            }
        }
        if args.last.is_none() && last.len() >= 1000 {
            print(&mut last)?;
        }
        Ok(())
    })?;
    print(&mut last)?;
    warn_of(&mut reader);
    if !args.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        std::thread::sleep(Duration::from_millis(100));
        reader.read(&mut |text, json| {
            if filter.wants(json) {
                last.push_back(shown(text, json));
            }
            Ok(())
        })?;
        print(&mut last)?;
        warn_of(&mut reader);
    }
}

/// Tells of lines that could not be read, so that nobody takes what is shown for all there is.
pub(super) fn warn_of(reader: &mut Reader) {
    let passed_over = reader.passed_over();
    for line in passed_over.iter().take(MOST_TOLD) {
        output::warn(&line.to_string());
    }
    if let Some(more) = passed_over.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        output::warn(&format!("{more} more lines cannot be read"));
    }
}

/// Prints lines; a reader that went away ends the process.
fn print(lines: &mut VecDeque<String>) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let text: Vec<_> = lines.drain(..).collect();
    if output::line(&text.join("\n"))? == ExitCode::SUCCESS {
        return Ok(());
    }
    std::process::exit(0)
}

/// A name or a value of a request. What could be taken for something else of the line stands in quotes.
fn plain(text: &str) -> String {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':' | b'%' | b'~' | b'@' | b'+')
    };
    let escaped = output::escaped(text.as_bytes());
    match text.bytes().all(is_plain) {
        true => escaped,
        false => format!("\"{escaped}\""),
    }
}

/// A line for a person.
fn told(json: &Json) -> String {
    let text = |name: &str| {
        let text = json.get(name).and_then(Json::scalar).unwrap_or_default();
        output::escaped(text.as_bytes())
    };
    let mut parts = vec![text("t"), text("what"), text("outcome"), text("key")];
    // Of a request that was refused before it was read, the method may be any text too.
    for name in ["method", "path"] {
        let given = json.get(name).and_then(Json::scalar);
        parts.extend(given.map(plain));
    }
    if let Some(Json::Object(fields)) = json.get("fields") {
        let field = |(name, value): &(String, Json)| {
            let values = match value {
                Json::List(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            let each = values
                .iter()
                .map(|value| plain(value.scalar().unwrap_or_default()));
            format!("{}={}", plain(name), each.collect::<Vec<_>>().join(","))
        };
        parts.extend(fields.iter().map(field));
    }
    for name in ["detail", "message"] {
        parts.push(text(name));
    }
    if json.get("uid").is_some() {
        let exe = json.get("exe").and_then(Json::scalar).map(plain);
        let exe = exe.map_or_else(String::new, |exe| format!(" {exe}"));
        parts.push(format!("(uid {}, process {}{exe})", text("uid"), text("pid")));
    }
    if json.get("seal").is_some() {
        parts.push(format!("{} up to line {}", text("seal"), text("upto")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let tokens = if args.no_token {
        None
    } else {
        Some(around.tokens()?)
    };
    let find = tokens
        .as_ref()
        .map(|tokens| move |name: &str| -> Result<std::sync::Arc<dyn Token>> { tokens.get(name) });
    let found = match &find {
        Some(find) => audit::verify(&around.home, Some(find), &silent(&around)?)?,
        None => audit::verify(&around.home, None, &[])?,
    };
    let before = match &tokens {
        Some(tokens) if found.seals == 0 => sealed_before(&around, tokens)?,
        _ => Vec::new(),
    };
    let missed = args
        .expect
        .as_deref()
        .filter(|wanted| !found.sealed.iter().any(|seal| seal == wanted));
    let last = found
        .last
        .as_ref()
        .map(|(seal, _, head)| format!("{seal}:{}", &head[..16]));
    if args.json {
        output::json(&json!({
            "ok": found.findings.is_empty() && missed.is_none(),
            "lines": found.lines, "seals": found.seals, "unsealed": found.unsealed, "torn_bytes": found.torn,
            "seals_checked": !args.no_token, "last_seal": last, "sealed_by": found.tokens, "sealed_before": before,
            "kept_by": found.kept_by,
            "other_logs": found.other_logs.iter().map(|(token, log, seal, upto)| json!({"token": token, "log": log, "seal": seal, "upto": upto})).collect::<Vec<_>>(),
            "findings": found.findings.iter().map(|finding| json!({"line": finding.number, "file": finding.file, "what": finding.what})).collect::<Vec<_>>(),
        }))?;
    }
    let whole = found.whole().and_then(|()| match missed {
        Some(wanted) => Err(failed(format!(
            "the audit log was changed: the seal {wanted} is not in it"
        ))
        .fix("keep the folder `audit` as it is, and see docs/incident.md")),
        None => Ok(()),
    });
    if args.json {
        return Ok(whole.map_or_else(|error| output::report(&error), |()| ExitCode::SUCCESS));
    }
    for finding in found.findings.iter().skip(1) {
        output::warn(&finding.to_string());
    }
    whole?;
    for token in &before {
        output::warn(&format!(
            "token {token} has a key that seals logs, and this log has no seal: unless it seals elsewhere too, there was another log here"
        ));
    }
    for (token, log, seal, upto) in &found.other_logs {
        output::warn(&format!(
            "token {token} keeps seal {seal}, up to line {upto}, of another log, {log}: unless that one is elsewhere, or was moved away, it was here"
        ));
    }
    if found.seals > 0 && !args.no_token && found.kept_by.values().all(Option::is_none) {
        output::warn(
            "no token keeps how far this log was sealed: an older log that is put in its place together with audit.seal is found by --expect alone",
        );
    }
    if found.torn > 0 {
        output::warn(&format!(
            "{} bytes at the end are no whole line: what a process that was cut off left of one",
            found.torn
        ));
    }
    let seals = match (&last, args.no_token) {
        (_, true) => "seals not looked at".to_owned(),
        (Some(last), _) => {
            let tokens: Vec<_> = found.tokens.iter().map(String::as_str).collect();
            format!(
                "{} seals of token {} hold, the last is {last}",
                found.seals,
                tokens.join(", ")
            )
        }
        (None, _) => "no seal yet".to_owned(),
    };
    output::line(&format!(
        "{} lines as they were written; {seals}; {} lines behind it",
        found.lines, found.unsealed
    ))
}

/// The tokens with a key that seals, of those whose PIN comes without a person: what a log leaves that was taken away
/// whole, with what tells of its seals.
fn sealed_before(around: &Around, tokens: &Tokens) -> Result<Vec<String>> {
    let has_sealed = |name: &str| {
        tokens
            .get(name)
            .and_then(|token| audit::has_sealed(token.as_ref()))
    };
    let mut names = silent(around)?;
    names.retain(|name| has_sealed(name).unwrap_or(false));
    Ok(names)
}

/// The tokens whose PIN comes without a person.
fn silent(around: &Around) -> Result<Vec<String>> {
    let config = around.config()?;
    let silent = config
        .tokens
        .iter()
        .filter(|(_, settings)| pin_source(settings).is_ok_and(|source| !source.interactive()));
    Ok(silent.map(|(name, _)| name.clone()).collect())
}

fn seal() -> Result<ExitCode> {
    let around = Around::find()?;
    let log = Log::new(&around.home);
    let Some(due) = log.seal_all()? else {
        return Err(failed("there is no log yet").fix("it begins with the first request"));
    };
    let tokens = around.tokens()?;
    let name = around.config()?.usual_token()?.to_owned();
    let token = tokens.get(&name)?;
    let mac = audit::Sealer::default().seal(&name, token.as_ref(), &due.message())?;
    log.sealed(due, &name, &mac);
    log.flush()?;
    output::line(&format!("sealed by token {name}"))?;
    let Some(marked) = log.to_be_marked()? else {
        return Ok(ExitCode::SUCCESS);
    };
    match audit::raise(token.as_ref(), &around.home, &marked) {
        Ok(None) => {}
        Ok(Some(mark)) => return Err(audit::went_back(&name, &mark)),
        Err(error) => output::warn(&format!(
            "it does not keep how far the log was sealed: {}; note the seal that `hsmsign audit verify` prints",
            error.message()
        )),
    }
    Ok(ExitCode::SUCCESS)
}

fn report(args: ReportArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let filter = args.filter.filter()?;
    let mut report = audit::Report::default();
    let mut reader = Reader::new(&around.home)?;
    reader.read(&mut |_, line| {
        if filter.wants(line) {
            report.take(line);
        }
        Ok(())
    })?;
    warn_of(&mut reader);
    let page = report.page();
    let Some(path) = args.output else {
        return output::write(page.as_bytes());
    };
    std::fs::write(&path, page)
        .map_err(|error| -> Error { failed(format!("{} cannot be written: {error}", path.display())) })?;
    output::line(&format!("written: {}", path.display()))
}
