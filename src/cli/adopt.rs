use std::{
    io::{self, IsTerminal as _},
    os::fd::AsFd as _,
    path::PathBuf,
    process::ExitCode,
};

use hsmsign::{
    adopt::{Adopted, Adoption, Brought, Document, Vault, Wishes, scan},
    algorithm::Algorithm,
    ask::Ask,
    enrol::NewKey,
    error::{Code, Error, Result, bad_input},
    keyring::{Allow, KeyName},
    placeholder::placeholder,
    secret::Secret,
};

use super::{Around, import, lines, output};

/// Move secrets out of the files in which bots keep them: onto a token, with a placeholder in their place.
///
/// Knows .env files, freqtrade's and ccxt's JSON and YAML, environment sections of docker-compose, hummingbot's encrypted
/// connector files; and a password manager's export {"site":{"user":"secret"}} on standard input, as -.
/// Each secret is imported and proved before the file is rewritten, whole or not at all.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign adopt .env --dry-run              what is in there
  hsmsign adopt user_data/config.json       freqtrade: import, prove, rewrite
  hsmsign adopt conf/connectors/kraken.yml  hummingbot: asks for its password
  hsmsign adopt --scan ~/bots               secrets left in files and git histories
  vault export --json | hsmsign adopt -     asks for each entry")]
pub struct Args {
    /// The files; - for a password manager's export on standard input
    #[arg(required_unless_present = "scan")]
    file: Vec<PathBuf>,
    /// Show what is there and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Look for exchange secrets in all files of a folder, and in the git histories there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "dry_run"])]
    scan: Option<PathBuf>,
    /// The exchange, where a file does not say it
    #[arg(long, short)]
    exchange: Option<String>,
    /// The key's name, where there is one secret; the exchange's id where none is given
    #[arg(long, short)]
    key: Option<KeyName>,
    /// The token to use; give it again to write the secret to several
    #[arg(long, short)]
    token: Vec<String>,
    /// The algorithm, where the exchange has several
    #[arg(long)]
    algorithm: Option<Algorithm>,
    /// Allow more than reading and trading: `withdrawals`, or `raw` MACs, which libraries other than ccxt ask for
    #[arg(long)]
    allow: Vec<Allow>,
    /// Use a token although it gives its keys away to whoever has the PIN
    #[arg(long)]
    accept_leaky_token: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// What adopting cannot undo.
const ELSEWHERE: &str = "backups, git history, editors' copies and the exchange's page may still hold the secret: the safest course is to issue a new key at the exchange and import that; look for copies with hsmsign adopt --scan DIR";

/// The longest export of a password manager, in bytes.
const LONGEST: usize = 1 << 20;

pub fn run(args: &Args) -> Result<ExitCode> {
    output::refuse_strangers()?;
    let around = Around::find()?;
    if let Some(folder) = &args.scan {
        let (seen, missed) = scan(folder, &around.catalogue())?;
        missed
            .iter()
            .for_each(|missed| output::warn(&format!("not looked at: {missed}")));
        if seen.is_empty() {
            return output::line("no exchange secret was seen");
        }
        for one in &seen {
            let history = one
                .commit
                .as_ref()
                .map(|commit| format!(", in git since {commit}"))
                .unwrap_or_default();
            output::line(&format!(
                "{}:{}: {} ({}){history}",
                one.path.display(),
                one.line,
                one.field,
                one.exchange
            ))?;
        }
        output::warn(
            "a secret that was in git, or anywhere that others can read, is known: issue a new key at the exchange",
        );
        return Ok(ExitCode::from(Code::Failed.exit()));
    }
    around.home.create()?;
    if args.file.iter().any(|file| file.as_os_str() == "-") {
        return from_manager(args, &around);
    }
    let catalogue = around.catalogue();
    let wished = args
        .exchange
        .as_ref()
        .map(|exchange| catalogue.get(exchange))
        .transpose()?;
    let mut documents = Vec::new();
    for file in &args.file {
        let document = Document::read(file, &catalogue, wished.as_ref())?;
        show(&document)?;
        documents.push(document);
    }
    documents.retain(|document| !document.found.is_empty());
    if args.dry_run || documents.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    confirm(
        args,
        around.ask.as_ref(),
        "Import them and put placeholders in their place? Type yes: ",
    )?;
    let enrol = around.enrol()?;
    let keyring = around.keyring();
    let adoption = Adoption::new(&enrol, &keyring, wishes(args));
    let mut password = None;
    for document in &documents {
        if password.is_none() && document.found.iter().any(|found| found.encrypted) {
            password = Some(password_of(args, around.ask.as_ref())?);
        }
        let adopted = adoption.adopt(document, password.as_ref())?;
        adopted.keys.iter().for_each(|brought| note(&around, brought));
        tell(document, &adopted)?;
    }
    output::warn(ELSEWHERE);
    Ok(ExitCode::SUCCESS)
}

fn wishes(args: &Args) -> Wishes {
    Wishes {
        name: args.key.clone(),
        new: NewKey {
            tokens: args.token.clone(),
            algorithm: args.algorithm,
            allow: args.allow.clone(),
            accept_leaky_token: args.accept_leaky_token,
            ..NewKey::default()
        },
    }
}

/// What is in a file. Nothing secret is shown.
fn show(document: &Document) -> Result<()> {
    let path = document.path().display();
    for found in &document.found {
        let kind = if found.encrypted { ", encrypted" } else { "" };
        output::line(&format!(
            "{path}:{}: {} is a secret of {}{kind}; the key would be named {}",
            found.line, found.field, found.exchange, found.name
        ))?;
    }
    for left in &document.left {
        output::line(&format!(
            "{path}:{}: {} stays: {}",
            left.line, left.field, left.why
        ))?;
    }
    if document.found.is_empty() && document.left.is_empty() {
        output::line(&format!("{path}: no exchange secret was seen"))?;
    }
    Ok(())
}

fn confirm(args: &Args, ask: &dyn Ask, question: &str) -> Result<()> {
    if args.yes {
        return Ok(());
    }
    if !ask.present() {
        return Err(Error::new(
            Code::Failed,
            "there is no terminal to ask at; nothing was changed",
        )
        .fix("look at it with --dry-run, then give --yes"));
    }
    if ask.line(question)?.trim() == "yes" {
        return Ok(());
    }
    Err(Error::new(Code::Failed, "not confirmed; nothing was changed").fix("type yes to go on"))
}

/// hummingbot's password, from the terminal; with --yes and no terminal, from standard input.
fn password_of(args: &Args, ask: &dyn Ask) -> Result<Secret> {
    if args.yes && !io::stdin().is_terminal() {
        return hsmsign::ask::read_secret_line(io::stdin().as_fd());
    }
    ask.secret("hummingbot's password (not shown): ")
}

fn tell(document: &Document, adopted: &Adopted) -> Result<()> {
    for brought in &adopted.keys {
        told(brought)?;
    }
    let path = document.path().display();
    for line in &adopted.already {
        output::line(&format!("{path}:{line} holds a placeholder already"))?;
    }
    if !adopted.keys.is_empty() {
        output::line(&format!("rewrote {path}"))?;
    }
    adopted.notes.iter().for_each(|note| output::warn(note));
    if document.found.iter().any(|found| found.has_passphrase) {
        output::warn(
            "the passphrase is on the token too, and stays in the file: libraries send it as it is, and it is of no use without the secret",
        );
    }
    Ok(())
}

/// Has the log tell of a key that was brought; one that was there already stands in it.
fn note(around: &Around, brought: &Brought) {
    if let Some(enrolled) = &brought.enrolled {
        around.note_import(&enrolled.record);
    }
}

fn told(brought: &Brought) -> Result<()> {
    match &brought.enrolled {
        Some(enrolled) => {
            enrolled.warnings.iter().for_each(|warning| output::warn(warning));
            output::line(&import::deed(enrolled, "imported"))?;
        }
        None => {
            output::line(&format!("the key {} holds this very secret", brought.name))?;
        }
    }
    output::line(&format!("  its placeholder: {}", placeholder(&brought.name)))?;
    Ok(())
}

/// A password manager's export: each entry of an exchange is asked for.
fn from_manager(args: &Args, around: &Around) -> Result<ExitCode> {
    if args.file.len() > 1 || args.exchange.is_some() {
        return Err(
            bad_input("standard input is taken alone, and says itself what it holds")
                .fix("give - and no other file, without --exchange"),
        );
    }
    let vault = Vault::read(lines::whole_input(LONGEST)?, &around.catalogue())?;
    for entry in &vault.entries {
        output::line(&format!(
            "{} at {} is a secret of {}; the key would be named {}",
            entry.user, entry.site, entry.exchange, entry.name
        ))?;
    }
    output::line(&format!(
        "{} entries are of no exchange, and were not looked at",
        vault.others
    ))?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let enrol = around.enrol()?;
    let keyring = around.keyring();
    let adoption = Adoption::new(&enrol, &keyring, wishes(args));
    for entry in &vault.entries {
        let mut api_key = entry.likely_api_key().map(str::to_owned);
        if !args.yes {
            let question = format!(
                "Import {} at {}? Type yes, or Enter to leave it out: ",
                entry.user, entry.site
            );
            if around.ask.line(&question)?.trim() != "yes" {
                continue;
            }
            if api_key.is_none() {
                api_key = Some(
                    around
                        .ask
                        .line("API key (Enter to give it later): ")?
                        .trim()
                        .to_owned(),
                )
                .filter(|typed| !typed.is_empty());
            }
        }
        let brought = adoption.entry(&vault, entry, api_key)?;
        note(around, &brought);
        told(&brought)?;
    }
    output::warn(ELSEWHERE);
    Ok(ExitCode::SUCCESS)
}
