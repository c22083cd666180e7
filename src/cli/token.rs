use std::{io::IsTerminal as _, os::fd::AsFd as _, process::ExitCode};

use hsmsign::{
    ask::{Ask, read_secret_line},
    config::{self, Config},
    enrol::Attacked,
    error::{Result, bad_input},
    keyring::{Keyring as _, Standing},
    secret::Secret,
    token::{forget_refused, leaky, pin_source},
};
use serde_json::{Value, json};

use super::{Around, attack, output};

/// A shorter access code is pointed out.
const SHORT_CODE: usize = 12;

/// List the tokens, show what one can do, or forget one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign token
  hsmsign token show softhsm
  hsmsign token test softhsm          does it keep keys that cannot be extracted?
  hsmsign token code yubikey          set or change a YubiKey's access code
  hsmsign token retry-pin softhsm     the PIN that was refused is right after all")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// As an array of objects
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the tokens of config.toml
    List,
    /// Open a token and show what it says of itself and can do
    Show {
        /// The token's name
        token: String,
    },
    /// Try to get a key out of a token as malware with the PIN would, on a key made for it and removed again
    Test {
        /// The token's name; the usual one where none is given
        token: Option<String>,
    },
    /// Set the access code of a YubiKey's OATH applet, or change it; asked for, or read from standard input
    Code {
        /// The token's name
        token: String,
        /// Take the code away
        #[arg(long)]
        remove: bool,
    },
    /// Use a PIN again that the token refused: its file was not changed, but the PIN is right
    RetryPin {
        /// The token's name
        token: String,
    },
    /// Take a token out of config.toml; the keys on it are not touched
    Remove {
        /// The token's name
        token: String,
    },
}

pub fn run(args: Args) -> Result<ExitCode> {
    let around = Around::find()?;
    match args.command.unwrap_or(Command::List) {
        Command::List => list(&around, args.json),
        Command::Show { token } => show(&around, &token, args.json),
        Command::Test { token } => test(&around, token, args.json),
        Command::RetryPin { token } => {
            if !forget_refused(&around.home, &token)? {
                Config::load(&around.home)?.token(&token)?;
                return output::line(&format!("no PIN of {token} is remembered as refused"));
            }
            output::line(&format!("the PIN of {token} will be tried once more"))
        }
        Command::Code { token, remove } => code(&around, &token, remove),
        Command::Remove { token } => remove(&around, &token),
    }
}

const NOTHING: &str = "its protocol has no command by which a key comes out";

fn list(around: &Around, json: bool) -> Result<ExitCode> {
    let config = Config::load(&around.home)?;
    if json {
        let tokens = config.tokens.iter().map(|(name, token)| {
            json!({
                "token": name,
                "module": token.module,
                "label": token.label,
                "serial": token.serial,
                "uri": token.uri,
                "softhsm": token.softhsm,
                "yubikey": token.yubikey,
                "pin_source": pin_source(token).map(|source| source.text()).ok(),
                "default": config.usual_token().is_ok_and(|usual| usual == name),
            })
        });
        return output::json(&Value::Array(tokens.collect()));
    }
    if config.tokens.is_empty() {
        return output::line("no token is set up; set one up: hsmsign init");
    }
    let rows = config.tokens.iter().map(|(name, token)| {
        [
            name.clone(),
            token.label.clone().unwrap_or_default(),
            token.serial.clone().unwrap_or_default(),
            token
                .module
                .as_ref()
                .map(|module| module.display().to_string())
                .or_else(|| token.uri.clone())
                .or_else(|| token.yubikey.then(|| "YubiKey, without a module".to_owned()))
                .unwrap_or_default(),
            pin_source(token).map_or_else(|error| error.to_string(), |source| source.text()),
        ]
    });
    output::table(["TOKEN", "LABEL", "SERIAL", "MODULE", "PIN FROM"], rows)
}

fn show(around: &Around, name: &str, json: bool) -> Result<ExitCode> {
    let opened = around
        .tokens()
        .and_then(|tokens| Ok((tokens.present(name)?, tokens.known_leaks(name)?)));
    let (token, leaks) = match opened {
        Ok(opened) => opened,
        Err(error) => return Ok(output::report_json(&error, json)),
    };
    let (identity, can) = (token.identity(), token.capabilities());
    let algorithms: Vec<_> = can.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    let generates: Vec<_> = can.generates.iter().map(|algorithm| algorithm.name()).collect();
    if json {
        return output::json(&json!({
            "token": name, "module": identity.module, "label": identity.label, "serial": identity.serial,
            "model": identity.model, "kind": identity.kind, "algorithms": algorithms, "generates": generates, "hardware": can.hardware,
            "longest_message": can.longest_message, "parallel": can.parallel, "process_lock": can.process_lock,
            "data_objects": can.data_objects, "wrong_pin": can.wrong_pin, "pin_tries_left": can.pin_tries_left.or_else(|| token.tries_left()),
            "leaks": leaks,
        }));
    }
    let kind = if can.hardware {
        "hardware"
    } else {
        "software: its keys are in files and in the memory of the process that signs; for development and tests"
    };
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    output::line(&format!(
        "{name}\n  module       {}\n  label        {}\n  serial       {}\n  model        {}\n  kind         {kind}\n  algorithms   {}\n  makes keys   {}\n  in parallel  {}\n  passphrases  {}\n  messages     {}\n  wrong PIN    {}\n  extraction   {}",
        identity.module,
        identity.label,
        identity.serial,
        identity.model,
        algorithms.join(", "),
        if generates.is_empty() {
            "none".to_owned()
        } else {
            generates.join(", ")
        },
        yes(can.parallel),
        yes(can.data_objects),
        can.longest_message.map_or_else(
            || "of any length that the token takes".to_owned(),
            |limit| format!("up to {limit} bytes for a MAC")
        ),
        match can.pin_tries_left.or_else(|| token.tries_left()) {
            Some(left) => format!("{}; {left} tries are left", can.wrong_pin),
            None => can.wrong_pin.clone(),
        },
        match leaks.as_deref() {
            _ if token.gives_nothing() => NOTHING.to_owned(),
            None => format!("not tried yet: hsmsign token test {name}"),
            Some([]) => "keys stayed in the token in every attack that was tried".to_owned(),
            Some(leaks) => format!("KEYS COME OUT: {}", leaky(leaks)),
        },
    ))
}

fn test(around: &Around, token: Option<String>, json: bool) -> Result<ExitCode> {
    let tried = around.tokens().and_then(|tokens| {
        let name = match token {
            Some(name) => name,
            None => tokens.config().usual_token()?.to_owned(),
        };
        tokens.try_out(&name, false).map(|report| (name, report))
    });
    match tried {
        Ok((token, report)) => {
            let attacked = Attacked {
                token,
                slot: "secret".to_owned(),
                standing: Standing::InForce,
                report,
            };
            attack::tell(None, &[attacked], json)
        }
        Err(error) => Ok(output::report_json(&error, json)),
    }
}

fn code(around: &Around, name: &str, remove: bool) -> Result<ExitCode> {
    let tokens = around.tokens()?;
    let token = tokens.present(name)?;
    if remove {
        token.set_code(None)?;
        return output::line(&format!("token {name} has no access code"));
    }
    output::refuse_strangers()?;
    let code = new_code(around.ask.as_ref())?;
    if code.len() < SHORT_CODE {
        output::warn(&format!(
            "the code has {} characters: the key counts no wrong ones, so whoever has it may try all; use {SHORT_CODE} or more random ones",
            code.len()
        ));
    }
    token.set_code(Some(&code))?;
    forget_refused(&around.home, name)?;
    let next = match pin_source(tokens.config().token(name)?)? {
        source if source.interactive() => "it is asked for when the key is used".to_owned(),
        source => format!("put it into {}", source.text()),
    };
    output::line(&format!("token {name} wants its new access code: {next}"))
}

/// A new code, typed twice or read from standard input.
fn new_code(ask: &dyn Ask) -> Result<Secret> {
    let stdin = std::io::stdin();
    let code = if stdin.is_terminal() {
        let code = ask.secret("new access code (not shown): ")?;
        if ask.secret("the same once more: ")?.expose() != code.expose() {
            return Err(bad_input("the two are not the same; nothing was changed"));
        }
        code
    } else {
        read_secret_line(stdin.as_fd())?
    };
    if code.is_empty() {
        return Err(bad_input("an empty access code is none").fix("to take it away: --remove"));
    }
    Ok(code)
}

fn remove(around: &Around, name: &str) -> Result<ExitCode> {
    Config::load(&around.home)?.token(name)?;
    let keyring = around.keyring();
    for key in keyring.names()? {
        let record = keyring.get(&key)?;
        let on_it = record
            .pairs()
            .flat_map(|(_, pair)| &pair.copies)
            .any(|copy| copy.token == name);
        if on_it {
            return Err(bad_input(format!("the key {key} is on token {name}"))
                .fix(format!("remove the key first: hsmsign remove {key}")));
        }
    }
    config::remove_token(&around.home, name)?;
    output::line(&format!(
        "{name} is no longer set up; what is on the token was not touched"
    ))
}
