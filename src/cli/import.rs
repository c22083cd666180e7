use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    os::fd::AsFd as _,
    process::ExitCode,
};

use hsmsign::{
    algorithm::Algorithm,
    ask::{Ask, has_more, read_secret_line},
    audit::{Entry, Log, What},
    caller::Caller,
    clock,
    enrol::{Enrolled, NewKey, Plan, Secrets},
    error::{Code, Error, Result, bad_input},
    exchange::Template,
    keyring::{Allow, KeyName},
    secret::Secret,
    token::Wishes,
};
use serde_json::json;

use super::{Around, lines, output, policy::Beginning};

/// Bring an exchange's secret onto a token, once.
///
/// The secret is asked for without echo, or read from standard input: the secret's line (or PEM block), then the
/// passphrase's and the partner secret's where the exchange has one. It is never taken from an argument.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign import --exchange kraken --api-key KEY
  hsmsign import --exchange binance --algorithm ed25519 < key.pem
  pass show kraken | hsmsign import --exchange kraken --key kraken-main --api-key KEY
  hsmsign import --json < keys.jsonl      one object a line: exchange, key, api_key, secret, passphrase …")]
pub struct Args {
    /// The exchange, by id or alias (`hsmsign exchanges`); `generic` for any other service
    #[arg(long, short, required_unless_present = "json")]
    exchange: Option<String>,
    /// The key's name; the exchange's id where none is given
    #[arg(long, short)]
    key: Option<KeyName>,
    /// The token to use; give it again to write the secret to several
    #[arg(long, short)]
    token: Vec<String>,
    /// The API key, which names the key to the exchange
    #[arg(long)]
    api_key: Option<String>,
    /// The algorithm, where the exchange has several: hmac-sha256, ed25519, p256, rsa2048 …
    #[arg(long)]
    algorithm: Option<Algorithm>,
    /// The user or customer id, where the exchange signs one
    #[arg(long)]
    user_id: Option<String>,
    /// The partner's name, where the key belongs to one
    #[arg(long)]
    partner: Option<String>,
    /// Allow more than reading and trading: `withdrawals`, or `raw` MACs of bytes that hsmsign did not compose
    #[arg(long)]
    allow: Vec<Allow>,
    /// The last nonce that another program used with this key: hsmsign's lie above it
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    nonce_above: Option<u64>,
    /// The host to use in place of the exchange's, as https://api.example.com
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// How the secret of a generic key is written: ascii, base64 or hex
    #[arg(long)]
    encoding: Option<String>,
    /// Use a token although it gives its keys away to whoever has the PIN
    #[arg(long)]
    accept_leaky_token: bool,
    /// Begin with a policy: read-only, trade, trade-no-leverage or full
    #[arg(long, value_name = "POLICY", conflicts_with = "json")]
    policy: Option<Template>,
    /// Have the token wait for a touch at each signature, where it can
    #[arg(long)]
    touch: bool,
    /// Read one key a line from standard input, and answer a line each
    #[arg(long)]
    json: bool,
}

impl Args {
    fn new_key(&self) -> NewKey {
        let mut extra = BTreeMap::new();
        for (name, text) in [("user_id", &self.user_id), ("partner", &self.partner)] {
            if let Some(text) = text {
                extra.insert(name.to_owned(), text.clone());
            }
        }
        NewKey {
            exchange: self.exchange.clone().unwrap_or_default(),
            name: self.key.clone(),
            tokens: self.token.clone(),
            algorithm: self.algorithm,
            on_token: false,
            api_key: self.api_key.clone(),
            extra,
            allow: self.allow.clone(),
            nonce_above: self.nonce_above,
            base_url: self.base_url.clone(),
            encoding: self.encoding.clone(),
            accept_leaky_token: self.accept_leaky_token,
            wishes: Wishes {
                touch: self.touch,
                ..Wishes::default()
            },
        }
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    output::refuse_strangers()?;
    let around = Around::find()?;
    around.home.create()?;
    let enrol = around.enrol()?;
    if args.json {
        let log = Log::new(&around.home);
        let caller = Caller::asking();
        let done = lines::import(&enrol, &args.new_key(), &|record| {
            let entry = Entry::new(What::Import, &caller, record.name.as_str(), clock::now());
            log.record(entry.detail(record.told()));
        });
        log.flush()?;
        return done;
    }
    let mut plan = enrol.plan(args.new_key())?;
    if io::stdin().is_terminal() {
        if args.allow.contains(&Allow::Raw) {
            consent(around.ask.as_ref())?;
        }
        if args.api_key.is_none() && plan.needs_api_key() {
            let typed = around.ask.line("API key (Enter to give it later): ")?;
            plan.set_api_key(typed.trim())?;
        }
    }
    let policy = args
        .policy
        .map(|template| Beginning::new(&around, &enrol, &plan, template))
        .transpose()?;
    let hint = plan.stronger().map(|algorithm| {
        format!(
            "this exchange also takes a key that the token makes, which never was anywhere else: hsmsign generate --exchange {} --algorithm {algorithm}",
            plan.exchange_id()
        )
    });
    let asked = io::stdin().is_terminal();
    // A person can still change their mind; a program reads it beside the result.
    hint.iter().filter(|_| asked).for_each(|hint| output::warn(hint));
    let secrets = read_secrets(&plan, around.ask.as_ref())?;
    let import = || enrol.import(plan, secrets);
    let enrolled = match policy {
        Some(policy) => policy.with(&around, import)?,
        None => import()?,
    };
    around.note_import(&enrolled.record);
    hint.iter().filter(|_| !asked).for_each(|hint| output::warn(hint));
    tell(&enrolled, "imported")
}

/// Reads what the exchange issues, from the terminal or from standard input.
pub fn read_secrets(plan: &Plan, ask: &dyn Ask) -> Result<Secrets> {
    let stdin = io::stdin();
    let asked = stdin.is_terminal();
    let read = |what: &str| {
        if asked {
            ask.secret(&format!("{} {what} (not shown): ", plan.exchange()))
        } else {
            read_secret_line(stdin.as_fd())
        }
    };
    let wanted = |wanted: bool, what: &str| wanted.then(|| read(what)).transpose();
    let key = match plan.algorithm() {
        Algorithm::Mac(_) => "secret",
        Algorithm::Signature(_) => "private key",
    };
    let secrets = Secrets {
        secret: wanted(plan.needs_secret(), key)?.map(unmarked).transpose()?,
        passphrase: wanted(plan.needs_passphrase(), "passphrase")
            .map_err(|error| missing(error, plan, "passphrase"))?,
        partner_secret: wanted(plan.needs_partner_secret(), "partner secret")
            .map_err(|error| missing(error, plan, "partner secret"))?,
    };
    let any = plan.needs_secret() || plan.needs_passphrase() || plan.needs_partner_secret();
    if any && !asked && has_more(stdin.as_fd())? {
        let what = bad_input("standard input has more lines than the exchange's secrets have");
        return Err(what.fix(match plan.algorithm() {
            Algorithm::Mac(_) => "give the secret on one line, the passphrase on the next where the exchange wants one, and nothing else",
            Algorithm::Signature(_) => "give one PEM block and nothing beside it, as `openssl pkey -in KEY.pem` prints it, or the key on one line",
        }));
    }
    Ok(secrets)
}

/// A file that an editor began with a byte order mark is none of the forms in which secrets are issued.
fn unmarked(line: Secret) -> Result<Secret> {
    if line.is_marked() {
        return Err(
            bad_input("what was given begins with a byte order mark, which a text editor put there")
                .fix("save it as plain text: UTF-8 without a byte order mark (BOM)"),
        );
    }
    Ok(line)
}

fn missing(error: Error, plan: &Plan, what: &str) -> Error {
    if error.code() == Code::BadInput {
        return bad_input(format!(
            "{} wants a {what} beside the secret, and standard input ended",
            plan.exchange()
        ))
        .fix(format!("give the {what} on the next line"));
    }
    error
}

fn consent(ask: &dyn Ask) -> Result<()> {
    let answer = ask.line(
        "Allow raw MACs for this key? Where a message does not carry the path, a withdrawal cannot be told from an order. Type yes to allow them: ",
    )?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Error::new(
        Code::Denied,
        "raw MACs were not consented to; nothing was imported",
    )
    .fix("leave --allow raw out"))
}

/// Tells a person what was done, and what took effect.
pub fn tell(enrolled: &Enrolled, deed_done: &str) -> Result<ExitCode> {
    for warning in &enrolled.warnings {
        output::warn(warning);
    }
    output::line(&deed(enrolled, deed_done))
}

/// What was done, and what of the hardening took effect.
pub fn deed(enrolled: &Enrolled, deed: &str) -> String {
    let record = &enrolled.record;
    let copies: Vec<_> = record
        .current
        .copies
        .iter()
        .map(|copy| {
            let secret = copy.objects.get("secret");
            let hardening = secret
                .map(|secret| secret.hardening.join(", "))
                .unwrap_or_default();
            let kind = if copy.hardware {
                ""
            } else {
                " (in software: for development)"
            };
            format!("  on token {}{kind}: {hardening}", copy.token)
        })
        .collect();
    let attested = enrolled
        .attested
        .as_ref()
        .map(|attested| format!("\n  attestation: {attested}"));
    format!(
        "{deed} {} ({}, {}), proved by a signature on the token\n{}{}",
        record.name,
        record.exchange,
        record.algorithm,
        copies.join("\n"),
        attested.unwrap_or_default()
    )
}

/// The answer line of `import --json` for a key that is whole.
pub fn answer(enrolled: &Enrolled) -> String {
    let record = &enrolled.record;
    let tokens: Vec<_> = record
        .current
        .copies
        .iter()
        .map(|copy| copy.token.as_str())
        .collect();
    let hardening: Vec<_> = record
        .current
        .copies
        .iter()
        .filter_map(|copy| copy.objects.get("secret"))
        .map(|secret| secret.hardening.clone())
        .collect();
    let mut answer = json!({
        "ok": true,
        "key": record.name.as_str(),
        "exchange": record.exchange,
        "algorithm": record.algorithm.name(),
        "tokens": tokens,
        "hardening": hardening.first(),
        "warnings": enrolled.warnings,
    });
    if let Some(public) = &enrolled.public_key {
        answer["api_key"] = json!(record.current.api_key);
        answer["public_key"] = json!(public);
    }
    if let Some(attested) = &enrolled.attested {
        answer["attested"] = json!(attested);
    }
    answer.to_string()
}
