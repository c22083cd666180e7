//! `audit seal`: a seal at once.

use std::process::ExitCode;

use hsmsign::{
    audit::{self, Log},
    error::{Result, failed},
};

use super::{Around, output};

/// Have the token seal the log at once, so that what stands in it cannot be written anew
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The token, where there are several and none is the default
    #[arg(long)]
    token: Option<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let around = Around::find()?;
    let log = Log::new(&around.home);
    let none = || failed("there is no log yet").fix("it begins with the first request");
    if audit::list(&around.home)?.is_empty() {
        return Err(none());
    }
    let tokens = around.tokens()?;
    let name = match args.token {
        Some(name) => name,
        None => around.config()?.usual_token()?.to_owned(),
    };
    // Before the end of the log is looked for: its PIN may take a person minutes, and nobody else seals meanwhile.
    let token = tokens.get(&name)?;
    let due = log.seal_all()?.ok_or_else(none)?;
    let mac = audit::Sealer::default().seal(&name, token.as_ref(), &due.message())?;
    log.sealed(due, &name, &mac);
    log.flush()?;
    output::line(&format!("sealed by token {name}"))?;
    let Some(marked) = log.to_be_marked()? else {
        return Ok(ExitCode::SUCCESS);
    };
    match audit::raise(token.as_ref(), &around.home, &marked) {
        Ok(None) => {}
        Ok(Some(mark)) => return Err(audit::went_back(&name, &mark)),
        Err(error) => output::warn(&format!(
            "it does not keep how far the log was sealed: {}; note the seal that `hsmsign audit verify` prints",
            error.message()
        )),
    }
    Ok(ExitCode::SUCCESS)
}
