use std::{collections::BTreeMap, process::ExitCode};

use hsmsign::{
    algorithm::Algorithm,
    enrol::{Enrolled, NewKey},
    error::{Result, bad_input},
    exchange::Template,
    keyring::{Allow, KeyName},
    token::{PinPolicy, Wishes, yubikey},
};

use super::{Around, import, output, policy::Beginning};

/// Make a key on the token, and print the public key to register at the exchange.
///
/// Such a key never existed anywhere else. Standard output is the public key alone, as the exchange's page wants it
/// pasted. The API key that the exchange then shows is added with `hsmsign set`; until then nothing is signed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign generate --exchange binance --algorithm ed25519
  hsmsign generate --exchange binance --algorithm ed25519 --policy trade
  hsmsign set binance --api-key KEY           what the exchange shows for the public key
  hsmsign show binance                        prints the public key again")]
pub struct Args {
    /// The exchange, by id or alias (`hsmsign exchanges`)
    #[arg(long, short)]
    exchange: String,
    /// ed25519, p256, rsa2048, rsa3072 or rsa4096
    #[arg(long)]
    algorithm: Option<Algorithm>,
    /// The key's name; the exchange's id where none is given
    #[arg(long, short)]
    key: Option<KeyName>,
    /// The token to use
    #[arg(long, short)]
    token: Option<String>,
    /// The API key, where it is known already
    #[arg(long)]
    api_key: Option<String>,
    /// The user or customer id, where the exchange signs one
    #[arg(long)]
    user_id: Option<String>,
    /// Allow more than reading and trading: `withdrawals`
    #[arg(long)]
    allow: Vec<Allow>,
    /// The last nonce that another program used with this key: hsmsign's lie above it
    #[arg(long, value_name = "N")]
    nonce_above: Option<u64>,
    /// The host to use in place of the exchange's, as https://api.example.com
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Use a token although it gives its keys away to whoever has the PIN
    #[arg(long)]
    accept_leaky_token: bool,
    /// Begin with a policy: read-only, trade, trade-no-leverage or full
    #[arg(long, value_name = "POLICY")]
    policy: Option<Template>,
    /// Have the token wait for a touch at each signature, where it can
    #[arg(long)]
    touch: bool,
    /// When a YubiKey wants its PIN for this key
    #[arg(long, value_enum)]
    pin_policy: Option<PinWhen>,
    /// The slot of a YubiKey's PIV applet, as 9c; a free one where none is given
    #[arg(long)]
    slot: Option<String>,
    /// Answer with one JSON object
    #[arg(long)]
    json: bool,
}

/// When the PIN is wanted.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PinWhen {
    Once,
    Always,
    Never,
}

impl From<PinWhen> for PinPolicy {
    fn from(when: PinWhen) -> Self {
        match when {
            PinWhen::Once => Self::Once,
            PinWhen::Always => Self::Always,
            PinWhen::Never => Self::Never,
        }
    }
}

fn slot(name: &str) -> Result<u8> {
    yubikey::slot_named(name).ok_or_else(|| {
        bad_input(format!("{name:?} is no slot for a key")).fix("use 82 to 95, 9c, 9a, 9d or 9e")
    })
}

pub fn run(args: Args) -> Result<ExitCode> {
    let json = args.json;
    match make(args) {
        Ok(enrolled) if json => output::line(&import::answer(&enrolled)),
        Ok(enrolled) => tell(&enrolled),
        Err(error) => Ok(output::report_json(&error, json)),
    }
}

fn make(args: Args) -> Result<Enrolled> {
    let around = Around::find()?;
    around.home.create()?;
    let enrol = around.enrol()?;
    let plan = enrol.plan(NewKey {
        exchange: args.exchange,
        name: args.key,
        tokens: args.token.into_iter().collect(),
        algorithm: args.algorithm,
        on_token: true,
        api_key: args.api_key,
        extra: args
            .user_id
            .map(|id| BTreeMap::from([("user_id".to_owned(), id)]))
            .unwrap_or_default(),
        allow: args.allow,
        nonce_above: args.nonce_above,
        base_url: args.base_url,
        encoding: None,
        accept_leaky_token: args.accept_leaky_token,
        wishes: Wishes {
            touch: args.touch,
            pin: args.pin_policy.map(PinPolicy::from).unwrap_or_default(),
            slot: args.slot.as_deref().map(slot).transpose()?,
            ..Wishes::default()
        },
    })?;
    let policy = args
        .policy
        .map(|template| Beginning::new(&around, &enrol, &plan, template))
        .transpose()?;
    let secrets = import::read_secrets(&plan, around.ask.as_ref())?;
    let make = || enrol.import(plan, secrets);
    let enrolled = match policy {
        Some(policy) => policy.with(&around, make)?,
        None => make()?,
    };
    around.note_import(&enrolled.record);
    Ok(enrolled)
}

/// The public key alone is the result; what a person should know goes beside it.
fn tell(enrolled: &Enrolled) -> Result<ExitCode> {
    output::aside(&import::deed(enrolled, "made"));
    for warning in &enrolled.warnings {
        output::warn(warning);
    }
    output::line(enrolled.public_key.as_deref().unwrap_or_default())
}
