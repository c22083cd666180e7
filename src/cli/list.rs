use std::{collections::BTreeSet, process::ExitCode};

use hsmsign::{
    agent::client::Client,
    config::Config,
    enrol::attested,
    error::Result,
    exchange::Catalogue,
    keyring::{Keyring as _, Record},
    token::leaky,
};
use serde_json::Value;

use super::{
    Around, output,
    reach::{self, Served},
    show,
};

/// List the keys: one's own, and those of a system agent.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hsmsign list\n  hsmsign list --json | jq -r '.[].key'")]
pub struct Args {
    /// An array of objects, one a key
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let served = reach::served();
    let around = match Around::find() {
        Ok(around) => Some(around),
        Err(_) if served.is_some() => None,
        Err(error) => return Err(error),
    };
    let mut records = Vec::new();
    let mut bad = None;
    if let Some(around) = &around {
        let keyring = around.keyring();
        for name in keyring.names()? {
            if served
                .as_ref()
                .is_some_and(|served| served.key(name.as_str()).is_some())
            {
                output::warn(&format!(
                    "your own key {name} is not used while the agent has one of that name"
                ));
                continue;
            }
            match keyring.get(&name) {
                Ok(record) => records.push(record),
                Err(error) => bad = Some(output::report(&error)),
            }
        }
    }
    let known = around
        .as_ref()
        .map(|around| (around.catalogue(), around.config().unwrap_or_default()));
    let listed = print(args, &records, known.as_ref(), served.as_ref())?;
    Ok(bad.unwrap_or(listed))
}

fn print(
    args: &Args,
    records: &[Record],
    known: Option<&(Catalogue, Config)>,
    served: Option<&Served>,
) -> Result<ExitCode> {
    let keys = served.map_or(&[][..], |served| &served.keys);
    if args.json {
        let own = records
            .iter()
            .filter_map(|record| known.map(|(catalogue, config)| show::facts(record, catalogue, config)));
        return output::json(&Value::Array(keys.iter().cloned().chain(own).collect()));
    }
    if records.is_empty() && keys.is_empty() {
        if let Some(barred) = Client::barred() {
            output::warn(&format!("{}; {}", barred.message(), barred.advice()));
        }
        return output::line("no keys yet; import one: hsmsign import --exchange EXCHANGE");
    }
    if let Some(served) = served.filter(|served| !served.keys.is_empty()) {
        output::aside(&format!("keys of {}:", served.told()));
    }
    let rows = keys.iter().map(|key| {
        let text = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
        [
            text("key"),
            text("exchange"),
            text("algorithm"),
            reach::names(&key["tokens"]),
            text("api_key"),
            reach::names(&key["allow"]),
        ]
    });
    let mut leaking = BTreeSet::new();
    let own = records.iter().map(|record| {
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
    let header = ["KEY", "EXCHANGE", "ALGORITHM", "TOKEN", "API KEY", "ALLOWED"];
    let vouched = |record: &Record| {
        let copies = record.current.copies.iter();
        let (_, config) = known?;
        copies.flat_map(|copy| attested(config, copy)).next()
    };
    let vouched: Vec<_> = records.iter().map(vouched).collect();
    if vouched.iter().all(Option::is_none) {
        return output::table(header, rows.chain(own));
    }
    // Keys in slots of YubiKeys alone have somebody who vouches for them.
    let beside = std::iter::repeat_n(None, keys.len()).chain(vouched);
    let wide = rows.chain(own).zip(beside).map(|(row, vouched)| {
        let [key, exchange, algorithm, token, api_key, allowed] = row;
        let vouched = vouched.unwrap_or_else(|| "-".to_owned());
        [key, exchange, algorithm, token, api_key, allowed, vouched]
    });
    let [key, exchange, algorithm, token, api_key, allowed] = header;
    output::table(
        [key, exchange, algorithm, token, api_key, allowed, "ATTESTATION"],
        wide,
    )
}
