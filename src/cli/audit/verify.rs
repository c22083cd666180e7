//! `audit verify`: whether the log was changed.

use std::process::ExitCode;

use hsmsign::{
    audit::{self, Verified},
    error::{Result, bad_input, failed},
    token::{Token, Tokens, pin_source},
};
use serde_json::json;

use super::{Around, output};

/// Find every change of the log: edits, removals, other orders, cuts, an older log in its place
///
/// The token is asked for its seals; without it the lines alone are looked at.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look at the lines alone, and open no token
    #[arg(long)]
    no_token: bool,
    /// A seal that was noted down elsewhere must be in it, as it was printed: NUMBER:HASH
    #[arg(long, value_name = "SEAL", value_parser = noted)]
    expect: Option<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// A seal as `verify` prints it. What is none would be missed in every log.
fn noted(text: &str) -> Result<String> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let seal = text.trim().to_ascii_lowercase();
    match seal.split_once(':') {
        Some((number, hash))
            if number.parse::<u64>().is_ok() && hash.len() == 16 && hash.bytes().all(is_digit) =>
        {
            Ok(seal)
        }
        _ => Err(
            bad_input(format!("{text:?} is no seal as `hsmsign audit verify` prints it"))
                .fix("give its number, `:` and 16 digits, as in 3:0123456789abcdef"),
        ),
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let around = Around::find()?;
    let tokens = if args.no_token {
        None
    } else {
        Some(around.tokens()?)
    };
    let find = tokens
        .as_ref()
        .map(|tokens| move |name: &str| -> Result<std::sync::Arc<dyn Token>> { tokens.get(name) });
    let mut found = match &find {
        Some(find) => audit::verify(&around.home, Some(find), &silent(&around)?)?,
        None => audit::verify(&around.home, None, &[])?,
    };
    unknown_tokens(&around, &mut found)?;
    let before = match &tokens {
        Some(tokens) if found.claimed == 0 => sealed_before(&around, tokens)?,
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
            "ok": found.whole().is_ok() && missed.is_none(),
            "lines": found.lines, "seals": found.seals, "unsealed": found.unsealed, "torn_bytes": found.torn,
            "seals_checked": !args.no_token, "last_seal": last, "proved_to_line": found.proved.map(|(_, upto)| upto), "sealed_by": found.tokens, "sealed_before": before,
            "kept_by": found.kept_by, "audit_seal": found.unreadable.as_ref().map(|error| error.message()),
            "not_asked": found.not_asked.iter().map(|(token, not)| json!({"token": token, "line": not.number, "code": not.error.code().name(), "message": not.error.message()})).collect::<Vec<_>>(),
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
    if let Err(error) = whole {
        let code = output::report(&error);
        if !args.json {
            further(&found);
            warn(&found, &before, !args.no_token);
        }
        return Ok(code);
    }
    if args.json {
        return Ok(ExitCode::SUCCESS);
    }
    warn(&found, &before, !args.no_token);
    if found.lines == 0 {
        return output::line(&format!(
            "there is no log in {}",
            around.home.state("audit").display()
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

/// What is wrong beside what was told first.
fn further(found: &Verified) {
    for finding in found.findings.iter().skip(1) {
        output::warn(&finding.to_string());
    }
    let changed = !found.findings.is_empty();
    for error in found.unreadable.iter().filter(|_| changed) {
        output::warn(error.message());
    }
    for not in found.not_asked.values() {
        if changed || found.unreadable.is_some() {
            output::warn(not.told().message());
        }
    }
}

/// What to do about seals of tokens that `config.toml` does not have: nobody makes them anew.
fn unknown_tokens(around: &Around, found: &mut Verified) -> Result<()> {
    if found.not_asked.is_empty() {
        return Ok(());
    }
    let tokens = &around.config()?.tokens;
    for (_, not) in found
        .not_asked
        .iter_mut()
        .filter(|(token, _)| !tokens.contains_key(*token))
    {
        not.error = not.error.clone().fix(
            "a token that you never had made none: see docs/incident.md. Of one that you took out of config.toml, `--no-token` looks at the chain alone",
        );
    }
    Ok(())
}

/// Warns of what is no change of the log, and may stand for one; `before` are the tokens that sealed one before.
fn warn(found: &Verified, before: &[String], with_seals: bool) {
    for token in before {
        output::warn(&format!(
            "token {token} has a key that seals logs, and this log has no seal: unless it seals elsewhere too, there was another log here"
        ));
    }
    for (token, log, seal, upto) in &found.other_logs {
        output::warn(&format!(
            "token {token} keeps seal {seal}, up to line {upto}, of another log, {log}: unless that one is elsewhere, or was moved away, it was here"
        ));
    }
    for (token, seal) in &found.kept_by {
        if let Some(seal) = seal
            && found.findings.is_empty()
            && found.not_asked.contains_key(token)
        {
            output::warn(&format!(
                "token {token} keeps seal {seal} of this log, and the line that it covers is as it was then"
            ));
        }
    }
    if found.seals > 0 && with_seals && found.kept_by.values().all(Option::is_none) {
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
