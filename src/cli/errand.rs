//! Commands that change keys, done by an agent whose files this user may not read.

use std::process::ExitCode;

use hsmsign::{
    agent::{client::Client, errand},
    config::Config,
    error::{Result, bad_input},
    home::Home,
};

use super::{output, reach, standard};

/// Has a system agent do the command, where the keys are the agent's; none where they are this user's.
pub fn by_agent() -> Option<Result<ExitCode>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let command = arguments.first()?.to_str()?;
    if !errand::COMMANDS.contains(&command) {
        return None;
    }
    if means_own() {
        return None;
    }
    let (agent, _) = reach::other_user()?;
    Some(run(agent, arguments))
}

/// Whether keys of this user are meant: whoever has tokens of their own means those, unless the environment names an agent.
fn means_own() -> bool {
    let own = || Home::from_env().and_then(|home| Config::load(&home));
    !is_told() && own().is_ok_and(|config| !config.tokens.is_empty())
}

/// Whether this user may have tokens, as far as can be told.
pub fn may_have_own() -> bool {
    let config = Home::from_env().map(|home| Config::load(&home));
    config.is_ok_and(|config| config.map_or(true, |config| !config.tokens.is_empty()))
}

/// Whether the environment names the agent.
pub fn is_told() -> bool {
    hsmsign::agent::socket::places().1
}

/// Has a system agent pull the switch for its keys.
pub fn pull(agent: &mut Client, switch: &[&str]) -> Result<ExitCode> {
    standard::is_there()?;
    let arguments: Vec<_> = switch.iter().map(|&word| word.to_owned()).collect();
    Ok(ExitCode::from(errand::ask(agent, &arguments)?))
}

fn run(mut agent: Client, arguments: Vec<std::ffi::OsString>) -> Result<ExitCode> {
    let arguments = arguments
        .into_iter()
        .map(|argument| {
            argument
                .into_string()
                .map_err(|_| bad_input("an argument is not UTF-8"))
        })
        .collect::<Result<Vec<_>>>()?;
    // What is typed or piped passes no library that does not belong here; it goes to the agent's process unread.
    output::refuse_strangers()?;
    // The agent's process would find /dev/null there, and take it for a place that its answer is wanted in.
    standard::is_there()?;
    let code = errand::ask(&mut agent, &arguments)?;
    Ok(ExitCode::from(code))
}
