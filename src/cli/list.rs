use std::{collections::BTreeSet, process::ExitCode};

use hsmsign::{
    error::Result,
    exchange::Catalogue,
    keyring::{Keyring as _, Record},
    token::leaky,
};
use serde_json::Value;

use super::{Around, output, show};

/// List the keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hsmsign list\n  hsmsign list --json | jq -r '.[].key'")]
pub struct Args {
    /// An array of objects, one a key
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let around = Around::find()?;
    let keyring = around.keyring();
    let mut records = Vec::new();
    let mut bad = None;
    for name in keyring.names()? {
        match keyring.get(&name) {
            Ok(record) => records.push(record),
            Err(error) => bad = Some(output::report(&error)),
        }
    }
    let listed = print(args, &records, &around.catalogue())?;
    Ok(bad.unwrap_or(listed))
}

fn print(args: &Args, records: &[Record], catalogue: &Catalogue) -> Result<ExitCode> {
    if args.json {
        return output::json(&Value::Array(
            records
                .iter()
                .map(|record| show::facts(record, catalogue))
                .collect(),
        ));
    }
    if records.is_empty() {
        return output::line("no keys yet; import one: hsmsign import --exchange EXCHANGE");
    }
    let mut leaking = BTreeSet::new();
    let rows = records.iter().map(|record| {
        let tokens: Vec<_> = record
            .current
            .copies
            .iter()
            .map(|copy| match copy.leaks[..] {
                [] => copy.token.clone(),
                _ => format!("{} (leaks)", copy.token),
            })
            .collect();
        let allowed: Vec<_> = record.allow.iter().map(|allow| allow.name()).collect();
        [
            record.name.to_string(),
            record.exchange.clone(),
            record.algorithm.to_string(),
            tokens.join(", "),
            record.current.api_key.clone().unwrap_or_else(|| "-".to_owned()),
            if allowed.is_empty() {
                "-".to_owned()
            } else {
                allowed.join(", ")
            },
        ]
    });
    for copy in records.iter().flat_map(|record| &record.current.copies) {
        if !copy.leaks.is_empty() && leaking.insert(&copy.token) {
            output::warn(&format!("token {}: {}", copy.token, leaky(&copy.leaks)));
        }
    }
    output::table(
        ["KEY", "EXCHANGE", "ALGORITHM", "TOKEN", "API KEY", "ALLOWED"],
        rows,
    )
}
