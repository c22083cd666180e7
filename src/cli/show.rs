use std::process::ExitCode;

use hsmsign::{
    config::Config,
    enrol::{RAW_CONSENT, attested, public_text},
    error::Result,
    exchange::Catalogue,
    keyring::{Allow, KeyName, Keyring as _, Pair, Record},
    token::leaky,
};
use serde_json::{Value, json};

use super::{
    Around, output,
    reach::{self, Served},
};

const NOTHING_ALLOWED: &str = "withdrawals and raw MACs are refused";
const SOFTWARE: &str = "a software token keeps its keys in files and in the memory of the process that signs: for development and tests, not for money";

/// Show what is known of a key. The secret is not: it is on the token.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  hsmsign show kraken\n  hsmsign show kraken --json")]
pub struct Args {
    /// The key
    key: KeyName,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(served) = reach::served()
        && let Some(key) = served.key(args.key.as_str())
    {
        return show_served(args, &served, key);
    }
    let around = Around::find()?;
    let record = around.keyring().get(&args.key)?;
    // A key is shown though config.toml is broken.
    let (catalogue, config) = (around.catalogue(), around.config().unwrap_or_default());
    if args.json {
        return output::json(&facts(&record, &catalogue, &config));
    }
    let mut text = format!(
        "{}\n  exchange   {}\n  algorithm  {}\n",
        record.name, record.exchange, record.algorithm
    );
    text.push_str(&pair(&record, &record.current, &catalogue, &config));
    if let Some(url) = &record.base_url {
        text.push_str(&format!("  base-url   {url}\n"));
    }
    if let Some(window) = record.window {
        text.push_str(&window_line(window.into()));
    }
    text.push_str(&clock_line(record.offset_ms.millis()));
    let allowed: Vec<_> = record.allow.iter().map(|allow| allow.name()).collect();
    let allowed = if allowed.is_empty() {
        NOTHING_ALLOWED.to_owned()
    } else {
        allowed.join(", ")
    };
    text.push_str(&format!("  allowed    {allowed}\n"));
    if let Some(previous) = &record.previous {
        text.push_str("the pair before the last rotation, kept until --commit:\n");
        text.push_str(&pair(&record, previous, &catalogue, &config));
    }
    if let Some(next) = &record.next {
        text.push_str("a new key that is not in force yet:\n");
        text.push_str(&pair(&record, next, &catalogue, &config));
    }
    for note in notes(&record) {
        output::warn(&note);
    }
    output::line(text.trim_end())
}

/// A key of an agent whose files this user cannot read.
fn show_served(args: &Args, served: &Served, key: &Value) -> Result<ExitCode> {
    if args.json {
        return output::json(key);
    }
    let text = |name: &str| key[name].as_str().unwrap_or("-");
    let mut told = format!(
        "{}\n  exchange   {}\n  algorithm  {}\n  API key    {}\n  since      {}\n",
        args.key,
        text("exchange"),
        text("algorithm"),
        key["api_key"].as_str().unwrap_or("none yet"),
        text("created"),
    );
    told.push_str(&format!("  on token   {}\n", reach::names(&key["tokens"])));
    if let Some(url) = key["base_url"].as_str() {
        told.push_str(&format!("  base-url   {url}\n"));
    }
    if let Some(window) = key["window"].as_u64() {
        told.push_str(&window_line(window));
    }
    told.push_str(&clock_line(key["offset_ms"].as_i64().unwrap_or(0)));
    let allowed = match key["allow"].as_array() {
        Some(allowed) if !allowed.is_empty() => reach::names(&key["allow"]),
        _ => NOTHING_ALLOWED.to_owned(),
    };
    told.push_str(&format!(
        "  allowed    {allowed}\n  signed by  {}\n",
        served.told()
    ));
    if let Some(public) = key["public_key"].as_str() {
        let between = if public.contains('\n') { '\n' } else { ' ' };
        told.push_str(&format!("  public key{between}{public}\n"));
    }
    let allows = |wanted: Allow| {
        let allowed = key["allow"].as_array().into_iter().flatten();
        allowed.into_iter().any(|allow| *allow == wanted.name())
    };
    if allows(Allow::Raw) {
        output::warn(RAW_CONSENT);
    }
    if key["hardware"] == false {
        output::warn(SOFTWARE);
    }
    output::line(told.trim_end())
}

fn window_line(window: u64) -> String {
    format!("  window     {window}, in the exchange's unit\n")
}

/// Nothing where the two clocks agree.
fn clock_line(offset_ms: i64) -> String {
    let way = match offset_ms {
        0 => return String::new(),
        1.. => "ahead of",
        _ => "behind",
    };
    let by = offset_ms.unsigned_abs();
    format!("  clock      the exchange's, {by} ms {way} this machine's\n")
}

fn pair(record: &Record, pair: &Pair, catalogue: &Catalogue, config: &Config) -> String {
    let mut text = format!(
        "  API key    {}\n  since      {}\n",
        pair.api_key.as_deref().unwrap_or("none yet"),
        pair.created
    );
    for (name, value) in &pair.extra {
        text.push_str(&format!("  {name:10} {value}\n"));
    }
    if !pair.passphrase_macs.is_empty() {
        text.push_str("  passphrase not kept; its MAC is, which is all that the exchange wants\n");
    }
    for copy in &pair.copies {
        let kind = if copy.hardware { "hardware" } else { "software" };
        text.push_str(&format!(
            "  on token   {} ({kind}, serial {}){}\n",
            copy.token,
            copy.serial,
            if copy.leaks.is_empty() {
                ""
            } else {
                ", which gives its keys away"
            }
        ));
        for (slot, material) in &copy.objects {
            let id = material.key.id();
            text.push_str(&format!("    {slot:10} id {id}"));
            if !material.hardening.is_empty() {
                text.push_str(&format!("; {}", material.hardening.join(", ")));
            }
            if material.generated {
                text.push_str("; made on the token");
            }
            text.push('\n');
        }
        if let Some(attested) = attested(config, copy) {
            text.push_str(&format!("    attestation {attested}\n"));
        }
    }
    if let Some(public) = public_text(catalogue, record, pair) {
        text.push_str(&match public.contains('\n') {
            true => format!("  public key\n{public}\n"),
            false => format!("  public key {public}\n"),
        });
    }
    text
}

/// What an owner should be reminded of whenever the key is shown.
pub fn notes(record: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    if record.allow.contains(&Allow::Raw) {
        notes.push(RAW_CONSENT.to_owned());
    }
    if record.current.copies.iter().any(|copy| !copy.hardware) {
        notes.push(SOFTWARE.to_owned());
    }
    for copy in record.current.copies.iter().filter(|copy| !copy.leaks.is_empty()) {
        notes.push(format!("token {}: {}", copy.token, leaky(&copy.leaks)));
    }
    if record.previous.is_some() {
        let name = &record.name;
        notes.push(format!(
            "the last rotation is open: hsmsign rotate {name} --commit, or --undo"
        ));
    }
    if record.next.is_some() {
        notes.push(waiting(&record.name));
    }
    notes
}

/// What is to be done with a new key that is not in force yet.
pub fn waiting(name: &KeyName) -> String {
    format!(
        "a new key waits for its API key: register its public key at the exchange, then hsmsign rotate {name} --api-key KEY; or drop it: --undo"
    )
}

/// A key for programs, as `list --json` and `show --json` give it.
pub fn facts(record: &Record, catalogue: &Catalogue, config: &Config) -> Value {
    let pair = |pair: &Pair| {
        let copies: Vec<_> = pair
            .copies
            .iter()
            .map(|copy| {
                let objects: serde_json::Map<_, _> = copy
                    .objects
                    .iter()
                    .map(|(slot, material)| {
                        let id = material.key.id();
                        (slot.clone(), json!({"id": id.to_string(), "hardening": material.hardening, "rung": material.rung, "attestation": material.attestation}))
                    })
                    .collect();
                json!({
                    "token": copy.token, "serial": copy.serial, "hardware": copy.hardware, "leaks": copy.leaks, "objects": objects,
                    "attested": attested(config, copy),
                })
            })
            .collect();
        json!({
            "api_key": pair.api_key, "extra": pair.extra, "created": pair.created, "copies": copies,
            "generated": pair.is_generated(), "public_key": public_text(catalogue, record, pair),
        })
    };
    let mut facts = json!({
        "key": record.name.as_str(),
        "exchange": record.exchange,
        "algorithm": record.algorithm.name(),
        "api_key": record.current.api_key,
        "public_key": public_text(catalogue, record, &record.current),
        "tokens": record.current.copies.iter().map(|copy| copy.token.as_str()).collect::<Vec<_>>(),
        "allow": record.allow.iter().map(|allow| allow.name()).collect::<Vec<_>>(),
        "base_url": record.base_url,
        "window": record.window,
        "offset_ms": record.offset_ms.millis(),
        "current": pair(&record.current),
        "notes": notes(record),
    });
    if let Some(previous) = &record.previous {
        facts["previous"] = pair(previous);
    }
    if let Some(next) = &record.next {
        facts["next"] = pair(next);
    }
    facts
}
