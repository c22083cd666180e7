use std::{io::Write as _, os::fd::AsFd as _, process::ExitCode};

use hsmsign::{
    agent::client::Client,
    ask::{Ask as _, Terminal, pinentry},
    error::{Code, Error, Result, failed},
    json::{Json, quote},
    request::Answer,
    secret::Secret,
    token::Wanted,
};

use super::output;

/// Lock the agent's tokens: it logs out of them and forgets their PINs.
///
/// With --all, with an agent or without: everything is denied to every key, whoever asks, until `unlock --all`. The keys of a
/// system agent are locked by its admins, and unlocked by its own user alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign lock
  hsmsign lock softhsm
  hsmsign lock --all          the switch to pull when a bot is hijacked")]
pub struct LockArgs {
    /// The token; all of them where none is named
    token: Option<String>,
    /// Deny everything to every key, from the next request on
    #[arg(long, conflicts_with = "token")]
    all: bool,
}

/// Unlock the agent's tokens. A PIN that a person must give is asked for here, and only the token's worker reads it.
///
/// A YubiKey has two: the access code of its OATH applet and the PIN of its PIV applet. Each is asked for by its name, where it
/// is wanted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign unlock
  hsmsign unlock softhsm
  hsmsign unlock --all        undo lock --all")]
pub struct UnlockArgs {
    /// The token; all of them where none is named
    token: Option<String>,
    /// Undo `lock --all`
    #[arg(long, conflicts_with_all = ["token", "needed"])]
    all: bool,
    /// Those alone that nobody locked and that wait for a PIN
    #[arg(long, hide = true)]
    needed: bool,
}

pub fn lock(args: &LockArgs) -> Result<ExitCode> {
    if args.all {
        return super::policy::switch_all(true);
    }
    let token = args
        .token
        .as_deref()
        .map(|token| format!(",\"token\":{}", quoted(token)));
    let line = format!("{{\"op\":\"lock\"{}}}", token.unwrap_or_default());
    let answer = Client::connect()?.ask(&line)?;
    Answer::parse(&answer).map(|_| ExitCode::SUCCESS)
}

pub fn unlock(args: &UnlockArgs) -> Result<ExitCode> {
    if args.all {
        return super::policy::switch_all(false);
    }
    if args.needed {
        return unlock_needed();
    }
    let mut agent = Client::connect()?;
    let tokens = tokens(&mut agent)?;
    let wanted: Vec<_> = tokens
        .iter()
        .filter(|token| args.token.as_ref().is_none_or(|wanted| *wanted == token.name))
        .collect();
    if let (Some(token), true) = (&args.token, wanted.is_empty()) {
        return Err(
            Error::new(Code::TokenMissing, format!("the agent has no token {token:?}"))
                .fix("`hsmsign agent status` shows its tokens"),
        );
    }
    let mut failed = None;
    for token in wanted {
        if let Err(error) = unlock_one(&mut agent, token) {
            failed = Some(output::report(
                &error.within(format_args!("token {}", token.name)),
            ));
        }
    }
    Ok(failed.unwrap_or(ExitCode::SUCCESS))
}

/// Asks for the PINs that the agent cannot get by itself, where there is somebody to ask.
pub fn unlock_needed() -> Result<ExitCode> {
    let mut agent = Client::connect()?;
    for token in tokens(&mut agent)? {
        if !token.asks_anything() || token.state == "open" || token.state == "locked" {
            continue;
        }
        if let Err(error) = unlock_one(&mut agent, &token) {
            output::warn(&format!(
                "token {} is locked: {}; unlock it: hsmsign unlock {}",
                token.name,
                error.message(),
                token.name
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Token {
    name: String,
    state: String,
    /// Where its PIN comes from; of a YubiKey, the access code of its OATH applet.
    source: String,
    /// Where the PIN of a YubiKey's PIV applet comes from; none for other tokens.
    piv_source: Option<String>,
}

impl Token {
    /// Where this comes from, where a person is asked for it.
    fn asks(&self, what: Wanted) -> Option<&str> {
        let source = match what {
            Wanted::Pin | Wanted::AccessCode => Some(&self.source),
            Wanted::PivPin => self.piv_source.as_ref(),
        };
        source
            .map(String::as_str)
            .filter(|source| ["terminal", "pinentry"].contains(source))
    }

    fn asks_anything(&self) -> bool {
        Wanted::ALL.into_iter().any(|what| self.asks(what).is_some())
    }
}

fn tokens(agent: &mut Client) -> Result<Vec<Token>> {
    let mut status = Answer::parse(&agent.ask("{\"op\":\"status\"}")?)?;
    let Some(Json::List(tokens)) = status.take("tokens") else {
        return Err(failed("the agent told of no tokens"));
    };
    Ok(tokens
        .into_iter()
        .filter_map(|token| {
            let Json::Object(members) = token else { return None };
            let text = |wanted: &str| {
                members.iter().find_map(|(name, value)| match value {
                    Json::String(text) if name == wanted => Some(text.clone()),
                    _ => None,
                })
            };
            Some(Token {
                name: text("token")?,
                state: text("state").unwrap_or_default(),
                source: text("pin_source").unwrap_or_default(),
                piv_source: text("piv_pin_source"),
            })
        })
        .collect())
}

fn unlock_one(agent: &mut Client, token: &Token) -> Result<()> {
    if token.piv_source.is_none() && token.asks(Wanted::Pin).is_some() {
        return give(agent, token, Wanted::Pin).map(drop);
    }
    // A YubiKey has two applets with a code each: the agent says which of them it waits for.
    let line = format!("{{\"op\":\"unlock\",\"token\":{}}}", quoted(&token.name));
    let mut answer = Answer::parse(&agent.ask(&line)?)?;
    let Some(Json::List(wanted)) = answer.take("wants") else {
        return Ok(());
    };
    let mut refused = Ok(());
    for what in wanted {
        let Json::String(name) = what else { continue };
        let what = Wanted::named(&name).ok_or_else(|| failed("the agent's answer is not understood"))?;
        // One that is refused keeps nobody from giving the other.
        refused = refused.and(give(agent, token, what));
    }
    refused
}

/// Asks a person for it, and hands it over.
fn give(agent: &mut Client, token: &Token, what: Wanted) -> Result<()> {
    let prompt = format!("{} of token {}", what.told(), token.name);
    let pin = match token.asks(what) {
        Some("pinentry") => pinentry(&prompt)?,
        _ if Terminal.present() => Terminal.secret(&format!("{prompt}: "))?,
        _ => return Err(Terminal.nobody(&token.name, what.told(), what.field())),
    };
    // A pipe holds a PIN whole, so that nobody has to read while it is written.
    let (read, write) = pipe()?;
    hand_over(&pin, write)?;
    let line = format!(
        "{{\"op\":\"unlock\",\"token\":{},\"pin\":true,\"what\":\"{}\"}}",
        quoted(&token.name),
        what.name()
    );
    Answer::parse(&agent.ask_with(&line, &[read.as_fd()])?).map(drop)
}

fn pipe() -> Result<(std::io::PipeReader, std::io::PipeWriter)> {
    std::io::pipe().map_err(|error| failed(format!("there is no pipe to be had: {error}")))
}

fn hand_over(pin: &Secret, mut to: std::io::PipeWriter) -> Result<()> {
    to.write_all(pin.expose())
        .and_then(|()| to.write_all(b"\n"))
        .map_err(|error| failed(format!("the PIN was not handed over: {error}")))
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    quote(text, &mut out);
    out
}
