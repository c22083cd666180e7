use std::process::ExitCode;

use hsmsign::{
    doctor::{self, Level},
    error::{Code, Result},
};
use serde_json::json;

use super::{Around, output};

/// Look at the folders, the agent, tokens and keys, and say what is wrong and what to do.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hsmsign doctor\n  hsmsign doctor --json\n\nExit code 1 where something does not work."
)]
pub struct Args {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let found = match Around::find() {
        Ok(around) => doctor::examine(&around.home, &around.ask),
        Err(error) => match doctor::examine_served() {
            Some(found) => found,
            None => return Ok(output::report_json(&error, args.json)),
        },
    };
    let word = |level| match level {
        Level::Good => "ok",
        Level::Note => "note",
        Level::Bad => "bad",
    };
    let well = found.iter().all(|diagnosis| diagnosis.level != Level::Bad);
    if args.json {
        let found: Vec<_> = found
            .iter()
            .map(|diagnosis| json!({"level": word(diagnosis.level), "text": diagnosis.text, "fix": diagnosis.fix}))
            .collect();
        output::json(&json!({"ok": well, "findings": found}))?;
    } else {
        for diagnosis in &found {
            let fix = diagnosis
                .fix
                .as_ref()
                .map(|fix| format!("\n      {fix}"))
                .unwrap_or_default();
            output::line(&format!("{:4}  {}{fix}", word(diagnosis.level), diagnosis.text))?;
        }
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Code::Failed.exit())
    })
}
